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
_LEVELS = {"least": 0.0, "lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75, "largest": 1.0}


def fits(contents: Contents) -> Section:
    """Done, missing and diverged fits of each ensemble, their losses in short, and what validation found."""
    judged = {name: each for name, each in contents.ensembles.items() if each.stopped is not None}
    rows = [_row(name, each, contents.manifest) for name, each in contents.ensembles.items()]
    head = [*_HEAD, "stopped early"] if judged else _HEAD
    rows = [
        [*row, _stopped(each)] if judged else row for row, each in zip(rows, contents.ensembles.values(), strict=True)
    ]
    note = element("p", "Losses are those after training; diverged fits have none. Medians are exact to 0.1 %.")
    return section(
        "fits",
        "Fits",
        plain_table(head, rows, "fits of each ensemble"),
        element("div", note, class_="note"),
        *_judged(judged),
        element("p", _speed(contents), class_="note"),
    )


def _speed(contents: Contents) -> str:
    """How fast they were trained, each ensemble where there are several."""
    known = {name: rate for name, rate in contents.speed.ensembles.items() if rate.fits}
    each = "; ".join(f"{name} {rate.per_second:.3g} a second" for name, rate in known.items())
    return contents.speed.told + (f" Net-steps of each: {each}." if len(known) > 1 else "")


def _stopped(losses: EnsembleLosses) -> str:
    return "" if losses.stopped is None else f"{losses.stopped:,}"


def _judged(ensembles: dict[str, EnsembleLosses]) -> list[Markup]:
    """Losses and metrics on the points that were held out, and what the best fit has of them."""
    if not ensembles:
        return []
    rows = []
    for name, losses in ensembles.items():
        for column, measure in losses.measured.items():
            spread = [_told(measure.quantile(level)) for level in _LEVELS.values()]
            fit = str(losses.ranked_by.least_fit) if losses.best else ""
            rows.append([name, measure.short, *spread, _told(losses.best.get(column, math.nan)), fit])
    head = ["ensemble", "what", *_LEVELS, "of the best fit", "which is"]
    told = (
        "Fits are judged on points held out, and ranked by their smallest validation loss, of which the best fit has "
        "the smallest. Metrics are those then, in its step; the training loss is that at the end. Diverged fits are "
        "left out."
    )
    return [
        element("h3", "On the points held out"),
        plain_table(head, rows, "what validation found"),
        element("div", element("p", told), class_="note"),
    ]


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
        *(
            ["", "", ""]
            if losses.best_fit < 0
            else [f"{losses.best_loss:.4g}", str(losses.best_fit), _told(losses.median)]
        ),
    ]


def _told(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


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
