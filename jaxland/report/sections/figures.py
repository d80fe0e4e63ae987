"""The figures."""

from jaxland.report.contents import Contents
from jaxland.report.figures import Figure
from jaxland.report.markup import Markup, anchor, element
from jaxland.report.sections.claims import claims_of
from jaxland.report.sections.section import Section, empty_section, section, unbroken

_NOTE = (
    "Pictures are of 2,048 points across and 256 colours at most here, and of less where they would be heavy; the "
    "files of the study hold more."
)
_WIDE = 2.2  # a figure broader than this for its height has a row to itself


def figures(contents: Contents) -> Section:
    """Every figure with its caption, and the claims that are about it."""
    if not contents.figures:
        return empty_section("figures", "Figures", contents)
    entries = [(anchor(figure.path), name_of(figure)) for figure in contents.figures]
    grid = element(
        "div", *(_figure(each, claims_of(each, contents.claims)) for each in contents.figures), class_="figures"
    )
    note = [element("p", _NOTE, class_="note")] if any(f.image.kind == "image/webp" for f in contents.figures) else []
    left = contents.figures_left_out
    rest = (
        [element("p", f"Left out, since the page would be too heavy: {', '.join(left)}.", class_="note")]
        if left
        else []
    )
    return section("figures", "Figures", *note, grid, *rest, entries=entries)


def name_of(figure: Figure) -> str:
    """Number and title."""
    return f"{figure.label}. {figure.title}" if figure.label else figure.title


def _figure(figure: Figure, about: Markup) -> Markup:
    label = [element("b", f"{figure.label}."), " "] if figure.label else []
    description = [element("p", unbroken(figure.description))] if figure.description else []
    if figure.still:
        description.append(element("p", "Its first picture; the animation would be too heavy here.", class_="note"))
    return element(
        "figure",
        sheet(figure),
        element("figcaption", element("p", *label, figure.title), *description, about),
        id=anchor(figure.path),
        class_="wide" if is_wide(figure) else None,
    )


def is_wide(figure: Figure) -> bool:
    """Whether it needs a row to itself."""
    return figure.image.width > _WIDE * figure.image.height


def sheet(figure: Figure) -> Markup:
    """Its image, on white: colours were chosen for that."""
    image = figure.image
    size = {"width": round(image.width), "height": round(image.height)}
    return element(
        "div", element("img", src=image.uri, alt=figure.description or name_of(figure), **size), class_="sheet"
    )
