"""Losses and gradients of many parameter vectors at once."""

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

# One program serves all, whatever the number of points; a point's bits do not depend on how many there are.
_WIDTH = 16


def gradients_of(objective: Objective, dtype: str = "float64") -> Evaluate:
    """A function that evaluates an objective and its gradient at many points, compiled by XLA.

    `jaxland.training.gradients(network, problem)` is faster for networks that the lanes backend can train.
    """
    run = in_blocks(compiled(jax.vmap(jax.value_and_grad(objective))), _WIDTH, dtype)
    return lambda points: run(np.asarray(points, dtype))
