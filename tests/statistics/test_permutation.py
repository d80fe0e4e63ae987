"""P-values against scipy, enumeration and their own definition; numbers of permutations against simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from jaxland.statistics import (
    distribution_band,
    permutation_p_value,
    permutations_to_decide,
    permutations_to_measure,
    permutations_to_resolve,
)

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("alternative", ["less", "greater"])
def test_agrees_with_a_monte_carlo_test_of_scipy(alternative):
    draws = RANDOM.normal(size=500)
    data = RANDOM.normal(size=8)
    rows = iter(draws)

    def statistic(sample, axis):
        # scipy asks for the statistic of the data once, then for that of all placebos.
        return sample.mean(axis=axis) if sample.shape == data.shape else np.array(list(itertools.islice(rows, 500)))

    scipys = stats.monte_carlo_test(
        data,
        lambda size: np.zeros(size),
        statistic,
        n_resamples=500,
        vectorized=True,
        alternative=alternative,
    )
    ours = permutation_p_value(float(data.mean()), draws, alternative=alternative)
    assert ours.value == pytest.approx(scipys.pvalue, abs=1e-15)


def test_all_permutations_of_five_points():
    """Differences of group means, enumerated; the null holds each of the other permutations once."""
    values = np.array([1.0, 2.0, 3.0, 7.0, 9.0])
    means = [np.mean([values[i] for i in order[:2]]) for order in itertools.permutations(range(5))]
    p = permutation_p_value(means[0], np.array(means[1:]))
    # Only the pair (1, 2) has so small a mean: 12 of the 120 orders.
    assert p.exceedances == p.ties == 11
    assert p.value == 12 / 120


def test_interval_is_that_of_a_share_and_never_excludes_the_value():
    for exceedances in (0, 1, 37, 99):
        null = np.r_[np.zeros(exceedances), np.ones(99 - exceedances) * 2]
        p = permutation_p_value(1.0, null)
        assert p.exceedances == exceedances
        assert p.low <= p.value <= p.high
        assert (p.low, p.high) == pytest.approx(stats.binomtest(exceedances, 99).proportion_ci(method="exact"))
    assert permutation_p_value(1.0, np.full(99, 2.0)).high == pytest.approx(1 - 0.025 ** (1 / 99))


def test_interval_covers_the_ideal_p_value_as_often_as_it_says():
    ideal = 0.07
    null = RANDOM.random((2000, 150))
    covered = [(p := permutation_p_value(ideal, row)).low <= ideal <= p.high for row in null]
    assert stats.binomtest(sum(covered), len(covered), 0.95, alternative="less").pvalue > 0.01


def test_infinite_statistics_are_ties_of_each_other():
    p = permutation_p_value(np.inf, np.array([1.0, np.inf, np.inf]))
    assert p.value == 1
    assert p.ties == 2
    assert permutation_p_value(1.0, np.array([np.inf, np.inf, np.inf])).value == 0.25


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1.0, 1e200])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_the_same_numbers_in_another_order_are_ties(scale, dtype):
    """All orders of five numbers have one sum, but for rounding; a sum that is truly larger is none of them."""
    if dtype == np.float32:
        scale = np.clip(scale, 1e-30, 1e30)
    values = dtype(scale) * np.array([0.1, 0.7, 0.2, 1.3, 0.3], dtype)
    sums = np.array([np.cumsum(values[list(order)])[-1] for order in itertools.permutations(range(5))])
    assert len(np.unique(sums)) > 1 or dtype == np.float32
    for alternative in ("less", "greater"):
        for observed in (sums.min(), sums.max()):
            p = permutation_p_value(float(observed), sums, alternative=alternative)
            assert (p.ties, p.value) == (120, 1)
    assert permutation_p_value(float(sums[0]), dtype(1.001) * sums).exceedances == 0


def test_randomised_p_values_are_uniform_though_all_statistics_are_small_integers():
    scores = []
    for _ in range(2000):
        draws = RANDOM.integers(0, 3, 20).astype(float)
        p = permutation_p_value(draws[0], draws[1:])
        scores.append(p.randomised(RANDOM.random()))
        assert 0 <= scores[-1] < p.value
    assert stats.kstest(scores, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, np.zeros(0)), "at least one placebo"),
        ((np.nan, np.zeros(3)), "is NaN"),
        ((1.0, np.array([0.0, np.nan])), "is NaN"),
    ],
)
def test_bad_statistics(arguments, message):
    with pytest.raises(ValueError, match=message):
        permutation_p_value(*arguments)


@pytest.mark.parametrize(
    ("level", "needed"), [(0.05, 19), (0.01, 99), (0.001, 999), (1 / 3, 2), (0.3, 3), (0.9, 1), (1e-12, 10**12 - 1)]
)
def test_permutations_that_resolve_a_level(level, needed):
    assert permutations_to_resolve(level) == needed
    assert 1 / (needed + 1) <= level * (1 + 1e-12)


def test_permutations_that_measure_a_p_value():
    needed = permutations_to_measure(0.05, 0.1)
    assert needed == 1900
    shares = RANDOM.binomial(needed, 0.05, 20_000) / needed
    assert np.std(shares) / 0.05 == pytest.approx(0.1, rel=0.03)


def test_permutations_that_decide():
    needed = permutations_to_decide(0.04, 0.05)
    counts = RANDOM.binomial(needed, 0.04, 400)
    upper = stats.beta.ppf(0.975, counts + 1, needed - counts)
    # At this number the bound lies at the level on average, so it clears it about half of the time.
    assert 0.4 < np.mean(upper < 0.05) < 0.6
    assert permutations_to_decide(0.05, 0.05) is None
    assert permutations_to_decide(1e-6, 0.05) == permutations_to_decide(1.0, 0.05) == 19


@pytest.mark.parametrize("level", [0.05, 0.01, 0.001])
def test_permutations_that_decide_where_no_placebo_is_as_extreme(level):
    needed = permutations_to_decide(0.0, level)
    highs = [permutation_p_value(1.0, np.full(count, 2.0)).high for count in (needed - 1, needed)]
    assert highs[1] < level <= highs[0]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (permutations_to_resolve, (0.0,)),
        (permutations_to_resolve, (1.0,)),
        (permutations_to_measure, (0.0, 0.1)),
        (permutations_to_measure, (0.5, 0.0)),
        (permutations_to_decide, (0.5, 1.5)),
        (permutations_to_decide, (-0.1, 0.5)),
    ],
)
def test_numbers_out_of_range(function, arguments):
    with pytest.raises(ValueError, match="must"):
        function(*arguments)


@pytest.mark.slow
def test_band_holds_the_distribution_function_as_often_as_it_says():
    band = distribution_band(60)
    distances = [stats.kstest(RANDOM.random(60), "uniform").statistic for _ in range(2000)]
    assert 0.94 < np.mean(np.array(distances) <= band) < 0.99
