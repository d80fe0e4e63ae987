"""The dip against its definition, solved as linear programs, and against published values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from jaxland.statistics import dip_test

# Quality of 63 faculties, the example of Hartigan and Hartigan (1985).
FACULTIES = np.fromstring(
    "30 33 35 36 37 37 39 39 39 39 39 40 40 40 40 41 42 43 43 43 44 44 45 45 46 46 47 47 48 48 48 49 50 50 51 52 52 53 "
    "53 53 53 53 54 54 57 57 59 60 60 60 61 61 61 61 62 62 62 62 63 66 70 72 72",
    sep=" ",
)


def test_the_example_of_the_authors():
    found = dip_test(FACULTIES, seed=0, simulations=3000)
    assert found.dip == pytest.approx(0.0595238, abs=1e-7)
    # R's diptest 0.77 prints p-value = 0.08672, interpolated in a table of a million simulations a row.
    assert found.p_value.low < 0.0867 < found.p_value.high
    assert found.count == 63


def _closest(values, mode):
    """Distance to the closest distribution function, linear between values, that is convex up to a mode, then concave.

    At the mode it may jump, so that it has two heights there.
    """
    distinct, counts = np.unique(values, return_counts=True)
    heads = np.cumsum(counts) / len(values)
    feet = heads - counts / len(values)
    left, right = np.arange(mode + 1), np.arange(mode, len(distinct)) + 1
    places = np.insert(distinct, mode, distinct[mode])
    highest, lowest = np.insert(heads, mode, feet[mode]), np.insert(feet, mode + 1, heads[mode])
    size = len(places)
    rows, bounds = [], []

    def below(coefficients, bound):
        row = np.zeros(size + 1)
        for place, coefficient in coefficients:
            row[place] += coefficient
        rows.append(row)
        bounds.append(bound)

    for place in range(size):
        below([(place, -1), (size, -1)], -highest[place])
        below([(place, 1), (size, -1)], lowest[place])
    for place in range(size - 1):
        below([(place, 1), (place + 1, -1)], 0)
    for side, sign in ((left, 1), (right, -1)):
        for a, b, c in zip(side, side[1:], side[2:], strict=False):
            first, second = sign / (places[b] - places[a]), sign / (places[c] - places[b])
            below([(a, -first), (b, first + second), (c, -second)], 0)
    found = linprog(np.eye(size + 1)[size], np.array(rows), bounds, bounds=(None, None))
    assert found.status == 0
    return found.fun


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.lists(st.integers(0, 9).map(float), min_size=4, max_size=11),
        st.lists(st.floats(-5, 5).map(lambda x: round(x, 2)), min_size=4, max_size=11),
        st.lists(st.sampled_from([0.0, 1.0, 1.5, 7.0]), min_size=4, max_size=20),
    )
)
def test_the_dip_is_the_distance_to_the_closest_unimodal_distribution(values):
    """And never less than 1 / (2 n), that of distinct values in the best case."""
    defined = min(_closest(values, mode) for mode in range(len(set(values))))
    found = dip_test(np.array(values), seed=0, simulations=1)
    assert found.dip == pytest.approx(max(defined, 1 / (2 * len(values))), abs=1e-8)


# Quantiles 0.5, 0.95 and 0.99 of the dip of uniform samples: R's diptest, table qDiptab, a million samples each, which
# replaces table 1 of Hartigan and Hartigan (1985).
@pytest.mark.parametrize(
    ("count", "half", "level_5", "level_1"),
    [
        (10, 0.0977817630, 0.1396113951, 0.1596841589),
        (50, 0.0488511553, 0.0702737877, 0.0811998415),
        (200, 0.0255843583, 0.0368418414, 0.0426864800),
        (1000, 0.0117439009, 0.0169343970, 0.0196080260),
    ],
)
def test_the_null_distribution_has_its_published_quantiles(count, half, level_5, level_1):
    null = dip_test(np.arange(float(count)), seed=count, simulations=4000).null
    for quantile, level in ((half, 0.5), (level_5, 0.05), (level_1, 0.01)):
        assert np.mean(null >= quantile) == pytest.approx(level, abs=3.5 * np.sqrt(level * (1 - level) / 4000))


@pytest.mark.slow
def test_p_values_are_uniform_where_the_values_are_and_small_where_there_are_two_modes():
    rng = np.random.default_rng(5)
    p_values = np.array([dip_test(rng.random(20), seed=rng, simulations=39).p_value.value for _ in range(150)])
    assert np.mean(p_values <= 0.1) == pytest.approx(0.1, abs=0.07)
    assert np.mean(p_values <= 0.5) == pytest.approx(0.5, abs=0.13)
    modes = np.concatenate([rng.normal(-3, 1, 100), rng.normal(3, 1, 100)])
    assert dip_test(modes, seed=0, simulations=999).p_value.value == 0.001
    assert dip_test(modes[:100], seed=0, simulations=999).p_value.value > 0.2


def test_the_modal_interval_lies_in_the_larger_mode():
    rng = np.random.default_rng(6)
    found = dip_test(np.concatenate([rng.normal(0, 1, 300), rng.normal(20, 1, 60)]), seed=0, simulations=1)
    assert -3 < found.low < found.high < 3


def test_large_samples_are_compared_with_those_of_ten_thousand():
    values = np.random.default_rng(7).random(40_000)
    found = dip_test(values, seed=0, simulations=99)
    dip = dip_test(values[:10_000], seed=0, simulations=99)
    assert 0.01 < found.p_value.value <= 1
    assert found.dip < dip.dip


def test_constant_values_have_one_mode():
    found = dip_test(np.full(20, 3.0), seed=0, simulations=99)
    assert (found.dip, found.p_value.value, found.low, found.high) == (1 / 40, 1, 3, 3)


@pytest.mark.parametrize(
    ("values", "simulations", "message"),
    [
        (np.zeros(3), 9, "at least four values"),
        (np.array([0, 1, 2, 3, np.inf]), 9, "1 of 5 values are not finite"),
        (np.zeros(9), 0, "simulations must be at least 1; got 0"),
    ],
)
def test_bad_arguments_are_refused(values, simulations, message):
    with pytest.raises(ValueError, match=message):
        dip_test(values, seed=0, simulations=simulations)
