"""A problem: data, a loss and, where one is known, the global minimum."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxland._numbers import named_columns, real_numbers
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

    class _Points:
        """The fields `Problem.x` and `Problem.y`: whatever is given, an array is kept."""

        def __get__(self, problem: object | None, owner: type) -> np.ndarray: ...
        def __set__(self, problem: object, values: Any) -> None: ...

    _LossField = _AsLoss
else:
    _Points = Any
    _LossField = Loss | str | Callable


@dataclass(frozen=True, eq=False)
class Problem:
    """What every fit of an ensemble is trained on.

    Attributes:
        x: inputs (N, D), float64; lists, arrays and tables of pandas, Polars or Arrow become such an array, and a
            vector one column. Text is not guessed at: see `one_hot`.
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

    x: _Points
    y: _Points
    loss: _LossField = _AsLoss()
    name: str = "custom"
    network: Network | None = None
    minimum: np.ndarray | None = None

    def __repr__(self) -> str:
        sizes = f"{len(self.x):,} points, {self.x.shape[1]} inputs, {self.y.shape[1]} outputs"
        return f"Problem({self.name!r}, {sizes}, {self.loss.name})"

    def __post_init__(self):
        set_field = object.__setattr__
        set_field(self, "x", _columns("x", self.x))
        set_field(self, "y", _columns("y", self.y))
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


def _columns(name: str, values: Any) -> np.ndarray:
    columns = named_columns(values)
    values = real_numbers(name, values)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.size == 0:
        shape = tuple(values.shape)
        raise ValueError(f"{name} must hold at least one point, shape (points, components) or (points,); got {shape}.")
    bad = ~np.isfinite(values)
    rows = np.flatnonzero(bad.any(axis=1))
    if len(rows):
        named = [repr(name) for (name, _), some in zip(columns, bad.any(axis=0), strict=False) if some]
        where = f" (column {', '.join(named)})" if named else ""
        raise ValueError(
            f"{name}{where} has NaN or infinite values in {len(rows)} of {len(values)} points, first at {rows[0]}."
        )
    values.setflags(write=False)
    return values
