"""What sections are made of."""

from typing import NamedTuple

from jaxland.report.contents import Contents
from jaxland.report.markup import Markup, element
from jaxland.report.tables import is_number, shown


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        name: its id.
        title: its heading.
        markup: heading and content.
        entries: (id, text) of what the table of contents lists below it.
    """

    name: str
    title: str
    markup: Markup
    entries: list[tuple[str, str]]


def section(name: str, title: str, *content: str, entries: list[tuple[str, str]] | None = None) -> Section:
    """A section with its heading."""
    return Section(name, title, element("section", element("h2", title), *content, id=name), entries or [])


def empty_section(name: str, title: str, contents: Contents) -> Section:
    """A section whose content the analysis has not made; it says how to make it."""
    if any(each.fits for each in contents.ensembles.values()):
        words = [f"No {name} here. Make them with ", command(contents.analyse)]
    else:
        words = [f"No {name}: no fit is stored yet."]
    return section(name, title, element("p", *words, class_="empty"))


def command(text: str) -> Markup:
    """A command to be typed."""
    return element("code", text, class_="command")


def plain_table(columns: list[str], rows: list[list[str]], label: str) -> Markup:
    """A table whose columns of numbers stand to the right; where it is too wide it scrolls, by keyboard too."""
    right = [all(is_number(row[index].replace(",", "")) for row in rows) for index in range(len(columns))]
    classes = ["number" if each else None for each in right]
    head = [element("th", name, scope="col", class_=each) for name, each in zip(columns, classes, strict=True)]
    body = [
        element("tr", *(element("td", shown(text), class_=each) for text, each in zip(row, classes, strict=True)))
        for row in rows
    ]
    table = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    return element("div", table, class_="scrolled", tabindex=0, role="region", aria_label=label)
