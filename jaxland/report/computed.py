"""What fits compute, from their parameters and what `networks.json` tells of them: without JAX, whose import takes
seconds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxland.landscape.chains import Layer, layers_of, piecewise_linear_of
from jaxland.landscape.piecewise import PiecewiseLinear

_WIDEST = 100_000
_MOST = 5_000_000  # derivatives of all units at all points: 40 MB at a time, and a tenth of a second


class _Activation(NamedTuple):
    """Value, slope and bend of a sum; a bend that sits in one point, as that of ReLU, is none."""

    value: Any
    slope: Any
    bend: Any


def _sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def _sigmoid_slope(z):
    return _sigmoid(z) * _sigmoid(-z)


_ACTIVATIONS = {
    "relu": _Activation(lambda z: np.maximum(z, 0.0), lambda z: (z > 0) * 1.0, np.zeros_like),
    "identity": _Activation(lambda z: z, np.ones_like, np.zeros_like),
    "tanh": _Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2, lambda z: -2 * np.tanh(z) * (1 - np.tanh(z) ** 2)),
    "sin": _Activation(np.sin, np.cos, lambda z: -np.sin(z)),
    "sigmoid": _Activation(_sigmoid, _sigmoid_slope, lambda z: _sigmoid_slope(z) * (1 - 2 * _sigmoid(z))),
    "softplus": _Activation(lambda z: np.logaddexp(z, 0.0), _sigmoid, _sigmoid_slope),
}


def evaluate(
    told: Mapping[str, Any], params: Float[np.ndarray, "F P"], x: Float[np.ndarray, "N"]
) -> Float[np.ndarray, "F N"]:
    """What networks of one structure compute, as `mlp` does.

    Args:
        told: widths, activations and whether there are biases, as `networks.json` has them.
        params: flat vectors.
        x: points of one component.

    Raises:
        KeyError, TypeError: something is not told.
        ValueError: the parameters are not those of such a network.
    """
    layers, activations = _chain(told, params.shape[1])
    computed = np.empty((len(params), len(x)))
    with np.errstate(all="ignore"):
        for row, vector in enumerate(params):
            h = x[None, :]
            for layer, activation in zip(layers, activations, strict=True):
                h = activation.value(_sums(layer, vector, h))
            computed[row] = h[0]
    return computed


def bends(told: Mapping[str, Any], params: Float[np.ndarray, "F P"], low: float, high: float) -> PiecewiseLinear | None:
    """The functions of ReLU networks by their exact knots, as `jaxland.landscape.piecewise_linear` has them.

    Args:
        told, params: as in `evaluate`, with its errors.
        low, high: ends of the interval.

    Returns:
        None for networks of other units.
    """
    layers, activations = _chain(told, params.shape[1])
    relu = [_ACTIVATIONS["relu"]] * (len(layers) - 1)
    if [*activations] != [*relu, _ACTIVATIONS["identity"]]:
        return None
    return piecewise_linear_of(layers, params, low, high)


def spectra(
    told: Mapping[str, Any],
    params: Float[np.ndarray, "F P"],
    x: Float[np.ndarray, "N"],
    y: Float[np.ndarray, "N"],
) -> Float[np.ndarray, "F P"] | None:
    """Eigenvalues of the Hessian of the loss at each fit, the least first, NaN where a derivative is not finite.

    Where a sum of a ReLU unit is zero at a point, the unit counts as off there.

    Args:
        told, params: as in `evaluate`, with its errors; `squares` is what the sum of squared errors is multiplied by.
        x, y: all points of the loss.

    Returns:
        None for another loss, and for networks whose Hessians would take long.
    """
    layers, activations = _chain(told, params.shape[1])
    entries = params.shape[1] * len(x) * sum(layer.outputs for layer in layers)
    if "squares" not in told or not len(x) or entries > _MOST:
        return None
    factor, found = float(told["squares"]), np.full(params.shape, np.nan)
    with np.errstate(all="ignore"):
        for row, vector in enumerate(params):
            matrix = _hessian(layers, activations, vector, x, y, factor)
            if np.isfinite(matrix).all():
                found[row] = np.linalg.eigvalsh(0.5 * (matrix + matrix.T))
    return found


def _chain(told: Mapping[str, Any], size: int) -> tuple[Sequence[Layer], list[_Activation]]:
    widths = [int(width) for width in told["widths"]]
    hidden, last = _ACTIVATIONS[told["activation"]], _ACTIVATIONS[told["output_activation"]]
    if len(widths) < 2 or min(widths) < 1 or max(widths) > _WIDEST or (widths[0], widths[-1]) != (1, 1):
        raise ValueError(f"widths {widths} are not those of one input and one output.")
    layers = layers_of(widths, bool(told["bias"]))
    if layers[-1].bias.stop != size:
        raise ValueError(f"{size} parameters are not those of widths {widths}.")
    return layers, [hidden] * (len(layers) - 1) + [last]


def _weight(layer, vector):
    return vector[layer.weight].reshape(layer.outputs, layer.inputs)


def _sums(layer, vector, h):
    sums = _weight(layer, vector) @ h
    return sums + vector[layer.bias, None] if layer.bias.stop > layer.bias.start else sums


def _hessian(layers, activations, vector, x, y, factor):
    """From the slopes of the output, the bends of the units, and that weights multiply what other parameters move."""
    size = len(vector)
    h, dh = x[None, :], np.zeros((1, size, len(x)))  # of units and points, and their derivatives (units, P, N)
    kept = []
    for layer, activation in zip(layers, activations, strict=True):
        z, dz = _sums(layer, vector, h), np.tensordot(_weight(layer, vector), dh, 1)
        units = np.arange(layer.outputs)
        dz[:, layer.weight].reshape(layer.outputs, layer.outputs, layer.inputs, -1)[units, units] += h
        if layer.bias.stop > layer.bias.start:
            dz[units, layer.bias.start + units] += 1
        slope, bend = activation.slope(z), activation.bend(z)
        kept.append((dh, dz, slope, bend))
        h, dh = activation.value(z), slope[:, None] * dz
    matrix = 2 * factor * dh[0] @ dh[0].T
    g = 2 * factor * (h - y)  # derivatives of the loss with respect to the units
    for layer, (dh, dz, slope, bend) in zip(layers[::-1], kept[::-1], strict=True):
        if bend.any():
            matrix += np.tensordot((bend * g)[:, None] * dz, dz, ((0, 2), (0, 2)))
        block = (dh @ (slope * g).T).transpose(1, 2, 0).reshape(size, -1)
        matrix[:, layer.weight] += block
        matrix[layer.weight] += block.T
        g = _weight(layer, vector).T @ (slope * g)
    return matrix
