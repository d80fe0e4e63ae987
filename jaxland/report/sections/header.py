"""The top of the page."""

from jaxland.report.contents import Contents, Notice
from jaxland.report.losses import EnsembleLosses
from jaxland.report.markup import Markup, element
from jaxland.report.measures import VALIDATION
from jaxland.report.sections.section import command
from jaxland.report.words import duration
from jaxland.studies import Claim
from jaxland.studies.commands import Command
from jaxland.studies.speed import Speed
from jaxland.studies.summary import tally

_FEW = 3  # ensembles whose best fits are told at the top


def header(contents: Contents) -> Markup:
    """Name, question and source of the study, and its numbers at a glance."""
    return element(
        "header",
        element("p", "jaxland study · ", element("b", contents.manifest.study), class_="kicker"),
        element("h1", titled(contents)),
        *([element("p", "Source: ", contents.source, class_="source")] if contents.source else []),
        *_commanded(contents.commands),
        facts(contents),
    )


def titled(contents: Contents) -> str:
    """The title, or the name where there is none."""
    title = contents.title or contents.manifest.study
    return title[:1].upper() + title[1:]


def _commanded(commands: list[Command]) -> list[Markup]:
    return [element("p", command(commands[0].command), class_="source")] if commands else []


def facts(contents: Contents) -> Markup:
    """What was run, when and on what, and what came out."""
    pairs = (
        element("div", element("dt", name), element("dd", text)) for name, text in _facts(contents).items() if text
    )
    return element("dl", *pairs)


def _facts(contents: Contents) -> dict[str, str]:
    ensembles, provenance = contents.ensembles, contents.manifest.provenance
    done, asked = sum(each.fits for each in ensembles.values()), contents.manifest.fits * len(ensembles)
    claims = {} if contents.claims == [] else {"claims": _tally(contents.claims)}
    return {
        "ensembles": ", ".join(ensembles),
        "fits": f"{done:,}" if done == asked else f"{done:,} of {asked:,}",
        "diverged": f"{sum(each.diverged for each in ensembles.values()):,}",
        **_best(ensembles),
        **claims,
        "trained on": f"{provenance.get('device', 'unknown')}, {provenance.get('precision', '')}".removesuffix(", "),
        "net-steps a second": _rate(contents.speed),
        **_dated(contents.commands),
        "with": str(provenance.get("versions", "")).partition(",")[0],
    }


def _best(ensembles: dict[str, EnsembleLosses]) -> dict[str, str]:
    """The smallest validation loss, and the metrics of the fit that has it; nothing where there are many ensembles."""
    judged = {name: each for name, each in ensembles.items() if VALIDATION in each.best}
    if not 0 < len(judged) <= _FEW:
        return {}
    told = []
    for name, losses in judged.items():
        metrics = [
            f"{column.removeprefix('best_')} {losses.best[column]:.4g}"
            for column, measure in losses.measured.items()
            if measure.is_metric
        ]
        words = ", ".join([f"{losses.best[VALIDATION]:.4g}", *metrics])
        told.append(f"{words} ({name})" if len(ensembles) > 1 else words)
    return {"smallest validation loss": "; ".join(told)}


def _rate(speed: Speed) -> str:
    """In all where one machine trained; "" where it is not known of all fits, as the page says elsewhere."""
    known = speed.machines == 1 and speed.whole.fits == speed.fits
    return f"{speed.whole.per_second:.3g}" if known and speed.whole.seconds else ""


def _dated(commands: list[Command]) -> dict[str, str]:
    """When the work on the study began, and how long its commands took together."""
    if not commands:
        return {}
    return {"begun": commands[0].began, "took": duration(sum(each.seconds or 0 for each in commands))}


def _tally(claims: list[Claim] | None) -> str:
    return "not judged yet" if claims is None else tally(claims)


def notices(found: list[Notice], of: str = "This report") -> Markup:
    """What is missing or wrong of something; nothing where all is well."""
    if not found:
        return Markup()
    items = (
        element("li", each.text, *([" Mend it with ", command(each.command)] if each.command else [])) for each in found
    )
    return element("aside", element("h2", f"{of} is not complete"), element("ul", *items), class_="notices")
