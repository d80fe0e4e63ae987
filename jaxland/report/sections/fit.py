"""Fits one by one."""

from jaxland.report.contents import Contents
from jaxland.report.markup import element
from jaxland.report.sections.section import Section, section


def fit(contents: Contents) -> list[Section]:
    """The place where a fit is shown that is picked by its number or in the chart; none without fits."""
    picked = contents.picked.get("ensembles", [])
    if not picked:
        return []
    shown = ["its losses"]
    shown += ["what it computes"] if any("outputs" in each for each in picked) else []
    shown += ["where it bends (its knots)"] if any("knots" in each for each in picked) else []
    shown += ["its loss in training"] if any("losses" in each for each in picked) else []
    shown += ["what the tables tell of it"]
    counts = ", ".join(f"{len(each['fit']):,} of {each['name']}" for each in picked)
    note = (
        f"The best, the median and the worst fit and others at random, the same every time: {counts}. Of each: "
        f"{', '.join(shown[:-1])} and {shown[-1]}."
    )
    curved = sum(len(each.get("curved", [])) for each in picked)
    if curved:
        of = "each" if curved == sum(len(each["fit"]) for each in picked) else f"{curved:,} of them"
        note += f" Of {of} also the spectrum: the eigenvalues of the Hessian of its loss, in float64."
    without = element("noscript", element("p", "To pick a fit needs JavaScript.", class_="empty"))
    return [section("fit", "One fit", element("p", note), without, element("div", id="picked"))]
