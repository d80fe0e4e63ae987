"""The top of the page."""

from jaxland.report.contents import Contents, Notice
from jaxland.report.markup import Markup, element
from jaxland.report.sections.section import command
from jaxland.studies import Claim
from jaxland.studies.summary import tally


def header(contents: Contents) -> Markup:
    """Name, question and source of the study, and its numbers at a glance."""
    title = contents.title or contents.manifest.study
    facts = (element("div", element("dt", name), element("dd", text)) for name, text in _facts(contents).items())
    return element(
        "header",
        element("p", "jaxland study · ", element("b", contents.manifest.study), class_="kicker"),
        element("h1", title[:1].upper() + title[1:]),
        *([element("p", "Source: ", contents.source, class_="source")] if contents.source else []),
        element("dl", *facts),
    )


def _facts(contents: Contents) -> dict[str, str]:
    ensembles, provenance = contents.ensembles, contents.manifest.provenance
    done, asked = sum(each.fits for each in ensembles.values()), contents.manifest.fits * len(ensembles)
    claims = {} if contents.claims == [] else {"claims": _tally(contents.claims)}
    return {
        "ensembles": ", ".join(ensembles),
        "fits": f"{done:,}" if done == asked else f"{done:,} of {asked:,}",
        "diverged": f"{sum(each.diverged for each in ensembles.values()):,}",
        **claims,
        "trained on": f"{provenance.get('device', 'unknown')}, {provenance.get('precision', '')}".removesuffix(", "),
    }


def _tally(claims: list[Claim] | None) -> str:
    return "not judged yet" if claims is None else tally(claims)


def notices(found: list[Notice]) -> Markup:
    """What is missing or wrong; nothing where all is well."""
    if not found:
        return Markup()
    items = (
        element("li", each.text, *([" Mend it with ", command(each.command)] if each.command else [])) for each in found
    )
    return element("aside", element("h2", "This report is not complete"), element("ul", *items), class_="notices")
