"""What the document fixes: targets, data, weights, and the runs it highlights.

The random streams are facts of its companion code, so that its numbers can be met: the generator of the data is asked
for 1,000 inputs of the training set and then for 100 of the test set, that of the weights is made anew for each size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from jaxland.networks import Network

LOW, HIGH = -5.0, 5.0
POINTS, TEST_POINTS = 1000, 100
DEVIATION = 0.01
"""Standard deviation of the initial weights."""
_DATA_SEED = 222337497072607291153223098371913928704
_WEIGHTS_SEED = 36255793825986746149655859236796938907

Target = Callable[[np.ndarray], np.ndarray]

TARGETS: dict[str, Target] = {
    "f1": lambda x: np.exp(x / 5),
    "f2": lambda x: np.sin(x) * (25 - x**2),
}


class Data(NamedTuple):
    """Inputs of a training set and of a test set; leading axes are those of many executions."""

    x: Float[np.ndarray, "... N"]
    test_x: Float[np.ndarray, "... T"]


class Weights(NamedTuple):
    """Weights as the document writes them; h counts the bias unit of the hidden layer."""

    u: Float[np.ndarray, "... h-1 2"]
    """Of the hidden units: on the input, and on the bias."""
    v: Float[np.ndarray, "... h"]
    """Of the output: on the hidden units, and on the bias unit."""


@dataclass(frozen=True)
class Run:
    """One configuration the document highlights: (f, h, learning rate, epochs)."""

    target: str
    hidden: int
    rate: float
    epochs: int
    figure: str
    """Where it is shown."""

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.target}-h{self.hidden}-rate{self.rate:g}-{self.epochs}"

    @property
    def label(self) -> str:
        """As the document writes it."""
        return f"$({self.target[0]}_{self.target[1]}, {self.hidden}, {self.rate:g}, {self.epochs})$"


RUNS = (
    Run("f1", 3, 1.0, 1000, "figures 3, 9"),
    Run("f1", 3, 2.0, 1000, "section 4.1"),
    Run("f1", 3, 5.0, 1000, "section 4.1"),
    Run("f1", 3, 0.1, 10_000, "figure 4"),
    Run("f1", 2, 0.1, 1000, "figure 5"),
    Run("f1", 3, 0.1, 1000, "figure 5"),
    Run("f1", 5, 0.1, 1000, "figure 5"),
    Run("f1", 8, 0.1, 1000, "section 4.1"),
    Run("f2", 3, 0.1, 1000, "figure 6"),
    Run("f2", 6, 0.1, 1000, "figure 6"),
    Run("f2", 8, 0.1, 1200, "figure 6"),
    Run("f2", 8, 1.0, 1000, "figure 7"),
    Run("f2", 8, 1.5, 1000, "section 4.2"),
    Run("f2", 8, 0.05, 1000, "section 4.2"),
    Run("f2", 8, 0.05, 10_000, "section 4.2"),
    Run("f2", 12, 0.05, 10_000, "section 4.2"),
)
"""In the order of the document. Those of figure 8 have random numbers that it does not give."""


def run_named(target: str, hidden: int, rate: float, epochs: int) -> Run:
    """The highlighted run with these numbers."""
    (run,) = [
        each for each in RUNS if (each.target, each.hidden, each.rate, each.epochs) == (target, hidden, rate, epochs)
    ]
    return run


@lru_cache
def network(hidden: int) -> "Network":
    """The two-layer perceptron with `hidden` units in the hidden layer, the bias unit among them."""
    # The configuration needs the numbers above, and not JAX.
    from jaxland.networks import mlp

    return mlp([1, hidden - 1, 1], activation="sigmoid")


def draw_data(random: np.random.Generator, points: int = POINTS, test_points: int = TEST_POINTS) -> Data:
    """Uniform inputs, those of the training set first."""
    x = (random.random(points + test_points) - 0.5) * (HIGH - LOW)
    return Data(x[:points], x[points:])


def draw_weights(random: np.random.Generator, hidden: int, deviation: float = DEVIATION) -> Float[np.ndarray, "P"]:
    """Normal weights, U first, as a flat vector of `network(hidden)`."""
    u = random.normal(0, deviation, (hidden - 1, 2))
    return flat(Weights(u, random.normal(0, deviation, hidden)))


def standard_data() -> Data:
    """The document's "standard datasets"."""
    return draw_data(np.random.default_rng(_DATA_SEED))


def standard_weights(hidden: int) -> Float[np.ndarray, "P"]:
    """The document's "standard initial weights" for this size, as a flat vector."""
    return draw_weights(np.random.default_rng(_WEIGHTS_SEED), hidden)


def flat(weights: Weights) -> Float[np.ndarray, "... P"]:
    """The flat vector of `network(h)` with these weights."""
    return np.concatenate([weights.u[..., 0], weights.u[..., 1], weights.v], axis=-1)


def split(params: Float[np.ndarray, "... P"]) -> Weights:
    """The weights U and V of flat vectors; the inverse of `flat`."""
    units = (params.shape[-1] - 1) // 3
    u = np.stack([params[..., :units], params[..., units : 2 * units]], axis=-1)
    return Weights(u, params[..., 2 * units :])


def documents_gradient(
    params: Float[np.ndarray, "P"], x: Float[np.ndarray, "N"], y: Float[np.ndarray, "N"]
) -> Float[np.ndarray, "P"]:
    """The gradient of half the mean squared error by equations 1 and 2 of the document, as a flat vector."""
    u, v = split(params)
    units = 1 / (1 + np.exp(-(u[:, :1] * x + u[:, 1:])))
    error = (v[:-1] @ units + v[-1] - y) / len(x)
    local = error * v[:-1, None] * units * (1 - units)
    return flat(Weights(np.stack([local @ x, local.sum(axis=1)], axis=1), np.append(units @ error, error.sum())))


def half_mean_square(
    output: Float[np.ndarray, "... T"], target: Float[np.ndarray, "... T"]
) -> Float[np.ndarray, "..."]:
    """The error the document reports: half the mean squared difference. Infinite where it exceeds all numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        return 0.5 * np.mean((output - target) ** 2, axis=-1)
