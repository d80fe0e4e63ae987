from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

import jaxland as jl
from jaxland.landscape import PiecewiseLinear, function_distances, function_moments, outputs, piecewise_linear

NETWORK = jl.mlp([1, 5, 5, 1])
X = np.linspace(-1, 1, 401)


@pytest.fixture(scope="module")
def params():
    return np.random.default_rng(0).normal(size=(60, NETWORK.size))


@pytest.fixture(scope="module")
def functions(params):
    return piecewise_linear(NETWORK, params)


def _function(functions, index):
    held = slice(functions.counts[index])
    return lambda x: np.interp(x, functions.knots[index, held], functions.values[index, held])


def _integral(function, knots):
    return sum(quad(function, low, high)[0] for low, high in pairwise(knots))


def _with_one_unknown(params, at):
    broken = params.copy()
    broken[at] = np.nan
    return piecewise_linear(NETWORK, broken)


def test_values_equal_interpolation_one_function_at_a_time(functions):
    expected = np.stack([_function(functions, index)(X) for index in range(60)])
    np.testing.assert_allclose(functions.evaluate(X), expected, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(functions.evaluate(functions.knots), functions.values)


def test_rows_of_points_belong_to_their_functions(functions):
    x = np.random.default_rng(1).uniform(-1, 1, (60, 7))
    expected = np.stack([_function(functions, index)(x[index]) for index in range(60)])
    np.testing.assert_allclose(functions.evaluate(x), expected, rtol=0, atol=1e-13)
    with pytest.raises(ValueError, match="a row for each"):
        functions.evaluate(x[:5])


def test_points_outside_are_refused_and_points_that_are_not_numbers_are_not(functions):
    with pytest.raises(ValueError, match=r"2 points outside \[-1, 1\], first 1.5"):
        functions.evaluate(np.array([0.0, 1.5, -2.0]))
    assert np.isnan(functions.evaluate(np.array([0.0, np.nan]))).tolist() == [[False, True]] * 60


def test_padding_is_no_knot(functions):
    for index, count in enumerate(functions.counts):
        assert (functions.knots[index, count - 1 :] == 1).all()
        assert (functions.values[index, count - 1 :] == functions.values[index, count - 1]).all()
        assert (functions.slopes[index, count - 1 :] == 0).all()
        rise = np.diff(functions.values[index, :count]) / np.diff(functions.knots[index, :count])
        np.testing.assert_array_equal(functions.slopes[index, : count - 1], rise)
    interior = [functions.knots[index, 1 : count - 1] for index, count in enumerate(functions.counts)]
    np.testing.assert_array_equal(functions.interior_knots, np.concatenate(interior))


def test_distances_equal_quadrature(functions):
    found = function_distances(functions, functions.take(np.arange(60)[::-1]))
    for one in range(0, 30, 3):
        f, g = _function(functions, one), _function(functions, 59 - one)
        knots = np.union1d(functions.knots[one], functions.knots[59 - one])
        square = _integral(lambda x, f=f, g=g: (f(x) - g(x)) ** 2, knots)
        assert found[one] == pytest.approx(np.sqrt(square), rel=1e-10)
    np.testing.assert_allclose(found, found[::-1], rtol=1e-12)
    np.testing.assert_array_equal(function_distances(functions, functions), 0)


def test_distances_to_unknown_functions_are_unknown(params, functions):
    found = function_distances(functions, _with_one_unknown(params, 4))
    assert np.isnan(found).tolist() == [index == 4 for index in range(60)]


def test_a_function_does_not_depend_on_its_companions(functions):
    chosen = np.array([7, 3])
    alone = functions.take(chosen)
    np.testing.assert_array_equal(alone.evaluate(X), functions.evaluate(X)[chosen])
    shifted = functions.take((np.arange(60) + 1) % 60)
    np.testing.assert_array_equal(
        function_distances(alone, functions.take(chosen + 1)), function_distances(functions, shifted)[chosen]
    )


def test_mean_and_deviation_equal_a_loop(params, functions):
    found, count = function_moments(functions), len(params)
    values = outputs(NETWORK, params, X[:, None])[..., 0]
    mean = sum(values) / count
    deviation = np.sqrt(sum((row - mean) ** 2 for row in values) / (count - 1))
    assert found.count == count
    np.testing.assert_allclose(found.mean(X), mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.deviation(X), deviation, rtol=1e-11)
    assert set(found.knots[1:-1]) == set(functions.interior_knots)


def test_integrated_variance_equals_quadrature(functions):
    found = function_moments(functions)
    expected = _integral(lambda x: float(found.deviation(np.array([x]))[0] ** 2), found.knots)
    assert found.integrated_variance == pytest.approx(expected, rel=1e-10)
    # The same from distances: the mean square over pairs is twice the variance.
    one, two = np.triu_indices(60, 1)
    squares = function_distances(functions.take(one), functions.take(two)) ** 2
    assert found.integrated_variance == pytest.approx(squares.mean() / 2, rel=1e-10)


def test_moments_of_parts_merge(functions):
    whole = function_moments(functions)
    parts = [function_moments(functions.take(part)) for part in np.split(np.arange(60), [1, 20])]
    merged = parts[0].merge(parts[1]).merge(parts[2])
    assert merged.count == whole.count
    np.testing.assert_array_equal(merged.knots, whole.knots)
    np.testing.assert_allclose(merged.mean(X), whole.mean(X), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(merged.deviation(X), whole.deviation(X), rtol=1e-10)
    assert merged.integrated_variance == pytest.approx(whole.integrated_variance, rel=1e-10)


def test_copies_of_one_function_have_no_deviation(functions):
    copies = functions.take(np.full(1000, 5))
    found = function_moments(copies)
    scale = np.abs(copies.values).max()
    np.testing.assert_allclose(found.mean(X), copies.evaluate(X)[0], rtol=0, atol=1e-12 * scale)
    assert found.deviation(X).max() < 1e-6 * scale
    assert np.sqrt(found.integrated_variance) < 1e-6 * scale


def test_unknown_functions_are_left_out_of_the_moments(params, functions):
    found = function_moments(_with_one_unknown(params, 9))
    others = function_moments(functions.take(np.delete(np.arange(60), 9)))
    assert found.count == 59
    np.testing.assert_array_equal(found.sums, others.sums)


def test_moments_of_too_few_functions_are_unknown(functions):
    one, none = (function_moments(functions.take(np.arange(count))) for count in (1, 0))
    np.testing.assert_allclose(one.mean(X), functions.evaluate(X)[0], atol=1e-12)
    assert np.isnan(one.deviation(X)).all()
    assert np.isnan(one.integrated_variance)
    assert np.isnan(none.mean(X)).all()


def test_different_intervals_and_numbers_are_refused(params, functions):
    other = piecewise_linear(NETWORK, params, 0, 1)
    with pytest.raises(ValueError, match="one interval"):
        function_distances(functions, other)
    with pytest.raises(ValueError, match="one interval"):
        function_moments(functions).merge(function_moments(other))
    with pytest.raises(ValueError, match="as many first as second"):
        function_distances(functions, functions.take(np.arange(5)))


def test_functions_made_by_hand():
    hat = PiecewiseLinear(
        0.0, 2.0, np.array([[0.0, 1, 2], [0, 2, 2]]), np.array([[0.0, 1, 0], [0, 0, 0]]), np.array([3, 2])
    )
    np.testing.assert_array_equal(hat.evaluate(np.array([0, 0.25, 1, 1.5, 2]))[0], [0, 0.25, 1, 0.5, 0])
    assert function_distances(hat, hat.take(np.array([1, 0])))[0] == pytest.approx(np.sqrt(2 / 3))
    assert function_moments(hat).integrated_variance == pytest.approx(1 / 3)
