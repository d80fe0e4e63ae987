"""Passes between minima: a surface whose stationary points are known, and every way tried on random matrices."""

from itertools import combinations, pairwise, permutations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import root

from jaxland.landscape import (
    NebSettings,
    barrier_tree,
    hessians,
    lowest_passes,
    pass_heights,
    relax,
    spanning_tree,
    straight_bands,
)
from jaxland.plots import disconnectivity_graph, leaf_order
from jaxland.problems import gradients_of

# A bowl with four wells: places, depths and widths.
PLACES = np.array([[-1.0, -0.9], [1.1, -0.8], [0.9, 1.0], [-1.2, 1.1]])
DEPTHS, WIDTHS = np.array([1.0, 1.4, 0.8, 1.2]), np.array([0.6, 0.55, 0.65, 0.5])


def wells(point):
    places, depths, widths = (jnp.asarray(values, point.dtype) for values in (PLACES, DEPTHS, WIDTHS))
    square = jnp.sum((point[None] - places) ** 2, axis=1)
    return 0.1 * jnp.sum(point**2) - jnp.sum(depths * jnp.exp(-square / (2 * widths**2)))


def slope(point):
    """The gradient by hand."""
    apart = point - PLACES
    pull = DEPTHS / WIDTHS**2 * np.exp(-(apart**2).sum(axis=1) / (2 * WIDTHS**2))
    return 0.2 * point + pull @ apart


EVALUATE = gradients_of(wells)
ALL_PAIRS = np.stack(np.triu_indices(4, 1), axis=1)


@pytest.fixture(scope="module")
def stationary():
    """Minima and saddles by Newton's method from a grid, told apart by the signs of their curvatures."""
    found = []
    for start in np.stack(np.meshgrid(*[np.linspace(-2, 2, 13)] * 2), axis=-1).reshape(-1, 2):
        result = root(slope, start, tol=1e-13)
        if result.success and not any(np.linalg.norm(result.x - other) < 1e-6 for other in found):
            found.append(result.x)
    points = np.array(found)
    index = (np.linalg.eigvalsh(hessians(wells, points)) < 0).sum(axis=1)
    minima, saddles = points[index == 0], points[index == 1]
    # A surface that rises on all sides has as many minima and maxima as saddles, and one (Morse).
    assert (index == 0).sum() - (index == 1).sum() + (index == 2).sum() == 1
    order = [int(np.linalg.norm(minima - place, axis=1).argmin()) for place in PLACES]
    assert sorted(order) == [0, 1, 2, 3]
    return minima[order], saddles


@pytest.fixture(scope="module")
def joined(stationary):
    """For each saddle the minima to which steepest descent leads on both sides, and its height: no bands needed."""
    minima, saddles = stationary
    _, vectors = np.linalg.eigh(hessians(wells, saddles))
    ends = []
    for saddle, direction in zip(saddles, vectors[:, :, 0], strict=True):
        sides = saddle + 1e-3 * np.stack([direction, -direction])
        for _ in range(2000):
            sides = sides - 0.02 * np.array([slope(side) for side in sides])
        apart = np.linalg.norm(sides[:, None] - minima, axis=2)
        assert apart.min(axis=1).max() < 1e-3
        ends.append(apart.argmin(axis=1))
    return np.array(ends), EVALUATE(saddles)[0]


@pytest.fixture(scope="module")
def banded(stationary):
    """The matrix as a user would make it: a band between each two minima."""
    minima, _ = stationary
    bands = straight_bands(minima[ALL_PAIRS[:, 0]], minima[ALL_PAIRS[:, 1]], 21)
    settings = NebSettings(tolerance=1e-4)
    relaxed = relax(EVALUATE, bands, settings)
    # Those between opposite wells fold at the third well they sink into, and may stall.
    assert set(relaxed.reason[[0, 2, 3, 5]]) == {"converged"}
    return pass_heights(EVALUATE(minima)[0], ALL_PAIRS, relaxed.energies.max(axis=1))


@pytest.mark.slow
def test_passes_of_bands_are_the_known_saddles(stationary, joined, banded):
    minima, saddles = stationary
    assert len(saddles) == 4
    known = pass_heights(EVALUATE(minima)[0], *joined)
    np.testing.assert_allclose(lowest_passes(banded), lowest_passes(known), atol=1e-6)
    # Which band represents a pass is open where one between opposite wells crosses it too, but not how high it is.
    of_bands, of_saddles = (each[tuple(spanning_tree(each).T)] for each in (banded, known))
    np.testing.assert_allclose(np.sort(of_bands), np.sort(of_saddles), atol=1e-6)


@pytest.mark.slow
def test_the_tree_of_the_surface(stationary, joined, banded):
    """Three of the four saddles join the four minima; the tree has their heights, and the graph draws them."""
    energies = EVALUATE(stationary[0])[0]
    merges = barrier_tree(banded)
    np.testing.assert_allclose(merges[:, 2], np.sort(joined[1])[:3], atol=1e-6)
    ax = disconnectivity_graph(energies, merges)
    drawn = np.array(ax.collections[1].get_segments())[:, 0, 1]
    np.testing.assert_allclose(np.sort(drawn), np.sort(joined[1])[:3], atol=1e-6)
    assert leaf_order(energies, merges)[0] == DEPTHS.argmax()


@pytest.mark.slow
def test_the_lowest_way_may_lead_over_other_minima(banded):
    """Opposite wells have no pass of their own: a band between them sinks into a third, or stays on the ridge."""
    through = np.fmin(np.fmax(banded[0, 1], banded[1, 2]), np.fmax(banded[0, 3], banded[3, 2]))
    assert lowest_passes(banded)[0, 2] == min(through, banded[0, 2])
    assert through <= banded[0, 2] + 1e-9


def _random(count, seed, unknown=0.0, ties=False):
    rng = np.random.default_rng(seed)
    heights = rng.integers(-3, 4, (count, count)).astype(float) if ties else rng.normal(size=(count, count))
    heights[rng.random((count, count)) < unknown] = np.nan
    heights = np.triu(heights, 1) + np.triu(heights, 1).T
    return heights + np.diag(rng.normal(size=count))


def _every_way(heights):
    """The least of the highest steps on all ways from each to each, visiting no minimum twice."""
    count = len(heights)
    found = np.full((count, count), np.inf)
    for first, last in permutations(range(count), 2):
        between = [each for each in range(count) if each not in (first, last)]
        for stops in (way for size in range(count - 1) for way in permutations(between, size)):
            way = [first, *stops, last]
            steps = [heights[edge] for edge in pairwise(way)]
            if not np.isnan(steps).any():
                found[first, last] = min(found[first, last], max(steps))
    np.fill_diagonal(found, np.diag(heights))
    return found


CASES = [
    _random(2, 0),
    *(_random(6, seed) for seed in range(3)),
    *(_random(6, seed, ties=True) for seed in range(3)),
    *(_random(6, seed, unknown=0.4) for seed in range(6)),
    _random(5, 0) * 1e-300,
    np.where(np.eye(5), 0, np.full((5, 5), np.nan)),
]


@pytest.mark.parametrize("heights", CASES)
def test_lowest_passes_against_every_way(heights):
    np.testing.assert_array_equal(lowest_passes(heights), _every_way(heights))


@pytest.mark.parametrize("heights", CASES)
def test_spanning_tree_against_every_choice_of_edges(heights):
    """Of all forests that join as much as can be joined none is lower, and this one's passes are the lowest."""
    tree = spanning_tree(heights)
    edges = [edge for edge in combinations(range(len(heights)), 2) if not np.isnan(heights[edge])]
    assert {tuple(edge) for edge in tree} <= set(edges)
    assert [tuple(edge) for edge in tree] == sorted(tuple(edge) for edge in tree)
    cost = sum(heights[tuple(edge)] for edge in tree)
    forests = [chosen for chosen in combinations(edges, len(tree)) if _groups(chosen, len(heights)) is not None]
    assert cost == pytest.approx(min(sum(heights[edge] for edge in chosen) for chosen in forests), rel=1e-12)
    joined = _groups([tuple(edge) for edge in tree], len(heights))
    assert joined == _groups(edges, len(heights), loops=True)
    only = np.full(heights.shape, np.nan)
    only[tuple(tree.T)] = heights[tuple(tree.T)]
    only.T[tuple(tree.T)] = heights[tuple(tree.T)]
    np.fill_diagonal(only, np.diag(heights))
    np.testing.assert_array_equal(lowest_passes(only), lowest_passes(heights))


def _groups(edges, count, loops=False):
    """The groups that edges join, or None where they close a loop."""
    group = list(range(count))
    for first, second in edges:
        if group[first] == group[second] and not loops:
            return None
        group = [group[first] if each == group[second] else each for each in group]
    return {frozenset(np.flatnonzero(np.equal(group, each)).tolist()) for each in group}


@pytest.mark.parametrize("heights", [case for case in CASES if np.isfinite(lowest_passes(case)).all()])
def test_barrier_tree_joins_at_the_lowest_passes(heights):
    """Two minima are first in one group at the height of the lowest pass between them."""
    count, passes = len(heights), lowest_passes(heights)
    merges = barrier_tree(heights)
    assert (np.diff(merges[:, 2]) >= 0).all()
    members = [[leaf] for leaf in range(count)]
    for i, j, height, size in merges:
        here, there = members[int(i)], members[int(j)]
        assert (passes[np.ix_(here, there)] == height).all()
        members.append(here + there)
        assert len(members[-1]) == size
    assert sorted(members[-1]) == list(range(count))


def test_a_diverged_band_leaves_the_digits_of_the_others():
    heights = _random(6, 3)
    heights[0, 1] = heights[1, 0] = 1e25
    np.testing.assert_array_equal(lowest_passes(heights), _every_way(heights))
    assert set(barrier_tree(heights)[:, 2]) <= set(heights.ravel())


def test_one_minimum():
    alone = np.array([[2.0]])
    assert spanning_tree(alone).shape == (0, 2)
    assert lowest_passes(alone) == 2
    assert barrier_tree(alone).shape == (0, 4)


def test_two_hundred_minima_on_a_line():
    """Neighbours alone are joined: the pass between two is the highest of those on the line between them."""
    passes = np.random.default_rng(0).random(199)
    line = np.arange(199)
    found = lowest_passes(pass_heights(np.zeros(200), np.stack([line, line + 1], axis=1), passes))
    for first, last in ((0, 199), (17, 18), (3, 120)):
        assert found[first, last] == found[last, first] == passes[first:last].max()


def test_pass_heights():
    energies = np.array([0.0, 1.0, 2.0, 0.5])
    pairs = np.array([[0, 1], [1, 0], [2, 1], [3, 1]])
    found = pass_heights(energies, pairs, np.array([5.0, 4.0, 3.0, np.nan]))
    inf = np.inf
    np.testing.assert_array_equal(found, [[0, 4, inf, inf], [4, 1, 3, inf], [inf, 3, 2, inf], [inf, inf, inf, 0.5]])
    np.testing.assert_array_equal(pass_heights(energies, np.zeros((0, 2), int), np.zeros(0))[0, 1:], [inf] * 3)


@pytest.mark.parametrize("function", [spanning_tree, lowest_passes, barrier_tree])
@pytest.mark.parametrize(
    ("heights", "message"),
    [
        (np.zeros((2, 3)), r"shape \(minima, minima\); got \(2, 3\)"),
        (np.zeros((0, 0)), r"shape \(minima, minima\); got \(0, 0\)"),
        (np.array([[0.0, 1.0], [2.0, 0.0]]), r"symmetric.*numpy\.fmin\(heights, heights\.T\)"),
        (np.array([[0.0, np.nan], [2.0, 0.0]]), "symmetric"),
        (np.array([[0.0, -np.inf], [-np.inf, 0.0]]), "minus infinity"),
    ],
)
def test_bad_heights(function, heights, message):
    with pytest.raises(ValueError, match=message):
        _unchecked(function)(heights)


def test_a_tree_needs_a_path_to_every_minimum():
    heights = _random(5, 1)
    heights[3, :] = heights[:, 3] = np.nan
    with pytest.raises(ValueError, match="no path joins minimum 0 with 1 of the others, first minimum 3; leave"):
        barrier_tree(heights)
    assert np.isinf(lowest_passes(heights)[3, [0, 1, 2, 4]]).all()
    assert len(spanning_tree(heights)) == 3


def test_bad_pairs():
    energies, height = np.zeros(3), np.ones(1)
    for pair in ([0, 3], [-1, 2], [1, 1]):
        with pytest.raises(ValueError, match=r"two different minima from 0 to 2; got \("):
            pass_heights(energies, np.array([pair]), height)
    with pytest.raises(ValueError, match=r"pairs must have shape \(2, 2\), one for each height; got \(1, 2\)"):
        _unchecked(pass_heights)(energies, np.array([[0, 1]]), np.ones(2))


def _unchecked(function):
    """The function as users have it: the tests' type checker would refuse these shapes before it is asked."""
    return getattr(function, "__wrapped__", function)
