"""What an ensemble is: everything that determines each of its fits, checked before any work starts."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Float, Int

from jaxland.networks import Network
from jaxland.problems import Loss, Problem
from jaxland.training.precision import get_dtype

OptimizerFactory = Callable[..., optax.GradientTransformation]

ByNumber = Callable[[Int[np.ndarray, "W"]], np.ndarray]
"""What some fits have, from their numbers: a pure function whose result has a row for each. It serves ensembles that
can grow, where an array with a row for every fit cannot be given."""


class Members(NamedTuple):
    """The per-fit inputs of some fits; W is how many."""

    fits: Int[np.ndarray, "W"]
    hyperparameters: dict[str, Float[np.ndarray, "W"]]
    init_scale: Float[np.ndarray, "W"]
    start: Float[np.ndarray, "W P"] | None
    x: np.ndarray
    """(N, D), shared, or (W, N, D), each fit's own."""
    y: np.ndarray
    """(N, O), shared, or (W, N, O), each fit's own."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Many fits of one configuration. Fit i depends on these fields and on i alone.

    Attributes:
        network: what is trained.
        problem: what it is trained on.
        optimizer: an optax transformation, or a factory such as `optax.adam` to be called with `hyperparameters`.
        steps: optimizer steps of each fit.
        seed: the key of fit i is `jax.random.fold_in(jax.random.key(seed), i)`.
        dtype: `"float32"` or `"float64"`. Initial parameters are drawn in float32 in both cases, so that a fit starts
            from the same point in either.
        hyperparameters: numbers for the factory, each one for all fits or one a fit, (F,). They are traced: changing
            them compiles nothing.
        init_scale: factor on the initial parameters, one for all or one a fit.
        start: own starting points (F, P) instead of `network.init`.
        inputs: own inputs of each fit (F, N, D) instead of `problem.x`.
        targets: own targets of each fit (F, N, O) instead of `problem.y`; these may be non-finite.
            Each of these five may also be a function of the fits' numbers, see `ByNumber`.
        first: the fit to which entry 0 of every per-fit array belongs.
        trace_every: keep the losses of steps 0, k, 2k, ... for this k; None keeps none.
        snapshots: steps whose parameters are kept.

    Raises:
        TypeError, ValueError: a field out of range, naming the field, the value and the remedy.
    """

    network: Network
    problem: Problem
    optimizer: optax.GradientTransformation | OptimizerFactory
    steps: int
    seed: int = 0
    dtype: str = "float32"
    hyperparameters: Mapping[str, float | np.ndarray | ByNumber] = field(default_factory=dict)
    init_scale: float | np.ndarray | ByNumber = 1.0
    start: np.ndarray | ByNumber | None = None
    inputs: np.ndarray | ByNumber | None = None
    targets: np.ndarray | ByNumber | None = None
    first: int = 0
    trace_every: int | None = None
    snapshots: tuple[int, ...] = ()

    def __post_init__(self):
        for name, kind in (("network", Network), ("problem", Problem)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} must be a jaxland {kind.__name__}; got {type(getattr(self, name)).__name__}.")
        positive("steps", self.steps)
        get_dtype(self.dtype)
        if not isinstance(self.seed, int | np.integer) or not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be an integer in [0, 2**32); got {self.seed!r}.")
        if self.trace_every is not None:
            positive("trace_every", self.trace_every)
        object.__setattr__(self, "snapshots", tuple(sorted({int(step) for step in self.snapshots})))
        if self.snapshots and not 0 <= self.snapshots[0] <= self.snapshots[-1] <= self.steps:
            raise ValueError(f"snapshots must be steps between 0 and {self.steps}; got {list(self.snapshots)}.")
        self._check_optimizer()
        self._check_data()
        self.per_fit_count()
        self._check_shapes()

    def _check_optimizer(self):
        if isinstance(self.optimizer, optax.GradientTransformation):
            if self.hyperparameters:
                raise TypeError(
                    "hyperparameters need an optimizer that is a factory: pass optax.adam and "
                    "hyperparameters={'learning_rate': ...}, not optax.adam(...)."
                )
            return
        if not callable(self.optimizer):
            raise TypeError(f"optimizer must be an optax transformation or a factory of one; got {self.optimizer!r}.")
        for name, value in self.hyperparameters.items():
            if isinstance(value, bool | np.bool_):
                remedy = f"functools.partial(optimizer, {name}={value})"
                raise TypeError(f"hyperparameters are numbers; fix {name} by {remedy}.")
        try:
            inspect.signature(self.optimizer).bind(**self.hyperparameters)
        except TypeError as error:
            raise TypeError(
                f"the optimizer cannot be made: {error}. Give hyperparameters={{'learning_rate': ...}}, or pass a "
                "finished one such as optax.adam(0.01)."
            ) from None

    def _check_data(self):
        data = {"inputs": (self.inputs, self.problem.x), "targets": (self.targets, self.problem.y)}
        for name, (values, shared) in data.items():
            shape = self._shape(values)
            if values is not None and (len(shape) != 3 or shape[2] != shared.shape[1]):
                raise ValueError(f"{name} must have shape (fits, points, {shared.shape[1]} components); got {shape}.")
        if self.x_shape[0] != self.y_shape[0]:
            raise ValueError(f"a fit has {self.x_shape[0]} inputs but {self.y_shape[0]} targets.")
        if self.start is not None and self._shape(self.start)[1:] != (self.network.size,):
            raise ValueError(f"start must have shape (fits, {self.network.size}); got {self._shape(self.start)}.")

    def _shape(self, values: Any) -> tuple[int, ...]:
        if callable(values):
            values = np.asarray(values(np.array([self.first])))
        return np.shape(values)

    @cached_property
    def x_shape(self) -> tuple[int, ...]:
        """(N, D), the shape of the inputs of one fit."""
        return self.problem.x.shape if self.inputs is None else self._shape(self.inputs)[1:]

    @cached_property
    def y_shape(self) -> tuple[int, ...]:
        """(N, O), the shape of the targets of one fit."""
        return self.problem.y.shape if self.targets is None else self._shape(self.targets)[1:]

    def _check_shapes(self):
        """Asks JAX for the shapes that network and loss give, so that nothing is silently broadcast."""
        x, y = (jax.ShapeDtypeStruct(shape, np.float32) for shape in (self.x_shape, self.y_shape))
        name, loss = self.network.spec.name, self.problem.loss
        widths = self.network.spec.widths
        if widths and widths[0] != x.shape[1]:
            raise ValueError(f"network {name!r} takes {widths[0]} inputs, but x has {x.shape[1]} components.")
        vector = jax.ShapeDtypeStruct((self.network.size,), np.float32)
        prediction = jax.eval_shape(lambda v, x: self.network.apply(self.network.unflatten(v), x), vector, x)
        if prediction.shape != y.shape:
            raise ValueError(
                f"network {name!r} returns shape {prediction.shape} for x of shape {x.shape}, but y has shape "
                f"{y.shape}; apply must return (points, outputs)."
            )
        assert isinstance(loss, Loss)
        values = jax.eval_shape(loss.elementwise, prediction, y)
        if values.shape != y.shape:
            raise ValueError(
                f"loss {loss.name!r} returns shape {values.shape} for predictions of shape {y.shape}; give a function "
                "that works elementwise, and leave means and sums to jaxland.problems.Loss."
            )

    def per_fit_count(self) -> int | None:
        """How many fits the per-fit arrays describe, or None where there are no such arrays.

        Raises:
            ValueError: they disagree.
        """
        lengths = {
            name: len(values)
            for name, values in {
                **{f"hyperparameters[{name!r}]": value for name, value in self.hyperparameters.items()},
                "init_scale": self.init_scale,
                "start": self.start,
                "inputs": self.inputs,
                "targets": self.targets,
            }.items()
            if values is not None and not callable(values) and np.ndim(values) > 0
        }
        deep = [name for name, value in self.hyperparameters.items() if len(self._shape(value)) > 1]
        if deep or len(self._shape(self.init_scale)) > 1:
            raise ValueError(f"{', '.join(deep) or 'init_scale'} must be one number, or one a fit with shape (fits,).")
        if len(set(lengths.values())) > 1:
            raise ValueError(f"per-fit arrays must have one entry a fit; their lengths differ: {lengths}.")
        return next(iter(lengths.values()), None)

    def transformation(self, hyperparameters: Mapping) -> optax.GradientTransformationExtraArgs:
        """The optax transformation of one fit with these (traced) numbers."""
        if isinstance(self.optimizer, optax.GradientTransformation):
            return optax.with_extra_args_support(self.optimizer)
        return optax.with_extra_args_support(self.optimizer(**hyperparameters))

    def members(self, fits: Int[np.ndarray, "W"]) -> Members:
        """The per-fit inputs of `fits`. Fits outside the per-fit arrays, which only pad a group, get the nearest."""
        dtype = get_dtype(self.dtype)
        count = self.per_fit_count()
        rows = np.clip(fits - self.first, 0, count - 1) if count else None

        def own(value):
            result = np.asarray(value(fits) if callable(value) else np.asarray(value)[rows], dtype)
            if len(result) != len(fits):
                raise ValueError(f"a function of {len(fits)} fits' numbers returned {len(result)} rows.")
            return result

        def each(value):
            return np.full(len(fits), value, dtype) if not callable(value) and np.ndim(value) == 0 else own(value)

        return Members(
            fits=fits,
            hyperparameters={name: each(value) for name, value in self.hyperparameters.items()},
            init_scale=each(self.init_scale),
            start=None if self.start is None else own(self.start),
            x=np.asarray(self.problem.x, dtype) if self.inputs is None else own(self.inputs),
            y=np.asarray(self.problem.y, dtype) if self.targets is None else own(self.targets),
        )

    @property
    def trace_steps(self) -> Int[np.ndarray, "T"]:
        """The steps whose loss is kept."""
        return np.arange(0, self.steps + 1, self.trace_every) if self.trace_every else np.arange(0)


def positive(name: str, value: int) -> None:
    """Raises ValueError unless `value` is an integer of at least one."""
    if not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a positive integer; got {value!r}.")
