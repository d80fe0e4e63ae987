"""The interactive charts of the losses."""

from jaxland.report.contents import Contents
from jaxland.report.markup import Markup, element
from jaxland.report.sections.section import Section, section

_KEYS = (
    "By keyboard: the arrows go through a chart, Page Up and Page Down by ten, Home and End to its ends; with "
    "Shift they mark bars. Enter takes a fit, Escape shows all again."
)
_TITLES = {"histogram": "Losses of all fits", "scatter": "Fits one by one"}


def losses(contents: Contents, drawings: list[str]) -> Section:
    """The places where the charts are drawn, with what they show.

    Args:
        contents: of the study directory.
        drawings: names of the charts there are.
    """
    title = "Losses, interactively"
    if not drawings:
        return section("losses", title, element("p", "No stored fit has a loss that could be drawn.", class_="empty"))
    notes = {"histogram": _histogram_note(contents), "scatter": _scatter_note(contents)}
    entries = [(f"{name}-of-losses", _TITLES[name]) for name in drawings]
    places = [place(name, _TITLES[name], notes[name]) for name in drawings]
    return section("losses", title, *without_scripts(), *places, entries=entries)


def without_scripts() -> list[Markup]:
    """What is said where charts cannot be drawn, and of the keys where they can."""
    without = element("p", "The charts need JavaScript; everything else on this page does without.", class_="empty")
    old = "This browser is too old for the charts and for sorting tables; everything else is here."
    return [
        element("noscript", without),
        element("p", old, class_="empty needs-newer", hidden=""),
        element("p", _KEYS, id="keys", class_="note keys"),
    ]


def place(name: str, title: str, note: str) -> Markup:
    """Where a chart is drawn, below its heading and what is to be known of it."""
    chart = element("div", id=name, class_="chart", data_title=title)
    told = [element("p", note)] if note else []
    return element("div", element("h3", title), *told, chart, id=f"{name}-of-losses", class_="interactive")


def _histogram_note(contents: Contents) -> str:
    ensembles = contents.ensembles.values()
    left_out = {
        "diverged and have no loss": sum(each.diverged for each in ensembles),
        "have a loss of zero or less, or one too large, for a logarithmic axis": sum(
            each.off_axis for each in ensembles
        ),
    }
    words = [f"{count:,} {what}" for what, count in left_out.items() if count]
    rest = f" Not drawn: {', and '.join(words)}." if words else ""
    rest += _judged_note(contents)
    return (
        f"All {sum(each.fits for each in ensembles):,} stored fits are counted.{rest} Point at a bar for its numbers; "
        "drag across to mark losses, which are then told apart below; press a name to hide an ensemble."
    )


def _judged_note(contents: Contents) -> str:
    if all(each.stopped is None for each in contents.ensembles.values()):
        return ""
    return " What is counted can be chosen: losses after training, and what validation found."


def _scatter_note(contents: Contents) -> str:
    ensembles = contents.ensembles
    sentences = ["Point at one for its number, status and losses, press to see it below; drag to zoom."]
    if all(len(each.sample) == each.fits for each in ensembles.values()):
        sentences.insert(0, "Every stored fit is a point.")
    else:
        counts = [f"{len(each.sample):,} of the {each.fits:,} fits of {name}" for name, each in ensembles.items()]
        sentences.insert(0, f"A random sample, the same every time: {', '.join(counts)}.")
    if any((each.sample["diverged_step"] >= 0).any() for each in ensembles.values()):
        sentences.append("Diverged fits have no final loss and stand as crosses in a row above the others.")
    if any(each.off_axis for each in ensembles.values()):
        sentences.append("Fits whose loss has no logarithm are not drawn.")
    return " ".join(sentences)
