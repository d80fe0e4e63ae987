"""Losses: an elementwise function of prediction and target, then a mean or a sum over outputs and points."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxland._names import lookup
from jaxland._types import AnyArray

Reduction = Literal["mean", "sum"]


@dataclass(frozen=True)
class Loss:
    """A loss that is a sum over points, so that it can be evaluated a tile of points at a time.

    Attributes:
        name: used in tables.
        elementwise: `(prediction, target) -> loss` on arrays of equal shape.
        outputs: how the O outputs of a point are joined.
        points: how the N points are joined.
    """

    name: str
    elementwise: Callable[[Float[AnyArray, "N O"], Float[AnyArray, "N O"]], Float[AnyArray, "N O"]]
    outputs: Reduction = "mean"
    points: Reduction = "mean"

    def weight(self, points: int, outputs: int) -> float:
        """What each elementwise value is multiplied by before all are summed."""
        return (1 / points if self.points == "mean" else 1.0) * (1 / outputs if self.outputs == "mean" else 1.0)

    def __call__(self, prediction: Float[AnyArray, "N O"], target: Float[AnyArray, "N O"]) -> Float[Array, ""]:
        """The loss of N predictions."""
        total = jnp.sum(self.elementwise(prediction, target))
        weight = self.weight(*prediction.shape)
        return total if weight == 1 else weight * total


def _squared_error(prediction, target):
    return (prediction - target) ** 2


def _half_squared_error(prediction, target):
    return 0.5 * (prediction - target) ** 2


def _absolute_error(prediction, target):
    return jnp.abs(prediction - target)


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("mean_squared_error", _squared_error),
        Loss("half_mean_squared_error", _half_squared_error),
        Loss("sum_squared_error", _squared_error, outputs="sum", points="sum"),
        Loss("mean_sum_squared_error", _squared_error, outputs="sum"),
        Loss("mean_absolute_error", _absolute_error),
    )
}


def get_loss(name: str) -> Loss:
    """Returns the entry of `LOSSES` with this name.

    Raises:
        ValueError: there is none.
    """
    return lookup("loss", name, LOSSES)
