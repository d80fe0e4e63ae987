"""What an ensemble is: everything that determines each of its fits, checked before any work starts."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Float, Int, Integer

from jaxland._asking import first_line, in_words, remedy_of, returned, shape_of
from jaxland._by_value import ByValue
from jaxland._names import NAMES_TAKEN, OWN, near
from jaxland._numbers import in_dtype, real_numbers, whole_number
from jaxland._precision import get_dtype
from jaxland._short import in_short
from jaxland.networks import Network
from jaxland.problems import Problem, checked_weights
from jaxland.training import batches
from jaxland.training.step import Points
from jaxland.training.traced import trace_optimizer, traced
from jaxland.training.transformations import taking_what_it_takes
from jaxland.training.validation import Validation, is_split, require_apart, require_no_split

# Enough to tell a row for each from one for all.
_PROBED = 3

_OF_STEPS = "of optax.MultiSteps give MultiSteps(...).gradient_transformation()"

OptimizerFactory = Callable[..., optax.GradientTransformation]

ByNumber = Callable[[Int[np.ndarray, "W"]], np.ndarray]
"""What some fits have, from their numbers: a pure function whose result has a row for each. It serves ensembles that
can grow, where an array with a row for every fit cannot be given. Whether it is the same as when a study began is told
by the first few fits, and by as many as an attribute `period` of it says, after which it repeats itself.

It is no function of the step: a schedule belongs into the optimizer, as in
`functools.partial(optax.sgd, learning_rate=schedule)`. Schedules of optax are refused here, of others only such as do
not return a row for each number."""


class Members(NamedTuple):
    """The per-fit inputs of some fits; W is how many."""

    fits: Int[np.ndarray, "W"]
    seeds: Int[np.ndarray, "W"]
    """What enters the key of each fit: its number, or what `Ensemble.seeds` has for it."""
    hyperparameters: dict[str, Float[np.ndarray, "W"]]
    init_scale: Float[np.ndarray, "W"]
    start: Float[np.ndarray, "W P"] | None
    x: np.ndarray
    """(N, D), shared, or (W, N, D), each fit's own."""
    y: np.ndarray
    """(N, K), shared, or (W, N, K), each fit's own."""
    weights: np.ndarray | None
    """Factors of the points (N,), shared, or (W, N), each fit's own; None where there are none."""
    keys: Integer[np.ndarray, "W 2"]
    """The key of each fit, by words."""
    held_out: tuple[np.ndarray, np.ndarray] | None
    """Inputs and targets of the validation, shared or each fit's own."""

    def rows(self, rows: slice) -> "Members":
        """Those of some of the fits."""
        own: dict[str, Any] = {name: values[rows] for name in ("x", "y") if (values := getattr(self, name)).ndim == 3}
        if self.held_out is not None:
            own["held_out"] = tuple(values[rows] if values.ndim == 3 else values for values in self.held_out)
        if self.weights is not None and self.weights.ndim == 2:
            own["weights"] = self.weights[rows]
        return self._replace(
            fits=self.fits[rows],
            seeds=self.seeds[rows],
            hyperparameters={name: values[rows] for name, values in self.hyperparameters.items()},
            init_scale=self.init_scale[rows],
            start=None if self.start is None else self.start[rows],
            keys=self.keys[rows],
            **own,
        )


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Many fits of one configuration. Fit i depends on these fields and on i alone.

    Attributes:
        network: what is trained.
        problem: what it is trained on.
        optimizer: an optax transformation, or a factory such as `optax.adam` to be called with `hyperparameters`.
        steps: optimizer steps of each fit; left out where `epochs` are given.
        seed: the key of fit i is `jax.random.fold_in(jax.random.key(seed), i)`.
        dtype: `"float32"` or `"float64"`. Initial parameters are drawn in float32 in both cases, so that a fit starts
            from the same point in either.
        hyperparameters: numbers for the factory, and those that the problem's loss and penalties take, each one for
            all fits or one a fit, (F,). They are traced: changing them compiles nothing, and what the factory decides
            by them in Python belongs into `functools.partial`.
        init_scale: factor on the initial parameters, one for all or one a fit.
        start: own starting points (F, P) instead of `network.init`.
        inputs: own inputs of each fit (F, N, D) instead of `problem.x`.
        targets: own targets of each fit (F, N, K) instead of `problem.y`; these may be non-finite.
        weights: own weights of each fit's points (F, N) instead of `problem.weights`.
        seeds: what enters the key of each fit (F,) in place of its number, integers in [0, 2**32): fits for which it is
            the same start from the same parameters and take the same batches.
            Each of these seven may also be a function of the fits' numbers, see `ByNumber`.
        batch_size: B, points of a step; all by default. See `batches` for the order in which they are taken.
        epochs: passes over the points of each fit, in place of `steps`; a step is one where there are no batches.
        replacement: whether each point of a batch is drawn from all, whatever was drawn before; by default all points
            are shuffled anew every epoch, and each is taken once in it.
        validation: see `Validation`.
        first: the fit to which entry 0 of every per-fit array belongs.
        trace_every: keep the losses of steps 0, k, 2k, ... for this k; None keeps none.
        snapshots: steps whose parameters are kept.
        columns: what tables say of each fit besides hyperparameters, by name: a number or text for all, one a fit
            (F,), or a function of the fits' numbers. It decides nothing.

    Raises:
        TypeError, ValueError: a field out of range, naming the field, the value and the remedy.
    """

    network: Network
    problem: Problem
    optimizer: optax.GradientTransformation | OptimizerFactory
    steps: int = 0
    seed: int = 0
    dtype: str = "float32"
    hyperparameters: Mapping[str, float | np.ndarray | ByNumber] = field(default_factory=dict)
    init_scale: float | np.ndarray | ByNumber = 1.0
    start: np.ndarray | ByNumber | None = None
    inputs: np.ndarray | ByNumber | None = None
    targets: np.ndarray | ByNumber | None = None
    weights: np.ndarray | ByNumber | None = None
    seeds: np.ndarray | ByNumber | None = None
    first: int = 0
    batch_size: int | None = None
    replacement: bool = False
    epochs: int | None = None
    validation: Validation | None = None
    trace_every: int | None = None
    snapshots: tuple[int, ...] = ()
    columns: Mapping[str, float | str | np.generic | np.ndarray | ByNumber] = field(default_factory=dict)

    __repr__ = in_short

    def __post_init__(self):
        for name, kind, such in (("network", Network, "mlp([1, 5, 1])"), ("problem", Problem, "Problem(x, y)")):
            if not isinstance(getattr(self, name), kind):
                found = type(getattr(self, name)).__name__
                raise TypeError(f"{name} must be a jaxland {kind.__name__}, such as jl.{such}; got {found}.")
        get_dtype(self.dtype)
        whole_number("seed", self.seed, 0, 2**32 - 1)
        whole_number("first", self.first, 0, 2**32 - 1)
        if self.trace_every is not None:
            positive("trace_every", self.trace_every)
        self._set_aside()
        self._check_optimizer()
        for name, values in {**self._per_fit, "seeds": self.seeds}.items():
            _require_argument(name, values)
        self._check_numbers()
        self._seeds_of(np.array([self.first]), np.array([0]))
        self._check_columns()
        self._check_data()
        self._check_batches()
        self._count_steps()
        object.__setattr__(self, "snapshots", tuple(sorted(set(steps_of(self.snapshots)))))
        if self.snapshots and not 0 <= self.snapshots[0] <= self.snapshots[-1] <= self.steps:
            raise ValueError(f"snapshots must be steps between 0 and {self.steps}; got {list(self.snapshots)}.")
        self.per_fit_count()
        self._check_widths()
        traced(self, self.number_format)

    def __getstate__(self) -> ByValue:
        return ByValue(
            vars(self),
            "these fits, or their ensemble, cannot be pickled",
            "Keep fits by fits.save(path), read by jl.Fits.load(path, optimizer=...), or train them with what has "
            "a name, such as optax.adam and hyperparameters={'learning_rate': ...} in place of optax.adam(...)",
        )

    def __setstate__(self, state: dict[str, Any] | ByValue):
        vars(self).update(state.value if isinstance(state, ByValue) else state)  # copied, it is no pickle

    @cached_property
    def number_format(self) -> np.dtype:
        """The dtype in which fits are trained."""
        return get_dtype(self.dtype)

    @cached_property
    def scalar_type(self) -> str:
        """What scalar programs call it: `"f32"` or `"f64"`."""
        return f"f{8 * self.number_format.itemsize}"

    @cached_property
    def subnormal(self) -> str:
        """Which of the given arrays hold numbers below the smallest normal one, in words; empty where none does.

        Of a function of fits' numbers the first rows are looked at.

        Where none does, every backend takes numbers that become so small while it trains for zero: a processor may need
        a hundred times as long for them.
        """
        given = {
            **self._per_fit,
            "x": self.problem.x if self.inputs is None else None,
            "y": self.problem.y if self.targets is None else None,
        }
        probed = np.arange(_PROBED) + self.first
        held = {name: _rows(name, v, probed) if callable(v) else v for name, v in given.items() if v is not None}
        return " and ".join(name for name, values in held.items() if _has_subnormal(values, self.number_format))

    def _set_aside(self):
        """What `validation` sets aside of each fit's points is no training point of it."""
        if self.validation is not None and not isinstance(self.validation, Validation):
            raise TypeError(
                "validation must be a jaxland.training.Validation, such as Validation(x, y) or Validation(share=0.2); "
                f"got {self.validation!r}."
            )
        given = {name: getattr(self, name) for name in ("inputs", "targets", "weights")}
        if self.validation is None or self.validation.share is None:
            require_no_split({**given, **(self.validation.per_fit if self.validation else {})})
            return
        taken = [name for name, values in given.items() if values is not None and not is_split(values)]
        if taken:
            raise ValueError(
                f"validation takes a share of the problem's points, but {taken[0]} gives each fit its own; give "
                "validation=(x, y), which may be functions of the fits' numbers, too."
            )
        for name, value in self.validation.split(self.problem, self.keys).items():
            object.__setattr__(self, name, value)

    def keys(self, fits: Int[np.ndarray, "W"]) -> Integer[np.ndarray, "W 2"]:
        """The keys of fits, `fold_in(key(seed), fit)` or with what `seeds` has in its place, by words."""
        seeds = self.seeds
        rows = None if seeds is None or callable(seeds) else np.clip(fits - self.first, 0, len(seeds) - 1)
        return np.asarray(batches.fold_in(batches.key_of(self.seed), self._seeds_of(fits, rows)))

    @cached_property
    def optimizer_numbers(self) -> dict[str, Any]:
        """Those of the hyperparameters that the optimizer is made with."""
        return {name: value for name, value in self.hyperparameters.items() if name not in self.problem.numbers}

    def own_columns(self, fits: Int[np.ndarray, "W"]) -> dict[str, Any]:
        """What tables say of fits besides their losses: hyperparameters, what else is one number a fit, and `columns`.

        Of each name a value for each of the fits, (W,), or one where all have the same. A hyperparameter that has the
        name of a result, such as "loss", stands under "own.loss".
        """
        given = dict(self.hyperparameters)
        others = {"seed": self.seeds, "init_scale": self.init_scale}
        given |= {name: value for name, value in others.items() if callable(value) or np.ndim(value) == 1}
        taken = self._names_taken
        given = {f"{OWN}{name}" if name in taken else name: value for name, value in given.items()}
        rows = fits - self.first
        return {
            name: _rows(name, value, fits) if callable(value) else np.asarray(value)[rows] if np.ndim(value) else value
            for name, value in {**given, **self.columns}.items()
        }

    @property
    def _names_taken(self) -> frozenset[str]:
        """Columns of tables that say something else: results, and metrics at the best validation."""
        metrics = self.validation.metrics if self.validation else {}
        return NAMES_TAKEN | {f"best_{name}" for name in metrics}

    def _check_columns(self):
        if not isinstance(self.columns, Mapping):
            raise TypeError(f"columns must be numbers or texts by name, as in {{'width': 8}}; got {self.columns!r}.")
        for name, value in self.columns.items():
            if not isinstance(name, str) or name in self._names_taken:
                raise ValueError(f"columns cannot have the name {name!r}, which tables use themselves; give another.")
            place = f"columns[{name!r}]"
            _require_argument(place, value)
            told = np.asarray(_rows(place, value, np.arange(_PROBED) + self.first) if callable(value) else value)
            if told.ndim > 1 or told.dtype.kind not in "biufU":
                raise TypeError(
                    f"{place} must be a number or a text, or one a fit with shape (fits,); got {in_words(told)}."
                )

    def _check_optimizer(self):
        if not isinstance(self.hyperparameters, Mapping):
            raise TypeError(
                "hyperparameters must be numbers by name, as in {'learning_rate': 0.1}; got "
                f"{self.hyperparameters!r}."
            )
        for name, value in self.hyperparameters.items():
            _check_hyperparameter(name, value)
        numbers = self.optimizer_numbers
        if isinstance(self.optimizer, optax.GradientTransformation):
            if numbers:
                known = self.problem.numbers
                of_loss = f" The loss and its penalties take {', '.join(known)}." if known else ""
                of_loss += near(next(iter(numbers)), known)
                raise TypeError(
                    "hyperparameters need an optimizer that is a factory: pass optax.adam and "
                    f"hyperparameters={{'learning_rate': ...}}, not optax.adam(...).{of_loss}"
                )
            return
        if not callable(self.optimizer):
            also = f"; {_OF_STEPS}" if isinstance(self.optimizer, optax.MultiSteps) else ""
            raise TypeError(
                f"optimizer must be an optax transformation or a factory of one; got {self.optimizer!r}{also}."
            )
        signature = inspect.signature(self.optimizer)
        both = sorted(self.problem.numbers.keys() & signature.parameters.keys() & self.hyperparameters.keys())
        if both:
            raise TypeError(
                f"hyperparameters[{both[0]!r}] is a number of the optimizer and of the loss or a penalty; give that of "
                "the loss or the penalty another name."
            )
        try:
            signature.bind(**numbers)
        except TypeError as error:
            raise TypeError(
                f"the optimizer cannot be made: {error}.{self._near(signature)} Give "
                "hyperparameters={'learning_rate': ...}, or pass a finished one such as optax.adam(0.01)."
            ) from None

    def _near(self, signature: inspect.Signature) -> str:
        """Of a hyperparameter that nothing takes, those that may be meant."""
        known = [*signature.parameters, *self.problem.numbers]
        strange = [name for name in self.optimizer_numbers if name not in known]
        return "".join(f" It takes no {name!r}.{near(name, known)}" for name in strange[:1])

    def _count_steps(self):
        """Makes steps of epochs, which then are gone: what is trained is counted in steps."""
        if self.epochs is None:
            positive("steps", self.steps)
        elif self.steps:
            raise ValueError(f"give steps or epochs, not both; got steps={self.steps} and epochs={self.epochs}.")
        else:
            positive("epochs", self.epochs)
            object.__setattr__(self, "steps", int(self.epochs) * self.steps_an_epoch)
            object.__setattr__(self, "epochs", None)
        if self.batch_size is not None and self.steps >= 2**31:
            raise ValueError(f"batches are numbered in 32 bits; steps={self.steps} are too many.")

    def _check_batches(self):
        if not isinstance(self.replacement, bool | np.bool_):
            raise TypeError(f"replacement must be True or False; got {self.replacement!r}.")
        if self.batch_size is None:
            if self.replacement:
                raise ValueError("replacement=True is about the points of a batch; give batch_size, too.")
            return
        positive("batch_size", self.batch_size)
        if self.batch_size > self.x_shape[0]:
            raise ValueError(
                f"batch_size={self.batch_size} is more than the {self.x_shape[0]} points of a fit; leave it out to "
                "train with all of them."
            )

    def _check_data(self):
        data = {"inputs": (self.inputs, self.problem.x), "targets": (self.targets, self.problem.y)}
        for name, (values, shared) in data.items():
            shape = self._shape(values)
            if values is not None and (len(shape) != 3 or shape[2] != shared.shape[1]):
                raise ValueError(f"{name} must have shape (fits, points, {shared.shape[1]} components); got {shape}.")
        if self.x_shape[0] != self.y_shape[0]:
            raise ValueError(f"a fit has {self.x_shape[0]} inputs but {self.y_shape[0]} targets.")
        if self.weights is not None and self._shape(self.weights)[1:] != self.x_shape[:1]:
            raise ValueError(f"weights must have shape (fits, {self.x_shape[0]}); got {self._shape(self.weights)}.")
        if self.validation is not None:
            self._check_held_out()
        if self.start is not None and self._shape(self.start)[1:] != (self.network.size,):
            raise ValueError(f"start must have shape (fits, {self.network.size}); got {self._shape(self.start)}.")

    def _check_held_out(self):
        validation = self.validation
        assert validation is not None
        shapes = [self._shape(values)[-2:] for values in (validation.x, validation.y)]
        for name, shape, own in zip("xy", shapes, (self.x_shape, self.y_shape), strict=True):
            if shape[-1:] != own[1:]:
                raise ValueError(f"validation {name} must have {own[1]} components, as {name} has; got {shape[-1:]}.")
        if shapes[0][0] != shapes[1][0]:
            raise ValueError(f"validation has {shapes[0][0]} inputs but {shapes[1][0]} targets.")
        for name, values in validation.per_fit.items():
            if callable(values):
                _require_finite(name, real_numbers(name, _rows(name, values, np.arange(_PROBED) + self.first)))
        if self.inputs is None and self.targets is None:
            require_apart(self.problem, validation)

    def _check_numbers(self):
        """What is not asked of functions here is checked as `members` asks them."""
        for name, values in {**self._per_fit, "problem.x": self.problem.x, "problem.y": self.problem.y}.items():
            if values is not None:
                values = _rows(name, values, np.arange(_PROBED) + self.first) if callable(values) else values
                in_dtype(name, values, self.number_format)
        for name, values in self.hyperparameters.items():
            values = _rows(name, values, np.arange(_PROBED) + self.first) if callable(values) else values
            self.problem.loss.require_in_range(name, values)
            if np.isnan(real_numbers(name, values)).any():
                raise ValueError(f"hyperparameters[{name!r}] has NaN, with which nothing can be trained; give numbers.")
        if self.init_scale is None:
            raise TypeError("init_scale must be one number, or one a fit; got None, in place of 1.")

    @property
    def _per_fit(self) -> dict[str, Any]:
        """What each fit may have of its own, by name."""
        return {
            **{f"hyperparameters[{name!r}]": value for name, value in self.hyperparameters.items()},
            "init_scale": self.init_scale,
            "start": self.start,
            "inputs": self.inputs,
            "targets": self.targets,
            "weights": self.weights,
            **(self.validation.per_fit if self.validation else {}),
        }

    def _shape(self, values: Any) -> tuple[int, ...]:
        if callable(values):
            values = np.asarray(values(np.array([self.first])))
        return np.shape(values)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """(N, D), the shape of the inputs of one fit."""
        return self._data_shapes[0]

    @property
    def y_shape(self) -> tuple[int, ...]:
        """(N, O), the shape of the targets of one fit."""
        return self._data_shapes[1]

    @cached_property
    def _data_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        x, y = (self.problem.x, self.inputs), (self.problem.y, self.targets)
        x_shape, y_shape = (np.shape(shared) if own is None else self._shape(own)[1:] for shared, own in (x, y))
        return x_shape, y_shape

    @property
    def points_a_step(self) -> int:
        """B, of a batch, or N where all are taken."""
        return self.x_shape[0] if self.batch_size is None else int(self.batch_size)

    @property
    def sampled(self) -> bool:
        """Whether the loss of a step is one of many that the same parameters may have: of a batch, or with noise."""
        return self.batch_size is not None or self.network.takes_key

    @property
    def steps_an_epoch(self) -> int:
        """In which each point is taken once; the last batch has what is left."""
        return -(-self.x_shape[0] // self.points_a_step)

    @property
    def weighted(self) -> bool:
        """Whether the points of a step have factors: given weights, or those of a last batch that is not full."""
        uneven = not self.replacement and self.x_shape[0] % self.points_a_step != 0
        return self.weights is not None or self.problem.weights is not None or uneven

    def points_of(self, count: int, dtype: np.dtype) -> Points:
        """The shapes of so many points, as a step or a part of one takes them."""
        x, y, weights = (jax.ShapeDtypeStruct(shape, dtype) for shape in self._shapes_of(count))
        noise = jax.ShapeDtypeStruct((2,), np.uint32) if self.network.takes_key else None
        return Points(x, y, weights if self.weighted else None, noise)

    def _shapes_of(self, count: int) -> list[tuple[int, ...]]:
        return [(count, *self.x_shape[1:]), (count, *self.y_shape[1:]), (count,)]

    def _check_widths(self):
        name, widths, inputs = self.network.spec.name, self.network.spec.widths, self.x_shape[1]
        if widths and widths[0] != inputs:
            raise ValueError(f"network {name!r} takes {widths[0]} inputs, but x has {inputs} components.")

    def check_shapes(self, prediction: Any, y: Any) -> None:
        """Asks for the shapes that network and loss give, so that nothing is silently broadcast.

        Args:
            prediction, y: of the network and of the targets, while they are traced.

        Raises:
            ValueError: they do not fit, or the loss has no meaning for the targets.
        """
        name, loss = self.network.spec.name, self.problem.loss
        shaped = len(prediction.shape) == 2 and prediction.shape[0] == y.shape[0]
        if not shaped or not loss.takes(prediction.shape[1], y.shape[1]):
            components = {"labels": ", or one component, the number of the class", "half": "/2"}
            also = components.get(loss.components, "")
            raise ValueError(
                f"network {name!r} returns shape {prediction.shape} for {y.shape[0]} points, but y has shape "
                f"{y.shape}; apply must return (points, outputs), and loss {loss.name!r} takes targets (points, "
                f"outputs{also})."
            )
        object.__setattr__(self, "_outputs", prediction.shape[1])
        self._check_targets(prediction.shape[1])
        values = returned(f"loss {loss.name!r}", loss.values, prediction, y)
        if shape_of(values) != (y.shape if loss.pointwise is None else y.shape[:1]):
            remedy = "give a function that works elementwise" if loss.pointwise is None else "it must return (points,)"
            raise ValueError(
                f"loss {loss.name!r} returns {in_words(values)} for predictions of shape {y.shape}; {remedy}, and "
                "leave means and sums to jaxland.problems.Loss. A function that has one number for all outputs of a "
                "point, as cross-entropy has, is Loss(name, pointwise=function)."
            )
        if self.validation is not None:
            self._check_metrics(self.validation, prediction, y)

    def _check_metrics(self, validation: Validation, prediction: Any, y: Any) -> None:
        count = self._shape(validation.x)[-2]
        shapes = (jax.ShapeDtypeStruct((count, each.shape[1]), each.dtype) for each in (prediction, y))
        prediction, target = shapes
        for name, metric in validation.metrics.items():
            values = returned(f"metrics[{name!r}]", metric, prediction, target)
            if shape_of(values) not in ((), (count,)):
                raise TypeError(
                    f"metrics[{name!r}] must return one number, or one for each of the {count} points; for predictions "
                    f"of shape {prediction.shape} and targets of shape {target.shape} it returns {in_words(values)}."
                )

    def check_penalties(self, params: Any) -> None:
        """Asks penalties for numbers.

        Args:
            params: shapes of them, as a pytree.

        Raises:
            TypeError: one cannot be taken, or returns something else.
        """
        for penalty in self.problem.penalty:
            numbers = penalty.numbers
            value = returned(f"penalty {penalty.name!r}", lambda p, of=penalty, n=numbers: of.function(p, **n), params)
            penalty.require_number(value)

    def _check_targets(self, outputs: int) -> None:
        given = {"y": self.problem.y if self.targets is None else self.targets}
        if self.validation is not None:
            given["validation y"] = self.validation.y
        for name, targets in given.items():
            values = targets(np.arange(_PROBED) + self.first) if callable(targets) else targets
            wrong = self.problem.loss.what_is_wrong(np.asarray(values, np.float64), outputs)
            if wrong:
                raise ValueError(f"{name} {wrong} (loss {self.problem.loss.name!r}).")

    @property
    def has_own_numbers(self) -> bool:
        """Whether anything is given that fits can differ in, besides the keys of `network.init`."""
        given = any(callable(v) or (v is not None and np.ndim(v) > 0) for v in self._per_fit.values())
        return given or self.sampled

    def per_fit_count(self) -> int | None:
        """How many fits the per-fit arrays describe, or None where there are no such arrays.

        Raises:
            ValueError: they disagree.
        """
        columns = {f"columns[{name!r}]": values for name, values in self.columns.items()}
        lengths = {
            name: len(values)
            for name, values in {**self._per_fit, "seeds": self.seeds, **columns}.items()
            if values is not None and not callable(values) and np.ndim(values) > 0
        }
        deep = [name for name, value in self.hyperparameters.items() if len(self._shape(value)) > 1]
        if deep or len(self._shape(self.init_scale)) > 1:
            raise ValueError(f"{', '.join(deep) or 'init_scale'} must be one number, or one a fit with shape (fits,).")
        if len(set(lengths.values())) > 1:
            raise ValueError(f"per-fit arrays must have one entry a fit; their lengths differ: {lengths}.")
        return next(iter(lengths.values()), None)

    def transformation(self, hyperparameters: Mapping) -> optax.GradientTransformationExtraArgs:
        """The optax transformation of one fit with these (traced) numbers.

        Its update takes `value`, `grad` and `value_fn`; see `taking_what_it_takes`.
        """
        made = self.optimizer
        if not isinstance(made, optax.GradientTransformation):
            made = made(**{name: hyperparameters[name] for name in self.optimizer_numbers})
        if not isinstance(made, optax.GradientTransformation):
            raise TypeError(f"the optimizer made a {type(made).__name__}, no optax transformation; {_OF_STEPS}.")
        return taking_what_it_takes(optax.with_extra_args_support(made))

    def why_no_step(self, error: Exception, traced: Mapping[str, Any], *shapes: Any) -> TypeError:
        """What is wrong with an optimizer that cannot take a step, in words.

        Args:
            error: what it raised.
            traced: the shapes of its hyperparameters.
            shapes: of the other arguments of `trace_optimizer`.
        """
        culprit = self._choice(traced, shapes)
        if culprit:
            return TypeError(
                f"hyperparameters[{culprit!r}] decides what the optimizer computes, and is no number that fits can "
                f"differ in: fix it by functools.partial(optimizer, {culprit}=...), one call a value."
            )
        text = self._text()
        if text:
            name, value = text
            return TypeError(
                f"{name!r} is the text {value!r}, and the optimizer takes a number; give a number, in a sweep as each "
                f"level of factor {name!r}."
            )
        return TypeError(
            f"the optimizer cannot take a step: {type(error).__name__}: {first_line(error).removesuffix('.')}."
            f"{remedy_of(error)} It is given the gradient, the parameters, and value, grad, value_fn, grad_fn and "
            "obj_fn by name."
        )

    def _text(self) -> tuple[str, str] | None:
        """A text that a partial optimizer has where it would work with a number."""
        optimizer: Any = self.optimizer
        fixed = optimizer.keywords if isinstance(optimizer, partial) else {}
        for name, value in fixed.items():
            if isinstance(value, str):
                with suppress(Exception):  # of any kind: only whether it works is asked
                    replace(self, optimizer=partial(optimizer, **{name: 0.5}))
                    return name, value
        return None

    def _choice(self, traced: Mapping[str, Any], shapes: tuple) -> str | None:
        """The hyperparameter without which, the others being as they are, the step can be traced."""
        members = self.members(np.array([self.first]))
        fixed = {name: values[0].item() for name, values in members.hyperparameters.items()}
        asked = {name: _as_given(value, fixed[name]) for name, value in self.hyperparameters.items()}
        for name in traced if self._works(asked, shapes) else ():
            if not self._works({**asked, name: traced[name]}, shapes):
                return name
        return None

    def _works(self, hyperparameters: Mapping[str, Any], shapes: tuple) -> bool:
        try:
            trace_optimizer(self, hyperparameters, *shapes)
        except Exception:  # of any kind: only whether it works is asked, the error was reported or will be
            return False
        return True

    def members(self, fits: Int[np.ndarray, "W"]) -> Members:
        """The per-fit inputs of `fits`. Fits outside the per-fit arrays, which only pad a group, get the nearest."""
        dtype = self.number_format
        count = self.per_fit_count()
        rows = np.clip(fits - self.first, 0, count - 1) if count else None

        def own(name, value):
            return in_dtype(name, _rows(name, value, fits) if callable(value) else np.asarray(value)[rows], dtype)

        def each(name, value):
            return np.full(len(fits), value, dtype) if not callable(value) and np.ndim(value) == 0 else own(name, value)

        def number(name, value):
            values = each(name, value)
            self.problem.loss.require_in_range(name, values)
            return values

        y = np.asarray(self.problem.y, dtype) if self.targets is None else own("targets", self.targets)
        if callable(self.targets):
            wrong = self.problem.loss.what_is_wrong(y, vars(self)["_outputs"])
            if wrong:
                raise ValueError(
                    f"targets of fits {fits[0]} to {fits[-1]}: y {wrong} (loss {self.problem.loss.name!r})."
                )
        return Members(
            fits=fits,
            seeds=self._seeds_of(fits, rows),
            hyperparameters={name: number(name, value) for name, value in self.hyperparameters.items()},
            init_scale=each("init_scale", self.init_scale),
            start=None if self.start is None else own("start", self.start),
            x=np.asarray(self.problem.x, dtype) if self.inputs is None else own("inputs", self.inputs),
            y=y,
            weights=self._factors(own),
            keys=self.keys(fits),
            held_out=self._held_out(fits, own),
        )

    def _held_out(self, fits, own) -> tuple[np.ndarray, np.ndarray] | None:
        if self.validation is None:
            return None
        given = ("validation x", self.validation.x), ("validation y", self.validation.y)
        x, y = (
            own(name, values) if callable(values) or values.ndim == 3 else in_dtype(name, values, self.number_format)
            for name, values in given
        )
        for name, values in zip(("validation x", "validation y"), (x, y), strict=True):
            _require_finite(name, values)
        return x, y

    def _factors(self, own: Callable[[str, Any], np.ndarray]) -> np.ndarray | None:
        if self.weights is None:
            factors = self.problem.factors
            return None if factors is None else np.asarray(factors, self.number_format)
        given = own("weights", self.weights)
        weights = checked_weights("weights", given, (len(given), self.x_shape[0]))
        return np.asarray(self.problem.loss.normalized(weights), self.number_format)

    @property
    def validation_steps(self) -> Int[np.ndarray, "T"]:
        """The steps in which fits are judged: 0, k, 2k, ... and the last."""
        if self.validation is None:
            return np.arange(0)
        return np.append(np.arange(0, self.steps, self.validation_every), self.steps)

    @property
    def validation_every(self) -> int:
        """Steps from one judgement to the next."""
        by_default = max(1, self.steps // 100) if self.batch_size is None else self.steps_an_epoch
        return int((self.validation and self.validation.every) or by_default)

    def _seeds_of(self, fits: Int[np.ndarray, "W"], rows: Int[np.ndarray, "W"] | None) -> Int[np.ndarray, "W"]:
        if self.seeds is None:
            return fits
        given = np.asarray(_rows("seeds", self.seeds, fits) if callable(self.seeds) else self.seeds)
        if given.ndim != 1 or not len(given) or given.dtype.kind not in "iu" or ((given < 0) | (given >= 2**32)).any():
            raise ValueError(f"seeds must be integers in [0, 2**32), one a fit with shape (fits,); got {self.seeds!r}.")
        return (given if callable(self.seeds) else given[rows]).astype(np.int64)

    @property
    def trace_steps(self) -> Int[np.ndarray, "T"]:
        """The steps whose loss is kept."""
        return np.arange(0, self.steps + 1, self.trace_every) if self.trace_every else np.arange(0)


def _require_finite(name: str, values: np.ndarray) -> None:
    """Of what a function of fits' numbers gave; of arrays it was made sure before."""
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has NaN or infinite values in what a function of fits' numbers gives.")


def _require_argument(name: str, values: Any) -> None:
    """Raises TypeError where a function of fits' numbers cannot be given them."""
    if not callable(values):
        return
    try:
        inspect.signature(values).bind(None)
    except TypeError as error:
        raise TypeError(f"{name} must be an array, or a function of the fits' numbers (W,) alone: {error}.") from None
    except ValueError:  # of what has no signature nothing is known
        return


def _has_subnormal(values: Any, dtype: np.dtype) -> bool:
    with np.errstate(under="ignore", over="ignore"):
        sizes = np.abs(np.asarray(values, dtype))
    return bool(((sizes > 0) & (sizes < np.finfo(dtype).tiny)).any())


def _check_hyperparameter(name: str, value: Any) -> None:
    """Raises TypeError for what is no number, and for a schedule, which is a function of steps and not of fits."""
    remedy = f"functools.partial(optimizer, {name}=...)"
    if _is_from_optax(value):
        raise TypeError(
            f"hyperparameters[{name!r}] is a schedule of optax, a function of the step, where a function of the fits' "
            f"numbers is meant; give {remedy}."
        )
    fixed = remedy.replace("...", repr(value))
    if isinstance(value, str):
        raise TypeError(
            f"hyperparameters[{name!r}] is the text {value!r}; give a number, or, where a text is meant, {fixed}."
        )
    if value is None or isinstance(value, bool | np.bool_):
        raise TypeError(f"hyperparameters are numbers; fix {name} by {fixed}.")


def _is_from_optax(value: Any) -> bool:
    value = getattr(value, "func", value)
    homes = getattr(value, "__module__", None), type(value).__module__
    return callable(value) and any((home or "").split(".")[0] == "optax" for home in homes)


def _rows(name: str, function: Callable[..., Any], fits: Int[np.ndarray, "W"]) -> np.ndarray:
    """What a function of the fits' numbers gives.

    Raises:
        ValueError: not a row for each.
    """
    rows = function(fits)
    if np.ndim(rows) == 0 or len(rows) != len(fits):
        given = in_words(rows) if np.ndim(rows) == 0 else f"{len(rows)} rows"
        raise ValueError(
            f"{name}, a function of {len(fits)} fits' numbers, returned {given}; it must return one row a fit. A "
            "schedule of steps belongs into the optimizer, such as functools.partial(optax.sgd, schedule)."
        )
    return rows


def _as_given(value: Any, number: float) -> float:
    """Whole numbers stay such, so that what they decide can be told from what is only not traced."""
    return int(number) if isinstance(value, int | np.integer) else number


def steps_of(given: Any) -> tuple[int, ...]:
    """Steps whose parameters are kept.

    Raises:
        TypeError: they are no integers.
    """
    steps = tuple(given) if isinstance(given, Iterable) else (given,)
    if not isinstance(given, Iterable) or any(
        not isinstance(step, int | np.integer) or isinstance(step, bool) for step in steps
    ):
        raise TypeError(f"snapshots must be steps, as in (0, 100, 1000); got {given!r}.")
    return tuple(int(step) for step in steps)


def positive(name: str, value: int) -> None:
    """Raises ValueError unless `value` is an integer of at least one."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a positive integer; got {value!r}.")
