"""What decides the fits of the sawtooth study."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from jaxland.studies import check_choices, check_integers, check_optimizers
from jaxland.training import Adadelta, Adam, Momentum, OptimizerConfig, Sgd

if TYPE_CHECKING:
    from jaxland.networks import Network
    from jaxland.problems import SawtoothProblem


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
        check_optimizers(self)
        check_choices(self)
        check_integers(self, "steps", "depth", "width", "points_per_segment")

    @property
    def problem(self) -> "SawtoothProblem":
        """The target, its data and its global minimum."""
        from jaxland.replications.sawtooth.model import problem

        return problem(self.target, self.points_per_segment)

    @property
    def network(self) -> "Network":
        """The network of the fits."""
        from jaxland.replications.sawtooth.model import network

        return network(self.depth, self.width)

    def optimizer(self, name: str) -> OptimizerConfig:
        """The numbers of the optimizer with this name."""
        return getattr(self, name)
