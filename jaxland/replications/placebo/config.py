"""What decides the fits of the placebo study."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import optax
from jaxtyping import Float

from jaxland.networks import Network, mlp
from jaxland.problems import Problem
from jaxland.replications.placebo.data import labelled_data
from jaxland.training import Adam, ByNumber, Ensemble, get_dtype, make_optimizer


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
        return _network(self.inputs, self.hidden)

    @property
    def optimizer(self) -> optax.GradientTransformation:
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

    def own_data(self, share: float = 0.0) -> tuple[ByNumber, ByNumber]:
        """`inputs` and `targets` of an ensemble: data set i for fit i."""
        inputs, targets = (
            lambda fits, part=part: np.stack([self.data(int(fit), share)[part] for fit in fits]) for part in (0, 1)
        )
        return inputs, targets

    def problem(self, number: int = 0, share: float = 0.0, *, fresh: bool = False) -> Problem:
        """The same as a problem."""
        return Problem(*self.data(number, share, fresh=fresh), name="noise" if share == 0 else "signal")

    def first_layer(self, params: Float[np.ndarray, "... P"]) -> Float[np.ndarray, "... K"]:
        """The weights of the first layer, unit by unit, as the source keeps them."""
        return params[..., : self.hidden * self.inputs]


# One object for equal settings: what is compiled for a network is kept by its identity.
@lru_cache
def _network(inputs: int, hidden: int) -> Network:
    return mlp([inputs, hidden, 1], "relu", init="pytorch_uniform")


def ensembles(config: PlaceboConfig) -> dict[str, Ensemble]:
    """Fits of noise, and of the same inputs with labels that they explain in part; each fit has its own data."""
    return {name: _ensemble(config, share) for name, share in config.shares.items()}


def _ensemble(config: PlaceboConfig, share: float) -> Ensemble:
    inputs, targets = config.own_data(share)
    return Ensemble(
        network=config.network,
        problem=config.problem(0, share),
        optimizer=config.optimizer,
        steps=config.steps,
        seed=config.seed,
        dtype=config.dtype,
        inputs=inputs,
        targets=targets,
    )
