import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

import jaxland as jl
from jaxland.placebo import distinct_labellings, random_order, split

RANDOM = np.random.default_rng(0)


def test_every_order_is_equally_likely():
    counts = Counter(tuple(random_order(RANDOM, 4)) for _ in range(12_000))
    assert len(counts) == 24
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


def test_every_order_within_groups_is_equally_likely_and_there_are_no_others():
    groups = np.array(["b", "a", "b", "a", "b"])
    counts = Counter(tuple(random_order(RANDOM, 5, groups)) for _ in range(6_000))
    # Places 0, 2, 4 and places 1, 3 keep to themselves.
    expected = {
        (b[0], a[0], b[1], a[1], b[2])
        for b in itertools.permutations((0, 2, 4))
        for a in itertools.permutations((1, 3))
    }
    assert set(counts) == expected
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


@pytest.mark.parametrize("groups", [None, [0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 4, 5]])
def test_distinct_labellings_are_counted(groups):
    y = np.array([[1.0], [1], [2], [1], [3], [3]])
    made = set()
    for order in itertools.permutations(range(6)):
        if groups is None or all(groups[place] == groups[source] for place, source in enumerate(order)):
            made.add(tuple(y[list(order), 0]))
    assert distinct_labellings(y, None if groups is None else np.array(groups)) == len(made)


def test_very_many_labellings():
    assert distinct_labellings(np.arange(1000.0)[:, None]) == np.inf
    assert distinct_labellings(np.arange(20.0)[:, None]) == pytest.approx(2.43290200817664e18)


def test_a_split_takes_every_point_once_and_keeps_inputs_with_their_labels():
    x = np.arange(40.0)
    parts = split(jl.Problem(x, 2 * x, loss="sum_squared_error", name="line"), 0.25, seed=3)
    assert len(parts.held_out.x) == 10
    assert sorted([*parts.training_points, *parts.held_out_points]) == list(range(40))
    for problem, points in ((parts.training, parts.training_points), (parts.held_out, parts.held_out_points)):
        np.testing.assert_array_equal(problem.x[:, 0], x[points])
        np.testing.assert_array_equal(problem.y, 2 * problem.x)
        assert problem.loss.name == "sum_squared_error"
        assert problem.name == "line"


def test_a_split_depends_on_its_seed_alone():
    problem = jl.Problem(np.arange(40.0), np.arange(40.0))
    points = [tuple(split(problem, 0.5, seed).held_out_points) for seed in (0, 0, 1)]
    assert points[0] == points[1] != points[2]


def test_a_split_leaves_something_on_both_sides():
    problem = jl.Problem(np.arange(3.0), np.arange(3.0))
    assert len(split(problem, 0.01).held_out.x) == 1
    assert len(split(problem, 0.99).training.x) == 1


@pytest.mark.parametrize("share", [0, 1, -0.5, np.nan])
def test_bad_shares(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        split(jl.Problem(np.arange(3.0), np.arange(3.0)), share)


def test_one_point_cannot_be_split():
    with pytest.raises(ValueError, match="cannot be split"):
        split(jl.Problem(np.zeros(1), np.zeros(1)))
