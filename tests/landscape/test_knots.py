from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from reference import split

import jaxland as jl
from jaxland.landscape import most_knots, outputs, piecewise_linear

pytestmark = pytest.mark.sampled

MAIN = jl.mlp([1, 5, 5, 5, 5, 5, 1])
X = np.random.default_rng(9).uniform(-1, 1, 300)


def _glorot(network, fits, seed=0):
    """Weights as Glorot and Bengio draw them, and biases from the same range."""
    rng, parts = np.random.default_rng(seed), []
    for inputs, width in pairwise(network.spec.widths):
        limit = np.sqrt(6 / (inputs + width))
        parts.append(rng.uniform(-limit, limit, (fits, (inputs + 1) * width)))
    return np.concatenate(parts, axis=1)


def _knots(functions, fit=0):
    return functions.knots[fit, : functions.counts[fit]]


def _exact_knots(vector, widths, low, high):
    """Knots of one fit in rational arithmetic, which knows no rounding."""
    layers = split(np.array([Fraction(float(entry)) for entry in vector]), widths)
    points = [(Fraction(x), np.array([Fraction(x)])) for x in (low, high)]
    for index, (weight, bias) in enumerate(layers):
        sums = [(x, weight @ values + bias) for x, values in points]
        points = sums[:1]
        for (x, z), (x_end, z_end) in pairwise(sums):
            for t in sorted({a / (a - b) for a, b in zip(z, z_end, strict=True) if a * b < 0}):
                points.append((x + t * (x_end - x), z + t * (z_end - z)))
            points.append((x_end, z_end))
        points = [(x, np.maximum(z, Fraction(0))) for x, z in points] if index < len(layers) - 1 else sums
    slopes = [((y_end - y) / (x_end - x))[0] for (x, y), (x_end, y_end) in pairwise(points)]
    bent = [x for (x, _), before, after in zip(points[1:-1], slopes, slopes[1:], strict=False) if before != after]
    return np.array([low, *map(float, bent), high], dtype=float)


def _pattern_knots(vector, widths, points=4001, bisections=45):
    """Knots of one fit by bisecting every change of the activation pattern between neighbours of a fine grid."""
    layers = split(vector, widths)

    def pattern(x):
        values, active, slope = np.array([x]), [], np.ones(1)
        for weight, bias in layers[:-1]:
            sums, slope = weight @ values + bias, weight @ slope
            values, slope = np.maximum(sums, 0), np.where(sums > 0, slope, 0)
            active.append(sums > 0)
        return np.concatenate(active), float(layers[-1][0][0] @ slope)

    found, grid = [], np.linspace(-1, 1, points)
    for low, high in pairwise(grid):
        (left, slope), (right, slope_end) = pattern(low), pattern(high)
        if np.array_equal(left, right) or np.isclose(slope, slope_end, rtol=1e-9, atol=1e-12):
            continue
        for _ in range(bisections):
            middle = (low + high) / 2
            low, high = (middle, high) if np.array_equal(pattern(middle)[0], left) else (low, middle)
        found.append(low)
    return np.array([-1, *found, 1])


@pytest.mark.parametrize("form", ["minimum energy", "hand-made"])
@pytest.mark.parametrize("size", [{}, {"saw": 5, "spline": ()}, {"depth": 10}])
def test_the_sawtooth_has_the_knots_it_was_made_with(form, size):
    problem = jl.problems.sawtooth(**size)
    target = problem.target
    params = problem.minimum if form == "minimum energy" else target.parameters()
    found = piecewise_linear(problem.network, params[None])
    np.testing.assert_allclose(_knots(found), target.knots, atol=1e-9)
    np.testing.assert_allclose(found.values[0], target(target.knots), atol=1e-9)
    if not size:
        assert found.counts[0] == 33
        assert found.interior_counts[0] == 31


@pytest.mark.parametrize("widths", [[1, 3, 1], [1, 2, 2, 1], [1, 5, 3, 1], [1, 3, 3, 3, 1], [1, 4, 4, 4, 4, 1]])
@pytest.mark.parametrize("entries", ["normal", "large float32", "halves"])
def test_knots_equal_those_of_rational_arithmetic(widths, entries):
    """Small multiples of one half make many units cross zero at one point, vanish and cancel."""
    network, rng = jl.mlp(widths), np.random.default_rng(1)
    shape = (20, network.size)
    params = {
        "normal": rng.normal(size=shape),
        "large float32": (10 * rng.normal(size=shape)).astype(np.float32),
        "halves": rng.integers(-3, 4, shape) / 2,
    }[entries]
    found = piecewise_linear(network, params, -1, 2)
    for fit, vector in enumerate(params):
        np.testing.assert_allclose(_knots(found, fit), _exact_knots(vector, widths, -1, 2), atol=1e-9)


@pytest.mark.parametrize("widths", [[1, 8, 1], [1, 5, 5, 1], [1, 5, 5, 5, 5, 5, 1]])
def test_knots_equal_changes_of_the_activation_pattern(widths):
    network = jl.mlp(widths)
    params = _glorot(network, 4)
    found = piecewise_linear(network, params)
    assert found.counts.max() > 4
    for fit, vector in enumerate(params):
        np.testing.assert_allclose(_knots(found, fit), _pattern_knots(vector, widths), atol=1e-9)


@pytest.mark.parametrize("widths", [[1, 1], [1, 5, 5, 5, 5, 5, 1], [1, 40, 40, 1], [1, *[15] * 15, 1]])
@pytest.mark.parametrize("bias", [True, False])
def test_the_function_is_the_network(widths, bias):
    network = jl.mlp(widths, bias=bias)
    params = np.random.default_rng(0).normal(size=(30, network.size)) / np.sqrt(max(widths))
    found = piecewise_linear(network, params)
    expected = outputs(network, params, X[:, None])[..., 0]
    scale = np.abs(expected).max(axis=1, keepdims=True)
    assert (np.abs(found.evaluate(X) - expected) <= 1e-12 * scale).all()
    if not bias:
        assert set(found.interior_knots) <= {0.0}


def test_every_knot_bends_the_function():
    network = jl.mlp([1, *[15] * 15, 1])
    found = piecewise_linear(network, _glorot(network, 10))
    for fit in range(10):
        slopes = found.slopes[fit, : found.counts[fit] - 1]
        assert (np.diff(_knots(found, fit)) > 0).all()
        assert (np.abs(np.diff(slopes)) > 1e-9 * np.abs(slopes).max()).all()
    assert found.counts.max() > 30


def test_scaled_and_permuted_copies_have_the_same_knots():
    params, rng = _glorot(MAIN, 50), np.random.default_rng(2)
    layers = MAIN.spec.symmetry.layers
    permutations = [np.argsort(rng.random((50, 5)), axis=1) for _ in layers]
    scales = [rng.lognormal(sigma=2, size=(50, 5)) for _ in layers]
    one, two = (
        piecewise_linear(MAIN, each) for each in (params, MAIN.spec.symmetry.transform(params, permutations, scales))
    )
    np.testing.assert_array_equal(one.counts, two.counts)
    np.testing.assert_allclose(two.knots, one.knots, atol=1e-10)
    np.testing.assert_allclose(two.values, one.values, atol=1e-10)


def test_a_fit_does_not_depend_on_its_companions():
    params = _glorot(MAIN, 5000)
    whole = piecewise_linear(MAIN, params)
    for chosen in ([3], [4999, 17, 2500]):
        alone = piecewise_linear(MAIN, params[chosen])
        width = alone.knots.shape[1]
        np.testing.assert_array_equal(alone.counts, whole.counts[chosen])
        np.testing.assert_array_equal(alone.knots, whole.knots[chosen, :width])
        np.testing.assert_array_equal(alone.values, whole.values[chosen, :width])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_fits_that_are_not_numbers_are_unknown_and_touch_no_other(bad):
    params = _glorot(MAIN, 6)
    broken = params.copy()
    broken[2, 40] = bad
    found, others = piecewise_linear(MAIN, broken), piecewise_linear(MAIN, np.delete(params, 2, 0))
    assert found.counts[2] == found.interior_counts[2] == -1
    assert np.isnan(found.knots[2]).all()
    assert np.isnan(found.evaluate(X)[2]).all()
    np.testing.assert_array_equal(np.delete(found.values, 2, 0), others.values)
    assert len(found.interior_knots) == others.interior_counts.sum()


def test_dead_networks_are_constant():
    params = _glorot(MAIN, 3)
    layer = MAIN.spec.symmetry.layers[2]
    params[1, layer.incoming] = -np.abs(params[1, layer.incoming])
    params[2] = 0
    found = piecewise_linear(MAIN, params)
    np.testing.assert_array_equal(found.interior_counts[1:], 0)
    np.testing.assert_array_equal(found.slopes[1:], 0)
    np.testing.assert_allclose(found.values[1:, 0], outputs(MAIN, params[1:], np.zeros((1, 1)))[:, 0, 0], atol=1e-15)


def test_no_fits():
    found = piecewise_linear(MAIN, np.zeros((0, MAIN.size)))
    assert found.knots.shape == (0, 2)
    assert found.evaluate(X).shape == (0, 300)


def test_networks_of_another_kind_are_refused():
    for network, match in (
        (jl.mlp([2, 3, 1]), "one input and one output"),
        (jl.mlp([1, 3, 2]), "one input and one output"),
        (jl.Network(MAIN.init, MAIN.apply), "one input and one output"),
        (jl.mlp([1, 3, 1], "tanh"), "'relu'"),
        (jl.mlp([1, 3, 1], output_activation="relu"), "none after the last"),
        (jl.Network(MAIN.init, lambda params, x: MAIN.apply(params, x**2), MAIN.spec), "chain of dense layers"),
        (jl.Network(jl.mlp([1, 7, 1]).init, jl.mlp([1, 7, 1]).apply, MAIN.spec), "chain of dense layers"),
    ):
        with pytest.raises(ValueError, match=match):
            piecewise_linear(network, np.zeros((1, network.size)))


def test_wrong_shapes_and_intervals():
    with pytest.raises(ValueError, match=r"must have shape \(fits, 136\)"):
        piecewise_linear(MAIN, np.zeros((2, 135)))
    for low, high in ((1, 1), (1, -1), (np.nan, 1), (0, np.inf)):
        with pytest.raises(ValueError, match="low must be below high"):
            piecewise_linear(MAIN, np.zeros((2, 136)), low, high)


def _folding_network(depth):
    """A network of three units a layer, each layer a zigzag of four pieces from [0, 1] onto [0, 1].

    The unit of the last knot is open to the left and the others to the right, so the first slope must be the last
    change of slope reversed: 7 = 3.5 + 3.5.
    """
    slopes = np.array([7, -3.5, 3.5, -3.5])
    knots, changes = np.cumsum(1 / np.abs(slopes))[:-1], np.diff(slopes)
    directions = np.array([1.0, 1.0, -1.0])
    layers, weight, bias = [], np.ones((1, 1)), 0.0
    for _ in range(depth):
        layers.append((directions[:, None] * weight, directions * (bias - knots)))
        weight, bias = changes[None], -changes[2] * knots[2]
    layers.append((weight, np.array([bias])))
    return np.concatenate([part.ravel() for layer in layers for part in layer])


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_the_possible_maximum_is_attained(depth):
    widths = [1, *[3] * depth, 1]
    found = piecewise_linear(jl.mlp(widths), _folding_network(depth)[None], 0, 1)
    assert found.interior_counts[0] == most_knots(widths) == 4**depth - 1


@pytest.mark.parametrize("widths", [[1, 1], [1, 1, 1, 1], [1, 2, 2, 1], [1, 3, 2, 1], [1, 3, 3, 1]])
def test_the_possible_maximum_is_not_exceeded(widths):
    network = jl.mlp(widths)
    found = piecewise_linear(network, np.random.default_rng(3).normal(size=(5000, network.size)), -5, 5)
    assert found.interior_counts.max() <= most_knots(widths)


def test_most_knots_follows_the_recursion():
    knots = 0
    for _ in range(5):
        knots += 5 * (knots + 1)
    assert most_knots(MAIN.spec.widths) == knots == 7775
    assert most_knots([1, 9, 1]) == 9
    with pytest.raises(ValueError, match="one input"):
        most_knots([2, 3, 1])
