"""Minima joined by barriers: lowest passes, minimum spanning tree and the tree of basins."""

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import linkage
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import squareform


def spanning_tree(heights: Float[np.ndarray, "M M"]) -> Int[np.ndarray, "edges 2"]:
    """The pairs of minima whose passes join all minima at the lowest heights, each with the smaller index first.

    Args:
        heights: highest energy on the path between each two minima; symmetric. The diagonal is not looked at. NaN or
            infinity says that no path is known.

    Raises:
        ValueError: not square and symmetric.
    """
    heights = _checked(heights)
    tree = minimum_spanning_tree(np.triu(_positive(heights)[0], 1)).tocoo()
    pairs = np.stack([tree.row, tree.col], axis=1).astype(np.int64)
    known = pairs[np.isfinite(heights[pairs[:, 0], pairs[:, 1]])]
    return known[np.lexsort(known.T[::-1])]


def lowest_passes(heights: Float[np.ndarray, "M M"]) -> Float[np.ndarray, "M M"]:
    """The height over which each two minima are joined by way of any others: the minimax path.

    The highest edge on the way through the minimum spanning tree; infinite where no way is known. The diagonal is that
    of `heights`.

    Args:
        heights: as for `spanning_tree`.
    """
    heights = _checked(heights)
    count = len(heights)
    passes = np.full((count, count), np.inf)
    component = np.arange(count)
    for first, second in _by_height(heights):
        here, there = (component == component[end] for end in (first, second))
        passes[np.ix_(here, there)] = heights[first, second]
        passes[np.ix_(there, here)] = heights[first, second]
        component[there] = component[first]
    np.fill_diagonal(passes, np.diag(heights))
    return passes


def barrier_tree(heights: Float[np.ndarray, "M M"]) -> Float[np.ndarray, "M-1 4"]:
    """The tree of basins as a SciPy linkage: which groups of minima join at which height, lowest first.

    Becker and Karplus, J. Chem. Phys. 106, 1495 (1997). Single linkage of pass heights gives it: two groups join at the
    lowest pass between them.

    Args:
        heights: as for `spanning_tree`, with a finite path from every minimum to every other by way of others.

    Raises:
        ValueError: some minima are joined by no path.
    """
    heights = _checked(heights)
    if not np.isfinite(lowest_passes(heights)[~np.eye(len(heights), dtype=bool)]).all():
        raise ValueError("some minima are joined to no other; leave them out or give a path.")
    shifted, shift = _positive(heights)
    np.fill_diagonal(shifted, 0)
    merges = linkage(squareform(shifted, checks=False), "single")
    merges[:, 2] -= shift
    return merges


def _checked(heights):
    heights = np.asarray(heights, np.float64)
    if heights.ndim != 2 or heights.shape[0] != heights.shape[1]:
        raise ValueError(f"heights must have shape (minima, minima); got {heights.shape}.")
    heights = np.where(np.isnan(heights), np.inf, heights)
    if not np.array_equal(heights, heights.T):
        raise ValueError("heights must be symmetric: one height for each pair of minima.")
    return heights


def _positive(heights):
    """Heights shifted to be positive, and the shift: SciPy reads zero as no edge. Infinities become none."""
    off = heights[~np.eye(len(heights), dtype=bool)]
    known = off[np.isfinite(off)]
    if not len(known):
        return np.zeros_like(heights), 0.0
    scale = max(float(np.ptp(known)), float(np.abs(known).max()), np.finfo(float).tiny)
    shift = scale - float(known.min())
    largest = float(known.max()) + shift
    return np.where(np.isfinite(heights), heights + shift, 2 * largest), shift


def _by_height(heights):
    """The edges of the minimum spanning tree, lowest first."""
    return sorted(map(tuple, spanning_tree(heights)), key=lambda edge: heights[edge])
