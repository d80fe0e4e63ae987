"""Losses, gradients and products of the Hessian, of many parameter vectors at once."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxland._blocks import in_blocks
from jaxland._compiled import compiled
from jaxland._types import AnyArray

Objective = Callable[[Float[AnyArray, "P"]], Float[Array, ""]]
"""The loss of one point, in plain JAX."""

Evaluate = Callable[[Float[np.ndarray, "M P"]], tuple[Float[np.ndarray, "M"], Float[np.ndarray, "M P"]]]
"""The losses of M points and their gradients; may be called from several threads."""

Products = Callable[
    [Float[np.ndarray, "M P"], Float[np.ndarray, "M P"]], tuple[Float[np.ndarray, "M"], Float[np.ndarray, "M P"]]
]
"""Of M points and as many vectors the slopes of the loss along these, g' v, and the products of its Hessian with them,
H v; may be called from several threads."""

# One program serves all, whatever the number of points; a point's bits do not depend on how many there are.
_WIDTH = 16


def gradients_of(objective: Objective, dtype: str = "float64") -> Evaluate:
    """A function that evaluates an objective and its gradient at many points, compiled by XLA.

    `jaxland.training.gradients(network, problem)` is faster for networks that the lanes backend can train.
    """
    run = in_blocks(compiled(jax.vmap(jax.value_and_grad(objective))), _WIDTH, dtype)
    return lambda points: run(np.asarray(points, dtype))


def products_of(objective: Objective, dtype: str = "float64") -> Products:
    """A function that takes slopes along vectors and products of the Hessian with them at many points, compiled by XLA.

    `jaxland.training.hessian_products(network, problem)` is faster for networks that the lanes backend can train.
    """

    def one(params, vector):
        gradient, product = jax.jvp(jax.grad(objective), (params,), (vector,))
        return gradient @ vector, product

    run = in_blocks(compiled(jax.vmap(one)), _WIDTH, dtype)
    return lambda points, vectors: run(np.asarray(points, dtype), np.asarray(vectors, dtype))
