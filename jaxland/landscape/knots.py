"""Exact knots of ReLU networks of one variable: where a fit's piecewise-linear output changes slope."""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from jaxland.landscape.chains import LARGEST, layers_of, piecewise_linear_of
from jaxland.landscape.piecewise import PiecewiseLinear
from jaxland.networks import Network, outputs


def most_knots(widths: Sequence[int]) -> int:
    """The most knots that a ReLU network of one variable can have: the product of (n + 1) over hidden layers, less 1.

    A layer's sums are linear between the knots p of the layer before. Each of its n units can cross zero once on each
    of the p + 1 pieces, so that p becomes at most p + n (p + 1), starting from 0 (Chen 2016, "The upper bound on knots
    in neural networks", arXiv:1611.09448, who shows that the bound is tight). It is not attained where the first of
    several hidden layers has but one or two units: sums of theirs cannot rise and fall in turn on all pieces.

    Args:
        widths: units of each layer, the one input first, outputs last.

    Raises:
        ValueError: not one input.
    """
    if len(widths) < 2 or widths[0] != 1 or min(widths) < 1:
        raise ValueError(f"widths must be positive, one input first; got {list(widths)}.")
    return math.prod(width + 1 for width in widths[1:-1]) - 1


def piecewise_linear(
    network: Network,
    params: Float[np.ndarray, "F P"],
    low: float = -1.0,
    high: float = 1.0,
) -> PiecewiseLinear:
    """The functions that fits of a ReLU network of one variable are on an interval, by their exact knots.

    Layer by layer, the zeros of a unit's sum between two knots become knots, and all units are kept by their values
    at the knots; between knots everything is linear. Zeros nearer to another knot than rounding can tell are taken as
    one. In the end a knot at which the output bends by no more than the rounding of its value is dropped: units that
    meet again further on, or that lead nowhere, leave none.

    Args:
        network: made by `mlp`, with one input, one output, ReLU hidden units and identity output.
        params: flat parameters, taken as exact; the work is done in float64.
        low: left end of the interval, in units of the input.
        high: right end.

    Returns:
        A function for each fit. Where parameters are not finite, or so large that outputs might exceed 1e100, it is
        not known: count -1, knots and values NaN. A fit's function does not depend on which others are in the batch.

    Raises:
        ValueError: another kind of network, parameters that do not fit it, or an empty interval.
    """
    layers = _proved_layers(network)
    params = np.asarray(params)
    if params.ndim != 2 or params.shape[1] != network.size:
        raise ValueError(f"params must have shape (fits, {network.size}); got {params.shape}.")
    low, high = float(low), float(high)
    if not -LARGEST < low < high < LARGEST:
        raise ValueError(f"low must be below high, both finite; got low={low}, high={high}.")
    return piecewise_linear_of(layers, params, low, high)


@lru_cache(maxsize=64)
def _proved_layers(network):
    """Layers of a network that is proved to be what its spec says.

    Raises:
        ValueError: it is of another kind.
    """
    widths, name = network.spec.widths, network.spec.name
    if len(widths) < 2 or widths[0] != 1 or widths[-1] != 1:
        raise ValueError(f"knots need a network of one input and one output; {name!r} has widths {list(widths)}.")
    if network.spec.activation != "relu":
        raise ValueError(f"knots need the activation 'relu'; {name!r} has {network.spec.activation!r}.")
    layers = layers_of(widths, bias=network.size > sum(inputs * width for inputs, width in pairwise(widths)))
    if layers[-1].bias.stop != network.size or not _is_chain_of_relu(network, layers):
        raise ValueError(
            f"knots need a chain of dense layers with ReLU between them and none after the last; {name!r} is none. "
            "Use mlp(widths, 'relu', output_activation='identity')."
        )
    return layers


def _is_chain_of_relu(network, layers):
    # The spec says nothing of the last activation, nor does it bind a hand-written network: compare the functions.
    params = np.random.default_rng(0).normal(size=(8, network.size))
    x = np.linspace(-1, 1, 9)
    expected = outputs(network, params, x[:, None])[..., 0]
    found = piecewise_linear_of(layers, params, -1.0, 1.0).evaluate(x)
    return bool(np.allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max()))
