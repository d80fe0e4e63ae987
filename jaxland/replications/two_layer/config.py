"""What decides the stored fits of the two-layer study: grids of learning rates for each target and size."""

from dataclasses import dataclass
from typing import Literal

from jaxland.replications.two_layer.source import POINTS, TARGETS, TEST_POINTS
from jaxland.studies import check_choices, check_different, check_integers, check_positive, check_seeds


@dataclass(frozen=True)
class TwoLayerConfig:
    """A basic neural network (Peeters): new executions of its runs, over grids of learning rates.

    An execution is what the document calls one: new data and new initial weights. Fit i is execution i // R at rate
    i % R, where R is the number of rates, so that every rate, and every size, sees the same executions.
    """

    f1_hidden: tuple[int, ...] = (2, 3, 5, 8)
    """Hidden units for f1, the bias unit counted; one ensemble for each."""
    f2_hidden: tuple[int, ...] = (3, 6, 8, 12)
    """Hidden units for f2."""
    f1_rates: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 2.0, 5.0)
    """Learning rates for f1."""
    f2_rates: tuple[float, ...] = (
        *(0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12, 0.15, 0.2, 0.5, 1.0, 1.5),
    )
    """Learning rates for f2."""
    epochs: int = 1200
    """Gradient descent steps of each fit."""
    trace_every: int = 5
    """Losses are kept every so many epochs. Oscillations take turns every epoch, so an odd number shows both sides."""
    points: int = POINTS
    """Size of each training set."""
    test_points: int = TEST_POINTS
    """Size of each test set."""
    seed: int = 0
    """Of data and weights."""
    dtype: Literal["float32", "float64"] = "float64"
    """Number format of training. The document computes in float64."""

    def __post_init__(self):
        check_choices(self)
        check_integers(self, "epochs", "trace_every", "points", "test_points")
        for target in TARGETS:
            hidden = self.hidden(target)
            if not all(size >= 2 for size in hidden) or len(set(hidden)) < len(hidden):
                raise ValueError(f"{target}_hidden must be different sizes of at least 2; got {list(hidden)}.")
            check_different(f"{target}_rates", self.rates(target))
            check_positive(f"{target}_rates", self.rates(target))
        if not self.f1_hidden and not self.f2_hidden:
            raise ValueError("f1_hidden and f2_hidden are both empty; give at least one size.")
        check_seeds("seed", self.seed)

    def hidden(self, target: str) -> tuple[int, ...]:
        """The sizes for a target."""
        return getattr(self, f"{target}_hidden")

    def rates(self, target: str) -> tuple[float, ...]:
        """The learning rates for a target."""
        return getattr(self, f"{target}_rates")


def ensemble_name(target: str, hidden: int) -> str:
    """Name of the ensemble of a target and a size."""
    return f"{target}-h{hidden}"
