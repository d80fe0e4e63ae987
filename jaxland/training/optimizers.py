"""Optimizers by name, with their numbers, for configurations that are written to disk."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

from jaxland._names import lookup

if TYPE_CHECKING:
    import optax


@dataclass(frozen=True)
class Sgd:
    """Gradient descent."""

    learning_rate: float = 0.01
    """Learning rate."""
    factory: ClassVar[str] = "sgd"


@dataclass(frozen=True)
class Momentum:
    """Gradient descent with momentum (heavy ball)."""

    learning_rate: float = 0.01
    """Learning rate."""
    momentum: float = 0.9
    """Share of the last step that is repeated."""
    factory: ClassVar[str] = "sgd"


@dataclass(frozen=True)
class Adadelta:
    """Adadelta (Zeiler 2012)."""

    learning_rate: float = 1.0
    """Factor on the step."""
    rho: float = 0.95
    """Decay of the running squares."""
    eps: float = 1e-8
    """Added under the square roots."""
    factory: ClassVar[str] = "adadelta"


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015)."""

    learning_rate: float = 1e-3
    """Learning rate."""
    b1: float = 0.9
    """Decay of the running gradient."""
    b2: float = 0.999
    """Decay of the running square."""
    eps: float = 1e-8
    """Added to the root of the running square."""
    factory: ClassVar[str] = "adam"


@dataclass(frozen=True)
class Adagrad:
    """Adagrad (Duchi, Hazan, Singer 2011)."""

    learning_rate: float = 0.01
    """Factor on the step."""
    initial_accumulator_value: float = 0.1
    """What the sum of squares begins with."""
    eps: float = 1e-7
    """Added to the sum of squares."""
    factory: ClassVar[str] = "adagrad"


OptimizerConfig = Sgd | Momentum | Adadelta | Adam | Adagrad

OPTIMIZERS: dict[str, type[OptimizerConfig]] = {
    "sgd": Sgd,
    "momentum": Momentum,
    "adadelta": Adadelta,
    "adam": Adam,
    "adagrad": Adagrad,
}


def get_optimizer(name: str) -> type[OptimizerConfig]:
    """Returns the entry of `OPTIMIZERS` with this name.

    Raises:
        ValueError: there is none.
    """
    return lookup("optimizer", name, OPTIMIZERS)


def make_optimizer(config: OptimizerConfig) -> "optax.GradientTransformation":
    """The optax transformation with these numbers."""
    # Configurations are read without optax, which takes a second to import.
    import optax

    return getattr(optax, config.factory)(**asdict(config))
