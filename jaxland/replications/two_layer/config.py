"""What decides the stored fits of the two-layer study: grids of learning rates for each target and size."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import optax
from jaxtyping import Float, Int

from jaxland.problems import Problem
from jaxland.replications.two_layer.source import (
    DEVIATION,
    POINTS,
    TARGETS,
    TEST_POINTS,
    Data,
    draw_data,
    draw_weights,
    get_target,
    network,
    standard_data,
)
from jaxland.training import Ensemble, get_dtype

_DATA, _WEIGHTS = 0, 1
"""Streams of random numbers of an execution."""


@dataclass(frozen=True)
class TwoLayerConfig:
    """A basic neural network (Peeters): new executions of its runs, over grids of learning rates.

    An execution is what the document calls one: new data and new initial weights. Fit i is execution i // R at rate
    i % R, where R is the number of rates, so that every rate, and every size, sees the same executions.
    """

    f1_hidden: tuple[int, ...] = (2, 3, 5, 8)
    """Hidden units for f1, the bias unit counted; one ensemble for each."""
    f2_hidden: tuple[int, ...] = (3, 6, 8, 12)
    """Hidden units for f2."""
    f1_rates: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 2.0, 5.0)
    """Learning rates for f1."""
    f2_rates: tuple[float, ...] = (
        *(0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12, 0.15, 0.2, 0.5, 1.0, 1.5),
    )
    """Learning rates for f2."""
    epochs: int = 1200
    """Gradient descent steps of each fit."""
    trace_every: int = 5
    """Losses are kept every so many epochs. Oscillations take turns every epoch, so an odd number shows both sides."""
    points: int = POINTS
    """Size of each training set."""
    test_points: int = TEST_POINTS
    """Size of each test set."""
    seed: int = 0
    """Of data and weights."""
    dtype: Literal["float32", "float64"] = "float64"
    """Number format of training. The document computes in float64."""

    def __post_init__(self):
        get_dtype(self.dtype)
        for name in ("epochs", "trace_every", "points", "test_points"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be a positive integer; got {getattr(self, name)}.")
        for target in TARGETS:
            hidden, rates = self.hidden(target), self.rates(target)
            if not all(size >= 2 for size in hidden) or len(set(hidden)) < len(hidden):
                raise ValueError(f"{target}_hidden must be different sizes of at least 2; got {list(hidden)}.")
            if not rates or len(set(rates)) < len(rates) or not all(0 < rate < math.inf for rate in rates):
                raise ValueError(f"{target}_rates must be different positive numbers; got {list(rates)}.")
        if not self.f1_hidden and not self.f2_hidden:
            raise ValueError("f1_hidden and f2_hidden are both empty; give at least one size.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be an integer in [0, 2**32); got {self.seed}.")

    def hidden(self, target: str) -> tuple[int, ...]:
        """The sizes for a target."""
        return getattr(self, f"{target}_hidden")

    def rates(self, target: str) -> tuple[float, ...]:
        """The learning rates for a target."""
        return getattr(self, f"{target}_rates")


def ensemble_name(target: str, hidden: int) -> str:
    """Name of the ensemble of a target and a size."""
    return f"{target}-h{hidden}"


def ensembles(config: TwoLayerConfig) -> dict[str, Ensemble]:
    """One ensemble for each target and size."""
    return {
        ensemble_name(target, hidden): _ensemble(config, target, hidden)
        for target in TARGETS
        for hidden in config.hidden(target)
    }


def _ensemble(config: TwoLayerConfig, target: str, hidden: int) -> Ensemble:
    rates, function = np.array(config.rates(target)), get_target(target)

    def inputs(fits):
        return executions_data(config, fits // len(rates)).x[:, :, None]

    x = standard_data().x
    return Ensemble(
        network=network(hidden),
        problem=Problem(x, function(x), loss="half_mean_squared_error", name=ensemble_name(target, hidden)),
        optimizer=optax.sgd,
        hyperparameters={"learning_rate": lambda fits: rates[fits % len(rates)]},
        start=lambda fits: executions_weights(config, fits // len(rates), hidden),
        inputs=inputs,
        targets=lambda fits: function(inputs(fits)),
        steps=config.epochs,
        trace_every=config.trace_every,
        dtype=config.dtype,
    )


def executions_data(config: TwoLayerConfig, executions: Int[np.ndarray, "W"]) -> Data:
    """The data of some executions: training inputs (W, N) and test inputs (W, T)."""
    draw = partial(draw_data, points=config.points, test_points=config.test_points)
    return Data(*map(np.stack, zip(*(draw(_random(config, _DATA, each)) for each in executions.tolist()), strict=True)))


def executions_weights(
    config: TwoLayerConfig, executions: Int[np.ndarray, "W"], hidden: int, deviation: float = DEVIATION
) -> Float[np.ndarray, "W P"]:
    """The initial weights of some executions, flat."""
    return np.stack([draw_weights(_random(config, _WEIGHTS, each), hidden, deviation) for each in executions.tolist()])


def _random(config: TwoLayerConfig, stream: int, execution: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, stream, execution])
