"""Points on which fits are judged while they are trained, and what follows from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from jaxland._numbers import real_numbers
from jaxland.problems import Problem
from jaxland.training import batches


@dataclass(frozen=True, eq=False)
class Validation:
    """Held-out points, judged every so many steps and after the last.

        Validation(x, y, every=100, patience=10)
        Validation(share=0.2, metrics={"accuracy": jl.training.accuracy})

    Attributes:
        x: inputs (M, D), or each fit's own (F, M, D), or a function of the fits' numbers to such.
        y: targets, likewise.
        share: instead of x and y, the share of the problem's points that is set aside for each fit, drawn by its key.
        every: steps from one judgement to the next; an epoch by default, or a hundredth of all steps where there are no
            batches.
        patience: a fit stops after so many judgements without a gain; None lets all fits go on to the end. What is
            returned of a stopped fit is what it was in that step.
        min_gain: by how much a loss must fall below that of the last gain to count as one.
        metrics: further numbers to be kept, by name: functions of predictions (M, O) and targets (M, K) to a number, or
            to a number for each point, whose mean is taken.

    Raises:
        TypeError, ValueError: a field out of range, naming the field, the value and the remedy.
    """

    x: Any = None
    y: Any = None
    share: float | None = None
    every: int | None = None
    patience: int | None = None
    min_gain: float = 0.0
    metrics: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def __post_init__(self):
        share = self.share
        if share is not None and (isinstance(share, bool) or not isinstance(share, int | float | np.number)):
            raise TypeError(f"validation: share must be a number between 0 and 1; got {share!r}.")
        if share is not None and not 0 < share < 1:
            raise ValueError(f"validation: share must lie between 0 and 1; got {self.share!r}.")
        if (self.x is None) != (self.y is None) or (self.x is None and self.share is None):
            raise ValueError("validation needs x and y, or share=0.2 of the problem's points.")
        if share is not None and self.x is not None and not is_split(self.x):
            raise ValueError(f"validation: give x and y, or share={share!r} of the problem's points, not both.")
        for name in ("every", "patience"):
            value = getattr(self, name)
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if value is not None and (not whole or value < 1):
                raise ValueError(f"validation: {name} must be a positive integer; got {value!r}.")
        if not isinstance(self.min_gain, int | float | np.number) or not self.min_gain >= 0:
            raise ValueError(f"validation: min_gain must not be negative; got {self.min_gain!r}.")
        if self.min_gain and self.patience is None:
            raise ValueError(
                f"validation: min_gain={self.min_gain!r} is what patience counts as a gain; give patience, too, such "
                "as patience=10."
            )
        if not isinstance(self.metrics, Mapping):
            raise TypeError(f"metrics must be functions by name, as in {{'accuracy': accuracy}}; got {self.metrics!r}.")
        taken = sorted({"loss", "step", "validation", "validation_step"} & self.metrics.keys())
        if taken:
            raise ValueError(f"metrics[{taken[0]!r}]: a table has a column best_{taken[0]} already; take another name.")
        for name, metric in self.metrics.items():
            if not callable(metric):
                raise TypeError(f"metrics[{name!r}] must be a function of predictions and targets; got {metric!r}.")
        for name in ("x", "y"):
            values = getattr(self, name)
            if values is not None and not callable(values):
                object.__setattr__(self, name, _points(name, values))

    @property
    def per_fit(self) -> dict[str, Any]:
        """Points that are each fit's own, by name."""
        named = {"validation x": self.x, "validation y": self.y}
        return {name: values for name, values in named.items() if callable(values) or np.ndim(values) == 3}

    def split(self, problem: Problem, keys: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
        """What becomes of an ensemble's fields when each fit sets its share of points aside.

        Args:
            problem: whose points.
            keys: of fits, by their numbers.
        """
        assert self.share is not None
        count = len(problem.x)
        held = round(self.share * count)
        if not 0 < held < count:
            raise ValueError(
                f"validation: a share of {self.share:g} of {count} points is {held}, which leaves nothing to "
                f"{'judge on' if held == 0 else 'train on'}."
            )

        def rows(values: np.ndarray, part: slice) -> _Split:
            return _Split(problem, values, keys, part)

        aside, kept = slice(0, held), slice(held, None)
        weights = problem.weights
        return {
            "inputs": rows(problem.x, kept),
            "targets": rows(problem.y, kept),
            "weights": None if weights is None else rows(weights, kept),
            "validation": replace(self, x=rows(problem.x, aside), y=rows(problem.y, aside)),
        }


def validation_of(
    given: Any, every: Any = None, metrics: Any = None, patience: Any = None, min_gain: float = 0.0
) -> Validation | None:
    """What the arguments of `fit` about validation say together.

    Raises:
        TypeError, ValueError: they are out of range, or about nothing.
    """
    about = {"every": every, "metrics": metrics, "patience": patience, "min_gain": min_gain or None}
    asked = {name: value for name, value in about.items() if value is not None}
    if given is None:
        if asked:
            name = {"every": "validate_every"}.get(min(asked), min(asked))
            raise ValueError(
                f"{name} is about points that are held out: give validation=(x, y), or a share such as 0.2."
            )
        return None
    if isinstance(given, Validation):
        return replace(given, **asked)
    if isinstance(given, float | int | np.floating) and not isinstance(given, bool):
        return Validation(share=float(given), **asked)
    if isinstance(given, tuple | list) and len(given) == 2:
        return Validation(*given, **asked)
    raise TypeError(
        f"validation must be a pair (x, y) or a share of the points such as 0.2; got a {type(given).__name__}."
    )


@dataclass(frozen=True, eq=False)
class _Split:
    """Points of each fit by a share; made anew from it for another ensemble.

    Attributes:
        problem: whose points.
        values: of which each fit has rows of its own: inputs, targets or weights.
        keys: of fits, by their numbers.
        part: which places of the shuffled points.
    """

    problem: Problem
    values: np.ndarray
    keys: Callable[[np.ndarray], np.ndarray]
    part: slice

    def __call__(self, fits: np.ndarray) -> np.ndarray:
        return self.values[_permutations(self.keys(np.asarray(fits)), len(self.values))[:, self.part]]


def is_split(values: Any) -> bool:
    """Whether an ensemble's field is what a share made of it."""
    return isinstance(values, _Split)


def require_no_split(given: Mapping[str, Any]) -> None:
    """Raises ValueError where points are what a share made of those of an ensemble, and there is none any more."""
    split = [name for name, values in given.items() if is_split(values)]
    if split:
        raise ValueError(
            f"{', '.join(split)}: what a share of the points, set aside by another validation, made of them. Give "
            f"{', '.join(f'{name}=None' for name in split)}, too, for all points, or functools.partial({split[0]}) and "
            "so on for these alone."
        )


def require_apart(problem: Problem, validation: Validation) -> None:
    """Makes sure that no point that is trained on is held out, where all fits are judged by the same.

    Where data repeat points among themselves, a point on both sides is no sign of a mistake.

    Raises:
        ValueError: some are.
    """
    if validation.x is None or validation.per_fit:
        return
    trained = np.concatenate([problem.x, problem.y], axis=1)
    held_out = np.concatenate([validation.x, validation.y], axis=1)
    known = {row.tobytes() for row in trained}
    rows = [row.tobytes() for row in held_out]
    both = [place for place, row in enumerate(rows) if row in known]
    repeated = len(known) < len(trained) or len(set(rows)) < len(rows)
    if both and (not repeated or len(both) == len(rows)):
        raise ValueError(
            f"validation holds {len(both)} of the points that are trained on, the first in row {both[0]}; leave them "
            "out of one of the two, or give validation=0.2 to set a share of the problem's points aside."
        )


def _permutations(keys: np.ndarray, count: int) -> np.ndarray:
    """The points in an order of each fit, (W, N)."""
    return batches.order_of(np.asarray(batches.fold_in(keys, batches.SHARE)), 0, count)


def _points(name: str, values: Any) -> np.ndarray:
    values = real_numbers(f"validation {name}", values)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError(
            f"validation {name} must hold at least one point, shape (points, components), or (fits, points, "
            f"components); got {values.shape}."
        )
    if not np.isfinite(values).all():
        raise ValueError(f"validation {name} has NaN or infinite values.")
    return values


def accuracy(prediction: Any, target: Any) -> Any:
    """The share of points whose class is right: of the largest logit, or of the sign of a single one.

    Args:
        prediction: logits (M, O), of two classes (M, 1).
        target: numbers of classes (M, 1), or a share for each (M, O).
    """
    if prediction.shape[1] == 1:
        return (prediction[:, 0] > 0) == (target[:, 0] > 0.5)
    labels = target[:, 0] if target.shape[1] == 1 else target.argmax(axis=1)
    return prediction.argmax(axis=1) == labels
