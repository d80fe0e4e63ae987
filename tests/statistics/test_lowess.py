import numpy as np
import pytest

from jaxland.statistics import lowess


def _cleveland(x, y, fraction):
    """The algorithm of Cleveland (1979), a local regression at a time."""
    robust = np.ones(len(x))
    for _ in range(4):
        smooth = np.empty(len(x))
        for i, centre in enumerate(x):
            distance = x - centre
            radius = np.sort(np.abs(distance))[int(fraction * len(x)) - 1]
            root = np.sqrt(robust * np.clip(1 - np.abs(distance / radius) ** 3, 0, None) ** 3)
            design = root[:, None] * np.stack([np.ones(len(x)), distance / radius], axis=1)
            smooth[i] = np.linalg.lstsq(design, root * y, rcond=None)[0][0]
        residual = np.abs(y - smooth)
        robust = np.clip(1 - (residual / (6 * np.median(residual))) ** 2, 0, None) ** 2
    return smooth


def test_curve_equals_a_loop():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 3, 101)
    y = np.sin(2 * x) + rng.normal(scale=0.2, size=101)
    y[::10] += 4  # outliers, which the reweightings must remove
    order = rng.permutation(101)
    curve = lowess(x[order], y[order], fraction=0.3)
    np.testing.assert_allclose(curve.x[::2], x, atol=1e-12)
    np.testing.assert_allclose(curve.y[::2], _cleveland(x, y, 0.3), atol=2e-3)


@pytest.mark.parametrize("unit", [1e-150, 1e-6, 1.0, 1e150])
def test_skewed_x_against_a_loop(unit):
    """Six decades of x: nearly all points stand in the first of the curve's intervals."""
    rng = np.random.default_rng(1)
    x = np.sort(10 ** (6 * rng.random(150)))
    y = np.log10(x) + rng.normal(scale=0.1, size=150)
    y[::15] += 4
    curve = lowess(unit * x, y, fraction=0.3)
    np.testing.assert_allclose(curve.y, np.interp(curve.x, unit * x, _cleveland(x, y, 0.3)), atol=1e-9)


def test_a_crowd_of_nearly_equal_x_beside_a_huge_span():
    """The line within the crowd is told as well as that between crowds."""
    x = np.concatenate([np.linspace(0, 1e-9, 40), 1 + np.linspace(0, 1e-9, 40)])
    y = np.where(x < 0.5, 1e9 * x, 5 - 1e9 * (x - 1))
    for crowd, value in ((0, 0), (-1, 4)):
        assert lowess(x, y, fraction=0.3).y[crowd] == pytest.approx(value, abs=1e-6)


def test_an_outlier_alone_does_not_carry_the_slope_of_a_distant_crowd():
    x, y = np.append(np.linspace(0, 1e-12, 30), 1.0), np.append(np.tile([0.0, 1.0], 15), 1e6)
    assert np.abs(lowess(x, y).y[:150]).max() < 2e6


@pytest.mark.parametrize("count", [2, 3, 10, 3000])
@pytest.mark.parametrize("scale", [1.0, 1e-12])
@pytest.mark.parametrize("span", [1.0, 1e-6, 1e-20])
def test_a_line_comes_back(count, scale, span):
    x = span * np.random.default_rng(count).random(count)
    curve = lowess(x, scale * (3 * x / span - 1))
    np.testing.assert_allclose(curve.y, scale * (3 * curve.x / span - 1), atol=1e-12 * scale)
    assert (np.diff(curve.x) > 0).all()
    np.testing.assert_allclose(curve.x[[0, -1]], [x.min(), x.max()])


def test_what_is_not_finite_is_dropped_and_counted():
    x = np.random.default_rng(0).random(50)
    y = x**2
    spoilt_x, spoilt_y = (np.concatenate([values, values[:3]]) for values in (x, y))
    spoilt_x[50], spoilt_y[51], spoilt_y[52] = np.nan, np.nan, np.inf
    whole, spoilt = lowess(x, y), lowess(spoilt_x, spoilt_y)
    assert spoilt.dropped == 3
    np.testing.assert_array_equal(spoilt.y, whole.y)


def test_few_or_equal_places():
    empty = lowess(np.array([np.nan]), np.array([1.0]))
    assert (len(empty.x), empty.dropped) == (0, 1)
    np.testing.assert_array_equal(lowess(np.ones(3), np.array([1.0, 2.0, 9.0]))[:2], [[1], [2]])
    tied = lowess(np.repeat([0.0, 1.0], 5), np.repeat([2.0, 4.0], 5))
    np.testing.assert_allclose(tied.y, 2 + 2 * tied.x)
    crowded = lowess(*2 * [np.concatenate([np.zeros(60), np.linspace(0.01, 1, 40)])], fraction=0.2)
    np.testing.assert_allclose(crowded.y, crowded.x, atol=1e-12)


def test_fraction_out_of_range():
    with pytest.raises(ValueError, match="fraction must be above 0"):
        lowess(np.zeros(3), np.zeros(3), fraction=0)
