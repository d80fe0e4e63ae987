"""An independent reference: multilayer perceptrons and optimizers in float64 NumPy, written from their formulas."""

from functools import partial
from itertools import pairwise

import numpy as np

ACTIVATIONS = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "identity": (lambda z: z, np.ones_like),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sin": (np.sin, np.cos),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "softplus": (lambda z: np.log1p(np.exp(z)), lambda z: 1 / (1 + np.exp(-z))),
}


def split(vector, widths):
    """Weights and biases of a flat vector."""
    layers, start = [], 0
    for inputs, outputs in pairwise(widths):
        weight = vector[start : start + inputs * outputs].reshape(outputs, inputs)
        start += inputs * outputs
        layers.append((weight, vector[start : start + outputs]))
        start += outputs
    return layers


def loss_and_gradient(vector, widths, activation, x, y):
    """Mean squared error and its gradient, by back-propagation."""
    function, derivative = ACTIVATIONS[activation]
    layers, values, sums = split(vector, widths), [x], []
    for index, (weight, bias) in enumerate(layers):
        sums.append(values[-1] @ weight.T + bias)
        values.append(function(sums[-1]) if index < len(layers) - 1 else sums[-1])
    error = values[-1] - y
    delta, gradients = 2 * error / error.size, []
    for index in reversed(range(len(layers))):
        gradients[:0] = [delta.T @ values[index], delta.sum(0)]
        if index:
            delta = delta @ layers[index][0] * derivative(sums[index - 1])
    return np.mean(error**2), np.concatenate([part.ravel() for part in gradients])


def _sgd(w, g, s, t):
    return w - 0.05 * g, s


def _momentum(w, g, s, t):
    s["m"] = 0.9 * s.get("m", 0) + g
    return w - 0.02 * s["m"], s


def _nesterov(w, g, s, t):
    s["m"] = 0.9 * s.get("m", 0) + g
    return w - 0.02 * (g + 0.9 * s["m"]), s


def _adam(w, g, s, t, decay=0.0):
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    ratio = s["m"] / (1 - 0.9**t) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)
    return w - 0.01 * (ratio + decay * w), s


def _adamw(w, g, s, t):
    return _adam(w, g, s, t, decay=0.1)


def _adadelta(w, g, s, t, rho=0.9, eps=1e-6):
    s["g"] = rho * s.get("g", 0) + (1 - rho) * g**2
    step = np.sqrt((s.get("d", 0) + eps) / (s["g"] + eps)) * g
    s["d"] = rho * s.get("d", 0) + (1 - rho) * step**2
    return w - step, s


def _adagrad(w, g, s, t):
    s["g"] = s.get("g", 0.1) + g**2
    return w - 0.1 * g / np.sqrt(s["g"] + 1e-7), s


def _rmsprop(w, g, s, t):
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g**2
    return w - 0.01 * g / np.sqrt(s["v"] + 1e-8), s


def _lion(w, g, s, t):
    m = s.get("m", 0)
    s["m"] = 0.99 * m + 0.01 * g
    return w - 0.01 * (np.sign(0.9 * m + 0.1 * g) + 1e-3 * w), s


def _clipped_and_scheduled(w, g, s, t):
    g = np.clip(g, -0.1, 0.1) + 1e-2 * w
    s["m"] = 0.9 * s.get("m", 0) + g
    return w - 0.1 * 0.5 ** ((t - 1) / 10) * s["m"], s


UPDATES = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adam": _adam,
    "adamw": _adamw,
    "adadelta": _adadelta,
    "adadelta of the sawtooth study": partial(_adadelta, rho=0.95, eps=1e-8),
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "lion": _lion,
    "chain": _clipped_and_scheduled,
}


def train(vector, widths, activation, optimizer, x, y, steps):
    """Losses of steps 0 to S, and the last parameters."""
    vector, state, losses = np.array(vector, np.float64), {}, []
    for step in range(1, steps + 1):
        loss, gradient = loss_and_gradient(vector, widths, activation, x, y)
        losses.append(loss)
        vector, state = UPDATES[optimizer](vector, gradient, state, step)
    return np.array([*losses, loss_and_gradient(vector, widths, activation, x, y)[0]]), vector
