"""What a surface on a grid looks like, in numbers: minima, maxima, saddles, plateaus, and how far it is from convex.

Grid points are joined to their eight neighbours. As the level rises, a new piece of the part below it begins at every
minimum, and where two pieces meet the younger one, whose minimum is higher, ends: its minimum and the point where they
meet, a saddle, are a pair, and the difference of their losses is the pair's *persistence*. Maxima are the minima of the
surface turned upside down, with four neighbours, for two ridges that cross a valley diagonally cannot both be whole;
beyond the edge of the grid the turned surface is infinitely low. So every saddle belongs to one minimum or one maximum,
and what rounding and the grid make of a smooth surface is told from what is there by its small persistence.

References:
    Edelsbrunner, Letscher, Zomorodian, Topological persistence and simplification (2002).
    Takahashi, Ikeda, Shinagawa, Kunii, Ueda, Algorithms for extracting correct critical points (1995), on grids.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy.spatial import ConvexHull

from jaxland._short import in_short

_EIGHT = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))
_FOUR = tuple((i, j) for i, j in _EIGHT if i == 0 or j == 0)
# Losses that differ by less, as a share of their size, differ by rounding.
_ROUNDING = 1e-12
# In sides of the grid and ranges of the loss: the slope of a plateau, and the curvature of what bends down.
_FLAT, _BENT = 0.01, 0.1
# A facet of the hull whose normal has a smaller third component stands upright.
_VERTICAL = 1e-9
# Facets looked at together: bounds memory on fine grids.
_FACETS = 256


class Features(NamedTuple):
    """What one surface looks like. Places are rows and columns of the grid, the deepest minimum first.

    Minima and saddles are counted where they do not lie on the edge of the grid, nor beside a masked point, and their
    persistence exceeds the tolerance.
    """

    minima: Int[np.ndarray, "minima 2"]
    edge_minima: Int[np.ndarray, "edges 2"]
    """The lowest points of valleys that lead out of the grid: no minima of the loss."""
    saddles: Int[np.ndarray, "saddles 2"]
    maxima: Int[np.ndarray, "maxima 2"]
    range: float
    """Largest loss less smallest."""
    nonconvexity: float
    """Largest height of the surface above its convex envelope, as a share of the range; zero for a convex one."""
    plateau: float
    """Share of grid points whose slope, kept up along a side of the grid, would make up less than a hundredth of the
    range."""
    concave: float
    """Share of inner grid points where the surface bends down in some direction."""
    masked: int
    """Grid points without a finite loss."""

    __repr__ = in_short


def surface_features(loss: Float[np.ndarray, "B A"], *, tolerance: float = 1e-3) -> Features:
    """Finds minima, maxima and saddles on a grid and measures plateaus and convexity.

    Args:
        loss: on an evenly spaced grid; NaN is left out.
        tolerance: pairs of smaller persistence, as a share of the range, are not counted.

    Raises:
        ValueError: fewer than three points along an axis, or a tolerance outside [0, 1).
    """
    loss, known, least = _checked(loss, tolerance)
    masked = int((~known).sum())
    size = float(np.ptp(loss[known])) if known.any() else 0.0
    none = np.zeros((0, 2), np.int64)
    if size <= _ROUNDING * np.abs(loss[known]).max(initial=0.0):
        return Features(none, none, none, none, size, 0.0, 1.0, 0.0, masked)
    edge = _edge(known)
    minima, passes = _persistent(loss, known, edge, least, _EIGHT, outside=False)
    maxima, tops = _persistent(-loss, known, edge, least, _FOUR, outside=True)
    on_edge = edge[tuple(minima.T)]
    saddles = np.concatenate([passes, tops])
    plateau, concave = _slopes(loss, size)
    return Features(
        minima[~on_edge],
        minima[on_edge],
        saddles[~edge[tuple(saddles.T)]],
        maxima,
        size,
        nonconvexity(loss),
        plateau,
        concave,
        masked,
    )


class SurfaceTree(NamedTuple):
    """How the minima of a surface are joined as the level rises. Places are rows and columns of the grid."""

    minima: Int[np.ndarray, "M 2"]
    """The deepest first, those on the edge of the grid among them."""
    loss: Float[np.ndarray, "M"]
    """At the minima."""
    on_edge: Bool[np.ndarray, "M"]
    """Whether a minimum lies on the edge of the grid: the lowest point of a valley that leads out of it."""
    saddles: Int[np.ndarray, "M_minus_1 2"]
    """Where groups meet, the lowest first."""
    merges: Float[np.ndarray, "M_minus_1 4"]
    """A SciPy linkage: row k, (i, j, loss at saddle k, minima), joins groups i and j into group M + k."""

    __repr__ = in_short


def surface_tree(loss: Float[np.ndarray, "B A"], *, tolerance: float = 1e-3) -> SurfaceTree:
    """The merge tree of a surface on a grid: which valleys become one at which level.

    What `barrier_tree` is for minima that bands join, for a plane on which the loss is known everywhere; on the plane
    alone, for ways around through other dimensions may be lower.

        tree = landscape.surface_tree(shown.loss)
        plots.disconnectivity_graph(tree.loss, tree.merges)

    Args:
        loss: on an evenly spaced grid; NaN is left out.
        tolerance: pairs of smaller persistence, as a share of the range, are no minima.

    Raises:
        ValueError: fewer than three points along an axis, a tolerance outside [0, 1), no finite loss, or masked points
            that part the grid.
    """
    loss, known, least = _checked(loss, tolerance)
    if not known.any():
        raise ValueError("no point of the surface has a finite loss, so there is no tree.")
    edge = _edge(known)
    places, kept, joins = _joins(loss, known, edge, least, _EIGHT, outside=False)
    if len(joins) != len(kept) - 1:
        raise ValueError(
            f"masked points part the grid into {len(kept) - len(joins)} pieces, which no level joins; give the tree of "
            "each by itself."
        )
    group, count, rows = {root: index for index, root in enumerate(kept)}, dict.fromkeys(kept, 1), []
    for index, (elder, younger, crossing) in enumerate(joins):
        count[elder] += count[younger]
        ends = sorted((group[elder], group[younger]))
        rows.append((*ends, loss[tuple(places[crossing])], count[elder]))
        group[elder] = len(kept) + index
    minima = places[kept]
    saddles = places[[crossing for *_, crossing in joins]]
    merges = np.array(rows, np.float64).reshape(-1, 4)
    return SurfaceTree(minima, loss[tuple(minima.T)], edge[tuple(minima.T)], saddles.reshape(-1, 2), merges)


def features_table(features: Iterable[Features]) -> pd.DataFrame:
    """One row a surface, with counts in place of places."""
    counted = ("minima", "edge_minima", "saddles", "maxima")
    rows = [{**each._asdict(), **{name: len(getattr(each, name)) for name in counted}} for each in features]
    return pd.DataFrame(rows, columns=list(Features._fields))


def nonconvexity(loss: Float[np.ndarray, "B A"]) -> float:
    """Largest height of a surface above its convex envelope, as a share of its range.

    The envelope is the lower side of the convex hull of the surface's points, so that no derivative is taken and
    nothing between neighbours is missed: zero means that some convex function goes through all the points.

    Args:
        loss: on an evenly spaced grid; NaN is left out.
    """
    known = np.isfinite(loss)
    heights = loss[known]
    size = np.ptp(heights) if len(heights) else 0.0
    if size <= _ROUNDING * np.abs(heights).max(initial=0.0):
        return 0.0
    places = np.argwhere(known) / np.max(np.subtract(loss.shape, 1))
    points = np.column_stack([places, (heights - heights.min()) / size])
    # A point far above keeps the hull of a flat surface from being flat itself, and leaves its lower side alone.
    above = np.append(places.mean(axis=0), 3.0)
    hull = ConvexHull(np.vstack([points, above]))
    lower = hull.equations[:, 2] < -_VERTICAL
    below = hull.equations[lower]
    inside = np.delete(points, np.unique(hull.simplices[lower]), axis=0)
    envelope = np.full(len(inside), -np.inf)
    for start in range(0, len(below), _FACETS):
        block = below[start : start + _FACETS]
        planes = -(inside[:, :2] @ block[:, :2].T + block[:, 3]) / block[:, 2]
        envelope = np.maximum(envelope, planes.max(axis=1))
    return float((inside[:, 2] - envelope).max(initial=0.0))


def _checked(loss, tolerance):
    """A surface, where it is known, and the persistence that is told from rounding."""
    loss = np.asarray(loss, np.float64)
    if loss.ndim != 2 or min(loss.shape) < 3:
        raise ValueError(f"a surface needs three grid points or more along each axis; got shape {loss.shape}.")
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be a share of the range, in [0, 1); got {tolerance}.")
    known = np.isfinite(loss)
    values = loss[known] if known.any() else np.zeros(1)
    return loss, known, max(tolerance * float(np.ptp(values)), _ROUNDING * float(np.abs(values).max()))


def _edge(known) -> Bool[np.ndarray, "B A"]:
    """Points on the edge of the grid, or beside one that is not known."""
    inner = np.pad(known, 1, constant_values=False)
    return known & ~np.all([_shifted(inner, move) for move in _EIGHT], axis=0)


def _shifted(padded, move):
    """What stands beside each point of the grid, on the side where `move` points."""
    rows, columns = padded.shape
    return padded[1 + move[0] : rows - 1 + move[0], 1 + move[1] : columns - 1 + move[1]]


def _persistent(heights, known, edge, least, neighbours, outside):
    """Places of minima of enough persistence, the deepest first, and of the passes at which all but the lowest end."""
    places, kept, joins = _joins(heights, known, edge, least, neighbours, outside)
    return places[kept], places[sorted(crossing for *_, crossing in joins)].reshape(-1, 2)


def _joins(heights, known, edge, least, neighbours, outside):
    """Pairs of minimum and pass that persist.

    Args:
        heights, known, edge: by grid point.
        least: persistence that a pair must exceed.
        neighbours: of each point.
        outside: whether points on the edge are beside something infinitely low; its basin is no minimum.

    Returns:
        The place of each rank; ranks of minima, the deepest first; and for each pass, the lowest first, the ranks of
        the minimum that stays, of the one that ends, and of the pass.
    """
    order, rank = _ranked(heights, known, edge)
    basin = _basins(rank, edge & outside, neighbours)
    sorted_heights = np.append(-np.inf, heights.ravel()[order])
    parent = {int(root): int(root) for root in np.unique(basin[1:])}
    parent[0] = 0
    kept, joins = set(parent) - {0}, []
    for crossing, one, two in _crossings(rank, basin, neighbours):
        elder, younger = sorted((_root(parent, one), _root(parent, two)))
        if elder == younger:
            continue
        parent[younger] = elder
        if sorted_heights[crossing] - sorted_heights[younger] > least:
            joins.append((elder, younger, crossing))
        else:
            kept.discard(younger)
    places = np.column_stack(np.unravel_index(order, heights.shape))
    # Ranks begin at 1; what is outside has no place.
    return np.vstack([np.full((1, 2), -1), places]), sorted(kept), joins


def _ranked(heights, known, edge):
    """Flat indices of known points from the lowest to the highest, and the rank of each point, which begins at 1.

    Among equals the edge comes first, so that a flat ridge that reaches it has no pass inside.
    """
    flat = np.flatnonzero(known)
    order = flat[np.lexsort((flat, ~edge.ravel()[flat], heights.ravel()[flat]))]
    rank = np.full(known.size, np.iinfo(np.int64).max)
    rank[order] = np.arange(1, len(order) + 1)
    return order, rank.reshape(known.shape)


def _basins(rank, drained, neighbours):
    """For each rank that of the minimum to which steepest descent leads; 0 stands for what is outside."""
    padded = np.pad(rank, 1, constant_values=np.iinfo(np.int64).max)
    lowest = np.min([rank, *(_shifted(padded, move) for move in neighbours)], axis=0)
    known = rank < np.iinfo(np.int64).max
    towards = np.zeros(known.sum() + 1, np.int64)
    towards[rank[known]] = np.where(drained, 0, lowest)[known]
    while True:
        further = towards[towards]
        if np.array_equal(further, towards):
            return towards
        towards = further


def _crossings(rank, basin, neighbours):
    """The lowest crossings between neighbouring basins, lowest first: rank of the higher point, and the two basins."""
    padded = np.pad(rank, 1, constant_values=np.iinfo(np.int64).max)
    found = []
    for move in neighbours:
        beside = _shifted(padded, move)
        # Each pair is seen once, from its higher point.
        pair = (beside < rank) & (rank < np.iinfo(np.int64).max)
        high, low = rank[pair], beside[pair]
        apart = basin[high] != basin[low]
        found.append(np.column_stack([high, basin[high], basin[low]])[apart])
    crossings = np.concatenate(found)
    crossings[:, 1:].sort(axis=1)
    crossings = crossings[np.lexsort(crossings.T[::-1])]
    _, first = np.unique(crossings[:, 1:], axis=0, return_index=True)
    return crossings[np.sort(first)].tolist()


def _root(parent, basin):
    while parent[basin] != basin:
        basin = parent[basin]
    return basin


def _slopes(loss, size) -> tuple[float, float]:
    """Shares of flat points and of points that bend down. Lengths are in sides of the grid, losses in ranges."""
    heights, (down, right) = loss / size, (1 / (count - 1) for count in loss.shape)
    slope = np.hypot(*np.gradient(heights, down, right))
    centre, inner = heights[1:-1, 1:-1], slice(1, -1)
    rows = (heights[2:, inner] + heights[:-2, inner] - 2 * centre) / down**2
    columns = (heights[inner, 2:] + heights[inner, :-2] - 2 * centre) / right**2
    across = (heights[2:, 2:] + heights[:-2, :-2] - heights[2:, :-2] - heights[:-2, 2:]) / (4 * down * right)
    # The lower eigenvalue of the matrix of second derivatives.
    lower = (rows + columns) / 2 - np.hypot((rows - columns) / 2, across)
    return _share(slope < _FLAT, slope), _share(lower < -_BENT, lower)


def _share(which, values) -> float:
    known = np.isfinite(values)
    return float(which[known].mean()) if known.any() else float("nan")
