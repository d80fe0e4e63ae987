"""Losses: a function of each point's prediction and target, then a mean or a sum over points."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Literal

from jaxtyping import Float

from jaxland._names import lookup
from jaxland._types import AnyArray, Array

Reduction = Literal["mean", "sum"]


@dataclass(frozen=True)
class Loss:
    """A loss that is a sum over points, so that it can be evaluated a tile of points at a time.

        Loss("huber", optax.huber_loss)
        Loss("cross_entropy", pointwise=optax.softmax_cross_entropy)

    Attributes:
        name: used in tables.
        elementwise: `(prediction, target) -> loss` on arrays of equal shape, where outputs do not depend on each other.
        outputs: how the O elementwise losses of a point are joined.
        points: how the losses of the N points are joined.
        pointwise: `(prediction, target) -> loss` from (N, O) to (N,), in place of `elementwise`, where outputs do.
        least_squares: whether it is squared errors times a number, as Levenberg-Marquardt needs it to be.

    Raises:
        TypeError: neither or both of `elementwise` and `pointwise` are given.
    """

    name: str
    elementwise: Callable[[Float[AnyArray, "N O"], Float[AnyArray, "N O"]], Float[AnyArray, "N O"]] | None = None
    outputs: Reduction = "mean"
    points: Reduction = "mean"
    _: KW_ONLY
    pointwise: Callable[[Float[AnyArray, "N O"], Float[AnyArray, "N O"]], Float[AnyArray, "N"]] | None = None
    least_squares: bool = False

    def __post_init__(self):
        if (self.elementwise is None) == (self.pointwise is None):
            raise TypeError(f"loss {self.name!r} needs a function: either elementwise or pointwise.")

    def values(self, prediction: Float[AnyArray, "N O"], target: Float[AnyArray, "N O"]) -> AnyArray:
        """What is weighted and summed: a number for each output of each point, or for each point."""
        function = self.elementwise or self.pointwise
        assert function is not None
        return function(prediction, target)

    def weight(self, points: int, outputs: int) -> float:
        """What each of the values is multiplied by before all are summed."""
        mean_of_outputs = self.pointwise is None and self.outputs == "mean"
        return (1 / points if self.points == "mean" else 1.0) * (1 / outputs if mean_of_outputs else 1.0)

    def __call__(self, prediction: Float[AnyArray, "N O"], target: Float[AnyArray, "N O"]) -> Float[Array, ""]:
        """The loss of N predictions."""
        import jax.numpy as jnp  # here, so that names are known without it

        total = jnp.sum(self.values(prediction, target))
        weight = self.weight(*prediction.shape)
        return total if weight == 1 else weight * total


def _squared_error(prediction, target):
    return (prediction - target) ** 2


def _half_squared_error(prediction, target):
    return 0.5 * (prediction - target) ** 2


def _absolute_error(prediction, target):
    return abs(prediction - target)


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("mean_squared_error", _squared_error, least_squares=True),
        Loss("half_mean_squared_error", _half_squared_error, least_squares=True),
        Loss("sum_squared_error", _squared_error, outputs="sum", points="sum", least_squares=True),
        Loss("mean_sum_squared_error", _squared_error, outputs="sum", least_squares=True),
        Loss("mean_absolute_error", _absolute_error),
    )
}


def get_loss(name: str) -> Loss:
    """Returns the entry of `LOSSES` with this name.

    Raises:
        ValueError: there is none.
    """
    return lookup("loss", name, LOSSES)
