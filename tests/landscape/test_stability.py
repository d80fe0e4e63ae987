from decimal import Decimal, localcontext

import numpy as np
import pytest

import jaxland as jl
from jaxland.landscape import first_rise, log_deviation, sharpness
from jaxland.problems import LOSSES


def test_first_rises():
    losses = np.array(
        [
            [4, 3, 2, 1.0],
            [4, 3, 3.02, 1],
            [4, 3, 3.1, 9],
            [4, 3, np.nan, 1],
            [4, np.inf, 2, 1],
            [1, 1.2, 0.1, 0.2],
        ]
    )
    np.testing.assert_array_equal(first_rise(losses), [-1, -1, 2, 2, 1, 1])
    np.testing.assert_array_equal(first_rise(losses, tolerance=0.001), [-1, 2, 2, 2, 1, 1])


def test_losses_below_zero_rise_like_others():
    """A log-likelihood: what rises by less than a hundredth of its magnitude has not risen."""
    losses = np.array([[-1, -5, -4.96, -6], [-1, -5, -4.94, -6], [2, -2, -2.5, -2.4]])
    np.testing.assert_array_equal(first_rise(losses), [-1, 2, 3])


def test_gradient_descent_on_a_parabola_rises_beyond_two_over_the_sharpness():
    sharpness, x = 3.0, np.array([1.0])
    for rate, unstable in ((1.99 / sharpness, False), (2.01 / sharpness, True)):
        losses = [0.5 * sharpness * (x * (1 - rate * sharpness) ** step) ** 2 for step in range(200)]
        assert (first_rise(np.array(losses).T)[0] >= 0) == unstable


def _descend(rate, sharpness, digits):
    """Iterates on sharpness(t) / 2 (x - c(t))^2 with a drifting c, in decimal arithmetic with so many digits."""
    iterates = []
    with localcontext(prec=digits):
        x = Decimal(1)
        for step, each in enumerate(sharpness.tolist()):
            iterates.append(x)
            x = x - Decimal(rate) * Decimal(each) * (x - Decimal(step + 1) / Decimal(700))
    return iterates


@pytest.mark.parametrize("digits", [8, 16, 30])
def test_delay_by_rounding_against_decimal_arithmetic(digits):
    """A sharpness that crosses 2 / rate slowly: what rounding makes returns the sooner the fewer digits there are."""
    rate, sharpness = 1.0, np.linspace(1.5, 2.5, 801)
    exact, rounded = (_descend(rate, sharpness, each) for each in (300, digits))
    difference = np.array([float(abs(one - two)) for one, two in zip(exact, rounded, strict=True)])
    predicted = log_deviation(rate, sharpness, floor=10.0**-digits, start=10.0**-digits)
    assert difference[:401].max() < 10.0 ** (2 - digits)
    # A factor of ten is worth some ten steps.
    assert abs(np.argmax(difference > 1e-2) - np.argmax(predicted > np.log(1e-2))) < 15


def test_exact_arithmetic_returns_as_late_as_it_left():
    """Way in and way out are symmetrical where the logarithm of the factor is odd about the crossing."""
    factors = np.exp(np.linspace(-0.5, 0.5, 201))
    deviation = log_deviation(1.0, 1 + factors)
    assert deviation.argmin() == pytest.approx(100, abs=1)
    assert deviation[-1] == pytest.approx(-0.5, abs=1e-9)  # the last factor is still to come
    coarse = log_deviation(1.0, 1 + factors[::4], stride=4)
    np.testing.assert_allclose(coarse, deviation[::4], atol=4 * 0.5)


def test_bad_arguments():
    with pytest.raises((TypeError, ValueError), match="losses"):
        first_rise(np.zeros(3))
    with pytest.raises(ValueError, match="start must be positive"):
        log_deviation(1.0, np.ones(3), start=0.0)


def test_sharpness_of_a_linear_network_in_closed_form():
    """Half the mean squared error of a x + b has the Hessian of the second moments of (x, 1), whatever a and b."""
    random = np.random.default_rng(0)
    x = random.normal(size=(5, 40, 1))
    net = jl.mlp([1, 1])
    params, y = random.normal(size=(5, 2)), random.normal(size=(5, 40, 1))
    found = sharpness(net, LOSSES["half_mean_squared_error"], params, x, y)
    moments = [np.cov(np.stack([each[:, 0], np.ones(40)]), bias=True) for each in x]
    means = [np.array([each.mean(), 1.0]) for each in x]
    expected = [np.linalg.eigvalsh(m + np.outer(v, v))[-1] for m, v in zip(moments, means, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_sharpness_by_differences_and_in_batches():
    random = np.random.default_rng(1)
    net, loss = jl.mlp([1, 3, 1], activation="sigmoid"), LOSSES["half_mean_squared_error"]
    x, params = np.linspace(-2, 2, 20)[:, None], random.normal(size=(70, 10))  # more than one block
    y = np.sin(x)
    params[66, 2] = np.nan
    found = sharpness(net, loss, params, x, y)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found)), [66])

    def gradient(vector):
        w, b, v, c = vector[:3], vector[3:6], vector[6:9], vector[9]
        units = 1 / (1 + np.exp(-(x * w + b)))
        error = (units @ v + c - y[:, 0])[:, None] / len(x)
        back = error * v * units * (1 - units)
        return np.concatenate([(back * x).sum(0), back.sum(0), (error * units).sum(0), error.sum(0)])

    steps = 1e-5 * np.eye(10)
    for index in (0, 69):
        columns = [(gradient(params[index] + step) - gradient(params[index] - step)) / 2e-5 for step in steps]
        assert found[index] == pytest.approx(np.linalg.eigvalsh(np.array(columns))[-1], rel=1e-6)
    own = sharpness(net, loss, params[:3], np.tile(x, (3, 1, 1)), np.tile(y, (3, 1, 1)))
    np.testing.assert_allclose(own, found[:3], rtol=1e-12)
    assert sharpness(net, loss, params[:0], x, y).shape == (0,)


def test_bad_arguments_of_sharpness():
    net, loss, x = jl.mlp([1, 1]), LOSSES["half_mean_squared_error"], np.zeros((4, 1))
    with pytest.raises((TypeError, ValueError), match="params"):
        sharpness(net, loss, np.zeros(2), x, x)
    with pytest.raises(ValueError, match=r"x must be \(N, components\) or \(3"):
        sharpness(net, loss, np.zeros((3, 2)), np.zeros((2, 4, 1)), x)
