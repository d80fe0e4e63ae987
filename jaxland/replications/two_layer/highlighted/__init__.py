"""Sections 4.1 and 4.2: the runs that the document highlights, each with all its figures."""

from jaxland.replications.two_layer.descent import descents
from jaxland.replications.two_layer.highlighted.claims import claims
from jaxland.replications.two_layer.highlighted.figures import captions, figures
from jaxland.replications.two_layer.highlighted.table import table, weights_table
from jaxland.replications.two_layer.source import run_named
from jaxland.studies import Analysis, Context, Findings, NoSettings


def find(context: Context) -> Findings:
    """Trains the runs on the standard data from the standard weights, and draws and judges them."""
    found = descents(context)
    context.say(f"  {len(found)} runs trained")
    sizes = [found[run_named("f1", hidden, 0.1, 1000)] for hidden in (2, 3, 5)]
    tables = {"runs.csv": table(found), "weights.csv": weights_table(sizes)}
    return Findings(tables, figures(found), claims(found), captions=captions(tables["runs.csv"]))


ANALYSIS = Analysis(
    quick=NoSettings(),
    paper=NoSettings(),
    find=find,
)

__all__ = ["ANALYSIS"]
