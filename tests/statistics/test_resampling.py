import numpy as np
import pytest
from scipy import stats

from jaxland.statistics import bootstrap_interval

VALUES = np.random.default_rng(0).lognormal(size=60)


def _resampled(values, statistic, resamples, seed):
    """The plain loop, with the indices that SciPy draws."""
    rows = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    return np.array([statistic(values[row]) for row in rows])


def test_percentiles_are_those_of_a_plain_loop():
    found = bootstrap_interval(VALUES, np.median, seed=3, method="percentile", confidence=0.9, resamples=500)
    drawn = _resampled(VALUES, np.median, 500, 3)
    np.testing.assert_allclose(found.distribution, drawn)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, (0.05, 0.95))))
    assert (found.value, found.standard_error) == pytest.approx((np.median(VALUES), drawn.std(ddof=1)))
    assert (found.method, found.count, found.confidence) == ("percentile", 60, 0.9)


def test_bca_is_that_of_its_formula():
    """Efron (1987), eqs. 2.3, 4.1 and 6.6, term by term."""
    found = bootstrap_interval(VALUES, np.std, seed=1, resamples=2000)
    drawn, value = _resampled(VALUES, np.std, 2000, 1), np.std(VALUES)
    bias = stats.norm.ppf(np.mean(drawn < value))
    without = np.array([np.std(np.delete(VALUES, place)) for place in range(60)])
    influence = without.mean() - without
    acceleration = (influence**3).sum() / (6 * (influence**2).sum() ** 1.5)
    for level, bound in ((0.025, found.low), (0.975, found.high)):
        shifted = bias + stats.norm.ppf(level)
        adjusted = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
        assert bound == pytest.approx(np.quantile(drawn, adjusted))


def test_statistics_with_and_without_an_axis_agree():
    plain = bootstrap_interval(VALUES, lambda sample: np.mean(sample), seed=0, resamples=300)
    many = bootstrap_interval(VALUES, np.mean, seed=0, resamples=300)
    np.testing.assert_allclose(plain.distribution, many.distribution)
    assert plain[:4] == pytest.approx(many[:4])


def test_rows_of_several_numbers_are_drawn_together():
    x = np.random.default_rng(2).normal(size=80)
    rows = np.stack([x, 3 * x + 1], axis=1)
    found = bootstrap_interval(
        rows, lambda drawn: np.polyfit(*drawn.T, 1)[0], seed=0, resamples=50, method="percentile"
    )
    np.testing.assert_allclose(found.distribution, 3)


def test_the_seed_decides():
    one, same, other = (bootstrap_interval(VALUES, np.mean, seed=seed, resamples=100) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.distribution, same.distribution)
    assert (one.distribution != other.distribution).any()


@pytest.mark.parametrize(
    ("values", "statistic", "options", "message"),
    [
        (np.ones(9), np.mean, {}, "there is no BCa interval.*Take method='percentile'"),
        (np.append(VALUES, np.inf), np.mean, {}, "1 of 61 values are not finite. Leave out fits that diverged"),
        (VALUES[:1], np.mean, {}, "at least two rows"),
        (VALUES, lambda sample: np.nan, {}, "the statistic of the values is nan"),
        (VALUES, np.mean, {"resamples": 0}, "resamples must be at least 1; got 0"),
        (VALUES, np.mean, {"confidence": 0.0}, "confidence must lie between 0 and 1"),
    ],
)
def test_what_has_no_interval_is_refused(values, statistic, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(values, statistic, **{"seed": 0, "resamples": 200, **options})
