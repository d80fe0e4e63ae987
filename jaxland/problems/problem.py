"""A problem: data, a loss and, where one is known, the global minimum."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from jaxland._names import lookup
from jaxland._numbers import named_columns, real_numbers
from jaxland._types import AnyArray
from jaxland.networks import Network
from jaxland.problems.losses import LOSSES, Loss, get_loss
from jaxland.problems.penalties import Penalty, l1, l2


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
        if not isinstance(loss, Loss) and (not callable(loss) or isinstance(loss, type)):
            raise TypeError(
                f"loss must be a Loss, a name of one ({', '.join(LOSSES)}), or a function of prediction and target; "
                f"got {loss!r}."
            )
        vars(problem)["loss"] = loss if isinstance(loss, Loss) else Loss(getattr(loss, "__name__", "custom"), loss)


class _AsPenalties:
    """The field `Problem.penalty`: whatever is given, a tuple of `Penalty` is kept."""

    @overload
    def __get__(self, problem: None, owner: type) -> None: ...
    @overload
    def __get__(self, problem: object, owner: type) -> tuple[Penalty, ...]: ...
    def __get__(self, problem: object | None, owner: type) -> tuple[Penalty, ...] | None:
        return None if problem is None else vars(problem)["penalty"]

    def __set__(self, problem: object, penalty: Penalty | Callable | Sequence[Penalty | Callable] | None) -> None:
        given: list[Any] = [] if penalty is None else [penalty]
        if isinstance(penalty, Sequence) and not isinstance(penalty, str):
            given = list(penalty)
        for each in given:
            if each in (l1, l2):
                raise TypeError(f"penalty: {each.__name__} makes one and is to be called, as in penalty=l2(1e-3).")
            if not callable(each) or isinstance(each, type):
                raise TypeError(
                    "penalty must be a Penalty such as jl.problems.l2(1e-3), a function of the parameters, or several "
                    f"of them; got {each!r}."
                )
        vars(problem)["penalty"] = tuple(
            each if isinstance(each, Penalty) else Penalty(getattr(each, "__name__", "custom"), each) for each in given
        )


if TYPE_CHECKING:

    class _Points:
        """The fields `Problem.x` and `Problem.y`: whatever is given, an array is kept."""

        def __get__(self, problem: object | None, owner: type) -> np.ndarray: ...
        def __set__(self, problem: object, values: Any) -> None: ...

    _LossField = _AsLoss
    _PenaltyField = _AsPenalties
else:
    _Points = Any
    _LossField = Loss | str | Callable
    _PenaltyField = Penalty | Callable | Sequence | None


@dataclass(frozen=True, eq=False)
class Problem:
    """What every fit of an ensemble is trained on.

    Attributes:
        x: inputs (N, D), float64; lists, arrays and tables of pandas, Polars or Arrow become such an array, and a
            vector one column. Text is not guessed at: see `one_hot`.
        y: targets (N, O), float64, likewise.
        loss: a `Loss`, the name of one (see `LOSSES`), or a function of prediction and target that works elementwise;
            its mean over outputs and points is taken. One that couples the outputs of a point is
            `Loss(name, pointwise=function)`.
        name: used in tables.
        network: the architecture for which a global minimum is known, or None.
        minimum: its parameters (P,), float64, or None.
        weights: of the points, (N,), or None for equal ones. A mean over points is weighted by them, and does not
            depend on their scale; in a sum they are factors.
        penalty: terms of the objective in the parameters, see `l1` and `l2`: a `Penalty`, a function of the network's
            parameters, or several of them.

    Raises:
        TypeError: loss, penalty, name or network are no such thing, or two of loss and penalties take numbers of one
            name.
        ValueError: empty, masked, missing, non-finite or mismatched data, weights that are negative or all zero, or a
            minimum that does not fit the network.
    """

    x: _Points
    y: _Points
    loss: _LossField = _AsLoss()
    name: str = "custom"
    network: Network | None = None
    minimum: np.ndarray | None = None
    weights: np.ndarray | None = None
    penalty: _PenaltyField = _AsPenalties()

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
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a text; got {self.name!r}. What comes after the loss is given by its name.")
        if self.network is not None and not isinstance(self.network, Network):
            raise TypeError(f"network must be a jaxland Network, or None; got {self.network!r}.")
        set_field(self, "x", as_columns("x", self.x))
        set_field(self, "y", as_columns("y", self.y))
        if len(self.x) != len(self.y):
            raise ValueError(f"x has {len(self.x)} points but y has {len(self.y)}; give one target for each input.")
        if self.weights is not None:
            set_field(self, "weights", checked_weights("weights", self.weights, (len(self.x),)))
        names = [name for each in (self.loss, *self.penalty) for name in each.numbers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise TypeError(f"loss and penalties both take a number {twice[0]!r}; give one another name.")
        if self.minimum is not None and (self.network is None or np.shape(self.minimum) != (self.network.size,)):
            raise ValueError("a known minimum needs the network it belongs to and one entry for each parameter.")

    @property
    def numbers(self) -> dict[str, float]:
        """Numbers that loss and penalties take, by name, with the values they have by default."""
        return {name: value for each in (self.loss, *self.penalty) for name, value in each.numbers.items()}

    @property
    def factors(self) -> Float[np.ndarray, "N"] | None:
        """What the loss of each point is multiplied by; None where there are no weights."""
        return None if self.weights is None else self.loss.normalized(self.weights)

    def penalties(self, params: PyTree, numbers: Mapping[str, Any] = {}) -> Float[Array, ""]:
        """The sum of all penalties, of parameters as a pytree and numbers in place of those by default."""
        return sum((each(params, numbers) for each in self.penalty), start=jnp.zeros(()))

    def objective(self, network: Network, **numbers: float) -> Callable[[Float[AnyArray, "P"]], Float[Array, ""]]:
        """The loss of one fit, weights and penalties included, as a pure function of its flat parameters.

        Args:
            network: whose parameters they are; the dtype of these is kept.
            numbers: in place of those of loss and penalties.

        Raises:
            ValueError: neither takes a number of such a name.
        """
        for name in numbers:
            lookup("number of the loss", name, self.numbers)

        def objective(params):
            x, y = (jnp.asarray(values, params.dtype) for values in (self.x, self.y))
            weights = None if self.factors is None else jnp.asarray(self.factors, params.dtype)
            value = self.loss(network.apply_flat(params, x), y, weights, numbers)
            return value + self.penalties(network.unflatten(params), numbers) if self.penalty else value

        return objective


def checked_weights(name: str, weights: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Weights of points as float64.

    Raises:
        ValueError: another shape, negative ones, or none that is not zero.
    """
    weights = real_numbers(name, weights)
    if weights.shape != shape:
        raise ValueError(f"{name} must be one for each of the {shape[-1]} points, shape {shape}; got {weights.shape}.")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and (weights.sum(axis=-1) > 0).all()):
        raise ValueError(f"{name} must be finite, not negative, and some of them above zero.")
    weights.setflags(write=False)
    return weights


def as_columns(name: str, values: Any) -> np.ndarray:
    """Points as float64 (N, components); a vector is one column.

    Args:
        name: in messages.
        values: an array, a list, or a table of pandas, Polars or Arrow.

    Raises:
        ValueError: empty, of another shape, no numbers, missing or not finite.
    """
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
