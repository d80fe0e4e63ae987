"""Stationary points of a loss: minima, saddles and maxima, found from many starts at once."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxland._precision import numerics
from jaxland._scaling import norm
from jaxland.landscape.hessian import Objective, hessians

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

    There may be more points than are found: those of starts elsewhere.

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
        slopes = jax.jit(jax.vmap(gradient))
        for _ in range(_POLISHING):
            step = _newton_step(np.asarray(slopes(points)), hessians(objective, points))
            # A step that leads far away is none of a stationary point; leaving it out keeps all numbers finite.
            good = norm(step) < extent
            points[good] -= step[good]
        length = norm(step)
        short = length < step_tolerance * extent
        kept, length = points[short], length[short]
        first, counts = _distinct(kept, length, apart * extent)
        loss = np.asarray(jax.vmap(objective)(jnp.asarray(kept[first]))) if len(first) else np.zeros(0)
    order = np.argsort(loss, kind="stable")
    first, counts, loss = first[order], counts[order], loss[order]
    values = np.linalg.eigvalsh(hessians(objective, kept[first]))
    return StationaryPoints(kept[first], loss, (values < 0).sum(axis=1), values, length[first], counts)


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
    rank = np.linalg.matrix_rank(np.where(finite[:, None, None], hessian, 0.0), tol=0.0, hermitian=True)
    good = np.flatnonzero(finite & (rank == slope.shape[1]))
    step[good] = np.linalg.solve(hessian[good], slope[good][:, :, None])[:, :, 0]
    return step


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
