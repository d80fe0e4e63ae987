"""The least-norm member of a scaling orbit."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxland._scaling import norm
from jaxland._short import in_short
from jaxland.networks.symmetry import Symmetry


class MinimumEnergy(NamedTuple):
    """Minimum-energy representatives and the certificate that they are."""

    params: Float[np.ndarray, "F P"]
    imbalance: Float[np.ndarray, "F"]
    """Largest (|in| - |out|) / (|in| + |out|) over live units; zero at the minimum, NaN for non-finite parameters."""
    sweeps: Int[np.ndarray, "F"]
    converged: Bool[np.ndarray, "F"]

    __repr__ = in_short


def minimum_energy(
    symmetry: Symmetry,
    params: Float[np.ndarray, "F P"],
    *,
    tolerance: float | None = None,
    max_sweeps: int = 10_000,
) -> MinimumEnergy:
    """Moves each vector to the point of least L2 norm on its orbit under positive scaling of units.

    The energy sum_p w_p^2 prod_u s_u^(+-2) is convex in the logarithms of the scales s_u. Given all others, the best
    scale of one unit makes |incoming weights and bias| = |outgoing weights|, so layers are balanced in turn until no
    unit moves; a unit of one layer does not touch the balance of its layer mates.

    A unit without incoming or without outgoing weight contributes nothing; its energy has no minimum but the limit
    zero, so all its entries become zero. The function is unchanged.

    Args:
        symmetry: declares the units; layers whose scaling is not `"positive"` are left alone.
        params: flat vectors, any floating dtype; the work is done in float64.
        tolerance: imbalance at which a vector counts as balanced; by default 64 machine epsilons of the dtype of
            `params`. A vector that is balanced comes back as it is; any other is brought to an eighth of this, so
            that rounding to its dtype leaves it balanced.
        max_sweeps: give up on a vector after this many rounds through the layers.

    Returns:
        Representatives in the dtype of `params`, with their imbalance, sweeps and convergence. A vector's result
        does not depend on which others are in the batch.
    """
    params = np.asarray(params)
    tolerance = 64 * float(np.finfo(params.dtype).eps) if tolerance is None else tolerance
    layers = tuple(layer for layer in symmetry.layers if layer.scaling == "positive")
    scaled = np.array(params, dtype=np.float64)
    finite = np.isfinite(scaled).all(axis=1)
    scaled[finite] = _clear_dead_units(layers, scaled[finite])

    imbalance = np.where(finite, 0.0, np.nan)
    sweeps = np.zeros(len(params), dtype=np.int64)
    active = np.flatnonzero(finite)
    moving = scaled[active]
    for sweep in range(max_sweeps if layers else 0):
        imbalance[active] = _imbalance(layers, moving)
        unfinished = imbalance[active] > (tolerance / 8 if sweep else tolerance)
        scaled[active], active, moving = moving, active[unfinished], moving[unfinished]
        if not len(active):
            break
        for layer in layers:
            factor = _balancing(norm(moving[:, layer.incoming]), norm(moving[:, layer.outgoing]))[..., None]
            moving[:, layer.incoming] *= factor
            moving[:, layer.outgoing] /= factor
        sweeps[active] += 1
    scaled[active] = moving
    converged = finite & (imbalance <= tolerance)
    return MinimumEnergy(scaled.astype(params.dtype), imbalance, sweeps, converged)


def _imbalance(layers, params):
    worst = np.zeros(len(params))
    for layer in layers:
        incoming, outgoing = norm(params[:, layer.incoming]), norm(params[:, layer.outgoing])
        larger, smaller = np.maximum(incoming, outgoing), np.minimum(incoming, outgoing)
        # As shares of the larger one, for their sum might overflow.
        ratio = np.divide(smaller, larger, out=np.ones_like(larger), where=larger > 0)
        worst = np.maximum(worst, ((1 - ratio) / (1 + ratio)).max(-1))
    return worst


def _balancing(incoming, outgoing):
    """The factor of the incoming entries that makes both norms equal: the root of a ratio that might overflow."""
    live = (incoming > 0) & (outgoing > 0)
    return np.divide(np.sqrt(outgoing), np.sqrt(incoming), out=np.ones_like(incoming), where=live)


def _clear_dead_units(layers, params):
    # Clearing one unit may leave its neighbours without weights, so repeat until nothing changes.
    while True:
        before = np.count_nonzero(params)
        for layer in layers:
            live = params[:, layer.incoming].any(-1) & params[:, layer.outgoing].any(-1)
            for entries in (layer.incoming, layer.outgoing):
                params[:, entries] = np.where(live[..., None], params[:, entries], 0.0)
        if np.count_nonzero(params) == before:
            return params
