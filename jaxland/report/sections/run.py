"""What was run: the fits of each ensemble, and the configuration."""

import math
from typing import Any

from jaxland.report.contents import Contents, count_missing
from jaxland.report.losses import EnsembleLosses
from jaxland.report.markup import Markup, element
from jaxland.report.sections.section import Section, plain_table, section, unbroken
from jaxland.report.words import duration, words
from jaxland.store import Manifest
from jaxland.studies.commands import Command
from jaxland.studies.configuration import unused_settings

_GAPS = 6  # ranges of missing fits that are listed
_HEAD = ["ensemble", "backend", "asked for", "done", "missing", "diverged", "best loss", "of fit", "median loss"]


def fits(contents: Contents) -> Section:
    """Done, missing and diverged fits of each ensemble, and their losses in short."""
    rows = [_row(name, each, contents.manifest) for name, each in contents.ensembles.items()]
    note = element("p", "Losses are those after training; diverged fits have none. Medians are exact to 0.1 %.")
    return section(
        "fits", "Fits", plain_table(_HEAD, rows, "fits of each ensemble"), element("div", note, class_="note")
    )


def _row(name: str, losses: EnsembleLosses, manifest: Manifest) -> list[str]:
    missing = count_missing(losses)
    gaps = [f"{start}-{stop - 1}" for start, stop in losses.missing[:_GAPS]]
    gaps += ["…"] if len(losses.missing) > _GAPS else []
    return [
        name,
        _backend(manifest, name).get("name", ""),
        f"{manifest.fits:,}",
        f"{losses.fits:,}",
        f"{missing:,} ({', '.join(gaps)})" if missing else "0",
        f"{losses.diverged:,}",
        *(["", "", ""] if losses.best_fit < 0 else [f"{losses.best_loss:.4g}", str(losses.best_fit), _median(losses)]),
    ]


def _median(losses):
    return "" if math.isnan(losses.median) else f"{losses.median:.4g}"


def _backend(manifest: Manifest, name: str) -> dict[str, Any]:
    return manifest.provenance.get("backends", {}).get(name, {})


def configuration(contents: Contents) -> Section:
    """Every setting of the fits and of the analyses, and versions, device, precision and backends."""
    manifest, provenance = contents.manifest, contents.manifest.provenance
    settings = sorted(manifest.config.items(), key=lambda item: (isinstance(item[1], dict), item[0]))
    unused = unused_settings(manifest.config, contents.ensembles)
    backends = {f"backend of {name}": _settings(_backend(manifest, name)) for name in contents.ensembles}
    provenance = {name: provenance.get(name, "") for name in ("versions", "device", "precision")}
    return section(
        "configuration",
        "Configuration",
        element("h3", "What decides a fit"),
        _pairs({name: value for name, value in settings if name not in unused}),
        *_folded("Settings that this run did not use", {n: value for n, value in settings if n in unused}),
        *_analyses(contents),
        element("h3", "Where and with what"),
        _pairs({"configuration hash": manifest.config_hash, **_code(manifest), **provenance, **backends}),
        *_commands(contents),
    )


def _code(manifest: Manifest) -> dict[str, str]:
    """Where the code of the study was found."""
    return {"code of the study": words(manifest.origin)} if manifest.origin else {}


def _commands(contents: Contents) -> list[Markup]:
    if not contents.commands:
        return []
    # A thousand workers are one command.
    alike: dict[tuple[str, str, str], list[Command]] = {}
    for each in contents.commands:
        alike.setdefault((f"{each.version} {each.commit}".strip(), each.ended, each.command), []).append(each)
    rows = [[each[0].began, _took(each), *key[:2], _often(key[2], len(each))] for key, each in alike.items()]
    table = plain_table(["begun", "took", "jaxland", "ended", "command"], rows, "commands of the study", plain=True)
    return [element("h3", "Commands"), table]


def _took(commands: list[Command]) -> str:
    known = [each.seconds for each in commands if each.seconds is not None]
    return duration(sum(known)) if known else ""


def _often(command: str, times: int) -> str:
    return command if times == 1 else f"{command} ({times:,} times)"


def _analyses(contents: Contents) -> list[Markup]:
    if not contents.analyses:
        return []
    return [
        element("h3", "Analyses"),
        _pairs({name: settings or "has no settings" for name, settings in contents.analyses.items()}),
    ]


def _settings(backend: dict[str, Any]) -> str:
    rest = {name: value for name, value in backend.items() if name != "name"}
    return f"{backend.get('name', '')} ({words(rest)})" if rest else backend.get("name", "")


def _folded(title: str, values: dict[str, Any]) -> list[Markup]:
    return [element("details", element("summary", title), _pairs(values))] if values else []


def _pairs(values: dict[str, Any]) -> Markup:
    pairs = (
        element("div", element("dt", name), element("dd", unbroken(words(value) or "—")))
        for name, value in values.items()
    )
    return element("dl", *pairs, class_="pairs")
