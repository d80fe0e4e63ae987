"""Beyond the paper: how many knots the fits have, and where, against what their architecture could have."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from jaxland.landscape import FunctionMoments, function_moments, most_knots, piecewise_linear
from jaxland.networks import Network
from jaxland.plots import new_figure
from jaxland.replications.sawtooth.comparable import LEAST_STEPS, other_example
from jaxland.replications.sawtooth.drawing import knot_counts, knot_positions
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.statistics import Estimate, Histogram
from jaxland.studies import Analysis, Claim, Context, Findings, NoSettings, judged_unless

# The exact mean keeps every knot of every fit, so it is taken over the first fits; the counts are of all.
_MEAN_FITS = 20_000


@dataclass
class _Knots:
    """The knots of one ensemble's fits, gathered a shard at a time."""

    counts: Histogram = field(default_factory=lambda: Histogram.spanning(-0.5, 999.5, 1000))
    positions: Histogram = field(default_factory=lambda: Histogram.spanning(-1, 1, 800))
    moments: FunctionMoments | None = None
    unknown: int = 0

    def add(self, network: Network, params: np.ndarray) -> None:
        """Counts the knots of more fits."""
        functions = piecewise_linear(network, params)
        self.unknown += int((functions.counts < 0).sum())
        self.counts = self.counts.add(np.where(functions.counts < 0, np.nan, functions.interior_counts))
        self.positions = self.positions.add(functions.interior_knots)
        room = _MEAN_FITS - (self.moments.count if self.moments else 0)
        if room > 0:
            moments = function_moments(functions.take(np.arange(min(room, len(params)))))
            self.moments = self.moments.merge(moments) if self.moments else moments


def find(context: Context) -> Findings:
    """Takes the knots of every fit of every ensemble."""
    config = context.config
    knots = {name: _Knots() for name in config.optimizers}
    for name, each in knots.items():
        for shard in context.store.stream(name, ["diverged_step", "params"]):
            good = shard.arrays["diverged_step"] < 0
            if good.any():
                each.add(config.network, shard.arrays["params"][good])
    knots = {name: each for name, each in knots.items() if each.counts.total}
    if not knots:
        return Findings({}, {}, [])
    captions = {"knots-of-the-fits": _caption(context, knots)}
    return Findings(_tables(context, knots), _figures(context, knots), _claims(context, knots), captions=captions)


def _tables(context: Context, knots: dict[str, _Knots]) -> dict[str, pd.DataFrame]:
    rows = []
    for name, each in knots.items():
        row = {"ensemble": name, "fits": each.counts.total + each.unknown, "unknown": each.unknown}
        row |= {"mean": _mean(each.counts), "largest": each.counts.largest}
        row |= {f"q{100 * q:g}": each.counts.quantile(q) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
        row |= {"target": _own(context), "possible": most_knots(context.config.network.spec.widths)}
        if each.moments is not None:
            row |= {"mean_function_fits": each.moments.count, "integrated_variance": each.moments.integrated_variance}
        rows.append(row)
    counts = []
    for name, each in knots.items():
        seen = np.flatnonzero(each.counts.counts)
        fits = each.counts.counts[seen]
        counts.append(pd.DataFrame({"ensemble": name, "interior_knots": seen, "fits": fits}))
    places = [
        pd.DataFrame({"ensemble": name, "low": edges[:-1], "high": edges[1:], "knots": each.positions.counts})
        for name, each in knots.items()
        for edges in (each.positions.edges,)
    ]
    return {
        "knots.csv": pd.DataFrame(rows),
        "knot-counts.csv": pd.concat(counts, ignore_index=True),
        "knot-positions.csv": pd.concat(places, ignore_index=True),
    }


def _mean(counts: Histogram) -> float:
    return float((counts.counts * np.arange(1000)).sum() / max(counts.counts.sum(), 1))


def _own(context: Context) -> int:
    return len(context.config.problem.target.knots) - 2


def _figures(context: Context, knots: dict[str, _Knots]):
    positions = {name: each.positions for name, each in knots.items() if each.positions.total}
    figure, (above, *below) = new_figure(rows=1 + len(positions), width="page", height=1.7)
    own, most = _own(context), most_knots(context.config.network.spec.widths)
    counts = {name: each.counts for name, each in knots.items()}
    knot_counts(counts, target=own, most=most, ax=above)
    # Needles that would hide each other in one: a row for each.
    for ax, (name, each) in zip(below, positions.items(), strict=True):
        title = "Where they are" if ax is below[0] else ""
        knot_positions({name: each}, target=context.config.problem.target.knots, title=title, ax=ax)
    return {"knots-of-the-fits": figure}


def _caption(context: Context, knots: dict[str, _Knots]) -> str:
    told = " and ".join(f"{each.counts.quantile(0.5):.0f} ({name})" for name, each in knots.items())
    return (
        f"Fits have {told} interior knots in the median, where the target has {_own(context)} and the architecture "
        f"allows {most_knots(context.config.network.spec.widths):,}."
    )


def _claims(context: Context, knots: dict[str, _Knots]) -> list[Claim]:
    own, most = _own(context), most_knots(context.config.network.spec.widths)
    short = f"judged from {LEAST_STEPS:,} steps on" if context.config.steps < LEAST_STEPS else ""
    claims = [each for name, found in knots.items() for each in knot_claims(name, found.counts, own, most)]
    return judged_unless(other_example(context.config) or short, claims)


def knot_claims(name: str, counts: Histogram, own: int, most: int) -> list[Claim]:
    """Whether fits are less complex than their architecture allows, and than their target.

    Args:
        name: of the ensemble.
        counts: interior knots of its fits, in bins of width one.
        own: those of the target.
        most: that the architecture can have.
    """
    each = np.repeat(np.arange(len(counts.counts)), counts.counts).astype(np.float64)
    median, high = Estimate.quantile(each), Estimate.quantile(each, 0.99)
    return [
        STATEMENTS["less-complex"].claim(
            f"median {median.value:.0f}, 99 % quantile {high.value:.0f}, at most {counts.largest:.0f} interior knots "
            f"of {most:,} possible",
            Estimate(*(value / most for value in high)),
            of=name,
            cases=len(each),
            detail="exact knots",
        ),
        STATEMENTS["less-complex-than-target"].claim(
            f"median {median.value:.0f}; {np.mean(each < own):.2%} of fits have fewer than {own}",
            Estimate(*(value / own for value in median)),
            of=name,
            cases=len(each),
            detail="exact knots",
        ),
    ]


ANALYSIS = Analysis(
    quick=NoSettings(),
    paper=NoSettings(),
    find=find,
)
