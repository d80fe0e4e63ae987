"""Is sudden instability at a given epoch a property of the dynamics, or of rounding?

The document does not ask. Along its unstable runs the sharpness is held against 2 / rate, and the epoch at which the
loss first rises against the precision of the arithmetic, the order of summation, and the execution.
"""

from jaxland.replications.two_layer.rounding.cases import CASES, RoundingSettings, measure
from jaxland.replications.two_layer.rounding.claims import claims
from jaxland.replications.two_layer.rounding.executions import measure_executions
from jaxland.replications.two_layer.rounding.figures import figures
from jaxland.replications.two_layer.rounding.tables import captions, tables
from jaxland.studies import Analysis, Context, Findings


def find(context: Context) -> Findings:
    """Measures a case after another, then new executions of the first."""
    found = [measure(context, case) for case in CASES]
    executions = measure_executions(context, CASES[0])
    measured = tables(found, executions)
    judged = claims(found, executions)
    return Findings(measured, figures(found, executions), judged, captions=captions(measured))


ANALYSIS = Analysis(
    quick=RoundingSettings(),
    paper=RoundingSettings(orders=256, wide_orders=8, digits=(34, 60, 110), executions=256),
    find=find,
)

__all__ = ["ANALYSIS", "RoundingSettings"]
