"""Beyond the paper: the barriers between minima, their minimum spanning tree and disconnectivity graph."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxland.landscape import (
    barrier_tree,
    energies_of,
    interpolate,
    lowest_passes,
    pass_heights,
    relax,
    spanning_tree,
    straight_bands,
)
from jaxland.plots import barrier_matrix, disconnectivity_graph, leaf_order, new_figure
from jaxland.replications.sawtooth.bands import ROUGH, stops
from jaxland.replications.sawtooth.comparable import judged_where_comparable
from jaxland.replications.sawtooth.measures import column, percent, rows_where
from jaxland.replications.sawtooth.sample import first_fits, global_minimum
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.statistics import Estimate, bootstrap_interval
from jaxland.studies import Analysis, Claim, Context, Findings, measurement
from jaxland.training import gradients

_PIECE = 32
_BETWEEN = 4
# Share of the joins of local minima that are shown once more.
_LOWER = 0.75
_RESAMPLES = 2_000


@dataclass(frozen=True)
class BarrierSettings:
    """Scale of the barriers."""

    minima: int = 6
    """Local minima, the first fits of the first optimizer; W_f is added. Every pair is joined by a band."""
    images: int = 26
    """Images of a band, ends included."""
    steps: int = 1_500
    """Most steps of a band."""


@dataclass(frozen=True)
class Barriers:
    """Minima and the highest energy on the path between each two."""

    names: list[str]
    energies: Float[np.ndarray, "M"]
    direct: Float[np.ndarray, "M M"]
    """Along the band that joins them; the diagonal holds the minima's own energies."""
    has_global: bool

    @property
    def lowest(self) -> Float[np.ndarray, "M M"]:
        """Along the lowest way, other minima included."""
        return lowest_passes(self.direct)


def find(context: Context) -> Findings:
    """Relaxes a band between every two minima, a piece at a time."""
    config, settings = context.config, context.settings
    sample = first_fits(config, context.store, config.optimizers[0], settings.minima)
    minimum = global_minimum(config)
    points = sample.params if minimum is None else np.concatenate([minimum[None], sample.params])
    if len(points) < 2:
        return Findings({}, {}, [])
    names = [f"fit {number}" for number in sample.fit]
    names = names if minimum is None else ["$W_f$", *names]
    evaluate = gradients(config.network, config.problem)
    pairs = np.stack(np.triu_indices(len(points), 1), axis=1)
    energies, found = evaluate(points)[0], _heights(context, evaluate, points, pairs)
    barriers = Barriers(names, energies, pass_heights(energies, pairs, found["height"]), minimum is not None)
    tables = _tables(barriers, pairs, found["reason"])
    table = tables["barriers.csv"]
    return Findings(tables, _figures(barriers), _claims(context, table), captions=_captions(table))


def _heights(context: Context, evaluate, points, pairs) -> dict[str, np.ndarray]:
    settings: BarrierSettings = context.settings
    neb = replace(ROUGH, steps=settings.steps, climb_after=None)

    def relaxed(chosen):
        bands = straight_bands(points[chosen[:, 0]], points[chosen[:, 1]], settings.images)
        result = relax(evaluate, bands, neb, threads=context.threads)
        between = energies_of(evaluate, interpolate(result.images, _BETWEEN))
        return {"height": between.max(axis=1), "reason": result.reason}

    return context.pieces("pairs", pairs, relaxed, _PIECE)


def _tables(barriers: Barriers, pairs, reasons) -> dict[str, pd.DataFrame]:
    plain = np.array([name.replace("$", "") for name in barriers.names])
    tree = {tuple(edge) for edge in spanning_tree(barriers.direct)}
    first, second = pairs.T
    return {
        "barriers.csv": pd.DataFrame(
            {
                "first": plain[first],
                "second": plain[second],
                "first_energy": barriers.energies[first],
                "second_energy": barriers.energies[second],
                "direct_height": barriers.direct[first, second],
                "lowest_height": barriers.lowest[first, second],
                "in_spanning_tree": [tuple(pair) in tree for pair in pairs],
                "reason": reasons,
            }
        )
    }


def _figures(barriers: Barriers):
    figure, axes = new_figure(3 if barriers.has_global and len(barriers.names) > 3 else 2, height=2.4)
    merges = barrier_tree(barriers.direct)
    disconnectivity_graph(
        barriers.energies,
        merges,
        highlighted=0 if barriers.has_global else None,
        highlighted_label="$W_f$",
        title=f"{len(barriers.names)} minima",
        ylabel="mean squared error",
        ax=axes[0],
    )
    if len(axes) == 3:
        local = barriers.direct[1:, 1:]
        energies, joined = barriers.energies[1:], barrier_tree(local)
        # Where most of them are: dead networks lie far above.
        low, high = energies.min(), np.quantile(joined[:, 2], _LOWER)
        margin = 0.1 * (high - low) or 1.0
        window = float(low - margin), float(high + margin)
        title = f"Its lowest {_LOWER:.0%}, without $W_f$"
        disconnectivity_graph(energies, joined, window=window, title=title, ylabel="mean squared error", ax=axes[1])
    barrier_matrix(
        barriers.direct,
        leaf_order(barriers.energies, merges),
        title="Highest between each two",
        clabel="mean squared error",
        ax=axes[-1],
    )
    return {"barriers": figure}


def _claims(context: Context, table: pd.DataFrame) -> list[Claim]:
    own = heights_measured(table)
    return judged_where_comparable(context.config, valley_claims(table)) + own


def _local(table: pd.DataFrame) -> pd.DataFrame:
    return rows_where(table, (table["first"] != "W_f") & (table["second"] != "W_f"))


def valley_claims(table: pd.DataFrame) -> list[Claim]:
    """Section 1: how far the ways between local minima rise, judged from `barriers.csv`."""
    local = _local(table)
    names = list(dict.fromkeys([*local["first"], *local["second"]]))
    if len(names) < 3:
        return [STATEMENTS["flat-valleys"].not_tested("fewer than three local minima")]
    rises = _rises(local, names)
    found = bootstrap_interval(
        np.arange(float(len(names))),
        lambda rows: _median_rise(rises, rows),
        seed=0,
        method="percentile",
        resamples=_RESAMPLES,
    )
    converged = bool(np.all(np.asarray(local["reason"]) == "converged"))
    # A way can only be lower than the band that was found.
    estimate = Estimate(found.value, found.low if converged else 0.0, found.high)
    return [
        STATEMENTS["flat-valleys"].claim(
            f"the lowest way between two rises {percent(estimate)} above the higher of them (median)",
            estimate,
            cases=len(names),
            detail=f"{_bands(local)}; images and points between them; ways over other minima, not over W_f; minima "
            "resampled, for pairs are not independent",
        )
    ]


def _rises(local: pd.DataFrame, names: list[str]) -> Float[np.ndarray, "M M"]:
    """Of the lowest ways among local minima themselves: one over W_f would be no valley that training could find."""
    first, second = (np.array([names.index(name) for name in local[end]]) for end in ("first", "second"))
    energies = np.zeros(len(names))
    energies[first], energies[second] = column(local, "first_energy"), column(local, "second_energy")
    pairs = np.stack([first, second], axis=1)
    lowest = lowest_passes(pass_heights(energies, pairs, column(local, "direct_height")))
    return lowest / np.maximum.outer(energies, energies) - 1


def _median_rise(rises: Float[np.ndarray, "M M"], rows) -> float:
    """Over pairs of different minima, of minima drawn with repetition."""
    chosen = np.asarray(rows, int)
    apart = np.triu(chosen[:, None] != chosen[None], 1)
    drawn = rises[np.ix_(chosen, chosen)][apart]
    return float(np.median(drawn)) if len(drawn) else 0.0


def heights_measured(table: pd.DataFrame) -> list[Claim]:
    """How far the lowest ways to W_f rise above local minima."""
    ways = rows_where(table, table["first"] == "W_f")
    if not len(ways):
        return []
    above = Estimate.quantile(column(ways, "lowest_height") / column(ways, "second_energy") - 1)
    return [
        measurement(
            "how far the lowest way from a local minimum to the global one rises",
            f"{percent(above)} of the minimum's loss (median)",
            detail=f"{_bands(table)}; bounds from above where bands have not converged; a path that rises so little is "
            "hard to find rather than hard to climb",
        ),
        STATEMENTS["too-high"].not_tested(STATEMENTS["too-high"].untested),
    ]


def _bands(table: pd.DataFrame) -> str:
    return f"{len(table)} bands ({stops(table['reason'])})"


def _captions(table: pd.DataFrame) -> dict[str, str]:
    told = [each.measured for each in (*valley_claims(table), *heights_measured(table)) if each.measured]
    return {"barriers": f"Minima and the heights between them, by {_bands(table)}: {'; '.join(told)}."}


ANALYSIS = Analysis(
    quick=BarrierSettings(),
    paper=BarrierSettings(minima=24, steps=8_000),
    find=find,
)
