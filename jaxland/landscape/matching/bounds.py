"""What no exchange of units can exceed: sums of linear assignments, each layer by itself.

An entry between two layers is shared out between them. The best that unit v can do at place u, whatever becomes of the
other layer, is to have its entries there in the order of those of u (Gilmore 1962, Lawler 1963, for the quadratic
assignment problem); an assignment of the units by this is an upper bound of the layer's part. Of several ways to share
out the lowest sum counts.
"""

import numpy as np
from jaxtyping import Float, Int

from jaxland.landscape.matching.exchanges import Layers, assigned, at, products

# Shares of what enters and of what leaves the layer of each number.
_WAYS = (
    lambda number: (1.0, 1.0),
    lambda number: (1.0, 0.0),
    lambda number: (0.0, 1.0),
    lambda number: (1.0, 1.0) if number % 2 else (0.0, 0.0),
    lambda number: (0.0, 0.0) if number % 2 else (1.0, 1.0),
)


def product_bounds(
    layers: Layers, params: Float[np.ndarray, "F P"], goals: Float[np.ndarray, "F P"]
) -> tuple[Float[np.ndarray, "F"], list[Int[np.ndarray, "F U"]]]:
    """Upper bounds of the scalar products of goals with all that exchanges make of fits, and orders that suggest it.

    The orders are those of equal shares: of a fit that is its goal but for an exchange, they undo it.
    """
    size = params.shape[1]
    belongs = np.bincount(_all_entries(layers), minlength=size)
    odd = np.bincount(_all_entries([layer for layer in layers if layer.scaling == "sign"]), minlength=size)
    alone = np.flatnonzero(belongs == 0)
    fixed = np.einsum("fp,fp->f", goals[:, alone], params[:, alone])
    bounds, suggested = [], []
    for way in _WAYS if (belongs > 1).any() else _WAYS[:1]:
        shares, total = [way(number) for number in range(len(layers))], np.zeros(size)
        for layer, each in zip(layers, shares, strict=True):
            for entries, share in zip((layer.incoming, layer.outgoing), each, strict=True):
                total[entries] += share
        # What no side takes in this way, both take.
        bound = fixed.copy()
        for layer, each in zip(layers, shares, strict=True):
            gains = _gains(layer, each, total, belongs, odd, params, goals)
            orders = assigned(gains)
            bound += at(gains, orders).sum(axis=1)
            if len(suggested) < len(layers):
                suggested.append(orders)
        bounds.append(bound)
    return np.min(bounds, axis=0), suggested


def _all_entries(layers):
    sides = [side.ravel() for layer in layers for side in (layer.incoming, layer.outgoing)]
    return np.concatenate([np.zeros(0, np.int64), *sides])


def _gains(layer, shares, total, belongs, odd, params, goals):
    """The most that each unit can contribute at each place."""
    fixed, upright, turned = np.zeros((3, len(params), len(layer.incoming), len(layer.incoming)))
    for entries, share in zip((layer.incoming, layer.outgoing), shares, strict=True):
        alone = (belongs[entries] == 1).all(axis=0)
        fixed = fixed + products(goals, params, entries[:, alone])
        shared = entries[:, ~alone]
        part = np.where(total > 0, share / np.where(total > 0, total, 1.0), 1 / np.maximum(belongs, 1))[shared]
        here, there = goals[:, shared] * part, params[:, shared]
        if (odd[shared] > (layer.scaling == "sign")).any():
            here, there = np.abs(here), np.abs(there)
            turned = turned + _in_order(here, there)
        else:
            turned = turned + _in_order(here, -there)
        upright = upright + _in_order(here, there)
    return np.maximum(fixed + upright, turned - fixed) if layer.scaling == "sign" else fixed + upright


def _in_order(here, there):
    return np.sort(here, axis=2) @ np.sort(there, axis=2).transpose(0, 2, 1)
