import inspect

import numpy as np
import pytest

from jaxland.statistics import binned_shares, logistic_fit

INTERCEPT, SLOPE = 3.0, -10.0


def _draw(count, rng, intercept=INTERCEPT, slope=SLOPE):
    x = 2 * rng.random(count)
    return x, rng.random(count) < 1 / (1 + np.exp(-(intercept + slope * x)))


def test_planted_coefficients_are_recovered():
    fit = logistic_fit(*_draw(20_000, np.random.default_rng(0)))
    assert fit.status == "ok"
    assert abs(fit.intercept - INTERCEPT) < 3 * fit.intercept_error
    assert abs(fit.slope - SLOPE) < 3 * fit.slope_error
    assert abs(fit.half + INTERCEPT / SLOPE) < 3 * fit.half_error
    assert fit.half_error < 0.005
    np.testing.assert_allclose(fit.probability(np.array([fit.half, -1e6, 1e6])), [0.5, 1, 0])
    assert "one half at x = 0.2973 ± 0.0066 (95%)" in fit.message


@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (1e4, 1), (0, 1e-9)])
def test_the_likelihood_is_level_at_the_fit_and_curved_as_the_errors_say(shift, scale):
    x, success = _draw(300, np.random.default_rng(1))
    x = shift + scale * x
    fit = logistic_fit(x, success)
    design = np.stack([np.ones_like(x), x], axis=1)
    probability = 1 / (1 + np.exp(-(fit.intercept + fit.slope * x)))
    np.testing.assert_allclose(design.T @ (success - probability) / np.abs(design).sum(0), 0, atol=1e-9)
    curvature = (design * (probability * (1 - probability))[:, None]).T @ design
    variance = curvature[::-1, ::-1].diagonal() / (np.prod(curvature.diagonal()) - curvature[0, 1] ** 2)
    np.testing.assert_allclose([fit.intercept_error, fit.slope_error], np.sqrt(variance), rtol=1e-3)
    np.testing.assert_allclose(fit.probability(x), probability, atol=1e-9)


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(2)
    planted = {"intercept": 1.0, "slope": -2.0, "half": 0.5}
    fits = [logistic_fit(*_draw(300, rng, 1.0, -2.0), confidence=0.9) for _ in range(800)]
    for name, value in planted.items():
        intervals = np.array([getattr(fit, f"{name}_interval") for fit in fits])
        covered = ((intervals[:, 0] < value) & (value < intervals[:, 1])).mean()
        assert covered == pytest.approx(0.9, abs=0.03), name


def test_half_has_the_error_of_repeated_samples():
    rng = np.random.default_rng(3)
    fits = [logistic_fit(*_draw(1000, rng)) for _ in range(300)]
    spread = np.std([fit.half for fit in fits], ddof=1)
    assert np.median([fit.half_error for fit in fits]) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize(
    ("x", "success", "gap", "limits"),
    [
        ([0.0, 0.2, 0.5, 0.9], [1, 1, 0, 0], (0.2, 0.5), (1, 0)),
        ([0.0, 0.2, 0.5, 0.9], [0, 0, 0, 1], (0.5, 0.9), (0, 1)),
        ([0.0, 0.2, 0.2, 0.9], [1, 1, 0, 0], (0.2, 0.2), (1, 0)),  # quasi-separation
        ([1.0, 2.0], [1, 0], (1, 2), (1, 0)),
    ],
)
def test_separable_data_give_a_gap_and_no_coefficients(x, success, gap, limits):
    fit = logistic_fit(np.array(x), np.array(success, bool))
    assert (fit.status, fit.gap, fit.limits) == ("separable", gap, limits)
    assert np.isnan([fit.intercept, fit.slope, fit.half]).all()
    found = fit.probability(np.array([gap[0] - 1, np.mean(gap), gap[1] + 1, np.nan]))
    np.testing.assert_array_equal(found, [limits[0], np.nan, limits[1], np.nan])
    if gap[0] < gap[1]:
        np.testing.assert_array_equal(fit.probability(np.array(gap, float)), limits)


@pytest.mark.parametrize(("value", "status"), [(False, "all zero"), (True, "all one")])
def test_one_outcome_only(value, status):
    fit = logistic_fit(np.arange(5.0), np.full(5, value))
    assert (fit.status, fit.successes) == (status, 5 * value)
    np.testing.assert_array_equal(fit.probability(np.array([-9.0, 2.0])), [value, value])
    assert fit.message == f"{5 * value} of 5 are successes"


def test_data_without_a_curve():
    constant = logistic_fit(np.full(3, 2.0), np.array([True, False, True]))
    assert constant.status == "constant x"
    np.testing.assert_allclose(constant.probability(np.array([2.0, 2.1])), [2 / 3, np.nan])
    nothing = logistic_fit(np.array([np.nan]), np.array([True]))
    assert (nothing.status, nothing.count, nothing.dropped) == ("no data", 0, 1)
    assert np.isnan(nothing.probability(np.array([0.0, 1.0]))).all()


def test_a_hairline_overlap_has_the_slope_of_its_own_equation():
    """Leading terms of the likelihood: half the width of the overlap equals exp(slope), for a slope below zero."""
    x = np.array([0, 1, 1 + 1e-13, 3])
    hairline = logistic_fit(x, np.array([True, False, True, False]))
    assert abs(hairline.slope + np.log(2 / (x[2] - x[1]))) < 1e-8 * hairline.slope_error
    assert hairline.slope == pytest.approx(-np.log(2 / (x[2] - x[1])), rel=1e-3)
    assert hairline.half == pytest.approx(1)


@pytest.mark.parametrize("far", [1e3, 1e20, 1e200])
@pytest.mark.parametrize("unit", [1.0, 1e-100, 1e-200, 1e100])
def test_one_x_far_from_all_others_that_follows_the_trend_changes_nothing(far, unit):
    x, success = _draw(300, np.random.default_rng(5))
    near, with_far = logistic_fit(x, success), logistic_fit(unit * np.append(x, far), np.append(success, False))
    for name, power in (("slope", -1), ("slope_error", -1), ("half", 1), ("half_error", 1), ("intercept", 0)):
        assert getattr(with_far, name) / unit**power == pytest.approx(getattr(near, name), rel=1e-9), name


def test_one_x_far_from_all_others_against_the_trend_levels_the_curve():
    x, success = _draw(300, np.random.default_rng(6))
    fit = logistic_fit(np.append(x, 1e20), np.append(success, True))
    assert fit.status == "ok"
    np.testing.assert_allclose(fit.probability(x), success.mean(), atol=1e-2)


def test_three_points_that_overlap():
    fit = logistic_fit(np.array([0.0, 1.0, 2.0]), np.array([True, False, True]))
    assert fit.status == "ok"
    assert fit.slope == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(fit.probability(np.arange(3.0)), 2 / 3)
    assert "no trend" in fit.message


def test_what_is_not_finite_is_dropped_and_counted():
    x, success = _draw(200, np.random.default_rng(4))
    spoilt = logistic_fit(np.append(x, [np.nan, np.inf]), np.append(success, [True, True]))
    assert spoilt.dropped == 2
    assert spoilt.slope == logistic_fit(x, success).slope


@pytest.mark.parametrize(
    ("outcomes", "found"),
    [
        (np.array([0, 1, np.nan]), "nan at place 2"),
        (np.array([0, -1, 1]), "-1 at place 1"),
        (np.array(["True", "False", "True"]), "'True' at place 0"),
        (np.array([True, None, False], object), "None at place 1"),
        (np.ma.array([True, True, False], mask=[False, True, False]), "a masked value at place 1"),
        (np.array([0.5, 1, 0]), "0.5 at place 0"),
    ],
)
@pytest.mark.parametrize("function", [logistic_fit, lambda x, y: binned_shares(x, y, np.array([0.0, 1, 2, 3]))])
def test_what_is_neither_success_nor_failure_is_refused(function, outcomes, found):
    with pytest.raises(ValueError, match=f"got {found}. Leave out"):
        function(np.arange(3.0), outcomes)


@pytest.mark.parametrize("dtype", [bool, int, np.float32, object])
def test_zeros_and_ones_of_any_dtype_are_outcomes(dtype):
    x, success = _draw(50, np.random.default_rng(7))
    assert logistic_fit(x, success.astype(dtype)) == logistic_fit(x, success)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="got 2 and 3"):
        inspect.unwrap(logistic_fit)(np.zeros(2), np.zeros(3, bool))
