"""One order of exchangeable units, whatever the order in which they are given, and though norms agree but for rounding.

Colour refinement: units begin in classes of equal norm, and classes are parted by weights, taken in the order of the
classes at their other ends, until nothing changes (Weisfeiler and Leman 1968). Units that still agree exchange freely;
one of them is put first, which may part others.
"""

import numpy as np
from jaxtyping import Float, Int

from jaxland._scaling import norm
from jaxland.networks import Symmetry


def tied_rows(symmetry: Symmetry, params: Float[np.ndarray, "F P"], tolerance: float) -> Int[np.ndarray, "rows"]:
    """Vectors with two units of one layer, not both without any weight, whose norms differ by at most this share."""
    tied = np.zeros(len(params), bool)
    for layer in symmetry.layers:
        incoming, outgoing = (norm(params[:, entries]) for entries in (layer.incoming, layer.outgoing))
        order = np.argsort(incoming, axis=1, kind="stable")
        incoming, outgoing = (np.take_along_axis(each, order, axis=1) for each in (incoming, outgoing))
        close = np.diff(incoming, axis=1) <= tolerance * incoming[:, 1:]
        some = np.maximum(incoming, outgoing) > 0
        tied |= (close & (some[:, 1:] | some[:, :-1])).any(axis=1)
    return np.flatnonzero(tied)


def canonical_orders(
    symmetry: Symmetry, vector: Float[np.ndarray, "P"], tolerance: float
) -> list[Int[np.ndarray, "units"]]:
    """For each layer the units in the canonical order of one vector.

    Args:
        symmetry: declares the units.
        vector: flat parameters.
        tolerance: numbers that differ by less are equal, as a share of the norm of their unit.
    """
    layers = symmetry.layers
    classes = [_by_norm(norm(vector[layer.incoming]), tolerance) for layer in layers]
    while True:
        classes = _refined(layers, vector, classes, tolerance)
        shared = [(index, _shared(each)) for index, each in enumerate(classes) if _shared(each) is not None]
        if not shared:
            return [np.argsort(each) for each in classes]
        index, unit = shared[0]
        later = (classes[index] >= classes[index][unit]) & (np.arange(len(classes[index])) != unit)
        classes[index] = classes[index] + later


def _shared(classes):
    """The first unit that shares its class, of the lowest class that is shared; None if there is none."""
    numbers, counts = np.unique(classes, return_counts=True)
    shared = numbers[counts > 1]
    return int(np.flatnonzero(classes == shared[0])[0]) if len(shared) else None


def _refined(layers, vector, classes, tolerance):
    while True:
        before = [each.copy() for each in classes]
        for index, layer in enumerate(layers):
            keys = np.concatenate(
                [_ordered(vector, entries, layers, classes, index) for entries in (layer.incoming, layer.outgoing)],
                axis=1,
            )
            classes[index] = _classes(keys / _sizes(layer, vector), classes[index], tolerance)
        if all(np.array_equal(old, new) for old, new in zip(before, classes, strict=True)):
            return classes


def _sizes(layer, vector):
    norms = np.maximum(norm(vector[layer.incoming]), norm(vector[layer.outgoing]))[:, None]
    return np.where(norms > 0, norms, 1.0)


def _ordered(vector, entries, layers, classes, own):
    """The weights of each unit of a layer, in the order of the classes at their other ends, and by size within one.

    Where two units share several weights, as channels of convolutions do, each of these has its place.
    """
    width = entries.shape[1]
    labels = np.tile(np.arange(width), (len(entries), 1)) + width * (1 + max(map(len, classes)))
    for index, layer in enumerate(layers):
        if index != own:
            for others in (layer.incoming, layer.outgoing):
                unit, column = np.full(len(vector), -1), np.zeros(len(vector), np.int64)
                unit[others], column[others] = np.arange(len(others))[:, None], np.arange(others.shape[1])
                shared = width * classes[index][unit[entries]] + _ranks(unit[entries], column[entries])
                labels = np.where(unit[entries] >= 0, shared, labels)
    values = vector[entries]
    return np.take_along_axis(values, np.lexsort((values, labels), axis=-1), axis=-1)


def _ranks(units, columns):
    """The place of each entry among those of its row that belong to the same unit, in the order of columns."""
    order = np.lexsort((columns, units), axis=-1)
    ordered, each = np.take_along_axis(units, order, axis=-1), np.arange(units.shape[1])
    first = np.diff(ordered, axis=-1, prepend=-2) != 0
    ranks = np.empty_like(units)
    np.put_along_axis(ranks, order, each - np.maximum.accumulate(np.where(first, each, 0), axis=-1), axis=-1)
    return ranks


def _by_norm(norms, tolerance):
    # Each gap in units of the norm above it, for norms of one layer may lie many powers of ten apart.
    return _parted(norms, np.zeros(len(norms), np.int64), tolerance * np.sort(norms)[1:])


def _classes(keys, classes, least):
    """Parts classes by one key after the other."""
    for column in keys.T:
        classes = _parted(column, classes, least)
    return classes


def _parted(values, classes, least):
    """Parts classes where sorted values leave a gap; a class is numbered by how many units stand before it."""
    order = np.lexsort((values, classes))
    apart = (np.diff(values[order]) > least) | (np.diff(classes[order]) > 0)
    parted = np.empty_like(classes)
    parted[order] = np.maximum.accumulate(np.where(np.append(True, apart), np.arange(len(order)), 0))
    return parted
