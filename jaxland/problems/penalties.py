"""Terms of the objective in the parameters alone."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jaxtyping import PyTree

from jaxland._numbers import require_named_numbers
from jaxland._types import AnyArray, Array

Leaves = Iterable[AnyArray]


@dataclass(frozen=True)
class Penalty:
    """A term of the objective in the parameters, added to the loss.

        Penalty("smoothness", lambda params, smoothness: smoothness * jnp.sum(jnp.diff(params.weight) ** 2),
                numbers={"smoothness": 0.1})

    Attributes:
        name: used in tables.
        function: from the network's parameters, as its `init` makes them, and the numbers by name to a number.
        numbers: what the function takes by name, with the values it has unless `hyperparameters` of a fit say
            otherwise.

    Raises:
        TypeError: an attribute of another kind, or, when it is called, the function returns no number.
    """

    name: str
    function: Callable[..., Any]
    numbers: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self):
        if not isinstance(self.name, str) or not callable(self.function):
            raise TypeError(
                "a penalty is a name and a function of the parameters, as in Penalty('smoothness', function); got "
                f"{self.name!r} and {self.function!r}."
            )
        require_named_numbers(f"penalty {self.name!r}: numbers", self.numbers)

    def __call__(self, params: PyTree, numbers: Mapping[str, Any] = {}) -> Array:
        """Its value.

        Args:
            params: of a network.
            numbers: in place of its own.
        """
        value = self.function(params, **{name: numbers.get(name, value) for name, value in self.numbers.items()})
        self.require_number(value)
        return value

    def require_number(self, value: Any) -> None:
        """Raises TypeError unless what the function returned is one number."""
        shape = getattr(value, "shape", () if isinstance(value, int | float) else None)
        if shape != ():
            made = isinstance(value, Penalty)
            remedy = "call it, as in penalty=jl.problems.l2(1e-3)" if made else "take a sum or a mean of it"
            found = f"an array of shape {shape}" if shape else f"a {type(value).__name__}"
            raise TypeError(f"penalty {self.name!r} must return one number, and returns {found}; {remedy}.")


def l2(strength: float = 0.0, *, biases: bool = False, name: str = "l2") -> Penalty:
    """The sum of squares of all weights, times a strength.

    Args:
        strength: unless `hyperparameters={name: ...}` gives each fit its own.
        biases: whether vectors and scalars count as well as matrices.
        name: of the penalty and of its number.
    """

    return Penalty(name, partial(sum_of_squares, name=name, biases=biases), {name: strength})


def l1(strength: float = 0.0, *, biases: bool = False, name: str = "l1") -> Penalty:
    """The sum of absolute values of all weights, times a strength; arguments as in `l2`."""

    return Penalty(name, partial(sum_of_sizes, name=name, biases=biases), {name: strength})


def sum_of_squares(params: PyTree, *, name: str, biases: bool, **numbers: Any) -> Any:
    """What `l2` adds, `numbers[name]` being its strength."""
    return numbers[name] * sum((leaf**2).sum() for leaf in _counted(params, biases))


def sum_of_sizes(params: PyTree, *, name: str, biases: bool, **numbers: Any) -> Any:
    """What `l1` adds, `numbers[name]` being its strength."""
    return numbers[name] * sum(abs(leaf).sum() for leaf in _counted(params, biases))


def _counted(params, biases) -> Leaves:
    import jax

    return [leaf for leaf in jax.tree.leaves(params) if biases or leaf.ndim > 1]
