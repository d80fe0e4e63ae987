"""Losses on a plane: surfaces, and points seen in them."""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxland._precision import numerics
from jaxland._short import in_short
from jaxland.landscape.surfaces.partial import Partial
from jaxland.landscape.surfaces.planes import Plane
from jaxland.problems import Objective

# Numbers of the largest changing array that are computed at a time: they should stay in the caches.
_NUMBERS = 2**18
_MOST_AT_ONCE = 16


class Surface(NamedTuple):
    """The loss on a grid in a plane."""

    plane: Plane
    a: Float[np.ndarray, "A"]
    """First coordinates of the grid."""
    b: Float[np.ndarray, "B"]
    """Second coordinates."""
    loss: Float[np.ndarray, "B A"]
    """One row for each second coordinate, as `numpy.meshgrid(a, b)` has it; NaN where it is not finite."""
    masked: int
    """How many are NaN."""

    __repr__ = in_short


class InPlane(NamedTuple):
    """Points of parameter space and what a plane shows of them."""

    coordinates: Float[np.ndarray, "S 2"]
    """Of the nearest points in the plane."""
    loss: Float[np.ndarray, "S"]
    """At the points themselves."""
    plane_loss: Float[np.ndarray, "S"]
    """At the nearest points in the plane: what a picture of the surface shows."""
    distance: Float[np.ndarray, "S"]
    """L2 distance from the plane."""

    __repr__ = in_short


def surface(
    objective: Objective,
    plane: Plane,
    a: Float[np.ndarray, "A"],
    b: Float[np.ndarray, "B"],
    *,
    dtype: str = "float64",
) -> Surface:
    """The loss at every point of a grid in a plane, in one call.

    What does not change on the plane is computed once: see `jaxland.landscape.surfaces.partial`. Planes with the same
    free entries share one compiled program, whatever their origins.

        net, problem = jl.mlp([1, 5, 5, 1]), jl.problems.sawtooth()
        plane = jl.landscape.random_plane(net, params)
        found = jl.landscape.surface(problem.objective(net), plane, np.linspace(-1, 1, 40), np.linspace(-1, 1, 40))

    Args:
        objective: scalar function of a flat vector in plain JAX, such as `problem.objective(network)`. Keep it for the
            next surface: every new one is compiled anew.
        plane: where.
        a, b: coordinates of the grid.
        dtype: in which it is computed. Plateaus need float64.

    Raises:
        ValueError: the coordinates are not finite vectors.
    """
    a, b = (np.asarray(values, np.float64) for values in (a, b))
    for name, values in (("a", a), ("b", b)):
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
            raise ValueError(f"{name} must be a vector of finite coordinates; got shape {values.shape}.")
    grid = np.stack(np.meshgrid(a, b), axis=-1).reshape(-1, 2)
    loss = plane_losses(objective, plane, grid, dtype=dtype).reshape(len(b), len(a))
    loss[~np.isfinite(loss)] = np.nan
    return Surface(plane, a, b, loss, int(np.isnan(loss).sum()))


def plane_losses(
    objective: Objective, plane: Plane, coordinates: Float[np.ndarray, "M 2"], *, dtype: str = "float64"
) -> Float[np.ndarray, "M"]:
    """The loss at some points of a plane, in float64; not finite where the objective is not.

    Args:
        objective, dtype: see `surface`.
        plane: where.
        coordinates: of the points.
    """
    coordinates = np.asarray(coordinates, np.float64)
    if coordinates.ndim != 2 or coordinates.shape[1] != 2:
        raise ValueError(f"coordinates must have shape (points, 2); got {coordinates.shape}.")
    free = np.flatnonzero(plane.directions.any(axis=0))
    numbers = plane.origin, coordinates, plane.origin[free], plane.directions[:, free]
    return _evaluate(objective, len(plane.origin), free, _in_plane, numbers, dtype)


def losses_at(
    objective: Objective, params: Float[np.ndarray, "M P"], *, dtype: str = "float64"
) -> Float[np.ndarray, "M"]:
    """The loss at some points of parameter space, in float64."""
    params = np.asarray(params, np.float64)
    if params.ndim != 2:
        raise ValueError(f"params must have shape (points, P); got {params.shape}. A single point is params[None].")
    size = params.shape[1]
    return _evaluate(objective, size, np.arange(size), _as_they_are, (np.zeros(size), params), dtype)


def in_plane(
    objective: Objective, plane: Plane, params: Float[np.ndarray, "S P"], *, dtype: str = "float64"
) -> InPlane:
    """What a plane shows of points that need not lie in it: their true losses, and those of their projections.

    Args:
        objective, dtype: see `surface`.
        plane: onto which they are projected.
        params: the points, such as those of a trajectory.
    """
    params = np.asarray(params, np.float64)
    coordinates = plane.coordinates(params)
    return InPlane(
        coordinates,
        losses_at(objective, params, dtype=dtype),
        plane_losses(objective, plane, coordinates, dtype=dtype),
        plane.distances(params),
    )


def _in_plane(point, start, slopes):
    return start + point @ slopes


def _as_they_are(point):
    return point


def _evaluate(objective, size, free, entries, numbers, dtype):
    """Losses where the free entries are `entries(point, *rest)`; numbers are the origin, the points and the rest."""
    with numerics(dtype):
        program, constants = _program(objective, size, free.astype(np.int64).tobytes(), entries, dtype)
        return np.array(program(constants, *(jnp.asarray(each, dtype) for each in numbers)), np.float64)


@lru_cache(maxsize=16)
def _traced(objective, size, dtype):
    closed = jax.make_jaxpr(objective)(jax.ShapeDtypeStruct((size,), dtype))
    if [each.shape for each in closed.out_avals] != [()]:
        raise ValueError("the objective must return one number, the loss of a flat vector.")
    # Data come in as arguments: as constants of the program they would be compiled into it.
    return closed, [jnp.asarray(constant) for constant in closed.consts]


@lru_cache(maxsize=16)
def _program(objective, size, free, entries, dtype):
    closed, constants = _traced(objective, size, dtype)
    support = np.frombuffer(free, np.int64)

    def program(constants, origin, points, *rest):
        loss = Partial(closed, constants, origin, support)
        at_once = int(np.clip(_NUMBERS // loss.largest, 1, _MOST_AT_ONCE))
        return jax.lax.map(lambda point: loss(entries(point, *rest)), points, batch_size=at_once)

    return jax.jit(program), constants
