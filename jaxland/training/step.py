"""One optimizer step of ONE fit, in plain JAX. Every backend is made from these functions."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import optax

from jaxland.networks import Network
from jaxland.problems import Problem


class HasStep(Protocol):
    """What of an ensemble decides the step of a fit."""

    @property
    def network(self) -> Network:
        """What is trained."""
        ...

    @property
    def problem(self) -> Problem:
        """What it is trained on."""
        ...

    def transformation(self, hyperparameters: Mapping) -> optax.GradientTransformationExtraArgs:
        """The optimizer with these numbers."""
        ...


class Points(NamedTuple):
    """The points whose losses are joined: of a fit's data, of a batch or of a tile.

    Attributes:
        x: inputs (N, D).
        y: targets (N, K).
        weights: factors (N,), or None.
        key: of the noise in this step by words, (2,), for networks that take one; None is without noise.
    """

    x: Any
    y: Any
    weights: Any = None
    key: Any = None


class Step(NamedTuple):
    """The pure functions of one fit's training.

    Attributes:
        loss: `(hyperparameters, params, points) -> loss`.
        start: `(hyperparameters, params) -> optimizer state`.
        update: `(hyperparameters, params, state, gradient, loss, points) -> (params, state)`.
        advance: `(hyperparameters, params, state, points) -> (params, state, loss)`, the loss being that of the
            parameters before the step.
    """

    loss: Callable[..., Any]
    start: Callable[..., Any]
    update: Callable[..., Any]
    advance: Callable[..., Any]


def make_step(ensemble: HasStep) -> Step:
    """The step of every fit of the ensemble."""
    network, problem = ensemble.network, ensemble.problem

    def loss(hyperparameters, params, points):
        key = None if points.key is None else jax.random.wrap_key_data(points.key, impl="threefry2x32")
        prediction = network.predict(params, points.x, key)
        value = problem.loss(prediction, points.y, points.weights, hyperparameters)
        return value + problem.penalties(params, hyperparameters) if problem.penalty else value

    def start(hyperparameters, params):
        return ensemble.transformation(hyperparameters).init(params)

    def update(hyperparameters, params, state, gradient, value, points):
        value_fn = partial(loss, hyperparameters, points=points)
        updates, state = ensemble.transformation(hyperparameters).update(
            gradient, state, params, value=value, grad=gradient, value_fn=value_fn
        )
        return optax.apply_updates(params, updates), state

    def advance(hyperparameters, params, state, points):
        value, gradient = jax.value_and_grad(loss, argnums=1)(hyperparameters, params, points)
        return *update(hyperparameters, params, state, gradient, value, points), value

    return Step(loss, start, update, advance)
