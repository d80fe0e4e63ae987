"""The document's algorithm in any arithmetic: floating point of any width, and decimal numbers of any length.

Lanes trains in float32 and float64. What depends on rounding shows itself where the same algorithm is carried further.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxland.replications.two_layer.source import TARGETS, Weights, flat, split, standard_data, standard_weights


@dataclass(frozen=True)
class Arithmetic:
    """A number format.

    Attributes:
        name: `"float32"`, `"float64"`, `"longdouble"`, or `"decimal"`.
        digits: significant digits of `"decimal"`.
    """

    name: str
    digits: int = 0

    @property
    def label(self) -> str:
        """For tables and figures."""
        return f"{self.digits} digits" if self.name == "decimal" else self.name

    @property
    def roundoff(self) -> float:
        """Largest relative error of a rounded number."""
        if self.name == "decimal":
            return 0.5 * 10.0 ** (1 - self.digits)
        return float(np.finfo(self.name).eps / 2)

    def array(self, values: np.ndarray) -> np.ndarray:
        """The values in this format, rounded; call it in `rounding()`."""
        if self.name != "decimal":
            return np.asarray(values, np.float64).astype(self.name)
        return np.array([+Decimal(value) for value in np.ravel(values).tolist()], object).reshape(np.shape(values))

    @contextmanager
    def rounding(self) -> Iterator[None]:
        """Within it decimal numbers are rounded to this many digits."""
        with localcontext(prec=max(self.digits, 1)):
            yield


def arithmetics(digits: tuple[int, ...] = ()) -> list[Arithmetic]:
    """The floating-point formats of this machine, then decimal numbers with so many digits."""
    floats = [Arithmetic("float32"), Arithmetic("float64")]
    wide = Arithmetic("longdouble")
    # Where the C compiler's long double is a double there is nothing between.
    if wide.roundoff < floats[-1].roundoff:
        floats.append(wide)
    return [*floats, *(Arithmetic("decimal", each) for each in digits)]


class Course(NamedTuple):
    """Gradient descent step by step; S is the number of epochs plus one, less if it was stopped."""

    loss: Float[np.ndarray, "S"]
    """Half the mean squared error on the training set, rounded to float64."""
    params: Float[np.ndarray, "S P"]
    """Flat parameters, rounded to float64."""


def descend(
    arithmetic: Arithmetic,
    target: str,
    hidden: int,
    rate: float,
    epochs: int,
    *,
    order: Int[np.ndarray, "N"] | None = None,
    settled: int = 0,
    stop_above: float = np.inf,
) -> Course:
    """Gradient descent on the standard data from the standard weights, equations 1 and 2 of the document.

    Args:
        arithmetic: in which everything is computed; data and weights are the float64 numbers, rounded to it.
        target: `"f1"` or `"f2"`.
        hidden: h, the bias unit counted.
        rate: learning rate, a float64 number like the data.
        epochs: steps at most.
        order: in which the points of the training set are taken; sums depend on it by rounding alone.
        settled: before this epoch nothing stops it.
        stop_above: from then on descent ends when the loss exceeds its smallest so far by this factor.
    """
    x = standard_data().x
    x = x if order is None else x[order]
    with arithmetic.rounding(), np.errstate(over="ignore", invalid="ignore"):
        x, y, step = (arithmetic.array(each) for each in (x, TARGETS[target](x), np.array(rate)))
        u, v = (arithmetic.array(each) for each in split(standard_weights(hidden)))
        return _descend(x, y, step, u, v, epochs, settled, stop_above)


def _descend(x: Any, y: Any, rate: Any, u: Any, v: Any, epochs: int, settled: int, stop_above: float) -> Course:
    losses, params, smallest = [], [], np.inf
    for epoch in range(epochs + 1):
        units = 1 / (1 + np.exp(-(u[:, :1] * x + u[:, 1:])))
        error = (v[:-1, None] * units).sum(axis=0) + v[-1] - y
        losses.append(float((error * error).sum() / (2 * len(x))))
        params.append(flat(Weights(u.astype(np.float64), v.astype(np.float64))))
        if epoch >= settled and not losses[-1] <= stop_above * smallest:
            break
        smallest = min(smallest, losses[-1])
        back = error * v[:-1, None] * units * (1 - units)
        slope_u = np.stack([(back * x).sum(axis=1), back.sum(axis=1)], axis=1) / len(x)
        slope_v = np.concatenate([(error * units).sum(axis=1), error.sum(keepdims=True)]) / len(x)
        u, v = u - rate * slope_u, v - rate * slope_v
    return Course(np.array(losses), np.stack(params))
