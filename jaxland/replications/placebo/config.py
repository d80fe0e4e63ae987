"""What decides the fits of the placebo study."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from jaxland.replications.placebo.data import labelled_data
from jaxland.studies import check_choices, check_integers, check_positive
from jaxland.training import Adam, make_optimizer

if TYPE_CHECKING:
    import optax

    from jaxland.networks import Network
    from jaxland.problems import Problem


@dataclass(frozen=True)
class PlaceboConfig:
    """Can a back-propagating neural network placebo show no improvement? Fits of labels that mean nothing."""

    steps: int = 1000
    """Epochs of each fit: 1000 in the source's example 1, 500 in examples 2 and 3."""
    seed: int = 0
    """Fit i starts from the key fold_in(key(seed), i)."""
    data_seed: int = 0
    """Fit i is trained on data set i of this seed."""
    points: int = 1000
    """Points of a data set."""
    inputs: int = 10
    """Inputs of the network."""
    hidden: int = 20
    """Units of its one hidden layer."""
    learning_rate: float = 0.01
    """Of adam."""
    signal: float = 0.1
    """Share of the labels' variance that the inputs explain in the ensemble `signal`."""
    dtype: Literal["float32", "float64"] = "float32"
    """Number format of training."""

    def __post_init__(self):
        check_choices(self)
        check_integers(self, "steps", "hidden")
        check_integers(self, "points", least=2)
        check_integers(self, "inputs", least=3)
        check_integers(self, "data_seed", least=0)
        check_positive("learning_rate", self.learning_rate)
        if not 0 <= self.signal <= 1:
            raise ValueError(f"signal must be a share between 0 and 1; got {self.signal}.")

    @property
    def network(self) -> "Network":
        """The network of the fits, with the uniform initial weights of torch.nn.Linear."""
        from jaxland.replications.placebo.model import network

        return network(self.inputs, self.hidden)

    @property
    def optimizer(self) -> "optax.GradientTransformation":
        """Adam with PyTorch's defaults, which are optax's too."""
        return make_optimizer(Adam(self.learning_rate))

    @property
    def shares(self) -> dict[str, float]:
        """What the inputs explain of the labels' variance in each ensemble."""
        return {"noise": 0.0, "signal": self.signal}

    def data(
        self, number: int, share: float = 0.0, *, fresh: bool = False
    ) -> tuple[Float[np.ndarray, "N D"], Float[np.ndarray, "N 1"]]:
        """Data set `number`, or as many fresh points of its kind; see `labelled_data`."""
        return labelled_data([self.data_seed, number, int(fresh)], self.points, self.inputs, share)

    def problem(self, number: int = 0, share: float = 0.0, *, fresh: bool = False) -> "Problem":
        """The same as a problem."""
        from jaxland.problems import Problem

        return Problem(*self.data(number, share, fresh=fresh), name="noise" if share == 0 else "signal")

    def first_layer(self, params: Float[np.ndarray, "... P"]) -> Float[np.ndarray, "... K"]:
        """The weights of the first layer, unit by unit, as the source keeps them."""
        return params[..., : self.hidden * self.inputs]
