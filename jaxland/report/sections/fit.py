"""Fits one by one."""

from jaxland.report.contents import Contents
from jaxland.report.markup import element
from jaxland.report.sections.section import Section, section

_WORDS = {
    "knots": "knots",
    "eigenvalues": "spectra",
    "metrics": "metrics in training",
    "judged": "validation losses in training",
    "losses": "losses in training",
    "outputs": "what fits compute",
}


def fit(contents: Contents) -> list[Section]:
    """The place where a fit is shown that is picked by its number or in the chart; none without fits."""
    picked = contents.picked.get("ensembles", [])
    if not picked:
        return []
    shown = ["its losses"]
    shown += ["what it computes"] if any("outputs" in each for each in picked) else []
    shown += ["where it bends (its knots)"] if any("knots" in each for each in picked) else []
    shown += ["its loss in training"] if any("losses" in each or "judged" in each for each in picked) else []
    shown += ["its metrics in training"] if any(each.get("metrics") for each in picked) else []
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
    ranks = [each["ranks"][0] for each in picked]
    if len(picked[0]["ranks"]) > 1 or len({rank["label"] for rank in ranks}) > 1:
        by = {rank["label"] for rank in ranks}
        note += (
            f" Best and worst are told by the {' or the '.join(sorted(by, reverse=True))}, unless you choose another."
        )
    if not any("outputs" in each for each in picked):
        note += " What a fit computes is drawn for networks of one input and one output that jaxland.mlp made."
    gone = contents.picked.get("left_out", [])
    if gone:
        words = ", ".join(_WORDS[name] for name in gone)
        note += f" Left out, since the page would be too heavy: {words}; the directory holds what they are made of."
    without = element("noscript", element("p", "To pick a fit needs JavaScript.", class_="empty"))
    return [section("fit", "One fit", element("p", note), without, element("div", id="picked"))]
