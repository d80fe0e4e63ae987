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
from jaxland.replications.sawtooth.sample import first_fits, global_minimum
from jaxland.studies import Analysis, Below, Claim, Context, Findings, claim, untested
from jaxland.training import gradients

_PIECE = 32
_BETWEEN = 4


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
    reasons = found["reason"]
    barriers = Barriers(names, energies, pass_heights(energies, pairs, found["height"]), minimum is not None)
    return Findings(_tables(barriers, pairs, reasons), _figures(barriers), _claims(context, barriers, reasons))


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
    figure, axes = new_figure(3 if barriers.has_global and len(barriers.names) > 3 else 2)
    merges = barrier_tree(barriers.direct)
    disconnectivity_graph(
        barriers.energies,
        merges,
        labels=barriers.names,
        highlighted=0 if barriers.has_global else None,
        title="Disconnectivity graph",
        ax=axes[0],
    )
    if len(axes) == 3:
        local = barriers.direct[1:, 1:]
        title = "The same without $W_f$"
        disconnectivity_graph(
            barriers.energies[1:], barrier_tree(local), labels=barriers.names[1:], title=title, ax=axes[1]
        )
    barrier_matrix(
        barriers.direct,
        leaf_order(barriers.energies, merges),
        labels=barriers.names,
        title="Highest energy between each two",
        ax=axes[-1],
    )
    return {"barriers": figure}


def _claims(context: Context, barriers: Barriers, reasons) -> list[Claim]:
    local = np.arange(barriers.has_global, len(barriers.names))
    count, claims = f"{len(reasons)} bands ({stops(reasons)})", []
    if len(local) > 1:
        claims.append(_valleys(barriers.direct[np.ix_(local, local)], barriers.energies[local], count))
    if barriers.has_global and len(local):
        claims.append(_to_the_global(barriers.lowest[0, local], barriers.energies[local], count))
    return judged_where_comparable(context.config, claims)


def _valleys(direct: Float[np.ndarray, "M M"], energies: Float[np.ndarray, "M"], count: str) -> Claim:
    first, second = np.triu_indices(len(energies), 1)
    # Among themselves: a way over W_f would be no valley that training could find.
    rise = np.median(lowest_passes(direct)[first, second] / np.maximum(energies[first], energies[second]) - 1)
    return claim(
        "section 1",
        "local minima are joined by long, flat valleys",
        "long, flat valleys",
        f"the lowest way between two rises {rise:.1%} above the higher of them (median)",
        rise,
        Below(0.5, "%"),
        f"{count}; images and points between them; ways over other minima, not over W_f",
    )


def _to_the_global(heights: Float[np.ndarray, "M"], energies: Float[np.ndarray, "M"], count: str) -> Claim:
    above = np.median(heights - energies)
    return untested(
        "section 4.4",
        "barriers between local minima and the global minimum are too high for training to climb",
        "too high",
        f"the lowest way to W_f rises {above:.1e} above a local minimum, {above / np.median(energies):.1%} of its loss "
        "(median)",
        f"{count}; a height that training cannot climb is not defined by the paper, so this is a measurement; "
        "a path that rises this little is hard to find, not hard to climb",
    )


ANALYSIS = Analysis(
    quick=BarrierSettings(),
    paper=BarrierSettings(minima=24, steps=8_000),
    find=find,
)
