"""A problem: data, a loss and, where one is known, the global minimum."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxland._numbers import real_numbers
from jaxland._types import AnyArray
from jaxland.networks import Network
from jaxland.problems.losses import Loss, get_loss


class _AsLoss:
    """The field `Problem.loss`: whatever is given, a `Loss` is kept."""

    @overload
    def __get__(self, problem: None, owner: type) -> str: ...
    @overload
    def __get__(self, problem: object, owner: type) -> Loss: ...
    def __get__(self, problem: object | None, owner: type) -> Loss | str:
        return "mean_squared_error" if problem is None else vars(problem)["loss"]

    def __set__(self, problem: object, loss: Loss | str | Callable) -> None:
        if isinstance(loss, str):
            loss = get_loss(loss)
        vars(problem)["loss"] = loss if isinstance(loss, Loss) else Loss(getattr(loss, "__name__", "custom"), loss)


if TYPE_CHECKING:
    _LossField = _AsLoss
else:
    _LossField = Loss | str | Callable


@dataclass(frozen=True, eq=False)
class Problem:
    """What every fit of an ensemble is trained on.

    Attributes:
        x: inputs (N, D), float64; a vector is taken as one column.
        y: targets (N, O), float64, likewise.
        loss: a `Loss`, the name of one (see `LOSSES`), or a function of prediction and target that works elementwise;
            its mean over outputs and points is taken. One that couples the outputs of a point, such as cross-entropy,
            is `Loss(name, pointwise=function)`.
        name: used in tables.
        network: the architecture for which a global minimum is known, or None.
        minimum: its parameters (P,), float64, or None.

    Raises:
        ValueError: empty, masked, missing, non-finite or mismatched data, or a minimum that does not fit the network.
    """

    x: np.ndarray
    y: np.ndarray
    loss: _LossField = _AsLoss()
    name: str = "custom"
    network: Network | None = None
    minimum: np.ndarray | None = None

    def __repr__(self) -> str:
        sizes = f"{len(self.x):,} points, {self.x.shape[1]} inputs, {self.y.shape[1]} outputs"
        return f"Problem({self.name!r}, {sizes}, {self.loss.name})"

    def _repr_html_(self) -> str:
        import pandas as pd

        columns = [*(f"x{i}" for i in range(self.x.shape[1])), *(f"y{i}" for i in range(self.y.shape[1]))]
        points = pd.DataFrame(np.hstack([self.x, self.y]), columns=columns)
        return f"<p>{html.escape(repr(self))}</p>{points.to_html(max_rows=10, max_cols=10, border=0)}"

    def __post_init__(self):
        set_field = object.__setattr__
        set_field(self, "x", as_columns("x", self.x))
        set_field(self, "y", as_columns("y", self.y))
        if len(self.x) != len(self.y):
            raise ValueError(f"x has {len(self.x)} points but y has {len(self.y)}; give one target for each input.")
        if self.minimum is not None and (self.network is None or np.shape(self.minimum) != (self.network.size,)):
            raise ValueError("a known minimum needs the network it belongs to and one entry for each parameter.")

    def objective(self, network: Network) -> Callable[[Float[AnyArray, "P"]], Float[Array, ""]]:
        """The loss of one fit as a pure function of its flat parameters, in the dtype of these."""

        def objective(params):
            x, y = (jnp.asarray(values, params.dtype) for values in (self.x, self.y))
            return self.loss(network.apply_flat(params, x), y)

        return objective


def as_columns(name: str, values: Any) -> np.ndarray:
    values = real_numbers(name, values)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.size == 0:
        shape = tuple(values.shape)
        raise ValueError(f"{name} must hold at least one point, shape (points, components) or (points,); got {shape}.")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise ValueError(f"{name} has NaN or infinite values in {len(bad)} of {len(values)} points, first at {bad[0]}.")
    values.setflags(write=False)
    return values
