"""The claims of the source, and what was measured."""

from collections.abc import Callable

from jaxland.report.contents import Contents
from jaxland.report.figures import Figure
from jaxland.report.markup import Markup, anchor, element, join
from jaxland.report.sections.section import Section, empty_section, section
from jaxland.studies import Claim
from jaxland.studies.claims import reasons
from jaxland.studies.criteria import VERDICTS

_SIGNS = {"agrees": "✓", "differs": "✗", "undecided": "?", "not tested": "○"}
_HEAD = ("where", "claim", "source", "measured", "verdict")


def claims(contents: Contents) -> Section:
    """The tally, by which the list can be narrowed, why some were not tested, and every claim with its verdict."""
    if contents.claims is None:
        return empty_section("claims", "Claims", contents)
    link = _linker(contents.figures)
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in _HEAD)))
    judged = [claim for claim in contents.claims if claim.verdict]
    body = element("tbody", *(_claim(claim, link) for claim in judged))
    table = element("table", head, body, class_="claims")
    why = [element("li", reason) for reason in reasons(judged)]
    parts = [*_tally(judged), *([element("ul", *why)] if why else []), table]
    return section("claims", "Claims", *parts, *_own([claim for claim in contents.claims if not claim.verdict]))


def _own(measurements: list[Claim]) -> list[Markup]:
    """What was measured that no source states, apart from the claims."""
    if not measurements:
        return []
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in ("measurement", "measured"))))
    rows = [
        element(
            "tr", element("td", *_told(each), class_="statement"), element("td", each.measured, data_label="measured")
        )
        for each in measurements
    ]
    return [element("h3", "Measurements of our own"), element("table", head, element("tbody", *rows), class_="claims")]


def _told(claim: Claim) -> list[Markup]:
    """The statement, and in smaller print what it was measured of, how, when it agrees and why there."""
    text = f"{claim.of}: {claim.statement}" if claim.of else claim.statement
    cases = f"{int(claim.cases):,} cases" if claim.cases.isdigit() else ""
    small = [part for part in (claim.detail, cases, claim.rule, claim.basis and f"threshold: {claim.basis}") if part]
    return [element("p", text), element("p", "; ".join(small), class_="detail")]


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
        element("td", link(claim.where), data_label="where"),
        element("td", *_told(claim), class_="statement"),
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
