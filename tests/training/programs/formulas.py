"""Random formulas of a few variables, as text whose meaning in JAX and in NumPy differs by the name of the module."""

from collections.abc import Callable

import numpy as np

_DEEPEST = 3
_ONE = (
    "-{0}",
    "0.5 * {0}",
    "{0} * {0}",
    "{0} ** 2",
    "{0} + {0}",
    "jnp.abs({0})",
    "jnp.tanh({0})",
    "jnp.sin({0})",
    "jnp.square({0})",
    "jnp.sign({0})",
    "jnp.floor({0})",
    "jnp.exp(-jnp.abs({0}))",
    "jnp.log1p(jnp.abs({0}))",
    "jnp.maximum({0}, 0.0)",
    "jnp.minimum({0}, 0.25)",
    "jnp.where({0} <= 0, 0.0, {0})",
    "jnp.sqrt({0} * {0} + 0.25)",
    "1.0 / (1.0 + {0} * {0})",
)
_TWO = (
    "{0} + {1}",
    "{0} - {1}",
    "{0} * {1}",
    "{0} * {1} + {0}",
    "{0} - {1} * {0}",
    "{0} * {1} + {1} * {0}",
    "jnp.maximum({0}, {1})",
    "jnp.minimum({0}, {1})",
    "jnp.where({0} > {1}, {0}, {1})",
    "jnp.where({0} == {1}, {0} * 2.0, {1})",
    "jnp.where({0} < 0, {1}, -{1})",
    "({0} >= {1}) * {0}",
    "{0} / (1.5 + jnp.abs({1}))",
)


class Formula:
    """Makes one formula.

    Args:
        rng: of the choices.
        names: of the variables; the formula has the shape of the first.
        constant: a number.
    """

    def __init__(self, rng: np.random.Generator, names: str, constant: Callable[[], float]):
        self.rng, self.names, self.constant = rng, names, constant
        self.parts: list[str] = []

    def text(self) -> str:
        """The formula."""
        return f"0.5 * {self.names[0]} + jnp.tanh({self._part(int(self.rng.integers(1, _DEEPEST + 1)))})"

    def _part(self, depth: int) -> str:
        """A formula in brackets, now and then one that is there already."""
        if self.parts and self.rng.random() < 0.25:
            return str(self.rng.choice(self.parts))
        if depth == 0:
            return self._leaf()
        if self.rng.random() < 0.5:
            text = str(self.rng.choice(_ONE)).format(self._part(depth - 1))
        else:
            text = str(self.rng.choice(_TWO)).format(self._part(depth - 1), self._part(depth - 1))
        self.parts.append(f"({text})")
        return self.parts[-1]

    def _leaf(self) -> str:
        return f"({self.constant()})" if self.rng.random() < 0.2 else str(self.rng.choice(list(self.names)))
