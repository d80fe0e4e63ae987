"""Stationary points of a loss: minima, saddles and maxima, found from many starts at once."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxland._precision import numerics
from jaxland._scaling import norm
from jaxland._short import in_short
from jaxland.landscape.curvature import Objective, hessian_of
from jaxland.landscape.hessian import hessians

# Why a start leads to no stationary point, in the order of `StationaryPoints.lost`.
_LOST = (
    "not finite: the start, or the loss or its curvature where the search ended",
    "singular Hessian: a direction without curvature, as where units do nothing or two are alike; a penalty bends it",
    "steps that stay long: a plateau, or a search that needs a better start",
    "another index than asked for",
)
_EVALUATIONS = 400
_POLISHING = 8


class StationaryPoints(NamedTuple):
    """M distinct stationary points in the order of their losses."""

    params: Float[np.ndarray, "M P"]
    loss: Float[np.ndarray, "M"]
    index: Int[np.ndarray, "M"]
    """Negative eigenvalues of the Hessian: 0 at a minimum, P at a maximum."""
    eigenvalues: Float[np.ndarray, "M P"]
    """Of the Hessian, in ascending order."""
    newton_step: Float[np.ndarray, "M"]
    """L2 length of the last Newton step: how well the place is known."""
    starts: Int[np.ndarray, "M"]
    """How many of the starts led to the point."""
    lost: Int[np.ndarray, "4"] = np.zeros(4, np.int64)
    """How many starts led nowhere, by reason: see `why_lost`."""

    __repr__ = in_short

    @property
    def why_lost(self) -> dict[str, int]:
        """Why starts led nowhere, and how many did; empty where all led somewhere."""
        return {why: int(count) for why, count in zip(_LOST, self.lost, strict=True) if count}


def stationary_points(
    objective: Objective,
    starts: Float[np.ndarray, "F P"],
    *,
    step_tolerance: float = 1e-7,
    apart: float = 1e-4,
) -> StationaryPoints:
    """Finds the stationary points that a set of starts leads to, in float64.

    From each start Levenberg-Marquardt (Nocedal and Wright, section 10.3) makes the squared gradient small, which
    draws to saddles as well as to minima; Newton steps finish. A point counts only if its last Newton step is short:
    a plateau, where gradient and curvature fade together, has small gradients too, but steps that stay long.

    There may be more points than are found: those of starts elsewhere. Why some starts led nowhere, `why_lost` tells.

    Args:
        objective: scalar function of a flat vector, such as `problem.objective(network)`. The Hessian is computed in
            full, so this is for slices and small networks.
        starts: F points; those that are not finite lead nowhere.
        step_tolerance: longest last Newton step, as a share of the extent of the starts: the largest difference of
            two in one coordinate or, of starts in one place, their largest coordinate.
        apart: points closer than this share of it, in the largest coordinate, are one.

    Raises:
        ValueError: `starts` is not a matrix with a row for each start.
    """
    starts = np.asarray(starts, np.float64)
    if starts.ndim != 2 or not starts.shape[1]:
        raise ValueError(f"starts must have shape (starts, P); got {starts.shape}. A single one is starts[None].")
    with numerics("float64"):
        gradient, extent = jax.grad(objective), _extent(starts)
        points = extent * np.array(jax.jit(jax.vmap(_search(gradient, extent)))(jnp.asarray(starts / extent)))
    return _polished(objective, points, extent, step_tolerance, apart)


def saddle_points(
    objective: Objective,
    starts: Float[np.ndarray, "F P"],
    index: int = 1,
    *,
    longest_step: float = 0.05,
    steps: int = 500,
    step_tolerance: float = 1e-7,
    apart: float = 1e-4,
) -> StationaryPoints:
    """Finds saddles of one index by following eigenvectors uphill, from any starts: from minima pushed off their place.

    In each step the Hessian's `index` lowest eigenvectors are climbed and all others descended, each by the step of
    the rational function that has its slope and curvature, no step longer than `longest_step`. Newton steps finish.
    Points of another index, which a search may pass and end at, are left out; with index 0 it is a minimiser.

        minima = landscape.stationary_points(objective, starts)
        pushed = landscape.jitter(minima.params[0], 100, radius=0.1).params
        landscape.saddle_points(objective, pushed).starts  # how many ways lead to each saddle

    Args:
        objective: scalar function of a flat vector. The Hessian is computed in full at every step.
        starts: F points; those that are not finite lead nowhere. At a minimum itself there is no slope to follow.
        index: how many eigenvalues of the Hessian are negative at what is looked for.
        longest_step: as a share of the extent of the starts: the largest difference of two in one coordinate or, of
            starts in one place, their largest coordinate.
        steps: most steps of a search.
        step_tolerance: as in `stationary_points`, and as a share of `longest_step` of what ends a search.
        apart: points closer than this share of the extent, in the largest coordinate, are one.

    Raises:
        ValueError: `starts` is not a matrix with a row for each start, or index is not between 0 and P.

    References:
        Cerjan and Miller, J. Chem. Phys. 75, 2800 (1981); Wales, J. Chem. Phys. 101, 3750 (1994), equation 6 for the
        steps.
    """
    starts = np.asarray(starts, np.float64)
    if starts.ndim != 2 or not starts.shape[1]:
        raise ValueError(f"starts must have shape (starts, P); got {starts.shape}. A single one is starts[None].")
    if not 0 <= index <= starts.shape[1]:
        raise ValueError(f"index must be between 0 and {starts.shape[1]}, the number of parameters; got {index}.")
    extent, curvature = _extent(starts), hessian_of(objective)
    longest = longest_step * extent
    points, moving = starts.copy(), np.flatnonzero(np.isfinite(starts).all(axis=1))
    for _ in range(steps):
        if not len(moving):
            break
        slope, hessian = (np.concatenate(parts) for parts in zip(*curvature.dense(points[moving]), strict=True))
        known = np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(slope).all(axis=1)
        points[moving[~known]] = np.nan
        moving, slope, hessian = moving[known], slope[known], hessian[known]
        step = _uphill(slope, hessian, index, extent)
        length = norm(step)
        step *= np.minimum(1.0, longest / np.where(length > 0, length, 1.0))[:, None]
        points[moving] += step
        moving = moving[length > step_tolerance * longest]
    found = _polished(objective, points, extent, step_tolerance, apart)
    right = found.index == index
    lost = found.lost + np.array([0, 0, 0, found.starts[~right].sum()])
    return StationaryPoints(
        **{name: values[right] for name, values in found._asdict().items() if name != "lost"}, lost=lost
    )


def _uphill(slope, hessian, index, extent):
    """Steps up along the lowest eigenvectors and down along all others, in units of the extent."""
    values, vectors = np.linalg.eigh(hessian)
    along = np.einsum("fpe,fp->fe", vectors, slope)
    size = np.abs(values)
    # -2 g / (h (1 + sqrt(1 + 4 g^2 / h^2))), without dividing by a curvature of zero.
    divisor = size + np.sqrt(size**2 + 4 * (along / extent) ** 2)
    step = -2 * along / np.where(divisor > 0, divisor, 1.0)
    step[:, :index] *= -1
    return np.einsum("fpe,fe->fp", vectors, step)


def _polished(objective, points, extent, step_tolerance, apart) -> StationaryPoints:
    """Those of some points that Newton steps confirm, each once, in the order of their losses."""
    finite = np.isfinite(points).all(axis=1)
    points, length = points[finite], np.full(int(finite.sum()), np.inf)
    known, hessian = np.ones(len(points), bool), np.zeros((0, points.shape[1], points.shape[1]))
    with numerics("float64"):
        slopes = jax.jit(jax.vmap(jax.grad(objective)))
        for _ in range(_POLISHING if len(points) else 0):
            slope, hessian = np.asarray(slopes(points)), hessians(objective, points)
            known = np.isfinite(slope).all(axis=1) & np.isfinite(hessian).all(axis=(1, 2))
            step = _newton_step(slope, hessian)
            # A step that leads far away is none of a stationary point; leaving it out keeps all numbers finite.
            good = norm(step) < extent
            points[good] -= step[good]
            length = norm(step)
            known &= np.isfinite(jax.vmap(objective)(jnp.asarray(points)))
        short = length < step_tolerance * extent
        kept, length = points[short], length[short]
        first, counts = _distinct(kept, length, apart * extent)
        loss = np.asarray(jax.vmap(objective)(jnp.asarray(kept[first]))) if len(first) else np.zeros(0)
    order = np.argsort(loss, kind="stable")
    first, counts, loss = first[order], counts[order], loss[order]
    values = np.linalg.eigvalsh(hessians(objective, kept[first]))
    flat = known & ~short & _singular(hessian)
    lost = [(~finite).sum() + (~known).sum(), flat.sum(), (known & ~short & ~flat).sum(), 0]
    return StationaryPoints(kept[first], loss, (values < 0).sum(axis=1), values, length[first], counts, np.array(lost))


def _extent(starts) -> float:
    known = starts[np.isfinite(starts).all(axis=1)]
    if not len(known):
        return 1.0
    return float(np.ptp(known, axis=0).max()) or float(np.abs(known).max()) or 1.0


def _search(gradient, extent):
    """A search in units of the extent and of the gradient at the start, for the solver has absolute tolerances."""
    import optimistix

    solver = optimistix.LevenbergMarquardt(rtol=1e-12, atol=1e-15)

    def search(start):
        size = jnp.abs(gradient(extent * start)).max()
        unit = jnp.where(size > 0, size, 1.0)
        return optimistix.least_squares(
            lambda point, _: gradient(extent * point) / unit, solver, start, max_steps=_EVALUATIONS, throw=False
        ).value

    return search


def _newton_step(slope: Float[np.ndarray, "F P"], hessian: Float[np.ndarray, "F P P"]) -> Float[np.ndarray, "F P"]:
    """The steps; infinite where the Hessian is singular or not finite."""
    step = np.full(slope.shape, np.inf)
    finite = np.asarray(np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(slope).all(axis=1))
    # By eigenvalues, which say themselves whether there is a step: elimination may meet a zero where these have none.
    values, vectors = np.linalg.eigh(hessian[finite])
    along = np.einsum("fpe,fp->fe", vectors, slope[finite])
    size = np.abs(values).min(axis=1)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        found = np.einsum("fpe,fe->fp", vectors, along / values)
    step[finite] = np.where((size > 0)[:, None] & np.isfinite(found).all(axis=1)[:, None], found, np.inf)
    return step


def _singular(hessian: Float[np.ndarray, "F P P"]) -> Bool[np.ndarray, "F"]:
    """Whether an eigenvalue is zero to rounding."""
    found, finite = np.zeros(len(hessian), bool), np.isfinite(hessian).all(axis=(1, 2))
    size = np.abs(np.linalg.eigvalsh(hessian[finite]))
    found[finite] = size.min(axis=1) <= size.max(axis=1) * hessian.shape[1] * np.finfo(float).eps
    return found


def _distinct(points, length, apart):
    """The best-known point of each cluster, and how many points it has."""
    first: list[int] = []
    cluster = np.full(len(points), -1)
    for index in np.argsort(length, kind="stable"):
        near = [k for k, other in enumerate(first) if np.abs(points[index] - points[other]).max() < apart]
        if not near:
            near = [len(first)]
            first.append(int(index))
        cluster[index] = near[0]
    return np.array(first, np.int64), np.bincount(cluster[cluster >= 0], minlength=len(first))
