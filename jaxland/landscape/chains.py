"""Chains of dense layers in a flat vector, and the functions of one variable that those of ReLU are, in NumPy alone."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from jaxland.landscape.piecewise import PiecewiseLinear

_EPS = float(np.finfo(np.float64).eps)
# Zeros nearer than this, in units of the interval's reach, are one: positions are that inexact themselves.
_SPACING = 4 * _EPS
# Bends of less than this many standard deviations of rounding are none.
_BEND = 16
# Outputs that may become larger are not followed: their squares, summed over an ensemble, could overflow.
LARGEST = 1e100
# Entries of the widest layer worked on at a time: large enough for NumPy, small enough for the cache.
_ENTRIES = 2**18


class Layer(NamedTuple):
    """Where a layer's weights and biases stand in the flat vector."""

    inputs: int
    outputs: int
    weight: slice
    bias: slice


def layers_of(widths: Sequence[int], bias: bool) -> tuple[Layer, ...]:
    """The layers of `mlp(widths)`, in order."""
    layers, start = [], 0
    for inputs, width in pairwise(widths):
        middle = start + inputs * width
        layers.append(Layer(inputs, width, slice(start, middle), slice(middle, middle + width * bias)))
        start = layers[-1].bias.stop
    return tuple(layers)


def piecewise_linear_of(layers: Sequence[Layer], params: np.ndarray, low: float, high: float) -> PiecewiseLinear:
    """The functions of ReLU chains of one input and one output, as `piecewise_linear` describes them, unchecked."""
    rows = _rows(layers)
    parts = [_follow(layers, params[at : at + rows], low, high) for at in range(0, max(len(params), 1), rows)]
    counts = np.concatenate([counts for counts, _, _ in parts])
    held = np.arange(max(counts.max(initial=2), 2)) < counts[:, None]
    known = counts[:, None] > 0
    knots = np.where(known, high, np.nan) + np.zeros(held.shape)
    values = np.full(held.shape, np.nan)
    knots[held] = np.concatenate([position for _, position, _ in parts])
    values[held] = np.concatenate([value for _, _, value in parts])
    last = np.take_along_axis(values, np.maximum(counts - 1, 0)[:, None], axis=1)
    return PiecewiseLinear(low, high, knots, np.where(held, values, last), counts)


def _rows(layers):
    # A fit has about as many knots as units (Hanin and Rolnick 2019), and each holds the values of a layer.
    widths = [layer.outputs for layer in layers]
    return max(_ENTRIES // (max(widths) * (sum(widths) + 1)), 1)


def _follow(layers, params, low, high):
    """Counts of the fits of one group, and positions and values of all their knots end to end."""
    flat = np.ascontiguousarray(params.T, dtype=np.float64)
    reach = max(abs(low), abs(high))
    known = np.flatnonzero(_largest(layers, flat, reach) < LARGEST)
    flat = flat[:, known]

    fit = np.repeat(np.arange(len(known)), 2)
    position = np.tile(np.array([low, high], np.float64), len(known))
    values, rounding = position[None], np.zeros((1, len(known)))
    for index, layer in enumerate(layers):
        weight, bias = _dense(layer, flat)
        rounding = _rounding(weight, bias, _maxima(values, fit), rounding)
        values = _affine(weight, bias, values, fit)
        if index < len(layers) - 1:
            position, values, fit = _add_zeros(position, values, fit, _SPACING * reach)
            values = np.maximum(values, 0)
    rounding = rounding + _SPACING * reach * _maxima(_steepness(position, values, fit), fit)
    position, value, fit = _drop_straight(position, values[0], fit, _BEND * rounding[0])
    counts = np.full(len(params), -1)
    counts[known] = np.bincount(fit, minlength=len(known))
    return counts, position, value


def _dense(layer, flat):
    # Weights (out, in, fits) and biases (out, fits) of one layer.
    weight, bias = flat[layer.weight].reshape(layer.outputs, layer.inputs, -1), flat[layer.bias]
    return weight, bias if len(bias) else np.zeros((layer.outputs, flat.shape[1]))


def _largest(layers, flat, reach):
    # No sum can exceed the same sum of magnitudes; NaN and infinity come through.
    largest, bound = np.zeros(flat.shape[1]), np.full((1, flat.shape[1]), reach)
    magnitude = np.abs(flat)
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in layers:
            weight, bias = _dense(layer, magnitude)
            bound = _product(weight, bound) + bias
            largest = np.maximum(largest, bound.max(axis=0))
    return largest


def _rounding(weight, bias, values, rounding):
    """Standard deviation of the rounding errors of a layer's sums, (units, fits), from that of the layer before.

    A sum is off by about eps times the sum of its terms' magnitudes, and errors of different units add as independent
    ones do (Higham and Mary 2019): a worst case would grow so fast with depth as to hide true knots.

    Args:
        values: largest value of each unit of the layer before; a unit that is zero everywhere passes on no error.
    """
    own = _EPS * (_product(np.abs(weight), values) + np.abs(bias))
    passed = np.where(values > 0, rounding, 0)
    return np.sqrt(sum((weight[:, unit] * error) ** 2 for unit, error in enumerate(passed)) + own**2)


def _maxima(values, fit):
    # Largest magnitude over each fit's knots.
    starts = np.flatnonzero(np.diff(fit, prepend=-1))
    return np.maximum.reduceat(np.abs(values), starts, axis=1) if len(starts) else values


def _steepness(position, values, fit):
    # Slope right of each knot; zero at the last of a fit.
    last = np.diff(fit, append=-1) != 0
    return np.where(last, 0, np.diff(values, append=0) / np.where(last, 1, np.diff(position, append=0)))


def _product(weight, values):
    return sum(weight[:, unit] * value for unit, value in enumerate(values))


def _affine(weight, bias, values, fit):
    # Elementwise, in one order, so that a fit's bits do not depend on its neighbours, as those of a BLAS may.
    sums = bias[:, fit]
    for unit, value in enumerate(values):
        sums += weight[:, unit][:, fit] * value
    return sums


def _add_zeros(position, sums, fit, spacing):
    """Makes a knot wherever a sum changes sign strictly between two knots of a fit."""
    left, right = sums[:, :-1], sums[:, 1:]
    unit, gap = np.nonzero(((left > 0) & (right < 0) | (left < 0) & (right > 0)) & (fit[:-1] == fit[1:]))
    share = left[unit, gap] / (left[unit, gap] - right[unit, gap])
    order = np.lexsort((share, gap))
    unit, gap, share = unit[order], gap[order], share[order]
    zero = position[gap] + share * (position[gap + 1] - position[gap])
    before = position[gap]
    before[1:] = np.where(gap[1:] == gap[:-1], zero[:-1], before[1:])
    apart = (zero - before > spacing) & (position[gap + 1] - zero > spacing)
    unit, gap, share, zero = unit[apart], gap[apart], share[apart], zero[apart]

    between = left[:, gap] + share * (right[:, gap] - left[:, gap])
    between[unit, np.arange(len(unit))] = 0
    return (
        np.insert(position, gap + 1, zero),
        np.insert(sums, gap + 1, between, axis=1),
        np.insert(fit, gap + 1, fit[gap]),
    )


def _drop_straight(position, value, fit, tolerance):
    """Drops the knots at which the output lies on the chord of its neighbours, to within a tolerance a fit."""
    while True:
        inside = (fit[:-2] == fit[1:-1]) & (fit[1:-1] == fit[2:])
        before, after = position[1:-1] - position[:-2], position[2:] - position[1:-1]
        run = np.where(inside, before + after, 1)
        bend = np.abs(((value[1:-1] - value[:-2]) * after - (value[2:] - value[1:-1]) * before) / run)
        straight = np.concatenate([[False], inside & (bend <= tolerance[fit[1:-1]]), [False]])
        if not straight.any():
            return position, value, fit
        # Of neighbours every other one goes at a time: dropping both of two close knots would lose a bend.
        place = np.arange(len(straight))
        kept = ~straight | ((place - np.maximum.accumulate(np.where(straight, 0, place))) % 2 == 0)
        position, value, fit = position[kept], value[kept], fit[kept]
