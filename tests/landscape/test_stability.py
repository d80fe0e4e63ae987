from decimal import Decimal, localcontext

import numpy as np
import pytest

from jaxland.landscape import first_rise, log_deviation


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
