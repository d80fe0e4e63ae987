"""Labels: which target stands beside each input, in earnest or as a placebo."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxland._short import in_short
from jaxland.problems import Problem

Sampler = Callable[[np.random.Generator, Float[np.ndarray, "N O"]], Float[np.ndarray, "N O"]]
"""Draws placebo labels, given a generator and the real labels."""

Labels = Literal["permuted"] | Sampler


class Split(NamedTuple):
    """Points trained on and points held out; both are fixed before any label is permuted."""

    training: Problem
    held_out: Problem
    training_points: Int[np.ndarray, "N"]
    """Their places in the whole problem, increasing."""
    held_out_points: Int[np.ndarray, "M"]

    __repr__ = in_short


def split(problem: Problem, share: float = 0.25, seed: int = 0) -> Split:
    """Holds out a random share of the points, rounded to whole points, at least one and not all.

    Raises:
        ValueError: the share is not between 0 and 1, or there is only one point.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share held out must lie between 0 and 1; got {share}.")
    points = len(problem.x)
    if points < 2:
        raise ValueError("one point cannot be split; give at least two.")
    held = min(max(round(share * points), 1), points - 1)
    order = np.random.default_rng(seed).permutation(points)
    held_out, training = np.sort(order[:held]), np.sort(order[held:])
    return Split(_part(problem, training), _part(problem, held_out), training, held_out)


def _part(problem: Problem, points: Int[np.ndarray, "M"]) -> Problem:
    weights = None if problem.weights is None else problem.weights[points]
    return Problem(
        problem.x[points], problem.y[points], problem.loss, problem.name, weights=weights, penalty=problem.penalty
    )


def random_order(random: np.random.Generator, points: int, groups: np.ndarray | None = None) -> Int[np.ndarray, "N"]:
    """A random permutation of the points, within groups where they are given: every one is equally likely.

    Args:
        random: what draws it.
        points: N, how many.
        groups: the group of each point (N,); a label stays within its group.
    """
    if groups is None:
        return random.permutation(points)
    order = np.empty(points, np.int64)
    order[np.argsort(groups, kind="stable")] = np.lexsort((random.random(points), groups))
    return order


def distinct_labellings(y: Float[np.ndarray, "N O"], groups: np.ndarray | None = None) -> float:
    """How many different label vectors permutations can make, infinite beyond 1e300.

    No permutation test can have a smaller p-value than one over this number.
    """
    groups = np.zeros(len(y)) if groups is None else groups
    logarithm = 0.0
    for group in np.unique(groups):
        labels = y[groups == group]
        _, repeats = np.unique(labels, axis=0, return_counts=True)
        logarithm += math.lgamma(len(labels) + 1) - sum(math.lgamma(count + 1) for count in repeats)
    return float(np.rint(math.exp(logarithm))) if logarithm < 30 else math.exp(logarithm) if logarithm < 690 else np.inf
