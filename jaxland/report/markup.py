"""HTML from nested calls, in which every text is escaped unless it is markup already."""

from collections.abc import Iterable
from html import escape

_VOID = {"img", "input", "meta"}


class Markup(str):
    """Text that is HTML already."""


def element(name: str, /, *children: str, **attributes: str | int | None) -> Markup:
    """An HTML element.

    Args:
        name: of the tag.
        children: text, which is escaped, or markup, which is not.
        attributes: escaped; one trailing underscore is dropped (`class_`), other underscores become hyphens, and None
            leaves the attribute out.
    """
    written = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{join(children)}</{name}>")


def join(parts: Iterable[str], separator: str = "") -> Markup:
    """Texts and markup one after another, texts escaped."""
    return Markup(separator.join(part if isinstance(part, Markup) else escape(part) for part in parts))


def anchor(name: str) -> str:
    """The id of what a name belongs to: the name without white space, which no id may hold."""
    return "-".join(name.split())
