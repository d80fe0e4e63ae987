"""Sections 4.1 and 4.2: the runs that the document highlights, each with all its figures."""

from jaxland.replications.two_layer.descent import descents
from jaxland.replications.two_layer.highlighted.claims import claims
from jaxland.replications.two_layer.highlighted.figures import captions, figures
from jaxland.replications.two_layer.highlighted.table import table
from jaxland.studies import Analysis, Context, Findings, NoSettings


def find(context: Context) -> Findings:
    """Trains the runs on the standard data from the standard weights, and draws and judges them."""
    found = descents(context)
    context.say(f"  {len(found)} runs trained")
    runs = table(found)
    return Findings({"runs.csv": runs}, figures(found), claims(found), captions=captions(runs))


ANALYSIS = Analysis(
    quick=NoSettings(),
    paper=NoSettings(),
    find=find,
)

__all__ = ["ANALYSIS"]
