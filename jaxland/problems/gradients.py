"""Losses and gradients of many parameter vectors at once."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxland._compiled import compiled
from jaxland._types import AnyArray

Objective = Callable[[Float[AnyArray, "P"]], Float[Array, ""]]
"""The loss of one point, in plain JAX."""

Evaluate = Callable[[Float[np.ndarray, "M P"]], tuple[Float[np.ndarray, "M"], Float[np.ndarray, "M P"]]]
"""The losses of M points and their gradients; may be called from several threads."""

# One program serves all, whatever the number of points; a point's bits do not depend on how many there are.
_WIDTH = 16


def gradients_of(objective: Objective, dtype: str = "float64") -> Evaluate:
    """A function that evaluates an objective and its gradient at many points, compiled by XLA.

    `jaxland.training.gradients(network, problem)` is faster for networks that the lanes backend can train.
    """
    program = compiled(jax.vmap(jax.value_and_grad(objective)))

    def evaluate(points):
        losses, gradients = np.empty(len(points), dtype), np.empty(points.shape, dtype)
        with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
            for start in range(0, len(points), _WIDTH):
                block = np.resize(points[start : start + _WIDTH], (_WIDTH, points.shape[1]))
                stop = min(start + _WIDTH, len(points))
                loss, gradient = program(jnp.asarray(block, dtype))
                losses[start:stop] = np.asarray(loss)[: stop - start]
                gradients[start:stop] = np.asarray(gradient)[: stop - start]
        return losses, gradients

    return evaluate
