"""The minima that fits of an ensemble end in, told apart and counted."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxland._blocks import in_blocks
from jaxland._compiled import compiled
from jaxland._precision import numerics
from jaxland._scaling import norm
from jaxland._short import in_short
from jaxland.landscape.curvature import Objective
from jaxland.networks import Network, outputs
from jaxland.problems import Problem

# Fits that Newton's method takes first, and later, when most are recognised by what it found; at a time, and in a call.
_FIRST, _LATER, _TOGETHER, _LEAST = 512, 4096, 32, 64
# Rounds of five steps at most; the longest step, steps from which losses differ by rounding, and ends of the method, in
# units of the root of a parameter's mean square.
_ROUNDS, _LONGEST, _ROUNDING, _ENDED, _MINIMUM = 100, 0.1, 1e-5, 1e-10, 1e-8
# Shares of the largest curvature: none is taken for smaller, and so much below zero is rounding.
_FLAT, _NEGATIVE = 1e-9, 1e-10
_UNSEEN, _NONE = -2, -1


class DistinctMinima(NamedTuple):
    """M minima in the order of their losses, and which of F fits are at each."""

    params: Float[np.ndarray, "M P"]
    """One fit of each, at the bottom."""
    loss: Float[np.ndarray, "M"]
    hits: Int[np.ndarray, "M"]
    """How many fits are at it."""
    smallest_curvature: Float[np.ndarray, "M"]
    """The smallest eigenvalue of the Hessian, as a share of the largest; zero where a direction is flat."""
    label: Int[np.ndarray, "F"]
    """Which of the minima each fit is at; -1 for those that are not finite, or whose descent ended at none."""

    __repr__ = in_short


def distinct_minima(
    network: Network,
    problem: Problem,
    params: Float[np.ndarray, "F P"],
    *,
    near: float = 0.03,
    apart: float = 1e-4,
) -> DistinctMinima:
    """Which minima fits end in, and how many in each: minima are one where their functions are.

    Fits go down to the bottom by Newton's method with curvatures of positive sign, which leaves saddles, in float64,
    first some hundred of them. Others are recognised by outputs near those of a minimum that is known by then, and
    those that are not go down themselves, and so on until none is left. Minima are compared by outputs on the problem's
    inputs, so that copies of a network with its units in other order are one, whether its symmetry is declared or not,
    and so are the points of a valley along which the function does not change.

        found = distinct_minima(network, problem, fits.params)
        jl.statistics.Estimate.share(found.hits[0], len(found.label))  # which share is at the best, with its interval

    Args:
        network: whose function is smooth. At the kinks of a ReLU network Newton's method does not end; take
            `smoothed(network)`.
        problem: what the fits were trained on.
        params: ends of training, (F, P). Far from the bottom of a valley they need not be recognised, nor lie in that
            of the minimum that they are led to.
        near: fits are taken to be at a minimum if their outputs are this near to its own, and not farther than a
            quarter of what is between any two minima. With 0 all go down themselves.
        apart: minima farther apart than this are two. This and `near` are root mean squares over points and outputs, as
            shares of the standard deviation of the outputs of all.

    Returns:
        Minima and labels. A fit's label may depend on the other fits, which show what minima there are.

    Raises:
        ValueError: `params` is not a matrix with a row for each fit and a column for each of the network's parameters.
    """
    params = np.asarray(params, np.float64)
    if params.ndim != 2 or params.shape[1] != network.size:
        raise ValueError(f"params must have shape (fits, {network.size}); got {params.shape}.")
    label = np.where(np.isfinite(params).all(axis=1), _UNSEEN, _NONE)
    objective, bottoms, unit = problem.objective(network), np.zeros((0, network.size)), 0.0
    seen = np.zeros((0, problem.x.shape[0]))
    while (left := np.flatnonzero(label == _UNSEEN)).size:
        some = left[: _LATER if len(bottoms) else _FIRST]
        ends, minimal = _descended(objective, params[some])
        label[some] = _NONE
        some, ends = some[minimal], ends[minimal]
        if not len(ends):
            continue
        shown = _shown(network, problem, ends)
        unit = unit or float(shown.std()) or 1.0
        new, label[some] = _told_apart(seen, shown, apart * unit)
        bottoms = np.concatenate([bottoms, ends[new]])
        seen = np.concatenate([seen.reshape(-1, shown.shape[1]), shown[new]])
        left = np.flatnonzero(label == _UNSEEN)
        radius = min(near * unit, _closest(seen) / 4)
        for rows in (left[start : start + _LATER] for start in range(0, len(left), _LATER)):
            distance, which = _nearest(_shown(network, problem, params[rows]), seen)
            label[rows[distance < radius]] = which[distance < radius]
    loss, smallest = _described(objective, bottoms)
    order = np.argsort(loss, kind="stable")
    place = np.append(np.argsort(order), _NONE)[label]
    hits = np.bincount(place[place >= 0], minlength=len(loss))
    return DistinctMinima(bottoms[order], loss[order], hits, smallest[order], place)


def _shown(network, problem, params) -> np.ndarray:
    """Outputs at all points, a row for each fit."""
    return outputs(network, params, problem.x).reshape(len(params), -1)


def _told_apart(known, shown, apart) -> tuple[np.ndarray, np.ndarray]:
    """Which rows are the first of a minimum that is not known, and the number of the minimum of each row."""
    distance, label = _nearest(shown, known)
    label = np.where(distance < apart, label, _UNSEEN)
    new: list[int] = []
    while (left := np.flatnonzero(label == _UNSEEN)).size:
        same = _nearest(shown[left], shown[left[:1]])[0] < apart
        label[left[same | (left == left[0])]] = len(known) + len(new)
        new.append(int(left[0]))
    return np.array(new, np.int64), label


def _nearest(shown, known) -> tuple[np.ndarray, np.ndarray]:
    """The distance of each row from the nearest of some known ones, and which it is."""
    distance, which = np.full(len(shown), np.inf), np.zeros(len(shown), np.int64)
    for index, each in enumerate(known):
        here = norm(shown - each) / np.sqrt(shown.shape[1])
        which[here < distance] = index
        distance = np.fmin(distance, here)
    return distance, which


def _closest(known) -> float:
    """The distance of the nearest two of some rows."""
    return min((_nearest(known[:k], known[k : k + 1])[0].min() for k in range(1, len(known))), default=np.inf)


def _descended(objective: Objective, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where Newton's method leads from each point, and whether to a minimum."""
    points, moving, minimum = points.copy(), np.arange(len(points)), np.zeros(len(points), bool)
    units = np.maximum(norm(points) / np.sqrt(points.shape[1]), np.finfo(np.float64).tiny)
    for _ in range(_ROUNDS):
        if not moving.size:
            break
        # Of few sizes, so that few programs are compiled.
        rows = np.resize(moving, 2 ** int(np.ceil(np.log2(max(moving.size, _LEAST)))))
        with numerics("float64"):
            moved, ended, minimal = _steps(objective)(points[rows], units[rows])
        points[moving], minimum[moving] = (np.asarray(each)[: len(moving)] for each in (moved, minimal))
        moving = moving[~np.asarray(ended)[: len(moving)]]
    return points, minimum


@lru_cache(maxsize=16)
def _steps(objective: Objective) -> Callable[..., Any]:
    """Five steps of many points: where they lead, whether these have ended, and whether at a minimum."""

    def one(unit, state, _):
        point, loss, ended, _ = state
        values, vectors = jnp.linalg.eigh(jax.hessian(objective)(point))
        size = jnp.abs(values)
        move = -vectors @ (vectors.T @ jax.grad(objective)(point) / jnp.maximum(size, _FLAT * size.max()))
        length = jnp.linalg.norm(move) / unit
        trials = point[None] + jnp.outer(0.5 ** jnp.arange(8.0) * jnp.minimum(1.0, _LONGEST / length), move)
        losses = jax.vmap(objective)(trials)
        # Near the end losses differ by rounding, and the whole step is the best one.
        best = jnp.where(length < _ROUNDING, 0, jnp.argmin(losses))
        stuck = ~(losses[best] < loss) & (length >= _ROUNDING)
        over = ended | stuck | (length < _ENDED)
        point, loss = jnp.where(stuck, point, trials[best]), jnp.where(stuck, loss, losses[best])
        return (point, loss, over, (values[0] > -_NEGATIVE * size.max()) & (length < _MINIMUM)), None

    def some(given):
        point, unit = given
        state, _ = jax.lax.scan(lambda *each: one(unit, *each), (point, objective(point), False, False), length=5)
        return state[0], state[2], state[3]

    return compiled(lambda points, units: jax.lax.map(some, (points, units), batch_size=_TOGETHER))


def _described(objective: Objective, params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Losses, and smallest curvatures as shares of the largest."""

    def one(point):
        values = jnp.linalg.eigvalsh(jax.hessian(objective)(point))
        return objective(point), values[0] / jnp.abs(values).max()

    return in_blocks(compiled(jax.vmap(one)), _TOGETHER, "float64")(params)
