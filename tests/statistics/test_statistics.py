import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxland.statistics import (
    Histogram,
    Moments,
    histogram,
    mean_interval,
    moments,
    sample_interval,
    wilson_interval,
)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=8), max_size=6))
def test_moments_of_parts_equal_those_of_the_whole(parts):
    merged = Moments()
    for part in parts:
        merged = merged.add(np.array(part, float))
    whole = np.array([value for part in parts for value in part])
    assert merged.count == len(whole)
    if len(whole):
        np.testing.assert_allclose(merged.mean, whole.mean(), rtol=1e-9, atol=1e-6)
    if len(whole) > 1:
        np.testing.assert_allclose(merged.variance, whole.var(ddof=1), rtol=1e-6, atol=1e-3)


def test_moments_keep_the_other_axes():
    values = np.random.default_rng(0).normal(size=(50, 3, 2))
    merged = moments(values[:20]).merge(moments(values[20:]))
    np.testing.assert_allclose(merged.deviation, values.std(axis=0, ddof=1))
    assert np.isnan(Moments().add(values[:1]).variance).all()


def _histogram(values, parts=3):
    histogram = Histogram.spanning(0, 1, 200)
    for part in np.array_split(values, parts):
        histogram = histogram.add(part)
    return histogram


def test_histogram_counts_everything():
    values = np.concatenate([np.random.default_rng(0).random(1000), [-1, 2, 3, np.nan, 1.0]])
    histogram = _histogram(values)
    assert (histogram.below, histogram.above, histogram.invalid, histogram.total) == (1, 2, 1, 1004)
    assert (histogram.smallest, histogram.largest) == (-1, 3)
    np.testing.assert_array_equal(histogram.counts, np.histogram([*values[:1000].tolist(), 1.0], histogram.edges)[0])


@pytest.mark.parametrize("probability", [0.0, 0.01, 0.25, 0.5, 0.9, 1.0])
def test_quantiles_are_within_a_bin(probability):
    values = np.random.default_rng(1).beta(2, 5, size=5000)
    assert _histogram(values).quantile(probability) == pytest.approx(np.quantile(values, probability), abs=1 / 200)


def test_quantiles_outside_the_bins_are_the_extremes():
    histogram = _histogram(np.array([-5.0, -4.0, 0.5, 7.0]))
    assert histogram.quantile(0.1) == -5
    assert histogram.quantile(1.0) == 7
    assert np.isnan(Histogram.spanning(0, 1, 3).quantile(0.5))


def test_share_and_mode():
    values = np.concatenate([np.full(300, 0.4025), np.random.default_rng(2).random(700)])
    histogram = _histogram(values)
    assert histogram.mode == pytest.approx(0.4025, abs=1 / 200)
    assert histogram.share(0.4, 0.5) == pytest.approx(np.mean((values >= 0.4) & (values < 0.5)))


def test_coarser_bins_hold_the_same_values():
    histogram = _histogram(np.random.default_rng(3).random(1000))
    coarse = histogram.coarsen(0.25, 0.75, 10)
    assert coarse.total == 1000
    assert len(coarse.counts) == pytest.approx(10, abs=1)
    assert set(coarse.edges) <= set(histogram.edges)
    assert coarse.edges[0] <= 0.25
    assert coarse.edges[-1] >= 0.75


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.9), (0.37, 1.0), (0.0, 0.331)])
def test_coarser_bins_are_of_one_width(low, high):
    widths = np.diff(_histogram(np.random.default_rng(3).random(1000)).coarsen(low, high, 17).edges)
    np.testing.assert_allclose(widths, widths[0])


def test_other_edges_cannot_be_merged():
    with pytest.raises(ValueError, match="edges"):
        Histogram.spanning(0, 1, 2).merge(Histogram.spanning(0, 2, 2))


def test_a_histogram_spans_the_finite_values():
    values = np.array([3.0, np.nan, 1.0, np.inf, 5.0, 4.9, -np.inf])
    found = histogram(values, bins=4)
    np.testing.assert_array_equal(found.edges, [1, 2, 3, 4, 5])
    assert found.counts.tolist() == [1, 0, 1, 2]
    assert (found.below, found.above, found.invalid, found.total) == (1, 1, 1, 6)
    np.testing.assert_allclose(histogram(np.full(3, -4.0), bins=2).edges, [-6, -4, -2])
    with pytest.raises(ValueError, match="needs a finite value; all 2 are infinite or NaN"):
        histogram(np.array([np.nan, np.inf]))


def test_wilson_interval_known_value():
    # Newcombe (1998), table 1: 81 of 263, without continuity correction.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 0) == (0, 1)
    assert wilson_interval(0, 20)[0] == 0


def test_mean_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(4)
    values = rng.normal(3, 2, size=(4000, 10))
    low, high = mean_interval(values.mean(1), values.std(1, ddof=1), 10)
    assert np.mean((low < 3) & (high > 3)) == pytest.approx(0.95, abs=0.012)
    assert np.isnan(mean_interval(np.zeros(1), np.zeros(1), 1)[0])
    assert sample_interval(values[0]) == pytest.approx((low[0], high[0]))
    assert np.isnan(sample_interval(values[0, :1])).all()
