"""What sections are made of."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from jaxland.report.contents import Contents
from jaxland.report.markup import Markup, element, join
from jaxland.report.tables import is_number, shown

# Numbers that a line may not end within: 1.42e-03, 6-8, -0.5.
_NUMBERS = re.compile(r"(?<![\w.])([+-]?\d[\d.,]*(?:e[+-]?\d+|-\d[\d.]*)|[+-]\d[\d.]*)(?!\w)")


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


def unbroken(text: str) -> Markup:
    """A text of which no line ends within a number."""
    parts = _NUMBERS.split(text)
    return join(element("span", part, class_="whole") if index % 2 else part for index, part in enumerate(parts))


def plain_table(columns: Sequence[str], rows: list[list[str]], label: str, plain: bool = False) -> Markup:
    """A table whose columns of numbers stand to the right; where it is too wide it scrolls, by keyboard too.

    Args:
        columns: names.
        rows: cells.
        label: what it is a table of, for those who do not see it.
        plain: cells are shown as they are, numbers not rounded.
    """
    right = [all(is_number(row[index].replace(",", "")) for row in rows) for index in range(len(columns))]
    classes = ["number" if each else None for each in right]
    body = [
        element(
            "tr",
            *(
                element("td", unbroken(text if plain else shown(text)), class_=each)
                for text, each in zip(row, classes, strict=True)
            ),
        )
        for row in rows
    ]
    table = _table(columns, body, label, classes)
    return element("div", table, class_="scrolled", tabindex=0, role="region", aria_label=label)


def sorted_table(columns: Sequence[str], rows: list[Markup], label: str, class_: str) -> Markup:
    """A table of rows that are made already, whose headers sort it."""
    return _table(columns, rows, label, [None] * len(columns), class_=class_, data_sorted="")


def _table(
    columns: Sequence[str], rows: list[Markup], label: str, classes: Sequence[str | None], **attributes: str
) -> Markup:
    head = [element("th", name, scope="col", class_=each) for name, each in zip(columns, classes, strict=True)]
    caption = element("caption", label, class_="unseen")
    return element("table", caption, element("thead", element("tr", *head)), element("tbody", *rows), **attributes)
