"""What becomes of every public statistic when the unit of its data changes: nothing but its own unit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxland import statistics
from jaxland.statistics import (
    Histogram,
    Moments,
    binned_shares,
    logistic_fit,
    lowess,
    mean_interval,
    permutation_p_value,
    sample_interval,
    two_way_components,
)


def _histogram(rng, unit, _):
    values, edges = 3 * rng.normal(size=50), (-2.0, 2.5)
    found = Histogram.spanning(edges[0] * unit, edges[1] * unit, 16).add(values * unit)
    coarse = found.coarsen(-1.5 * unit, 2 * unit, 4)
    yield (0, 0), [*found.counts, *coarse.counts, found.below, found.above, found.share(-unit, unit)]
    yield (1, 0), [*coarse.edges, found.smallest, found.largest, found.mode, *map(found.quantile, (0.01, 0.4, 0.97))]


def _moments(rng, unit, _):
    values = rng.normal(size=(2, 20, 3)) * unit
    found = Moments().add(values[0]).add(values[1])
    yield (0, 0), [found.count]
    yield (1, 0), [*found.mean, *found.deviation]
    yield (2, 0), found.variance


def _logistic(rng, unit, _):
    x = rng.normal(size=80)
    success = rng.random(80) < 1 / (1 + np.exp(-2 * x))
    found = logistic_fit(unit * x, success)
    parted, far = logistic_fit(unit * x, x > 0), logistic_fit(unit * np.append(x, 1e30), np.append(success, True))
    assert (found.status, parted.status, far.status) == ("ok", "separable", "ok")
    yield (0, 0), [found.intercept, *found.intercept_interval, *found.probability(unit * x), far.intercept]
    yield (1, 0), [found.half, found.half_error, *parted.gap, far.half]
    yield (-1, 0), [found.slope, found.slope_error, *found.slope_interval, far.slope]


def _lowess(rng, unit, second):
    x, y = np.exp(5 * rng.normal(size=60)), rng.normal(size=60)
    y[::9] += 40
    found = lowess(unit * x, second * y, fraction=0.4)
    yield (1, 0), found.x
    yield (0, 1), found.y


def _p_value(rng, unit, _):
    null = rng.integers(-5, 5, size=40) / 7 * (1 + 1e-15 * rng.normal(size=40))
    for alternative in ("less", "greater"):
        yield (0, 0), permutation_p_value(-2 / 7 * unit, null * unit, alternative=alternative)


def _components(rng, unit, _):
    found = two_way_components(unit * rng.normal(size=(5, 4)))
    yield (2, 0), [found.rows, found.columns, found.both, *found.without_row.ravel(), *found.without_column.ravel()]
    yield (0, 0), found.estimate(lambda rows, columns, both: rows / (rows + columns + both))


def _shares(rng, unit, _):
    x, success = rng.normal(size=50), rng.random(50) < 0.5
    found = binned_shares(x * unit, success, np.linspace(-1, 1, 6) * unit)
    yield (1, 0), found.edges
    yield (0, 0), [*np.ravel(found[1:6]), found.outside]


def _mean_interval(rng, unit, _):
    values = rng.normal(size=(10, 3)) * unit
    yield (1, 0), mean_interval(values.mean(axis=0), values.std(axis=0, ddof=1), 10)


def _sample_interval(rng, unit, _):
    yield (1, 0), sample_interval(rng.normal(size=10) * unit)


# Of a function that yields parts of its result, each with the powers of both units that it is multiplied by.
TABLE = {
    "Histogram": _histogram,
    "Moments": _moments,
    "binned_shares": _shares,
    "logistic_fit": _logistic,
    "lowess": _lowess,
    "mean_interval": _mean_interval,
    "permutation_p_value": _p_value,
    "sample_interval": _sample_interval,
    "two_way_components": _components,
}
WITHOUT_UNITS = {
    "BinnedShares": "what binned_shares returns",
    "Estimate": "what TwoWayComponents.estimate returns",
    "LogisticFit": "what logistic_fit returns",
    "Lowess": "what lowess returns",
    "PermutationPValue": "what permutation_p_value returns",
    "TwoWayComponents": "what two_way_components returns",
    "distribution_band": "takes a count and a probability",
    "permutations_to_decide": "takes probabilities",
    "permutations_to_measure": "takes probabilities",
    "permutations_to_resolve": "takes a probability",
    "wilson_interval": "takes counts and a probability",
}


def test_every_public_name_is_looked_at():
    assert sorted([*TABLE, *WITHOUT_UNITS]) == sorted(statistics.__all__)


exponents = st.integers(-400, 400)


@pytest.mark.parametrize("name", TABLE)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), first=exponents, second=exponents)
def test_the_unit_of_the_data_is_that_of_the_result(name, seed, first, second):
    """Units are powers of two, by which floating-point numbers scale without rounding."""
    units = 2.0**first, 2.0**second
    plain, scaled = (list(TABLE[name](np.random.default_rng(seed), *each)) for each in ((1.0, 1.0), units))
    for (powers, before), (_, after) in zip(plain, scaled, strict=True):
        shift = int(np.dot(powers, (first, second)))
        np.testing.assert_allclose(np.ldexp(np.asarray(after, float), -shift), before, rtol=1e-9, atol=1e-300)
