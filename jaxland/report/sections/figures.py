"""The figures."""

from jaxland.report.contents import Contents
from jaxland.report.figures import Figure
from jaxland.report.markup import Markup, anchor, element
from jaxland.report.sections.section import Section, empty_section, section

_WIDE = 2.2  # a figure broader than this for its height has a row to itself


def figures(contents: Contents) -> Section:
    """Every figure with its caption."""
    if not contents.figures:
        return empty_section("figures", "Figures", contents)
    entries = [(anchor(figure.path), _name(figure)) for figure in contents.figures]
    return section(
        "figures", "Figures", element("div", *map(_figure, contents.figures), class_="figures"), entries=entries
    )


def _name(figure: Figure) -> str:
    return f"{figure.label}. {figure.title}" if figure.label else figure.title


def _figure(figure: Figure) -> Markup:
    image = figure.image
    label = [element("b", f"{figure.label}."), " "] if figure.label else []
    description = [element("p", figure.description)] if figure.description else []
    size = {"width": round(image.width), "height": round(image.height)}
    return element(
        "figure",
        element("div", element("img", src=image.uri, alt=figure.description or _name(figure), **size), class_="sheet"),
        element("figcaption", element("p", *label, figure.title), *description),
        id=anchor(figure.path),
        class_="wide" if image.width > _WIDE * image.height else None,
    )
