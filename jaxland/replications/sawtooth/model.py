"""The problem and the network of the sawtooth study."""

from functools import lru_cache

from jaxland.networks import Network, mlp
from jaxland.problems import SawtoothProblem, sawtooth

TARGETS = {
    "main": lambda points: sawtooth(points_per_segment=points),
    "5+0": lambda points: sawtooth(saw=5, spline=(), points_per_segment=points),
    "3+2": lambda points: sawtooth(saw=3, spline=((-1.0, 0.0), (-1 / 3, 0.3)), points_per_segment=points),
}


# One object for equal settings: what is compiled for a network or problem is kept by its identity.
@lru_cache
def problem(target: str, points_per_segment: int) -> SawtoothProblem:
    """A target of the paper, with its data and its global minimum."""
    return TARGETS[target](points_per_segment)


@lru_cache
def network(depth: int, width: int) -> Network:
    """One input, ReLU layers of equal width, one output."""
    return mlp([1, *[width] * depth, 1])
