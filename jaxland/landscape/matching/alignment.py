"""Fits moved, within what the symmetry makes equal, to where each is nearest to another one: weight matching."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxland._scaling import exponent
from jaxland.landscape.matching.bounds import product_bounds
from jaxland.landscape.matching.enumeration import Search, search_of
from jaxland.landscape.matching.exchanges import ENUMERATED, Exchange, Layers, assigned, at, products
from jaxland.networks import Network
from jaxland.networks.symmetry import UnitLayer

# Gains that are this share of the product of two norms are rounding.
ROUNDING = 1e-12
# Each turn brings fits nearer, and a few dozen have been enough; the last turn changes nothing in any case.
_TURNS = 1_000
# Random exchanges to start from, and as many inverses, where a layer's assignments are found for all fits at once.
_DRAWS = 8
# Entries of all fits worked on at once.
_AT_ONCE = 2**22


def align(
    network: Network,
    params: Float[np.ndarray, "F P"],
    reference: Float[np.ndarray, "*each P"],
    *,
    exact: bool = True,
) -> Float[np.ndarray, "F P"]:
    """Exchanges the units of fits, and the signs of odd ones, so that each fit comes near to a reference.

    The result is the nearest of all exchanges if layers are a chain, as those of `mlp`, of up to six units each, four
    where they are odd: by dynamic programming over all states of each layer. It is so too of any other declared layers,
    such as those of residual networks, that have up to 20,000 exchanges together, the product over layers of units! and
    of 2^units where they are odd: each is looked at, as long as at most 2^24 numbers say where weights between layers
    go. For other networks it is weight matching: layer by layer, the exchange that makes the scalar product of fit and
    reference largest, and so their distance smallest, is found as a linear assignment, the other layers being as they
    are; this is repeated until no layer changes. Of several starts, the fit as it is, with layers matched in turn by
    what enters or by what leaves them, by weights in the order of their size and, where no layer has more than five
    units, after random exchanges that are the same at each call, the nearest end is taken. For one hidden layer that
    does not feed itself that is the nearest of all exchanges; for others it is one that no exchange within a layer
    improves, and may be far from the nearest: `match` says which. The function of each fit does not change.

        a, b = canonical.params[:50], canonical.params[50:100]
        landscape.straight_bands(a, landscape.align(net, b, a), images=16)

    Args:
        network: declares its symmetry, see `declare_symmetry`.
        params: flat parameters. Scales of ReLU units are left alone; `match` balances them before.
        reference: one (P,) for all fits, or one for each (F, P).
        exact: whether to look through all exchanges where that is possible. Two layers of five, one behind the other,
            take a tenth of a millisecond a fit, two of six, or 20,000 exchanges of what is no chain, twenty times as
            long.

    Returns:
        The fits, in the dtype of `params`; those with entries that are not finite as they were.

    Raises:
        ValueError: shapes do not fit, the network declares no symmetry, or a reference is not finite.

    References:
        Ainsworth, Hayase and Srinivasa (2023), Git Re-Basin, section 3.2 and algorithm 1, which takes the layers in
        random order from one start.
    """
    params, reference = checked(network, params, reference)
    aligned, finite, layers = np.array(params), np.isfinite(params).all(axis=1), network.spec.symmetry.layers
    search = search_of(layers, network.size, exact=exact)
    aligned[finite] = nearest(layers, search, params[finite], np.broadcast_to(reference, params.shape)[finite]).params
    return aligned


def checked(
    network: Network, params: Float[np.ndarray, "F P"], reference: Float[np.ndarray, "*each P"]
) -> tuple[Float[np.ndarray, "F P"], Float[np.ndarray, "*each P"]]:
    """Fits and what they are to come near to, if they can be.

    Raises:
        ValueError: see `align`.
    """
    params, reference = checked_fits(network, params), np.asarray(reference)
    if reference.shape not in (params.shape[1:], params.shape) or not np.isfinite(reference).all():
        raise ValueError(
            f"reference must be finite, of shape ({network.size},), or {params.shape} with one for each fit; got "
            f"shape {reference.shape}."
        )
    return params, reference


def checked_fits(network: Network, params: Float[np.ndarray, "F P"]) -> Float[np.ndarray, "F P"]:
    """Fits of a network whose units can be exchanged.

    Raises:
        ValueError: see `align`.
    """
    params = np.asarray(params)
    if params.ndim != 2 or params.shape[1] != network.size:
        raise ValueError(f"params must have shape (fits, {network.size}); got {params.shape}.")
    if not network.spec.symmetry.layers:
        raise ValueError(
            f"network {network.spec.name!r} declares no symmetry, so there is nothing to exchange; declare it with "
            "jaxland.networks.declare_symmetry."
        )
    return params


def blocks(fits: int, size: int) -> list[slice]:
    """Fits of some size in portions that bound memory."""
    rows = max(1, _AT_ONCE // size)
    return [slice(start, start + rows) for start in range(0, fits, rows)]


class Nearest(NamedTuple):
    """Fits with their units exchanged, and how much nearer others could be."""

    params: Float[np.ndarray, "F P"]
    slack: Float[np.ndarray, "F"]
    """No exchange has a squared distance that is smaller by more than its square; 0 where none is nearer."""


def nearest(
    layers: Layers, search: Search | None, params: Float[np.ndarray, "F P"], goals: Float[np.ndarray, "F P"]
) -> Nearest:
    """Fits, all of them finite, exchanged so that they are near to their goals.

    Args:
        layers: at least one.
        search: looks through all exchanges, if that is to be done.
        params: in any dtype, which they keep.
        goals: one for each.
    """
    moved, slack = np.array(params), np.zeros(len(params))
    for some in blocks(len(params), params.shape[1]):
        # In units of a power of two of their own, products of no fit overflow.
        shift = np.maximum(exponent(params[some], 1), exponent(goals[some], 1))
        here, there = (np.ldexp(np.asarray(each[some], np.float64), -shift) for each in (params, goals))
        if search:
            exchange = search(here, there)
        else:
            exchange, gap = _descended(layers, here, there)
            slack[some] = np.ldexp(np.sqrt(2 * gap), shift[:, 0])
        moved[some] = exchange.act(layers, params[some])
    return Nearest(moved, slack)


def _descended(layers, params, goals):
    """The nearest of the exchanges at which four starts end, and what its product falls short of the bound."""
    bounds, orders = product_bounds(layers, params, goals)
    starts = [Exchange.none(layers, len(params)) for _ in range(4)]
    # Each from the products of what has been moved before.
    for place, layer in enumerate(layers):
        starts[1].follow(place, *_assignment(layer, starts[1].act(layers, params), goals, ("incoming",)))
    for place, layer in reversed([*enumerate(layers)]):
        starts[2].follow(place, *_assignment(layer, starts[2].act(layers, params), goals, ("outgoing",)))
    for place, each in enumerate(orders):
        starts[3].follow(place, each, np.ones(each.shape))
    settled = _settled(layers, params.shape[1])
    for place, (layer, entries) in enumerate(zip(layers, settled, strict=True)):
        if layer.scaling == "sign":
            here, there = (each[:, entries] for each in (goals, starts[3].act(layers, params)))
            signs = np.where(np.einsum("fua,fua->fu", here, there) < 0, -1.0, 1.0)
            starts[3].follow(place, starts[3].none(layers, len(params)).orders[place], signs)
    if max(len(layer.incoming) for layer in layers) <= ENUMERATED:
        starts += _drawn(layers, len(params))
    best, most = starts[0], np.full(len(params), -np.inf)
    for start in starts:
        reached = _ascend(layers, start, params, goals)
        better = reached > most
        best, most = start.where(better, best), np.where(better, reached, most)
    gap = bounds - most
    return best, np.where(gap > _rounding(params, goals), gap, 0.0)


def _settled(layers, size):
    """Entries of each layer by which its signs can be told, those of odd layers before it being known.

    What enters, or else what leaves, and belongs to no odd layer from this one on a second time.
    """
    odd = [layer for layer in layers if layer.scaling == "sign"]
    left = np.bincount(np.concatenate([np.zeros(0, np.int64), *map(_both_sides, odd)]), minlength=size)
    found = []
    for layer in layers:
        sides = [side[:, (left[side] == 1).all(axis=0)] for side in (layer.incoming, layer.outgoing)]
        found.append(sides[0] if sides[0].size else sides[1])
        if layer.scaling == "sign":
            np.subtract.at(left, _both_sides(layer), 1)
    return found


def _both_sides(layer):
    return np.concatenate([layer.incoming.ravel(), layer.outgoing.ravel()])


def _drawn(layers, count):
    """Random exchanges, the same for each fit, and the inverse of each, so that no end of a pair is preferred."""
    random, found = np.random.default_rng(0), []
    for _ in range(_DRAWS):
        orders = [random.permutation(len(layer.incoming)) for layer in layers]
        signs = [
            random.choice([-1.0, 1.0], len(layer.incoming)) if layer.scaling == "sign" else np.ones(len(layer.incoming))
            for layer in layers
        ]
        back = [np.argsort(each) for each in orders]
        turned = [each[order] for each, order in zip(signs, back, strict=True)]
        for one in ((orders, signs), (back, turned)):
            found.append(Exchange(*([np.tile(each, (count, 1)) for each in side] for side in one)))
    return found


def _ascend(layers, exchange, params, goals):
    """Matches one layer after the other, in place, until nothing changes; the scalar products that are reached."""
    moved, least = exchange.act(layers, params), _rounding(params, goals)
    reached, moving = _product(moved, goals), np.arange(len(params))
    for _ in range(_TURNS):
        changed = np.zeros(len(moving), bool)
        for place, layer in enumerate(layers):
            orders, signs = _assignment(layer, moved[moving], goals[moving], ("incoming", "outgoing"))
            tried = Exchange([orders], [signs]).act([layer], moved[moving])
            product = _product(tried, goals[moving])
            better = product > reached[moving] + least[moving]
            rows = moving[better]
            exchange.follow(place, orders[better], signs[better], rows)
            moved[rows], reached[rows] = tried[better], product[better]
            changed |= better
        moving = moving[changed]
        if not len(moving):
            break
    return reached


def _assignment(layer: UnitLayer, params, goals, sides):
    """The orders and signs of one layer that match it best by its entries on some sides, all others as they are."""
    gains = products(goals, params, np.concatenate([getattr(layer, side) for side in sides], axis=1))
    if layer.scaling != "sign":
        orders = assigned(gains)
        return orders, np.ones(orders.shape)
    orders = assigned(np.abs(gains))
    return orders, np.where(at(gains, orders) < 0, -1.0, 1.0)


def _product(params, goals):
    return np.einsum("fp,fp->f", params, goals)


def _rounding(params, goals):
    return ROUNDING * np.sqrt(_product(params, params) * _product(goals, goals))
