"""Planes in parameter space: through two weights, along random directions, through minima, along a trajectory."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxland._names import lookup
from jaxland._scaling import norm
from jaxland._short import in_short
from jaxland.networks import Network, entry_indices

Biases = Literal["fixed", "with unit"]
BIAS_RULES = {
    "fixed": "biases keep their values: their directions are zero",
    "with unit": "the bias of a unit belongs to its filter",
}


@dataclass(frozen=True, eq=False)
class Plane:
    """All points origin + a first + b second; (a, b) are a point's coordinates.

    Attributes:
        origin: flat parameters (P,).
        directions: first and second (2, P); neither need be a unit vector, nor need they be orthogonal.
        labels: of the coordinates, for axes.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or directions that do not span a plane.
    """

    origin: np.ndarray
    directions: np.ndarray
    labels: tuple[str, str] = ("along the first direction", "along the second direction")

    __repr__ = in_short

    def __post_init__(self):
        origin, directions = np.array(self.origin, np.float64), np.array(self.directions, np.float64)
        if origin.ndim != 1 or directions.shape != (2, len(origin)):
            raise ValueError(
                f"a plane needs an origin (P,) and directions (2, P); got {origin.shape} and {directions.shape}."
            )
        if not (np.isfinite(origin).all() and np.isfinite(directions).all()):
            raise ValueError("origin and directions of a plane must be finite; leave out fits that diverged.")
        lengths = norm(directions)
        # The sine of the angle between them: what is left of one unit vector without the other.
        if not lengths.all() or np.linalg.svd(directions / lengths[:, None], compute_uv=False)[1] < 1e-7:
            raise ValueError(f"directions of lengths {lengths[0]:.3g} and {lengths[1]:.3g} do not span a plane.")
        object.__setattr__(self, "origin", origin)
        object.__setattr__(self, "directions", directions)

    def points(self, coordinates: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n P"]:
        """The flat parameters at these coordinates."""
        return self.origin + np.asarray(coordinates, np.float64) @ self.directions

    def coordinates(self, params: Float[np.ndarray, "*n P"]) -> Float[np.ndarray, "*n 2"]:
        """Coordinates of the points of the plane nearest to these parameters."""
        # Of unit vectors, or the shorter of two directions might be taken for rounding of the longer.
        lengths = norm(self.directions)
        inverse = np.linalg.pinv(self.directions / lengths[:, None])
        return (np.asarray(params, np.float64) - self.origin) @ inverse / lengths

    def distances(self, params: Float[np.ndarray, "*n P"]) -> Float[np.ndarray, "*n"]:
        """L2 distances of parameters from the plane."""
        params = np.asarray(params, np.float64)
        return np.asarray(norm(params - self.points(self.coordinates(params))))


class PrincipalPlane(NamedTuple):
    """The plane that holds most of a trajectory."""

    plane: Plane
    coordinates: Float[np.ndarray, "S 2"]
    """Of the points of the trajectory."""
    explained: Float[np.ndarray, "K"]
    """Share of the trajectory's variance along each principal direction, the largest first; they sum to one."""

    __repr__ = in_short


def coordinate_plane(
    params: Float[np.ndarray, "P"], entries: tuple[int | str, int | str], network: Network | None = None
) -> Plane:
    """The plane of all values of two entries, the others as they are. Its coordinates are the entries' values.

    Args:
        params: flat parameters.
        entries: indices in the flat vector or, with a network, names such as `"2.weight[5,250]"`, of which
            `network.entry_names` has all.
        network: whose entries they are.

    Raises:
        ValueError: there is no such entry, or both are the same.
    """
    params = np.array(params, np.float64)
    if params.ndim != 1 or (network is not None and len(params) != network.size):
        expected = "(P,)" if network is None else f"({network.size},)"
        raise ValueError(f"params must have shape {expected}; got {params.shape}.")
    first, second = (_entry(entry, len(params), network) for entry in entries)
    if first == second:
        raise ValueError(f"a plane needs two different entries; got {entries[0]!r} and {entries[1]!r}.")
    directions = np.zeros((2, len(params)))
    directions[[0, 1], [first, second]] = 1
    params[[first, second]] = 0
    labels = [str(entry) if isinstance(entry, str) else _name(entry, network) for entry in entries]
    return Plane(params, directions, (labels[0], labels[1]))


def _entry(entry: int | str, size: int, network: Network | None) -> int:
    if isinstance(entry, str):
        if network is None:
            raise ValueError(f"the entry {entry!r} is a name; give the network, or an index.")
        return int(entry_indices(network, [entry])[0])
    if not 0 <= entry < size:
        raise ValueError(f"there is no entry {entry}; the flat vector has {size}, counted from 0.")
    return int(entry)


def _name(entry: int, network: Network | None) -> str:
    return f"entry {entry}" if network is None else network.entry_names[entry]


def filter_directions(
    network: Network,
    params: Float[np.ndarray, "P"],
    count: int = 2,
    *,
    seed: int = 0,
    biases: Biases = "fixed",
    filter_axis: int = 0,
) -> Float[np.ndarray, "count P"]:
    """Random directions, each filter as long as that of the parameters: filter normalisation.

    Every direction is drawn from a standard normal distribution, and then the part that belongs to a filter is scaled
    to the norm of the filter, d <- d / |d| * |w|. Without it the plane would look flat or sharp with nothing but the
    scale of the weights, which a ReLU network may change without changing its output.

    A filter is what enters one unit: a slice of a weight array along `filter_axis`. What becomes of biases and other
    arrays of at most one axis is said by `biases`, for surfaces depend on it: `"fixed"`, the rule of the paper's code,
    keeps them, and `"with unit"` counts the bias of a unit in its filter, as the scaling symmetry of ReLU does. A bias
    belongs to the weights beside it in the same container that have as many filters; without such weights an array is
    one filter.

    Args:
        network: tells where the flat vector's entries stand.
        params: flat parameters, about which the directions will be used.
        count: how many; they are independent and therefore nearly, not exactly, orthogonal.
        seed: of the directions.
        biases: see above.
        filter_axis: the axis of weights that counts units; 0 for `mlp` and Equinox, -1 for Flax.

    Raises:
        ValueError: params do not fit the network, are not finite, or the rule is unknown.

    References:
        Li, Xu, Taylor, Studer, Goldstein, Visualizing the loss landscape of neural nets (2018), section 4.
    """
    params = np.asarray(params, np.float64)
    lookup("rule for biases", biases, BIAS_RULES)
    if params.shape != (network.size,):
        raise ValueError(f"params must have shape ({network.size},); got {params.shape}.")
    if not np.isfinite(params).all():
        raise ValueError("params must be finite; a fit that diverged has no landscape about it.")
    directions = np.random.default_rng(seed).standard_normal((count, network.size))
    group = filters(network, biases=biases, filter_axis=filter_axis)
    directions[:, group < 0] = 0
    inside = group >= 0
    groups = group[inside]
    # In units of a power of two for each filter, for squares of its entries might overflow.
    largest = np.zeros(groups.max(initial=-1) + 1)
    np.maximum.at(largest, groups, np.abs(params[inside]))
    shift = np.frexp(largest)[1]
    own = np.bincount(groups, np.ldexp(params[inside], -shift[groups]) ** 2)
    for direction in directions:
        drawn = np.bincount(groups, direction[inside] ** 2)
        direction[inside] *= np.ldexp(np.sqrt(own / drawn), shift)[groups]
    return directions


def filters(network: Network, *, biases: Biases = "fixed", filter_axis: int = 0) -> np.ndarray:
    """The number of the filter to which each of the P entries belongs, -1 for those that keep their values."""
    paths, shapes = _leaves(network)
    groups, first = [], 0
    weights: dict[tuple[str, int], int] = {}
    for path, shape in zip(paths, shapes, strict=True):
        if len(shape) < 2:
            groups.append(np.full(shape, -1))
            continue
        units = shape[filter_axis]
        along = np.moveaxis(np.empty(shape, np.int64), filter_axis, 0)
        along[:] = np.arange(first, first + units).reshape(-1, *[1] * (len(shape) - 1))
        groups.append(np.moveaxis(along, 0, filter_axis))
        weights[path, units] = first
        first += units
    if biases == "with unit":
        for index, (path, shape) in enumerate(zip(paths, shapes, strict=True)):
            if len(shape) < 2:
                beside = weights.get((path, shape[0])) if shape else None
                groups[index] = np.full(shape, first) if beside is None else beside + np.arange(shape[0])
                first += beside is None
    return np.concatenate([group.ravel() for group in groups])


def _leaves(network: Network):
    """For each leaf of the parameters the path of its container, and its shape."""
    vector = jax.ShapeDtypeStruct((network.size,), np.float32)
    leaves, _ = jax.tree_util.tree_flatten_with_path(jax.eval_shape(network.unflatten, vector))
    return [jax.tree_util.keystr(path[:-1]) for path, _ in leaves], [leaf.shape for _, leaf in leaves]


def random_plane(
    network: Network,
    params: Float[np.ndarray, "P"],
    *,
    seed: int = 0,
    biases: Biases = "fixed",
    filter_axis: int = 0,
) -> Plane:
    """The plane through some parameters along two random directions with filter normalisation.

    Coordinates are in units of the filters' norms: at (1, 0) every filter has moved by its own length.

    Args, Raises: see `filter_directions`.
    """
    directions = filter_directions(network, params, seed=seed, biases=biases, filter_axis=filter_axis)
    return Plane(params, directions, ("along random direction 1", "along random direction 2"))


def plane_through(points: Float[np.ndarray, "3 P"]) -> Plane:
    """The plane through three points, such as minima, with orthonormal directions.

    The first point is the origin and the second lies on the first axis, so that coordinates are L2 distances.
    For networks that can be rescaled or have units to exchange, bring the minima to one representative before, with
    `jl.symmetrise`: the plane through others is another one.

    Raises:
        ValueError: not three finite points, or all on one line.

    References:
        Garipov et al., Loss surfaces, mode connectivity, and fast ensembling of DNNs (2018), section 2.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or len(points) != 3:
        raise ValueError(f"a plane goes through three points (3, P); got shape {points.shape}.")
    spanned = Plane(points[0], points[1:] - points[0])
    basis, triangle = np.linalg.qr(spanned.directions.T)
    directions = basis.T * np.sign(np.diag(triangle))[:, None]
    labels = "distance from the first point towards the second", "distance from that line towards the third"
    return Plane(points[0], directions, labels)


def trajectory_plane(
    trajectory: Float[np.ndarray, "S P"], *, origin: Float[np.ndarray, "P"] | None = None
) -> PrincipalPlane:
    """The plane of the two directions in which a trajectory varies most, by principal component analysis.

    Args:
        trajectory: parameters on the way, such as `Fits.snapshots` of one fit.
        origin: what the plane goes through; the last point by default, as in Li et al. (2018), section 7.

    Returns:
        The plane, with orthonormal directions; the trajectory's coordinates in it; and the share of its variance along
        every principal direction. A plane that explains little shows little of the trajectory.

    Raises:
        ValueError: fewer than three points, points that are not finite, or all on one line.
    """
    from sklearn.decomposition import PCA

    trajectory = np.asarray(trajectory, np.float64)
    if trajectory.ndim != 2 or len(trajectory) < 3 or trajectory.shape[1] < 2:
        raise ValueError(f"a trajectory needs three points or more, (S, P) with P > 1; got shape {trajectory.shape}.")
    if not np.isfinite(trajectory).all():
        raise ValueError("the trajectory has points that are not finite; cut it off before it diverges.")
    analysis: Any = PCA(svd_solver="full").fit(trajectory)
    ratio = analysis.explained_variance_ratio_
    if not ratio[1] > 1e-12:
        raise ValueError("the trajectory lies on one line and spans no plane.")
    labels = tuple(f"principal direction {k + 1} ({ratio[k]:.1%} of the variance)" for k in range(2))
    plane = Plane(trajectory[-1] if origin is None else origin, analysis.components_[:2], (labels[0], labels[1]))
    return PrincipalPlane(plane, plane.coordinates(trajectory), ratio)
