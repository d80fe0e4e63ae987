"""What decides the fits of the sawtooth study."""

import math
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Literal

from jaxland._names import lookup
from jaxland.networks import Network, mlp
from jaxland.problems import SawtoothProblem, sawtooth
from jaxland.training import (
    Adadelta,
    Adam,
    Ensemble,
    Momentum,
    OptimizerConfig,
    Sgd,
    get_dtype,
    get_optimizer,
    make_optimizer,
)

TARGETS = {
    "main": lambda points: sawtooth(points_per_segment=points),
    "5+0": lambda points: sawtooth(saw=5, spline=(), points_per_segment=points),
    "3+2": lambda points: sawtooth(saw=3, spline=((-1.0, 0.0), (-1 / 3, 0.3)), points_per_segment=points),
}


@dataclass(frozen=True)
class SawtoothConfig:
    """The energy landscape of a simple neural network (Gamst and Walker): fits of a sawtooth they never find."""

    optimizers: tuple[str, ...] = ("momentum", "adadelta")
    """One ensemble for each: sgd, momentum, adadelta, adam."""
    steps: int = 50_000
    """Optimizer steps of each fit; the paper takes 50,000."""
    seed: int = 0
    """Fit i starts from the key fold_in(key(seed), i), with every optimizer."""
    target: Literal["main", "5+0", "3+2"] = "main"
    """Which target: the paper's main example, or one of its section 4.9."""
    depth: int = 5
    """Hidden layers of the fits."""
    width: int = 5
    """Units of each hidden layer of the fits."""
    points_per_segment: int = 10
    """Training points on each linear piece of the target, its left knot included."""
    dtype: Literal["float32", "float64"] = "float32"
    """Number format of training."""
    sgd: Sgd = field(default_factory=Sgd)
    """Numbers of gradient descent."""
    momentum: Momentum = field(default_factory=Momentum)
    """Numbers of gradient descent with momentum."""
    adadelta: Adadelta = field(default_factory=Adadelta)
    """Numbers of adadelta."""
    adam: Adam = field(default_factory=Adam)
    """Numbers of adam."""

    def __post_init__(self):
        if not self.optimizers or len(set(self.optimizers)) < len(self.optimizers):
            raise ValueError(f"optimizers must name at least one, each once; got {list(self.optimizers)}.")
        for name in self.optimizers:
            get_optimizer(name)
            for number, value in asdict(self.optimizer(name)).items():
                if not math.isfinite(value):
                    raise ValueError(f"{name}.{number} must be finite; got {value}.")
        lookup("target", self.target, TARGETS)
        get_dtype(self.dtype)
        for name in ("steps", "depth", "width", "points_per_segment"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be a positive integer; got {getattr(self, name)}.")

    @property
    def problem(self) -> SawtoothProblem:
        """The target, its data and its global minimum."""
        return _problem(self.target, self.points_per_segment)

    @property
    def network(self) -> Network:
        """The network of the fits."""
        return _network(self.depth, self.width)

    def optimizer(self, name: str) -> OptimizerConfig:
        """The numbers of the optimizer with this name."""
        return getattr(self, name)


# One object for equal settings: what is compiled for a network or problem is kept by its identity.
@lru_cache
def _problem(target: str, points_per_segment: int) -> SawtoothProblem:
    return TARGETS[target](points_per_segment)


@lru_cache
def _network(depth: int, width: int) -> Network:
    return mlp([1, *[width] * depth, 1])


def ensembles(config: SawtoothConfig) -> dict[str, Ensemble]:
    """One ensemble for each optimizer; fit i starts from the same parameters in all of them."""
    network, problem = config.network, config.problem
    return {
        name: Ensemble(
            network=network,
            problem=problem,
            optimizer=make_optimizer(config.optimizer(name)),
            steps=config.steps,
            seed=config.seed,
            dtype=config.dtype,
        )
        for name in config.optimizers
    }
