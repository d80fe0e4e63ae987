"""Figures 1 to 7: what the ensembles look like as a whole."""

from jaxland.replications.sawtooth.overview.figures import captions, figures
from jaxland.replications.sawtooth.overview.judging import claims
from jaxland.replications.sawtooth.overview.reduction import reduce, tables
from jaxland.studies import Analysis, Context, Findings, NoSettings


def find(context: Context) -> Findings:
    """Reduces every ensemble, a shard at a time."""
    reduction = reduce(context.config, context.store)
    return Findings(
        tables(reduction),
        figures(context.config, reduction),
        claims(context.config, reduction),
        captions=captions(context.config, reduction),
    )


ANALYSIS = Analysis(
    quick=NoSettings(),
    paper=NoSettings(),
    find=find,
)

__all__ = ["ANALYSIS"]
