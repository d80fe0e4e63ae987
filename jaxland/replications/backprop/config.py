"""What decides the fits of the backprop study: a 1-2-1 sigmoid network of which two weights are free."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from jaxland.networks import Network, mlp, sliced
from jaxland.problems import LOSSES, Problem, get_loss
from jaxland.training import Ensemble, get_dtype

WEIGHTS = ("0.weight[0,0]", "1.weight[0,0]")
"""The two weights of the source's contour map, w1_11 and w2_11."""
BIASES = ("0.bias[0]", "0.bias[1]")
"""The two biases of its other map, b1_1 and b1_2."""
SYMBOLS = {
    "0.weight[0,0]": r"$w^1_{1,1}$",
    "1.weight[0,0]": r"$w^2_{1,1}$",
    "0.bias[0]": r"$b^1_1$",
    "0.bias[1]": r"$b^1_2$",
}
OPTIMUM = np.array([10.0, 10.0, -5.0, 5.0, 1.0, 1.0, -1.0])
"""Flat parameters that make the target (equation 1 of the source)."""
OPTIMUM.setflags(write=False)


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
        if not self.rates or len(set(map(ensemble_name, self.rates))) < len(self.rates):
            raise ValueError(f"rates must name at least one, each once to six digits; got {list(self.rates)}.")
        if not all(math.isfinite(rate) and rate > 0 for rate in self.rates):
            raise ValueError(f"rates must be positive and finite; got {list(self.rates)}.")
        if not all(-math.inf < low < high < math.inf for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"low must be below high, both finite; got {self.low} and {self.high}.")
        if self.epochs < 1:
            raise ValueError(f"epochs must be a positive integer; got {self.epochs}.")
        get_loss(self.loss)
        get_dtype(self.dtype)

    @property
    def problem(self) -> Problem:
        """The target at the 41 inputs, with the global minimum."""
        return problem(self.loss)

    @property
    def network(self) -> Network:
        """The network of the fits: the plane of w1_11 and w2_11, whose starts are uniform in the rectangle."""
        return _plane(self.low, self.high)


def ensemble_name(rate: float) -> str:
    """The name of the ensemble that has this learning rate."""
    return f"rate-{rate:g}".replace("+", "")


# One object for equal settings: what is compiled for a network or problem is kept by its identity.
@lru_cache
def full_network() -> Network:
    """The 1-2-1 network, logistic sigmoid in both layers, 7 parameters."""
    return mlp([1, 2, 1], "sigmoid", output_activation="sigmoid")


@lru_cache
def problem(loss: str = "mean_squared_error") -> Problem:
    """Inputs -2.0, -1.9, ..., 2.0 and the outputs of the network at `OPTIMUM`."""
    x = np.arange(-20, 21) / 10
    return Problem(x, target(x), loss, name="backprop", network=full_network(), minimum=OPTIMUM)


def target(x: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
    """The function that is learned, in float64."""
    with jax.enable_x64(True):
        return np.asarray(full_network().apply_flat(jnp.asarray(OPTIMUM), jnp.asarray(x)[:, None]))[:, 0]


@lru_cache
def plane(free: tuple[str, str]) -> Network:
    """The slice through the optimum in which two entries are free."""
    return sliced(full_network(), OPTIMUM, free)


@lru_cache
def _plane(low: tuple[float, float], high: tuple[float, float]) -> Network:
    def draw(key):
        return jax.random.uniform(key, (2,), minval=jnp.array(low), maxval=jnp.array(high))

    return sliced(full_network(), OPTIMUM, WEIGHTS, init=draw)


def ensembles(config: BackpropConfig) -> dict[str, Ensemble]:
    """One ensemble for each learning rate; fit i starts from the same point in all of them."""
    return {
        ensemble_name(rate): Ensemble(
            network=config.network,
            problem=config.problem,
            optimizer=optax.sgd(rate),
            steps=config.epochs,
            seed=config.seed,
            dtype=config.dtype,
        )
        for rate in config.rates
    }


def mean_factor(loss: str) -> float:
    """How many times the mean squared error a loss is: 41 for the sum, 1/2 for half the mean."""
    shape = problem().y.shape
    unit = LOSSES[loss].elementwise(np.ones(shape), np.zeros(shape)).mean()
    return float(unit * LOSSES[loss].weight(*shape) * shape[0])
