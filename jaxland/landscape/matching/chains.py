"""The nearest of all exchanges of a chain of small layers, by dynamic programming over all states of each layer.

What two vectors have in common, their scalar product, is a sum over entries. In a chain of layers an entry belongs to
one layer or to two that follow each other, so the best product of all layers up to one, for each of its states, follows
from that up to the layer before (Viterbi). A state is an order of units with, of odd ones, their signs: 120 of five.
"""

from itertools import permutations, product
from math import factorial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxland.landscape.matching.exchanges import Exchange, Layers, order_matrices, products
from jaxland.networks.symmetry import UnitLayer

# Tables of one state with another that are larger are not made: layers of six, of four odd units, are the largest.
_LARGEST = 2**20
# Entries of the tables held at once.
_AT_ONCE = 2**20


class Chain(NamedTuple):
    """Which entries belong to one layer alone, and which to a layer and the next."""

    own: list[Int[np.ndarray, "U A"]]
    """Of each layer, in the order of its units."""
    links: list[Int[np.ndarray, "U V C"]]
    """Of each layer but the last: those that leave unit u and enter unit v of the next."""
    orders: list[Int[np.ndarray, "S U"]]
    """All states of each layer, and their signs."""
    signs: list[Float[np.ndarray, "S U"]]


def chain_of(layers: Layers, size: int) -> Chain | None:
    """The chain that some layers are, or None where they are none or have too many states."""
    counts = [state_count(each) for each in layers]
    if max((first * second for first, second in zip(counts, [*counts[1:], 1], strict=True)), default=1) > _LARGEST:
        return None
    belongs = np.bincount(
        np.concatenate([side.ravel() for each in layers for side in (each.incoming, each.outgoing)]), minlength=size
    )
    alone = [[(belongs[side] == 1).all(axis=0) for side in (each.incoming, each.outgoing)] for each in layers]
    own = [
        np.concatenate([each.incoming[:, enter], each.outgoing[:, leave]], axis=1)
        for each, (enter, leave) in zip(layers, alone, strict=True)
    ]
    if alone[0][0].all() and alone[-1][1].all():
        links = [
            _link(first.outgoing[:, ~leave], second.incoming[:, ~enter], size)
            for first, (_, leave), second, (enter, _) in zip(layers, alone, layers[1:], alone[1:], strict=False)
        ]
        states = [states_of(each) for each in layers]
        found = [each for each in links if each is not None]
        if len(found) == len(links):
            return Chain(own, found, [orders for orders, _ in states], [signs for _, signs in states])
    return None


def _link(leaving, entering, size):
    """Entries as (unit, unit of the next layer, which of several); None if they are not those of two such layers."""
    units, others = len(leaving), len(entering)
    if leaving.size == 0 and entering.size == 0:
        return np.zeros((units, others, 0), np.int64)
    if not np.array_equal(np.sort(leaving, axis=None), np.sort(entering, axis=None)):
        return None
    unit, column = np.zeros((2, size), np.int64)
    unit[entering], column[entering] = np.arange(others)[:, None], np.arange(entering.shape[1])
    leaving = leaving[:, np.argsort(unit[leaving[0]], kind="stable")].reshape(units, others, -1)
    # Exchanges move whole rows of both sides, so that columns must say the same of every unit.
    same = (unit[leaving] == np.arange(others)[:, None]).all() and (column[leaving] == column[leaving[:, :1]]).all()
    return leaving if same else None


def state_count(layer: UnitLayer) -> int:
    """How many states a layer has."""
    units = len(layer.incoming)
    return factorial(units) * (2**units if layer.scaling == "sign" else 1)


def states_of(layer: UnitLayer) -> tuple[Int[np.ndarray, "S U"], Float[np.ndarray, "S U"]]:
    """Orders and signs of all states of a layer."""
    units = len(layer.incoming)
    orders = np.array(list(permutations(range(units))), np.int64)
    if layer.scaling != "sign":
        return orders, np.ones(orders.shape)
    signs = np.array(list(product((1.0, -1.0), repeat=units)))
    return np.repeat(orders, len(signs), axis=0), np.tile(signs, (len(orders), 1))


def nearest_of_all(chain: Chain, params: Float[np.ndarray, "F P"], goals: Float[np.ndarray, "F P"]) -> Exchange:
    """The exchange of each fit that has the largest scalar product with its goal, of all there are."""
    matrices = [order_matrices(*each) for each in zip(chain.orders, chain.signs, strict=True)]
    sizes = [len(each) for each in matrices]
    rows = max(1, _AT_ONCE // max(first * second for first, second in zip(sizes, [*sizes[1:], 1], strict=True)))
    blocks = [slice(start, start + rows) for start in range(0, len(params), rows)]
    parts = [_best_states(chain, matrices, params[some], goals[some]) for some in blocks]
    best = np.concatenate([np.zeros((len(sizes), 0), np.int64), *parts], axis=1)
    return Exchange(
        [orders[states] for orders, states in zip(chain.orders, best, strict=True)],
        [signs[states] for signs, states in zip(chain.signs, best, strict=True)],
    )


def _best_states(chain, matrices, params, goals):
    """States of each layer (layers, F)."""
    count, value, before = len(params), np.zeros((len(params), 1)), []
    for place, matrix in enumerate(matrices):
        if place:
            table = _together(chain.links[place - 1], matrices[place - 1], matrix, params, goals)
            table += value[:, None, :]
            before.append(table.argmax(axis=2))
            value = np.take_along_axis(table, before[-1][..., None], axis=2)[..., 0]
        value = value + products(goals, params, chain.own[place]).reshape(count, -1) @ matrix.T
    states = [value.argmax(axis=1)]
    for each in reversed(before):
        states.append(each[np.arange(count), states[-1]])
    return np.array(states[::-1])


def _together(link, first, second, params, goals):
    """Products of the entries between two layers, for each state of the second and of the first: (F, S2, S1).

    Two large products of matrices; one small one for each fit would be several times slower.
    """
    pairs = np.einsum("fuvc,fxyc->fuxvy", goals[:, link], params[:, link])
    count, squared = len(pairs), first.shape[1]
    half = (pairs.reshape(count * squared, -1) @ second.T).reshape(count, squared, -1).transpose(0, 2, 1)
    return (half.reshape(-1, squared) @ first.T).reshape(count, len(second), len(first))
