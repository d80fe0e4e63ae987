"""The summary of a run, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from jaxland.store import StudyStore
from jaxland.studies.claims import Claim, reasons, tally
from jaxland.studies.configuration import to_json, unused_settings
from jaxland.studies.speed import Speed
from jaxland.studies.study import Study

_JUDGED = (
    "Those are after training. Fits were also judged on points held out, and are ranked by their smallest validation "
    "loss; metrics are those in its step, and diverged fits are left out."
)


def summary_text(
    study: Study,
    store: StudyStore,
    analyses: Mapping[str, Any],
    ensembles: pd.DataFrame,
    judged: pd.DataFrame,
    speed: Speed,
    claims: Sequence[Claim],
    notes: Sequence[str] = (),
) -> str:
    """What was run, on what, what was found, its losses, what validation found, and every claim with its verdict."""
    manifest = store.manifest
    provenance = manifest.provenance
    backends = ", ".join(f"{name}: {provenance['backends'][name]['name']}" for name in manifest.ensembles)
    lines = [
        f"# {study.name}{study.title and ': '}{study.title}",
        "",
        *([f"Source: {study.source}", ""] if study.source else []),
        f"- fits asked for: {manifest.fits:,} of each ensemble ({', '.join(manifest.ensembles)})",
        f"- configuration {manifest.config_hash}: {_settings(manifest.config, manifest.ensembles)}",
        f"- {provenance['precision']}, {provenance['device']}",
        f"- backend: {backends}",
        f"- {provenance['versions']}",
        f"- analyses: {'; '.join(_analysis(name, to_json(settings)) for name, settings in analyses.items())}",
        "",
        *(["## Findings", "", *(f"- {note}" for note in notes), ""] if notes else []),
        "## Losses",
        "",
        markdown_table(ensembles),
        "",
        *([] if judged.empty else [_JUDGED, "", markdown_table(judged), ""]),
        *speed_lines(speed, provenance),
    ]
    return "\n".join([*lines, claims_text(claims)])


def speed_lines(speed: Speed, provenance: Mapping[str, Any]) -> list[str]:
    """How fast it was trained, on what; of all that a summary tells this alone is not the same in another run."""
    rows = [
        {
            "ensemble": name,
            "backend": provenance["backends"][name]["name"],
            "fits": rate.fits,
            "net-steps": f"{rate.net_steps:.4g}",
            "seconds": f"{rate.seconds:.4g}",
            "net-steps/s": f"{rate.per_second:.3g}",
        }
        for name, rate in speed.ensembles.items()
        if rate.fits
    ]
    table = [markdown_table(pd.DataFrame(rows)), ""] if rows else []
    return ["## Speed", "", f"{speed.told} On {provenance['device']}, {provenance['precision']}.", "", *table]


def claims_text(claims: Sequence[Claim]) -> str:
    """Every claim with its verdict, and the measurements of our own; "" without any."""
    if not claims:
        return ""
    judged = [each for each in claims if each.verdict]
    why = [f"- {reason}" for reason in reasons(claims)]
    lines = ["## Claims", "", f"{tally(claims)}.", "", *why, *([""] if why else [])]
    if judged:
        lines += [
            _table(
                judged,
                ("where", "of", "statement", "source", "measured", "judged", "verdict", "detail", "rule", "basis"),
            ),
            "",
        ]
    own = [each for each in claims if not each.verdict]
    if own:
        lines += ["## Measurements of our own", "", _table(own, ("statement", "of", "measured", "detail")), ""]
    return "\n".join(lines)


def _table(claims: Sequence[Claim], columns: Sequence[str]) -> str:
    rows = [{name: getattr(claim, name) for name in columns} for claim in claims]
    return markdown_table(pd.DataFrame(rows))


def _settings(config: dict, ensembles: Sequence[str]) -> str:
    """The settings that matter here: those of optimizers that were not used are left out."""
    parts, unused = [], unused_settings(config, ensembles)
    for name, value in sorted(config.items()):
        if isinstance(value, dict):
            numbers = ", ".join(f"{number} {each}" for number, each in sorted(value.items()))
            parts += [] if name in unused else [f"{name} ({numbers})"]
        elif name != "optimizers" and value != "":
            parts.append(f"{name} {value}")
    return ", ".join(parts)


def _analysis(name: str, settings: dict) -> str:
    parts = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"{name} ({parts})" if parts else name


def markdown_table(table: pd.DataFrame) -> str:
    """The table in Markdown, numbers to four digits."""
    rows = [list(table.columns), ["---"] * len(table.columns)]
    rows += [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def _cell(value) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")
