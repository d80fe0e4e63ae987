"""The claims of the source, and what was measured."""

from collections.abc import Callable

from jaxland.report.claims import VERDICTS
from jaxland.report.contents import Contents
from jaxland.report.figures import Figure
from jaxland.report.markup import Markup, anchor, element, join
from jaxland.report.sections.section import Section, empty_section, section
from jaxland.studies import Claim

_SIGNS = {"agrees": "✓", "differs": "✗", "not tested": "○"}
_HEAD = ("where", "claim", "source", "measured", "verdict")


def claims(contents: Contents) -> Section:
    """The tally, by which the list can be narrowed, and every claim with its verdict."""
    if contents.claims is None:
        return empty_section("claims", "Claims", contents)
    link = _linker(contents.figures)
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in _HEAD)))
    body = element("tbody", *(_claim(claim, link) for claim in contents.claims))
    table = element("table", head, body, class_="claims")
    return section("claims", "Claims", *_tally(contents.claims), table)


def _tally(found: list[Claim]) -> list[Markup]:
    counts = {verdict: sum(claim.verdict == verdict for claim in found) for verdict in VERDICTS}
    bars = (
        element("span", class_=anchor(verdict), style=f"flex-grow: {count}")
        for verdict, count in counts.items()
        if count
    )
    choices = [_choice("all", element("span", "all", class_="verdict"), len(found), checked="")]
    choices += [_choice(verdict, _badge(verdict), count) for verdict, count in counts.items()]
    return [
        element("div", *bars, class_="bar", aria_hidden="true"),
        element("fieldset", element("legend", "Claims shown"), *choices, class_="tally"),
    ]


def _choice(verdict: str, badge: Markup, count: int, checked: str | None = None) -> Markup:
    button = element("input", type="radio", name="verdict", id=f"show-{anchor(verdict)}", checked=checked)
    return element("label", button, badge, element("b", str(count)))


def _badge(verdict: str) -> Markup:
    sign = element("span", _SIGNS[verdict], aria_hidden="true")
    return element("span", sign, " ", verdict, class_=f"verdict {anchor(verdict)}")


def _claim(claim: Claim, link: Callable[[str], Markup]) -> Markup:
    return element(
        "tr",
        element("td", link(claim.figure), data_label="where"),
        element("td", element("p", claim.statement), element("p", claim.detail, class_="detail"), class_="statement"),
        element("td", claim.source, data_label="source"),
        element("td", claim.measured, data_label="measured"),
        element("td", _badge(claim.verdict), data_label="verdict"),
        class_=anchor(claim.verdict),
    )


def _linker(figures: list[Figure]) -> Callable[[str], Markup]:
    """Turns "7, section 2" into "figure 7, section 2", where every part that has a figure here leads to it."""
    places = {figure.label.lower(): figure.path for figure in figures if figure.label}

    def part(text: str) -> str:
        name = f"figure {text}" if text[:1].isdigit() else text
        return element("a", name, href=f"#{anchor(places[name])}") if name in places else name

    return lambda where: element("span", join(map(part, where.split(", ")), ", "))
