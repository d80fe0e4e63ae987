"""Data of each fit's own, drawn from those of a problem: bootstrap samples and folds of a cross-validation."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from jaxland._numbers import whole_number
from jaxland._short import in_short
from jaxland.problems.problem import Problem

Rows = Callable[[Int[np.ndarray, "W"]], Int[np.ndarray, "W M"]]
"""From fits' numbers to the points of the problem that each is given."""


@dataclass(frozen=True)
class Resampling(Mapping):
    """Arguments of `fit` that give each fit points of its own; `fit(..., **resampling)`.

    Attributes:
        problem: whose points.
        rows: those that a fit is trained on, a pure function of its number.
        held_out: those that it is judged on, None where it is not.
    """

    problem: Problem
    rows: Rows
    held_out: Rows | None = None

    __repr__ = in_short

    @property
    def _arguments(self) -> dict[str, Any]:
        given = {"inputs": self.problem.x, "targets": self.problem.y, "weights": self.problem.weights}
        own = {name: partial(_taken, values, self.rows) for name, values in given.items() if values is not None}
        if self.held_out is None:
            return own
        return {**own, "validation": tuple(partial(_taken, a, self.held_out) for a in (self.problem.x, self.problem.y))}

    def __getitem__(self, name: str) -> Any:
        return self._arguments[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arguments)

    def __len__(self) -> int:
        return len(self._arguments)

    def unseen(self, fits: Int[np.ndarray, "W"]) -> Bool[np.ndarray, "W N"]:
        """Which points of the problem each fit is not trained on: out of bag, or of its fold."""
        seen = np.zeros((len(fits), len(self.problem.x)), bool)
        np.put_along_axis(seen, self.rows(np.asarray(fits)), True, axis=1)
        return ~seen


def _taken(values: np.ndarray, rows: Rows, fits: Int[np.ndarray, "W"]) -> np.ndarray:
    return values[rows(np.asarray(fits))]


def bootstrap(problem: Problem, *, seed: int = 0) -> Resampling:
    """As many points for each fit as the problem has, drawn with replacement: a bagged ensemble.

        fits = jl.fit(net, problem, optax.adam(0.01), fits=100, steps=1000, **jl.problems.bootstrap(problem))

    Args:
        problem: whose points.
        seed: with the fit's number it decides what is drawn.

    Raises:
        TypeError: `problem` is none.
        ValueError: seed out of range.

    References:
        Breiman, Bagging predictors (1996).
    """
    _check(problem, seed)
    return Resampling(problem, partial(_drawn, len(problem.x), int(seed)))


def _check(problem: Any, seed: Any) -> None:
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a jaxland Problem, such as Problem(x, y); got {type(problem).__name__}.")
    whole_number("seed", seed, 0, 2**32 - 1)


def _drawn(points: int, seed: int, fits: Int[np.ndarray, "W"]) -> Int[np.ndarray, "W N"]:
    return np.stack([np.random.default_rng((seed, int(fit))).integers(points, size=points) for fit in fits])


def k_fold(problem: Problem, folds: int, *, seed: int = 0) -> Resampling:
    """Cross-validation: fit i is judged on fold i modulo K, and trained on all other points.

        fits = jl.fit(net, problem, optax.adam(0.01), fits=50, steps=1000, **jl.problems.k_fold(problem, 5))

    Args:
        problem: whose points.
        folds: K; the points are shuffled once and cut into K folds of N // K, and the N modulo K left over are in none.
        seed: of the shuffle.

    Raises:
        TypeError: `problem` is none.
        ValueError: fewer than two folds, or more than there are points, so that some are empty; or seed out of range.
    """
    _check(problem, seed)
    points = len(problem.x)
    if isinstance(folds, bool) or not isinstance(folds, int | np.integer) or not 2 <= folds <= points:
        raise ValueError(
            f"folds must be an integer between 2 and {points}, the number of points, or some are empty; got {folds!r}."
        )
    order = np.random.default_rng(seed).permutation(points)
    size = points // folds
    parts = order[: folds * size].reshape(folds, size)
    others = np.stack([np.sort(np.setdiff1d(order, part)) for part in parts])
    return Resampling(problem, partial(_of_fold, others), partial(_of_fold, np.sort(parts, axis=1)))


def _of_fold(parts: Int[np.ndarray, "K M"], fits: Int[np.ndarray, "W"]) -> Int[np.ndarray, "W M"]:
    return parts[np.asarray(fits) % len(parts)]
