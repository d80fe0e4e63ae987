"""What decides the fits of the backprop study: a 1-2-1 sigmoid network of which two weights are free."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jaxland.studies import check_choices, check_different, check_integers, check_positive

if TYPE_CHECKING:
    from jaxland.networks import Network
    from jaxland.problems import Problem


@dataclass(frozen=True)
class BackpropConfig:
    """Drawbacks of backpropagation: gradient descent on two weights of a 1-2-1 network, from all over their plane."""

    rates: tuple[float, ...] = (1.0, 40.0)
    """Learning rates, an ensemble for each. The source takes 1; 40 is just under what both minima bear."""
    epochs: int = 30_000
    """Full-batch steps of each fit."""
    seed: int = 0
    """Fit i starts from the key fold_in(key(seed), i), at every rate."""
    low: tuple[float, float] = (-5.0, -5.0)
    """Corner of the starts, uniform in a rectangle of the plane of w1_11 and w2_11."""
    high: tuple[float, float] = (15.0, 45.0)
    """The opposite corner."""
    loss: Literal["mean_squared_error", "half_mean_squared_error", "sum_squared_error"] = "mean_squared_error"
    """What is descended. The source says both sum and mean; only the mean fits what it reports."""
    dtype: Literal["float32", "float64"] = "float64"
    """Number format of training. In float32 steps on the plateaus are rounded away."""

    def __post_init__(self):
        check_choices(self)
        check_different("rates", [ensemble_name(rate) for rate in self.rates])
        check_positive("rates", self.rates)
        check_integers(self, "epochs")
        if not all(-math.inf < low < high < math.inf for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"low must be below high, both finite; got {self.low} and {self.high}.")

    @property
    def problem(self) -> "Problem":
        """The target at the 41 inputs, with the global minimum."""
        from jaxland.replications.backprop.model import problem

        return problem(self.loss)

    @property
    def network(self) -> "Network":
        """The network of the fits: the plane of w1_11 and w2_11, whose starts are uniform in the rectangle."""
        from jaxland.replications.backprop.model import starting_plane

        return starting_plane(self.low, self.high)


def ensemble_name(rate: float) -> str:
    """The name of the ensemble that has this learning rate."""
    return f"rate-{rate:g}".replace("+", "")
