"""The summary of a run, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from jaxland.store import StudyStore
from jaxland.studies.claims import Claim, reasons, tally
from jaxland.studies.configuration import to_json, unused_settings
from jaxland.studies.study import Study


def summary_text(
    study: Study,
    store: StudyStore,
    analyses: Mapping[str, Any],
    ensembles: pd.DataFrame,
    claims: Sequence[Claim],
    notes: Sequence[str] = (),
) -> str:
    """What was run, on what, what was found, its losses, and every claim with its verdict."""
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
    ]
    return "\n".join([*lines, *claims_lines(claims)])


def claims_lines(claims: Sequence[Claim]) -> list[str]:
    """The last sections of the summary: claims with their verdicts, and measurements; none without claims."""
    if not claims:
        return []
    judged = [each for each in claims if each.verdict]
    why = [f"- {reason}" for reason in reasons(claims)]
    lines = ["## Claims", "", f"{tally(claims)}.", "", *why, *([""] if why else [])]
    if judged:
        lines += [
            _table(judged, ("where", "of", "statement", "source", "measured", "verdict", "detail", "rule", "basis")),
            "",
        ]
    own = [each for each in claims if not each.verdict]
    return (
        [*lines, "## Measurements of our own", "", _table(own, ("statement", "of", "measured", "detail")), ""]
        if own
        else lines
    )


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
