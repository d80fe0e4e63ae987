"""What decides the fits of the placebo study."""

import math
from dataclasses import dataclass
from typing import Literal

import optax

from jaxland.networks import Network, mlp
from jaxland.problems import Problem
from jaxland.studies.placebo.data import labelled_data
from jaxland.training import Adam, Ensemble, get_dtype, make_optimizer


@dataclass(frozen=True)
class PlaceboConfig:
    """Can a back-propagating neural network placebo show no improvement? Fits of labels that mean nothing."""

    steps: int = 1000
    """Epochs of each fit: 1000 in the source's example 1, 500 in examples 2 and 3."""
    seed: int = 0
    """Fit i starts from the key fold_in(key(seed), i)."""
    data_seed: int = 0
    """Of the data; `noise` and `signal` are trained on data set 0."""
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
        get_dtype(self.dtype)
        for name, least in (("steps", 1), ("points", 2), ("inputs", 3), ("hidden", 1), ("data_seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be an integer of at least {least}; got {getattr(self, name)}.")
        if not 0 <= self.signal <= 1:
            raise ValueError(f"signal must be a share between 0 and 1; got {self.signal}.")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be positive; got {self.learning_rate}.")

    @property
    def network(self) -> Network:
        """The network of the fits, with the uniform initial weights of torch.nn.Linear."""
        return mlp([self.inputs, self.hidden, 1], "relu", init="pytorch_uniform")

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Adam with PyTorch's defaults, which are optax's too."""
        return make_optimizer(Adam(self.learning_rate))

    def problem(self, number: int = 0, share: float = 0.0, *, fresh: bool = False) -> Problem:
        """Data set `number`; see `labelled_data`."""
        x, y = labelled_data([self.data_seed, number, int(fresh)], self.points, self.inputs, share)
        return Problem(x, y, name="noise" if share == 0 else "signal")


def ensembles(config: PlaceboConfig) -> dict[str, Ensemble]:
    """Fits of one set of noise, and of the same inputs with labels that they partly explain."""
    return {
        name: Ensemble(
            network=config.network,
            problem=config.problem(share=share),
            optimizer=config.optimizer,
            steps=config.steps,
            seed=config.seed,
            dtype=config.dtype,
        )
        for name, share in (("noise", 0.0), ("signal", config.signal))
    }
