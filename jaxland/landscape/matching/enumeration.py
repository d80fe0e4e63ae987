"""The nearest of all exchanges, each of them looked at, of layers that are no chain but have few exchanges together.

What two vectors have in common, their scalar product, is a sum over entries, and what stands at an entry depends on the
states of those layers alone that move it. So the products of entries that the same layers move are summed once for each
of these layers' states, and looked up for each exchange.
"""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jaxland.landscape.matching.chains import chain_of, nearest_of_all, state_count, states_of
from jaxland.landscape.matching.exchanges import Exchange, Layers, order_matrices, products
from jaxland.networks.symmetry import UnitLayer

# Exchanges, of all layers together, that are still looked at one by one. Two layers of five, of four and three odd
# units, and one of five odd ones are within it; a pair then takes a few milliseconds, as the largest chains do.
_MOST = 20_000
# Sources, a number for each state and entry, that are kept: 800 entries that 20,000 states move.
_LARGEST = 2**24
# Entries of the tables held at once.
_AT_ONCE = 2**20


Search = Callable[[np.ndarray, np.ndarray], Exchange]
"""Finds, of fits (F, P) and goals (F, P), the exchange of each with the largest scalar product of all there are."""


def search_of(layers: Layers, size: int, *, exact: bool = True) -> Search | None:
    """What looks through all exchanges of some layers, or None where they are too many or need not be exact."""
    chain = chain_of(layers, size) if exact else None
    if chain:
        return partial(nearest_of_all, chain)
    every = enumerated(layers, size) if exact else None
    return partial(_nearest_of_each, every) if every else None


class Part(NamedTuple):
    """Entries that the same layers move, and what comes to stand there."""

    entries: Int[np.ndarray, "E"]
    sources: Int[np.ndarray, "S E"]
    """For each state of these layers the entry, by its number in `entries`; E more where its sign is turned."""
    states: Int[np.ndarray, "G"]
    """The state that these layers have in each exchange."""


class Enumerated(NamedTuple):
    """All exchanges of some layers."""

    own: list[Int[np.ndarray, "U A"]]
    """Entries that belong to one layer and one unit of it alone, in the order of its units."""
    parts: list[Part]
    """All others."""
    orders: list[Int[np.ndarray, "S U"]]
    """All states of each layer, and their signs."""
    signs: list[Float[np.ndarray, "S U"]]
    states: list[Int[np.ndarray, "G"]]
    """The state of each layer in each exchange."""


def enumerated(layers: Layers, size: int) -> Enumerated | None:
    """All exchanges of some layers, whatever entries these share, or None where there are too many."""
    counts = [state_count(each) for each in layers]
    if prod(counts) > _MOST:
        return None
    orders, signs = (list(each) for each in zip(*map(states_of, layers), strict=True))
    sides = [side.ravel() for each in layers for side in (each.incoming, each.outgoing)]
    orbits, belongs = _orbits(layers, size), np.bincount(np.concatenate(sides), minlength=size)
    alone = np.bincount(orbits, belongs != 1, minlength=size) == 0
    own = [
        np.concatenate([side[:, alone[orbits[side[0]]]] for side in (each.incoming, each.outgoing)], axis=1)
        for each in layers
    ]
    moving = np.zeros((size, len(layers)), bool)  # which layers move an orbit
    for place, (entering, leaving) in enumerate(zip(sides[::2], sides[1::2], strict=True)):
        moving[orbits[np.concatenate([entering, leaving])], place] = True
    moving[alone] = False
    states, parts = _combined(counts), []
    for together in np.unique(moving[moving.any(axis=1)], axis=0):
        which = np.flatnonzero(together).tolist()
        some = _combined([counts[place] for place in which])
        exchange = Exchange(
            *([each[place][state] for place, state in zip(which, some, strict=True)] for each in (orders, signs))
        )
        entries = np.flatnonzero((moving == together).all(axis=1)[orbits])
        if len(some[0]) * len(entries) > _LARGEST:
            return None
        sources = _sources([layers[place] for place in which], exchange, entries, size)
        number = np.zeros_like(states[0])
        for place in which:
            number = number * counts[place] + states[place]
        parts.append(Part(entries, sources, number))
    return Enumerated(own, parts, orders, signs, states)


def _combined(counts):
    """The state of each layer in each combination of states, those of the last layer changing first."""
    rest, found = np.arange(prod(counts)), []
    for count in reversed(counts):
        found.append(rest % count)
        rest = rest // count
    return found[::-1]


def _orbits(layers, size):
    """A number for each entry, the same for all that exchanges can bring to each other's places."""
    sides = [side for each in layers for side in (each.incoming, each.outgoing)]
    first = np.concatenate([np.broadcast_to(side[:1], side.shape).ravel() for side in sides])
    entries = np.concatenate([side.ravel() for side in sides])
    graph = coo_array((np.ones(len(entries)), (first, entries)), (size, size))
    return connected_components(graph, directed=False)[1]


def _sources(layers, exchange, entries, size):
    """What exchanges bring to each of the entries, which are whole orbits; see `Part`."""
    place, within = np.zeros(size, np.int64), np.isin(np.arange(size), entries)
    place[entries] = np.arange(len(entries))
    few = []
    for each in layers:
        incoming, outgoing = (place[side[:, within[side[0]]]] for side in (each.incoming, each.outgoing))
        few.append(UnitLayer(incoming, outgoing, each.scaling))
    numbers = np.tile(1.0 + np.arange(len(entries)), (len(exchange.orders[0]), 1))
    moved = exchange.act(few, numbers).astype(np.int32)
    return np.where(moved > 0, moved - 1, len(entries) - moved - 1)


def _nearest_of_each(every: Enumerated, params, goals):
    """A `Search`, of what is enumerated."""
    matrices = [order_matrices(*each) for each in zip(every.orders, every.signs, strict=True)]
    rows = max(1, _AT_ONCE // len(every.states[0]))
    blocks = [slice(start, start + rows) for start in range(0, len(params), rows)]
    parts = [_largest(every, matrices, params[some], goals[some]) for some in blocks]
    best = np.concatenate([np.zeros(0, np.int64), *parts])
    states = [each[best] for each in every.states]
    return Exchange(
        [orders[state] for orders, state in zip(every.orders, states, strict=True)],
        [signs[state] for signs, state in zip(every.signs, states, strict=True)],
    )


def _largest(every, matrices, params, goals):
    """The number of the exchange with the largest product, of each fit."""
    total = np.zeros((len(params), len(every.states[0])))
    for own, matrix, states in zip(every.own, matrices, every.states, strict=True):
        total += (products(goals, params, own).reshape(len(params), -1) @ matrix.T)[:, states]
    for entries, sources, states in every.parts:
        both = np.concatenate([params[:, entries], -params[:, entries]], axis=1)
        table = np.empty((len(params), len(sources)))
        rows = max(1, _AT_ONCE // (len(params) * len(entries)))
        for start in range(0, len(sources), rows):
            some = slice(start, start + rows)
            table[:, some] = (both[:, sources[some]] @ goals[:, entries, None])[..., 0]
        total += table[:, states]
    return total.argmax(axis=1)
