"""The 1-2-1 network of the backprop study, its planes and its problem."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxland.networks import Network, mlp, sliced
from jaxland.problems import LOSSES, Problem

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


# One object for equal settings: what is compiled for a network or problem is kept by its identity.
@lru_cache
def full_network() -> Network:
    """The 1-2-1 network, logistic sigmoid in both layers, 7 parameters."""
    return mlp([1, 2, 1], "sigmoid", output_activation="sigmoid")


@lru_cache
def problem(loss: str = "mean_squared_error", scale: float = 1) -> Problem:
    """Inputs -2.0, -1.9, ..., 2.0, or larger by a factor, and the outputs of the network at `OPTIMUM`."""
    x = scale * np.arange(-20, 21) / 10
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
def starting_plane(low: tuple[float, float], high: tuple[float, float]) -> Network:
    """The plane of the weights, whose starts are uniform in a rectangle."""

    def draw(key):
        return jax.random.uniform(key, (2,), minval=jnp.array(low), maxval=jnp.array(high))

    return sliced(full_network(), OPTIMUM, WEIGHTS, init=draw)


def mean_factor(loss: str) -> float:
    """How many times the mean squared error a loss is: 41 for the sum, 1/2 for half the mean."""
    shape = problem().y.shape
    unit = LOSSES[loss].values(np.ones(shape), np.zeros(shape)).mean()
    return float(unit * LOSSES[loss].weight(*shape) * shape[0])
