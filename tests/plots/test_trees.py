import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from jaxland.landscape import barrier_tree
from jaxland.plots import barrier_matrix, disconnectivity_graph, leaf_order, new_figure, render, style


def _heights_on_a_line(energies, passes):
    """Barriers between minima in a row: the highest pass between the two."""
    count = len(energies)
    return np.array(
        [[max(passes[min(i, j) : max(i, j)], default=energies[i]) for j in range(count)] for i in range(count)]
    )


def _merges(barriers):
    off_diagonal = np.where(np.eye(len(barriers), dtype=bool), 0, barriers)
    return linkage(squareform(off_diagonal, checks=False), "single")


# Four valleys in a row: 1 | 3 | 0 | 2.5 | 0.5 | 4 | 2
ENERGIES = np.array([1.0, 0.0, 0.5, 2.0])
PASSES = [3.0, 2.5, 4.0]
TOY = _merges(_heights_on_a_line(ENERGIES, PASSES))


def _random_landscape(count, seed):
    rng = np.random.default_rng(seed)
    energies = rng.random(count)
    barriers = np.maximum(energies[:, None], energies) + rng.exponential(size=(count, count))
    barriers = np.minimum(barriers, barriers.T)
    np.fill_diagonal(barriers, energies)
    return energies, barriers


def _lines(ax):
    branches, joins = (np.array(collection.get_segments()) for collection in ax.collections)
    return branches, joins


def test_leaves_hang_at_energies_and_joins_lie_at_barriers():
    ax = disconnectivity_graph(ENERGIES, TOY)
    branches, joins = _lines(ax)
    order = leaf_order(ENERGIES, TOY)
    np.testing.assert_array_equal(order, [1, 2, 0, 3])
    places = {leaf: place for place, leaf in enumerate(order)}
    expected_tops = {0: 3.0, 1: 2.5, 2: 2.5, 3: 4.0}
    for leaf, top in expected_tops.items():
        line = [[places[leaf], ENERGIES[leaf]], [places[leaf], top]]
        assert any(np.array_equal(line, branch) for branch in branches), leaf
    np.testing.assert_allclose(sorted(joins[:, 0, 1]), [2.5, 3, 4])
    np.testing.assert_allclose(np.sort(joins[:, :, 0], axis=1), [[0, 1], [0.5, 2], [1.25, 3]])


def _drawn_barriers(ax, places, energies):
    """Reads from the lines how high one must climb along them from each leaf to each other, by trying every height."""
    branches, joins = _lines(ax)
    count = len(energies)
    found = np.full((count, count), np.inf)
    for level in sorted(joins[:, 0, 1], reverse=True):
        below = [line for line in (*branches, *joins) if line[:, 1].max() <= level]
        group = np.arange(len(below))
        for _ in below:
            for a, one in enumerate(below):
                for b, two in enumerate(below):
                    if _touch(one, two):
                        group[a] = group[b] = min(group[a], group[b])
        tip = {
            leaf: [g for g, line in zip(group, below, strict=True) if _ends_at(line, places[leaf], energies[leaf])]
            for leaf in range(count)
        }
        for i in range(count):
            for j in range(count):
                if tip[i] and tip[i] == tip[j]:
                    found[i, j] = level
    return found


def _touch(one, two):
    low, high = np.maximum(one.min(0), two.min(0)), np.minimum(one.max(0), two.max(0))
    return bool((low <= high + 1e-9).all())


def _ends_at(line, x, y):
    return bool(np.isclose(line, [x, y]).all(axis=1).any())


@pytest.mark.parametrize("seed", range(3))
def test_the_drawing_shows_the_lowest_way_between_all_minima(seed):
    energies, barriers = _random_landscape(7, seed)
    lowest = barriers.copy()
    for k in range(7):  # Floyd and Warshall, with the highest point of a way for its length
        lowest = np.minimum(lowest, np.maximum(lowest[:, [k]], lowest[[k]]))
    merges = _merges(barriers)
    order = leaf_order(energies, merges)
    places = np.argsort(order)
    found = _drawn_barriers(disconnectivity_graph(energies, merges), places, energies)
    apart = ~np.eye(7, dtype=bool)
    np.testing.assert_allclose(found[apart], lowest[apart])


@pytest.mark.parametrize("count", [1, 2, 30, 100])
def test_branches_do_not_cross_and_the_deepest_is_left(count):
    energies, barriers = _random_landscape(count, count)
    merges = _merges(barriers) if count > 1 else np.zeros((0, 4))
    order = leaf_order(energies, merges)
    assert sorted(order) == list(range(count))
    assert order[0] == energies.argmin()
    place = np.argsort(order)
    members = [{leaf} for leaf in range(count)]
    for i, j in merges[:, :2].astype(int):
        members.append(members[i] | members[j])
        assert np.ptp([place[leaf] for leaf in members[-1]]) == len(members[-1]) - 1
    with style():
        figure, (ax,) = new_figure()
        disconnectivity_graph(energies, merges, highlighted=int(order[0]), labels=[f"{k}" for k in range(count)], ax=ax)
        assert render(figure, "png")
    assert len(ax.texts) == (count if count <= 60 else 0)
    np.testing.assert_allclose(ax.lines[-1].get_xydata(), [[0, energies.min()]])


def test_a_barrier_below_its_minimum_is_an_error():
    with pytest.raises(ValueError, match=r"merge 0 joins trees 1 and 2 at height 2\.5, below their own 2\.6 and 0\.5"):
        disconnectivity_graph(np.array([1.0, 2.6, 0.5, 2.0]), TOY)


def test_what_is_no_tree_is_an_error():
    with pytest.raises(ValueError, match=r"3 minima need a linkage of shape \(2, 4\); got \(3, 4\)"):
        disconnectivity_graph(ENERGIES[:3], TOY)
    with pytest.raises(ValueError, match="must be finite"):
        disconnectivity_graph(ENERGIES * np.nan, TOY)
    with pytest.raises(ValueError, match="one entry for each of the 4 minima; got 1"):
        disconnectivity_graph(ENERGIES, TOY, labels=["a"])


def test_matrix_has_the_order_of_the_tree():
    barriers = _heights_on_a_line(ENERGIES, PASSES)
    barriers[0, 3] = barriers[3, 0] = np.nan
    order = leaf_order(ENERGIES, TOY)
    with style():
        figure, (ax,) = new_figure()
        barrier_matrix(barriers, order, labels=list("abcd"), ax=ax)
        assert render(figure, "png")
    drawn = ax.images[0].get_array()
    np.testing.assert_array_equal(drawn.filled(np.nan), barriers[np.ix_(order, order)])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["b", "c", "a", "d"]
    with pytest.raises(ValueError, match="each of the 4 minima once"):
        barrier_matrix(barriers, np.array([0, 1, 1, 2]))


def test_minima_beyond_the_window_are_told():
    energies = np.array([0.0, 1.0, 9.0])
    merges = barrier_tree(np.array([[0.0, 2.0, 10.0], [2.0, 1.0, 10.0], [10.0, 10.0, 9.0]]))
    ax = disconnectivity_graph(energies, merges, window=(-1.0, 3.0))
    assert ax.get_ylim() == (-1.0, 3.0)
    assert [text.get_text() for text in ax.texts] == ["1 minimum beyond"]


def test_the_highest_barriers_do_not_stretch_the_colours():
    heights = np.full((30, 30), 1.0) + np.arange(30)[:, None] * np.arange(30) / 1000
    heights[0, 1] = heights[1, 0] = 100.0
    ax = barrier_matrix(heights, np.arange(30))
    assert ax.images[0].get_clim()[1] < 2
    assert ax.images[0].colorbar.extend == "max"
