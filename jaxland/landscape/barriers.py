"""Minima joined by barriers: lowest passes, minimum spanning tree and the tree of basins."""

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import linkage
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import squareform


def pass_heights(
    energies: Float[np.ndarray, "M"], pairs: Int[np.ndarray, "K 2"], heights: Float[np.ndarray, "K"]
) -> Float[np.ndarray, "M M"]:
    """The symmetric matrix of heights that the other functions take, from those of K bands.

    Args:
        energies: of the minima; they become the diagonal.
        pairs: the two minima, by index, that each band joins.
        heights: highest energy on each band. Of several bands between two minima the lowest counts; NaN or infinity
            says that a band found no path.

    Returns:
        Heights of the direct paths; infinite between minima that no band joins.

    Raises:
        ValueError: numbers of pairs and heights differ, or a pair is not one of two different minima.
    """
    energies, pairs, heights = np.asarray(energies, np.float64), np.asarray(pairs), np.asarray(heights, np.float64)
    if pairs.shape != (len(heights), 2):
        raise ValueError(f"pairs must have shape ({len(heights)}, 2), one for each height; got {pairs.shape}.")
    wrong = (pairs < 0).any(axis=1) | (pairs >= len(energies)).any(axis=1) | (pairs[:, 0] == pairs[:, 1])
    if wrong.any():
        first = tuple(int(end) for end in pairs[wrong][0])
        raise ValueError(f"pairs must name two different minima from 0 to {len(energies) - 1}; got {first}.")
    result = np.full((len(energies), len(energies)), np.inf)
    for ends in (pairs, pairs[:, ::-1]):
        np.minimum.at(result, tuple(ends.T), np.where(np.isnan(heights), np.inf, heights))
    np.fill_diagonal(result, energies)
    return result


def spanning_tree(heights: Float[np.ndarray, "M M"]) -> Int[np.ndarray, "edges 2"]:
    """The pairs of minima whose passes join all minima at the lowest heights, each with the smaller index first.

    Where minima fall into groups with no path between them, those of each group are joined.

    Args:
        heights: highest energy on the path between each two minima, from `pass_heights`; symmetric. The diagonal is
            not looked at. NaN or infinity says that no path is known.

    Raises:
        ValueError: not square and symmetric, or minus infinity.
    """
    ranks, _ = _ranks(_checked(heights))
    tree = minimum_spanning_tree(np.triu(ranks, 1)).tocoo()
    pairs = np.stack([tree.row, tree.col], axis=1).astype(np.int64)
    return pairs[np.lexsort(pairs.T[::-1])]


def lowest_passes(heights: Float[np.ndarray, "M M"]) -> Float[np.ndarray, "M M"]:
    """The height over which each two minima are joined by way of any others: the minimax path.

    The highest edge on the way through the minimum spanning tree; infinite where no way is known. The diagonal is that
    of `heights`.

    Args:
        heights: as for `spanning_tree`.

    Raises:
        ValueError: not square and symmetric, or minus infinity.
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

    Returns:
        Row k, (i, j, height, minima), joins groups i and j into group M + k; groups 0 to M - 1 are the minima.

    Raises:
        ValueError: not square and symmetric, minus infinity, or some minima are joined by no path.
    """
    heights = _checked(heights)
    if len(heights) < 2:
        return np.zeros((0, 4))
    passes = lowest_passes(heights)
    lost = np.flatnonzero(~np.isfinite(passes[0, 1:])) + 1
    if len(lost):
        raise ValueError(
            f"no path joins minimum 0 with {len(lost)} of the others, first minimum {lost[0]}; leave them out or give "
            "a path."
        )
    ranks, known = _ranks(heights)
    # An unknown path is higher than all known ones, so that no groups are joined by it.
    distances = np.where(ranks > 0, ranks, len(known) + 1)
    np.fill_diagonal(distances, 0)
    merges = linkage(squareform(distances, checks=False), "single")
    merges[:, 2] = known[merges[:, 2].astype(int) - 1]
    return merges


def _checked(heights):
    heights = np.asarray(heights, np.float64)
    if heights.ndim != 2 or heights.shape[0] != heights.shape[1] or not len(heights):
        raise ValueError(f"heights must have shape (minima, minima); got {heights.shape}.")
    heights = np.where(np.isnan(heights), np.inf, heights)
    if np.isneginf(heights).any():
        raise ValueError("heights hold minus infinity; NaN or plus infinity says that no path is known.")
    if not np.array_equal(heights, heights.T):
        raise ValueError(
            "heights must be symmetric, one height for each two minima; of both ways numpy.fmin(heights, heights.T) "
            "takes the lower."
        )
    return heights


def _ranks(heights):
    """Places of the heights among the known ones, from 1, and these; 0, which SciPy reads as no edge, for no path.

    Only the order of heights decides who joins whom, and unlike shifted heights ranks keep it whatever their range.
    """
    off = ~np.eye(len(heights), dtype=bool) & np.isfinite(heights)
    known, place = np.unique(heights[off], return_inverse=True)
    ranks = np.zeros(heights.shape)
    ranks[off] = place + 1
    return ranks, known


def _by_height(heights):
    """The edges of the minimum spanning tree, lowest first."""
    return sorted(map(tuple, spanning_tree(heights)), key=lambda edge: heights[edge])
