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


class Step(NamedTuple):
    """The pure functions of one fit's training.

    Attributes:
        loss: `(params, x, y) -> loss`.
        start: `(hyperparameters, params) -> optimizer state`.
        update: `(hyperparameters, params, state, gradient, loss, x, y) -> (params, state)`.
        advance: `(hyperparameters, params, state, x, y) -> (params, state, loss)`, the loss being that of the
            parameters before the step.
    """

    loss: Callable[..., Any]
    start: Callable[..., Any]
    update: Callable[..., Any]
    advance: Callable[..., Any]


def make_step(ensemble: HasStep) -> Step:
    """The step of every fit of the ensemble."""

    def loss(params, x, y):
        return ensemble.problem.loss(ensemble.network.apply(params, x), y)

    def start(hyperparameters, params):
        return ensemble.transformation(hyperparameters).init(params)

    def update(hyperparameters, params, state, gradient, value, x, y):
        updates, state = ensemble.transformation(hyperparameters).update(
            gradient, state, params, value=value, grad=gradient, value_fn=partial(loss, x=x, y=y)
        )
        return optax.apply_updates(params, updates), state

    def advance(hyperparameters, params, state, x, y):
        value, gradient = jax.value_and_grad(loss)(params, x, y)
        return *update(hyperparameters, params, state, gradient, value, x, y), value

    return Step(loss, start, update, advance)
