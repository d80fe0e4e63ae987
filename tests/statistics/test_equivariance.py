"""What becomes of every public statistic when the unit of its data changes: nothing but its own unit."""

import gc
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxland import statistics
from jaxland.statistics import (
    Histogram,
    Moments,
    binned_shares,
    bootstrap_interval,
    crps,
    dip_test,
    ecdf,
    gaussian_nll,
    histogram,
    interval_coverage,
    logistic_fit,
    lowess,
    mean_interval,
    moments,
    paired_tests,
    permutation_p_value,
    quantile_intervals,
    sample_interval,
    two_way_components,
    variance_components,
)

pytestmark = pytest.mark.sampled


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


def _histogram_of(rng, unit, _):
    found = histogram(unit * rng.normal(size=30), bins=7)
    yield (0, 0), found.counts
    yield (1, 0), [*found.edges, *histogram(np.full(3, 0.7 * unit), bins=2).edges]


def _moments_of(rng, unit, _):
    found = moments(unit * rng.normal(size=(9, 2)))
    yield (1, 0), [*found.mean, *found.deviation]


def _bootstrap(rng, unit, _):
    values = rng.normal(size=12)
    for method, statistic in itertools.product(("bca", "percentile"), (np.mean, lambda rows: np.sort(rows)[2:9].sum())):
        found = bootstrap_interval(unit * values, statistic, seed=0, method=method, resamples=40)
        yield (1, 0), [*found[:4], *found.distribution]


def _quantiles(rng, unit, _):
    found = quantile_intervals(unit * rng.normal(size=30), (0.01, 0.5, 0.8))
    yield (1, 0), found[["quantile", "low", "high"]]
    yield (0, 0), found[["low_rank", "high_rank", "coverage"]]


def _ecdf(rng, unit, _):
    found = ecdf(unit * rng.normal(size=30))
    yield (1, 0), found["value"]
    yield (0, 0), found[["share", "low", "high"]]


def _dip(rng, unit, _):
    found = dip_test(unit * rng.normal(size=30) ** 3, seed=0, simulations=5)
    yield (1, 0), [found.low, found.high]
    yield (0, 0), [found.dip, *found.p_value, *found.null]


def _crossed(rng, unit):
    rows = list(itertools.product("abc", range(4), range(3)))
    table = pd.DataFrame(rows, columns=["optimizer", "width", "seed"])
    effects = rng.normal(size=3)[table["optimizer"].factorize()[0]] + rng.normal(size=4)[table["width"]]
    return table.assign(loss=unit * (effects + rng.normal(size=36)))


def _paired(rng, unit, _):
    found = paired_tests(_crossed(rng, unit), value="loss", factor="optimizer", pairing=["width", "seed"])
    yield (1, 0), found[["mean_difference", "median_difference", "low", "high"]]
    yield (0, 0), found.drop(columns=["level", "against", "mean_difference", "median_difference", "low", "high"])


def _variances(rng, unit, _):
    table = _crossed(rng, unit)
    for rows in (table, table.iloc[3:]):
        found = variance_components(rows, value="loss", factors=["optimizer", "width"], interactions=False)
        yield (2, 0), found[["variance", "low", "high"]]
        yield (0, 0), found[["share", "share_low", "share_high"]]


def _predictions(rng, unit):
    return unit * rng.normal(size=(40, 5)), unit * rng.normal(size=5)


def _crps(rng, unit, _):
    predictions, targets = _predictions(rng, unit)
    yield (1, 0), crps(predictions, targets)
    yield (1, 0), crps(predictions, targets, fair=True)


def _gaussian_nll(rng, unit, _):
    # A density has the unit's inverse.
    yield (0, 0), gaussian_nll(*_predictions(rng, unit)) - np.log(unit)


def _coverage(rng, unit, _):
    found = interval_coverage(*_predictions(rng, unit))
    yield (1, 0), found["width"]
    yield (0, 0), found.drop(columns="width")


# Of a function that yields parts of its result, each with the powers of both units that it is multiplied by.
TABLE = {
    "Histogram": _histogram,
    "Moments": _moments,
    "binned_shares": _shares,
    "bootstrap_interval": _bootstrap,
    "crps": _crps,
    "dip_test": _dip,
    "ecdf": _ecdf,
    "gaussian_nll": _gaussian_nll,
    "histogram": _histogram_of,
    "interval_coverage": _coverage,
    "logistic_fit": _logistic,
    "lowess": _lowess,
    "mean_interval": _mean_interval,
    "moments": _moments_of,
    "paired_tests": _paired,
    "permutation_p_value": _p_value,
    "quantile_intervals": _quantiles,
    "sample_interval": _sample_interval,
    "two_way_components": _components,
    "variance_components": _variances,
}
WITHOUT_UNITS = {
    "BinnedShares": "what binned_shares returns",
    "BootstrapInterval": "what bootstrap_interval returns",
    "ClassificationScores": "what classification_scores returns",
    "DipTest": "what dip_test returns",
    "Estimate": "what TwoWayComponents.estimate returns",
    "LogisticFit": "what logistic_fit returns",
    "Lowess": "what lowess returns",
    "PermutationPValue": "what permutation_p_value returns",
    "TwoWayComponents": "what two_way_components returns",
    "calibration_error": "takes what reliability returns",
    "classification_scores": "takes probabilities and labels",
    "distribution_band": "takes a count and a probability",
    "permutations_to_decide": "takes probabilities",
    "permutations_to_measure": "takes probabilities",
    "permutations_to_resolve": "takes a probability",
    "reliability": "takes probabilities and labels",
    "wilson_interval": "takes counts and a probability",
}


def test_every_public_name_is_looked_at():
    assert sorted([*TABLE, *WITHOUT_UNITS]) == sorted(statistics.__all__)


exponents = st.integers(-400, 400)


@pytest.fixture(scope="module", autouse=True)
def _nothing_to_collect():
    """statsmodels collects garbage at every correction of p-values, among all that other tests have left."""
    gc.freeze()
    yield
    gc.unfreeze()


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


_SHIFTS = {
    "bootstrap_interval": lambda values: bootstrap_interval(values, np.mean, seed=0, resamples=40)[:3],
    "ecdf": lambda values: ecdf(values)["value"],
    "quantile_intervals": lambda values: quantile_intervals(values)[["quantile", "low", "high"]],
    "modal interval": lambda values: dip_test(values, seed=0, simulations=1)[2:4],
}
_NOTHING = {
    "dip": lambda values: dip_test(values, seed=0, simulations=1).dip,
    "components": lambda values: variance_components(
        pd.DataFrame({"a": np.arange(24) // 4, "loss": values}), value="loss", factors=["a"]
    )["variance"],
    "paired": lambda values: paired_tests(
        pd.DataFrame({"a": np.arange(24) // 12, "seed": np.arange(24) % 12, "loss": values}),
        value="loss",
        factor="a",
        pairing="seed",
    ).drop(columns=["level", "against"]),
    "crps": lambda values: crps(values[4:].reshape(5, 4), values[:4]),
    "nll": lambda values: gaussian_nll(values[4:].reshape(5, 4), values[:4]),
}


@pytest.mark.parametrize("name", [*_SHIFTS, *_NOTHING])
def test_the_origin_of_the_data_is_that_of_places_and_nothing_to_differences(name):
    values, shift = np.random.default_rng(0).normal(size=24), 1000.0
    function = {**_SHIFTS, **_NOTHING}[name]
    before, after = (np.asarray(function(each), float) for each in (values, values + shift))
    np.testing.assert_allclose(after - shift * (name in _SHIFTS), before, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["ecdf", "quantile_intervals", "modal interval", "dip"])
def test_the_order_of_fits_does_not_matter(name):
    values = np.random.default_rng(1).normal(size=24)
    function = {**_SHIFTS, **_NOTHING}[name]
    np.testing.assert_array_equal(function(values), function(values[::-1]))
