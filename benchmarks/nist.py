"""The 27 nonlinear regressions of NIST's Statistical Reference Datasets, with what they are certified to.

`nist.json` holds data, two starting points each, and certified parameters and sums of squares, which NIST publishes to
eleven digits (https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml) and which are in the public domain.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import jaxland as jl


@dataclass(frozen=True, eq=False)
class Regression:
    """One of them.

    Attributes:
        name: NIST's.
        network: the model, whose parameters are b1, b2, ... of NIST.
        problem: its data, with the sum of squared errors.
        starts: NIST's first, which is far, and its second, which is near, (2, P).
        parameters: as certified, (P,).
        sum_of_squares: as certified.
    """

    name: str
    network: jl.Network
    problem: jl.Problem
    starts: np.ndarray
    parameters: np.ndarray
    sum_of_squares: float

    def digits(self, parameters: np.ndarray) -> float:
        """Digits that the worst parameter shares with what is certified, between 0 and 11."""
        error = np.max(np.abs(parameters / self.parameters - 1))
        return float(np.clip(-np.log10(max(error, 1e-11)), 0, 11)) if np.isfinite(error) else 0.0


def _saturating(b, x):
    return b[0] * (1 - jnp.exp(-b[1] * x))


def _hyperbolic(b, x):
    return jnp.exp(-b[0] * x) / (b[1] + b[2] * x)


def _waves(b, x):
    """A year, and two periods to be found."""

    def wave(period, cosine, sine):
        return cosine * jnp.cos(2 * jnp.pi * x / period) + sine * jnp.sin(2 * jnp.pi * x / period)

    return b[0] + wave(12, b[1], b[2]) + wave(b[3], b[4], b[5]) + wave(b[6], b[7], b[8])


def _peaks(b, x):
    """Two, on what decays."""
    first, second = (b[k] * jnp.exp(-(((x - b[k + 1]) / b[k + 2]) ** 2)) for k in (2, 5))
    return b[0] * jnp.exp(-b[1] * x) + first + second


def _decays(b, x):
    return sum(b[k] * jnp.exp(-b[k + 1] * x) for k in (0, 2, 4))


def _ratio(degree, b, x):
    """Of polynomials of this degree, the lower with constant term 1."""
    upper = sum(b[k] * x**k for k in range(degree + 1))
    return upper / (1 + sum(b[degree + k] * x**k for k in range(1, degree + 1)))


def _logistic(b, x):
    return b[0] / (1 + jnp.exp(b[1] - b[2] * x))


MODELS: dict[str, Callable] = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": _saturating,
    "Chwirut1": _hyperbolic,
    "Chwirut2": _hyperbolic,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": _waves,
    "Eckerle4": lambda b, x: b[0] / b[1] * jnp.exp(-(((x - b[2]) / b[1]) ** 2) / 2),
    "Gauss1": _peaks,
    "Gauss2": _peaks,
    "Gauss3": _peaks,
    "Hahn1": partial(_ratio, 3),
    "Kirby2": partial(_ratio, 2),
    "Lanczos1": _decays,
    "Lanczos2": _decays,
    "Lanczos3": _decays,
    "MGH09": lambda b, x: b[0] * (x**2 + b[1] * x) / (x**2 + b[2] * x + b[3]),
    "MGH10": lambda b, x: b[0] * jnp.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * jnp.exp(-b[3] * x) + b[2] * jnp.exp(-b[4] * x),
    "Misra1a": _saturating,
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda b, x: b[0] - b[1] * x[:, :1] * jnp.exp(-b[2] * x[:, 1:]),
    "Rat42": _logistic,
    "Rat43": lambda b, x: b[0] / (1 + jnp.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - jnp.arctan(b[2] / (x - b[3])) / jnp.pi,
    "Thurber": partial(_ratio, 3),
}


def regression(name: str) -> Regression:
    """One by its name, an entry of `MODELS`."""
    known = json.loads((Path(__file__).parent / "nist.json").read_text())[name]
    x, y = np.array(known["x"]).T, np.array(known["y"])
    if name == "Nelson":  # the model is of the logarithm
        y = np.log(y)
    starts, parameters = np.array(known["starts"]), np.array(known["parameters"])
    network = jl.Network(init=lambda key: jnp.asarray(starts[0]), apply=MODELS[name])
    problem = jl.Problem(x, y, "sum_squared_error", name=name)
    return Regression(name, network, problem, starts, parameters, known["sum_of_squares"])
