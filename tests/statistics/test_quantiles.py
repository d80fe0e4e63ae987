"""Intervals of quantiles against SciPy and enumeration, bands against their formula, both against their coverage."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.distributions.empirical_distribution import ECDF

from jaxland.statistics import ecdf, quantile_intervals

LEVELS = (0.05, 0.25, 0.5, 0.9)


@pytest.mark.parametrize("count", [8, 40, 301])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_are_those_of_scipys_test_of_quantiles(count, confidence):
    values = np.random.default_rng(count).normal(size=count)
    found = quantile_intervals(values, LEVELS, confidence=confidence)
    np.testing.assert_allclose(found["quantile"], np.quantile(values, LEVELS))
    for row in found.itertuples():
        # Its interval has no bound where ours is infinite.
        low, high = stats.quantile_test(values, p=row.level).confidence_interval(confidence)
        assert row.low == (-np.inf if np.isnan(low) else low)
        assert row.high == (np.inf if np.isnan(high) else high)
    assert (found["coverage"] >= confidence).all()
    assert (found["count"] == count).all()


def test_coverage_is_the_sum_over_all_numbers_of_values_below():
    found = quantile_intervals(np.arange(12.0), (0.3, 0.5), confidence=0.9)
    for row in found.itertuples():
        holds = [k for k in range(13) if row.low_rank <= k < row.high_rank]
        assert row.coverage == pytest.approx(sum(stats.binom.pmf(k, 12, row.level) for k in holds))
        assert (row.low, row.high) == (row.low_rank - 1, row.high_rank - 1)  # the values are 0, 1, 2, ...


def test_intervals_hold_the_quantile_as_often_as_they_say():
    rng, hits = np.random.default_rng(0), np.zeros(2)
    for _ in range(400):
        found = quantile_intervals(rng.exponential(size=35), (0.5, 0.8))
        hits += (found["low"] <= -np.log1p(-found["level"])) & (-np.log1p(-found["level"]) < found["high"])
    expected = quantile_intervals(rng.normal(size=35), (0.5, 0.8))["coverage"]
    for hit, coverage in zip(hits, expected, strict=True):
        assert stats.binomtest(int(hit), 400, coverage).pvalue > 0.01


def test_diverged_fits_count_as_infinite():
    values = np.array([1.0, np.inf, 2.0, 3.0, np.inf, 4.0, 5.0, np.inf])
    found = quantile_intervals(values, (0.1, 0.5, 0.7, 0.99)).set_index("level")
    assert found.loc[0.5, "quantile"] == 4.5
    assert found.loc[[0.7, 0.99], "quantile"].tolist() == [np.inf, np.inf]
    assert found.loc[0.5, ["low", "high"]].tolist() == [1, np.inf]
    assert found.loc[0.1, ["low", "low_rank"]].tolist() == [-np.inf, 0]


def test_distribution_function_is_that_of_statsmodels():
    values = np.random.default_rng(1).integers(0, 9, size=30).astype(float)
    found = ecdf(values)
    np.testing.assert_array_equal(found["value"], np.unique(values))
    np.testing.assert_allclose(found["share"], ECDF(values)(found["value"]))
    half = np.sqrt(np.log(2 / 0.05) / 60)
    np.testing.assert_allclose(found["low"], np.maximum(found["share"] - half, 0))
    np.testing.assert_allclose(found["high"], np.minimum(found["share"] + half, 1))


def test_pointwise_band_is_the_exact_interval_of_a_share():
    values = np.array([1.0, 2, 2, 5, 7, np.inf])
    for row in ecdf(values, band="pointwise", confidence=0.9).itertuples():
        low, high = stats.binomtest(int((values <= row.value).sum()), 6).proportion_ci(0.9, method="exact")
        assert (row.low, row.high) == pytest.approx((low, high))


def test_the_band_holds_the_whole_function_as_often_as_it_says():
    rng, hits = np.random.default_rng(2), 0
    for _ in range(600):
        found = ecdf(rng.random(50), confidence=0.9)
        # The true function is furthest from a step just before it and at it.
        before, after = np.append(0, found["high"][:-1]), found["low"]
        bound = np.sqrt(np.log(2 / 0.1) / 100)
        hits += (found["value"] <= np.maximum(before, bound)).all() and (found["value"] >= after).all()
    assert stats.binomtest(hits, 600, 0.9, alternative="less").pvalue > 0.01
    assert hits < 600


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: quantile_intervals(np.array([1.0, np.nan])),
            "1 of 2 values are NaN. Let a fit that diverged count as",
        ),
        (lambda: quantile_intervals(np.zeros(0)), "not empty"),
        (lambda: quantile_intervals(np.zeros(3), 1.0), "levels must lie between 0 and 1; got 1.0"),
        (lambda: quantile_intervals(np.zeros(3), confidence=95), "confidence must lie between 0 and 1; got 95"),
        (lambda: ecdf(np.array([np.nan])), "1 of 1 values are NaN"),
        (lambda: ecdf(np.zeros(3), confidence=1.0), "confidence must lie between"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
