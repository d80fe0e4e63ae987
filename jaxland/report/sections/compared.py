"""Two studies side by side."""

from jaxland.report.compared import (
    Pair,
    differing_settings,
    ensembles_of_both,
    figure_of,
    names_of,
    paired_claims,
    paired_figures,
)
from jaxland.report.contents import Contents
from jaxland.report.figures import Figure
from jaxland.report.markup import Markup, anchor, element
from jaxland.report.sections.claims import as_one, badge
from jaxland.report.sections.figures import is_wide, name_of, sheet
from jaxland.report.sections.header import facts, titled
from jaxland.report.sections.losses import place
from jaxland.report.sections.section import Section, plain_table, section, sorted_table, unbroken

_QUANTILES = {"least": 0.0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "largest": 1.0}
_ABSENT = "not there"


def header_of_both(first: Contents, second: Contents) -> Markup:
    """Name, question and numbers at a glance of each."""
    names = names_of(first, second)
    columns = (
        element("div", element("h2", name), element("p", titled(each), class_="source"), facts(each))
        for name, each in zip(names, (first, second), strict=True)
    )
    return element(
        "header",
        element("p", "jaxland · two studies side by side", class_="kicker"),
        element("h1", f"{names[0]} and {names[1]}"),
        element("div", *columns, class_="two"),
    )


def compared_sections(first: Contents, second: Contents, drawings: list[str]) -> list[Section]:
    """The sections in order.

    Args:
        first, second: the studies.
        drawings: names of the interactive charts there are.
    """
    both = first, second
    return [_settings(*both), _losses(*both, drawings), *_claims(*both), _figures(*both)]


def _settings(first: Contents, second: Contents) -> Section:
    found = differing_settings(first, second)
    if not found:
        same = element("p", "Settings, versions and devices are the same.", class_="empty")
        return section("settings", "What differs", same)
    rows = [[pair.name, *(_ABSENT if value is None else value for value in pair[1:])] for pair in found]
    note = element("p", "Settings, versions and devices that are not the same in both.", class_="note")
    table = plain_table(["setting", *names_of(first, second)], rows, "what differs", plain=True)
    return section("settings", "What differs", note, table)


def _losses(first: Contents, second: Contents, drawings: list[str]) -> Section:
    rows = []
    for name, each in ensembles_of_both(first, second).items():
        for measure in each.measured.values():
            values = [measure.quantile(share) for share in _QUANTILES.values()]
            told = ["" if v != v else f"{v:.4g}" for v in values]
            rows.append([name, f"{each.fits:,}", f"{each.diverged:,}", measure.label, *told])
    note = element("p", "Of the fits that did not diverge; quantiles are exact to 0.1 %.", class_="note")
    table = plain_table(["ensemble", "fits", "diverged", "what", *_QUANTILES], rows, "quantiles of the losses")
    return section("losses", "Losses", note, table, *(place(name, "Losses of all fits", "") for name in drawings))


def _claims(first: Contents, second: Contents) -> list[Section]:
    pairs = paired_claims(first, second)
    if not pairs:
        return []
    names = names_of(first, second)
    other = [pair for pair in pairs if pair.first and pair.second and pair.first.verdict != pair.second.verdict]
    alone = sum(pair.first is None or pair.second is None for pair in pairs)
    words = f"{len(other)} of {len(pairs)} verdicts are not the same" + (
        f"; {alone} are in one study alone" if alone else ""
    )
    head = ["claim", "source", f"{names[0]}: measured", "verdict", f"{names[1]}: measured", "verdict"]
    table = sorted_table(head, [_claim(pair, names) for pair in pairs], "verdicts side by side", class_="claims")
    choice = element("label", element("input", type="checkbox", id="only-changed"), " only those that differ")
    shown = element("div", choice, class_="tally") if other else Markup()
    return [section("claims", "Claims", element("p", f"{words}."), shown, table)]


def _claim(pair: Pair, names: tuple[str, str]) -> Markup:
    claim = pair.first or pair.second
    cells = []
    for name, each in zip(names, pair[1:], strict=True):
        measured = as_one(each.measured) if each else _ABSENT
        cells.append(element("td", measured, data_label=f"{name}: measured"))
        cells.append(element("td", badge(each.verdict) if each else "", data_label="verdict"))
    same = pair.first and pair.second and pair.first.verdict == pair.second.verdict
    return element(
        "tr",
        element("td", element("p", unbroken(pair.name)), class_="statement"),
        element("td", as_one(claim.source), data_label="source"),
        *cells,
        class_="same" if same else "changed",
    )


def _figures(first: Contents, second: Contents) -> Section:
    pairs, names = paired_figures(first, second), names_of(first, second)
    if not pairs:
        return section("figures", "Figures", element("p", "None of the two has figures.", class_="empty"))
    entries = [(anchor(pair.name), name_of(figure_of(pair))) for pair in pairs]
    rows = (
        element(
            "div",
            element("h3", name_of(figure_of(pair))),
            element(
                "div",
                *(_figure(name, each) for name, each in zip(names, pair[1:], strict=True)),
                class_=None if is_wide(figure_of(pair)) else "two",
            ),
            id=anchor(pair.name),
            class_="pair-of-figures",
        )
        for pair in pairs
    )
    return section("figures", "Figures", *rows, entries=entries)


def _figure(name: str, figure: Figure | None) -> Markup:
    if figure is None:
        return element("p", f"{name}: ", _ABSENT, class_="empty")
    caption = element(
        "figcaption",
        element("p", element("b", name)),
        *([element("p", unbroken(figure.description))] if figure.description else []),
    )
    return element("figure", sheet(figure), caption)
