"""The fits of the two-layer study, with the data and the initial weights of its executions."""

from functools import partial

import numpy as np
import optax
from jaxtyping import Float, Int

from jaxland.problems import Problem
from jaxland.replications.two_layer.config import TwoLayerConfig, ensemble_name
from jaxland.replications.two_layer.source import (
    DEVIATION,
    TARGETS,
    Data,
    draw_data,
    draw_weights,
    network,
    standard_data,
)
from jaxland.training import Ensemble

_DATA, _WEIGHTS = 0, 1
"""Streams of random numbers of an execution."""


def ensembles(config: TwoLayerConfig) -> dict[str, Ensemble]:
    """One ensemble for each target and size."""
    return {
        ensemble_name(target, hidden): _ensemble(config, target, hidden)
        for target in TARGETS
        for hidden in config.hidden(target)
    }


def _ensemble(config: TwoLayerConfig, target: str, hidden: int) -> Ensemble:
    rates, function = np.array(config.rates(target)), TARGETS[target]

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
