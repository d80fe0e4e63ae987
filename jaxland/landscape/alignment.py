"""Fits moved, within what the symmetry makes equal, to where each is nearest to another one: weight matching."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from jaxland.networks import Network, Symmetry
from jaxland.networks.symmetry import UnitLayer

# Gains of an exchange that are this share of all are rounding.
_ROUNDING = 1e-12
# Each turn brings fits nearer, and a few dozen have been enough; the last turn changes nothing in any case.
_TURNS = 1_000


def align(
    network: Network,
    params: Float[np.ndarray, "F P"],
    reference: Float[np.ndarray, "*each P"],
) -> Float[np.ndarray, "F P"]:
    """Exchanges the units of fits, and the signs of odd ones, so that each fit comes near to a reference.

    Weight matching: layer by layer, the exchange of units that makes the scalar product of fit and reference largest,
    and so their distance smallest, is found as a linear assignment, the other layers being as they are; this is
    repeated until no layer changes. Of three starts, the fit as it is and with layers matched in turn by what enters
    them, or by what leaves them, the nearest end is taken. For one hidden layer that is the nearest of all exchanges;
    for more it is one that no exchange within a layer improves. The function of each fit does not change.

        a, b = canonical.params[:50], canonical.params[50:100]
        landscape.straight_bands(a, landscape.align(net, b, a), images=16)

    Args:
        network: declares its symmetry, see `declare_symmetry`.
        params: flat parameters. Scales of ReLU units are left alone; `symmetrise` balances them before.
        reference: one (P,) for all fits, or one for each (F, P).

    Returns:
        The fits, in the dtype of `params`; those with entries that are not finite as they were.

    Raises:
        ValueError: shapes do not fit, the network declares no symmetry, or a reference is not finite.

    References:
        Ainsworth, Hayase and Srinivasa (2023), Git Re-Basin, section 3.2 and algorithm 1, which takes the layers in
        random order from one start.
    """
    params, reference = np.asarray(params), np.asarray(reference, np.float64)
    if params.ndim != 2 or params.shape[1] != network.size:
        raise ValueError(f"params must have shape (fits, {network.size}); got {params.shape}.")
    if reference.shape not in (params.shape[1:], params.shape) or not np.isfinite(reference).all():
        raise ValueError(
            f"reference must be finite, of shape ({network.size},), or {params.shape} with one for each fit; got "
            f"shape {reference.shape}."
        )
    if not network.spec.symmetry.layers:
        raise ValueError(
            f"network {network.spec.name!r} declares no symmetry, so there is nothing to exchange; declare it with "
            "jaxland.networks.declare_symmetry."
        )
    aligned, finite = np.array(params), np.isfinite(params).all(axis=1)
    aligned[finite] = _nearest(
        network.spec.symmetry.layers, aligned[finite], np.broadcast_to(reference, params.shape)[finite]
    )
    return aligned


def _nearest(layers, params, goals):
    """The nearest of what three starts lead to: as they are, and matched by what enters or by what leaves layers."""
    starts = [params, params, params]
    for layer in layers:
        starts[1] = _matched(layer, starts[1], goals, ("incoming",))[0]
    for layer in reversed(layers):
        starts[2] = _matched(layer, starts[2], goals, ("outgoing",))[0]
    ends = np.array([_ascended(layers, start, goals) for start in starts])
    products = np.einsum("sfp,fp->sf", ends.astype(np.float64), goals)
    return ends[products.argmax(axis=0), np.arange(len(params))]


def _ascended(layers, params, goals):
    """Fits with one layer after the other matched, until nothing changes."""
    result, moving = np.array(params), np.arange(len(params))
    for _ in range(_TURNS):
        changed = np.zeros(len(moving), bool)
        for layer in layers:
            result[moving], better = _matched(layer, result[moving], goals[moving], ("incoming", "outgoing"))
            changed |= better
        moving = moving[changed]
        if not len(moving):
            break
    return result


def _matched(
    layer: UnitLayer, params: Float[np.ndarray, "F P"], goals: Float[np.ndarray, "F P"], sides: Sequence[str]
) -> tuple[Float[np.ndarray, "F P"], Bool[np.ndarray, "F"]]:
    """Fits with the units of a layer matched, by their entries on some sides, and which of them came nearer by it."""
    entries = np.concatenate([getattr(layer, side) for side in sides], axis=1)
    # Of each place in the reference with each unit.
    products = np.einsum("fua,fva->fuv", goals[:, entries], params[:, entries].astype(np.float64))
    gains = np.abs(products) if layer.scaling == "sign" else products
    orders = [linear_sum_assignment(each, maximize=True)[1] for each in gains]
    orders = np.array(orders, np.int64).reshape(gains.shape[:2])
    signs = np.where(_at(products, orders) < 0, -1.0, 1.0) if layer.scaling == "sign" else np.ones(orders.shape)
    reached = _at(gains, orders).sum(axis=1) - np.trace(products, axis1=1, axis2=2)
    better = reached > _ROUNDING * np.abs(gains).sum(axis=(1, 2))
    result = np.array(params)
    symmetry, back = Symmetry((layer,)), np.argsort(orders, axis=1)
    scales = np.take_along_axis(signs, back, axis=1)  # of units where they are, not where they will be
    result[better] = symmetry.transform(params[better], [orders[better]], [scales[better]])
    return result, better


def _at(values: Float[np.ndarray, "F U U"], orders: Int[np.ndarray, "F U"]) -> Float[np.ndarray, "F U"]:
    return np.take_along_axis(values, orders[..., None], axis=2)[..., 0]
