"""The claims of the source, and what was measured."""

from collections.abc import Callable

from jaxland.report.contents import Contents
from jaxland.report.figures import Figure
from jaxland.report.markup import Markup, anchor, element, join
from jaxland.report.sections.section import Section, empty_section, section, sorted_table, unbroken
from jaxland.studies import Claim
from jaxland.studies.claims import reasons
from jaxland.studies.criteria import VERDICTS

_SIGNS = {"agrees": "✓", "differs": "✗", "undecided": "?", "not tested": "○"}
_TOLD = 4  # claims that differ are told at the top
_HEAD = ("where", "claim", "source", "measured", "verdict")


def claims(contents: Contents) -> Section:
    """The tally, by which the list can be narrowed, the claims that differ in a line each, and folded every claim with
    its verdict and why some were not tested: figures come before what takes screens to read."""
    if contents.claims is None:
        return empty_section("claims", "Claims", contents)
    link = _linker(contents.figures)
    judged = [claim for claim in contents.claims if claim.verdict]
    rows = [_claim(number, claim, link) for number, claim in enumerate(judged, 1)]
    table = sorted_table(_HEAD, rows, "claims of the source and what was measured", class_="claims")
    own = [claim for claim in contents.claims if not claim.verdict]
    why = [element("li", reason) for reason in reasons(judged)]
    inside = [*([element("ul", *why)] if why else []), table]
    folded = _folded(f"{_counted(len(judged), 'claim')}, each with what was measured", *inside)
    parts = [*_tally(judged), *_differing(judged), folded] if judged else []
    return section("claims", "Claims", *parts, *_own(own))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"All {count} {what}s"


def _folded(title: str, *inside: Markup) -> Markup:
    """A browser unfolds it by itself for a search in the page and for a link that leads into it."""
    return element("details", element("summary", title), *inside, class_="folded")


def _differing(judged: list[Claim]) -> list[Markup]:
    """Claims that differ, the first of them, each with what was measured."""
    differ = [(number, claim) for number, claim in enumerate(judged, 1) if claim.verdict == "differs"]
    items = [
        element(
            "li",
            badge(claim.verdict),
            " ",
            element("a", unbroken(_statement(claim)), href=f"#claim-{number}"),
            unbroken(f": measured {claim.measured}"),
        )
        for number, claim in differ[:_TOLD]
    ]
    if len(differ) > _TOLD:
        more = element("a", f"{len(differ) - _TOLD} more that differ", href=f"#claim-{differ[_TOLD][0]}")
        items.append(element("li", "and ", more))
    return [element("ul", *items, class_="apart")] if items else []


def _own(measurements: list[Claim]) -> list[Markup]:
    """What was measured that no source states, apart from the claims, folded."""
    if not measurements:
        return []
    rows = [
        element(
            "tr",
            element("td", *_told(each), class_="statement"),
            element("td", as_one(each.measured), data_label="measured"),
        )
        for each in measurements
    ]
    title = "Measurements of our own"
    table = sorted_table(("measurement", "measured"), rows, title.lower(), class_="claims")
    folded = _folded(f"{_counted(len(measurements), 'measurement')} of our own", table)
    return [element("div", folded, id="own-measurements")]


def _told(claim: Claim) -> list[Markup]:
    """The statement, and in smaller print what it was measured of, how, when it agrees and why there."""
    cases = f"{int(claim.cases):,} cases" if claim.cases.isdigit() else ""
    small = [part for part in (claim.detail, cases, claim.rule, claim.basis and f"threshold: {claim.basis}") if part]
    return [element("p", unbroken(_statement(claim))), element("p", unbroken("; ".join(small)), class_="detail")]


def _tally(found: list[Claim]) -> list[Markup]:
    counts = {verdict: sum(claim.verdict == verdict for claim in found) for verdict in VERDICTS}
    bars = (
        element("span", class_=anchor(verdict), style=f"flex-grow: {count}")
        for verdict, count in counts.items()
        if count
    )
    choices = [_choice("all", element("span", "all", class_="verdict"), len(found), checked="")]
    choices += [
        _choice(verdict, badge(verdict), count, disabled=None if count else "") for verdict, count in counts.items()
    ]
    return [
        element("div", *bars, class_="bar", aria_hidden="true"),
        element("fieldset", element("legend", "Claims shown"), *choices, class_="tally"),
    ]


def _choice(verdict: str, told: Markup, count: int, **attributes: str | None) -> Markup:
    button = element("input", type="radio", name="verdict", id=f"show-{anchor(verdict)}", **attributes)
    return element("label", button, told, element("b", str(count)))


def as_one(text: str) -> Markup:
    """A text as one thing, which a cell that is laid out beside its label does not take apart."""
    return element("span", unbroken(text))


def badge(verdict: str) -> Markup:
    """A verdict, by sign and colour."""
    sign = element("span", _SIGNS[verdict], aria_hidden="true")
    return element("span", sign, " ", verdict, class_=f"verdict {anchor(verdict)}")


def claims_of(figure: Figure, claims: list[Claim] | None) -> Markup:
    """The claims that are about a figure, folded, each with its verdict and a link to its row; nothing where none."""
    judged = enumerate((claim for claim in claims or [] if claim.verdict), 1)
    about = [(number, claim) for number, claim in judged if figure.label.lower() in _places(claim.where)]
    if not about:
        return Markup()
    items = [
        element("li", badge(claim.verdict), " ", element("a", unbroken(_statement(claim)), href=f"#claim-{number}"))
        for number, claim in about
    ]
    count = "1 claim is" if len(about) == 1 else f"{len(about)} claims are"
    return element("details", element("summary", f"{count} about this figure"), element("ul", *items))


def _places(where: str) -> list[str]:
    """The names of figures and sections in "7, section 2": "figure 7" and "section 2"."""
    return [f"figure {part}" if part[:1].isdigit() else part for part in where.split(", ")]


def _statement(claim: Claim) -> str:
    return f"{claim.of}: {claim.statement}" if claim.of else claim.statement


def _claim(number: int, claim: Claim, link: Callable[[str], Markup]) -> Markup:
    return element(
        "tr",
        element("td", link(claim.where), data_label="where"),
        element("td", *_told(claim), class_="statement"),
        element("td", as_one(claim.source), data_label="source"),
        element("td", as_one(claim.measured), data_label="measured"),
        element("td", badge(claim.verdict), data_label="verdict"),
        class_=anchor(claim.verdict),
        id=f"claim-{number}",
    )


def _linker(figures: list[Figure]) -> Callable[[str], Markup]:
    """Turns "7, section 2" into "figure 7, section 2", where every part that has a figure here leads to it."""
    places = {figure.label.lower(): figure.path for figure in figures if figure.label}

    def part(name: str) -> str:
        return element("a", name, href=f"#{anchor(places[name])}") if name in places else name

    return lambda where: element("span", join(map(part, _places(where)), ", "))
