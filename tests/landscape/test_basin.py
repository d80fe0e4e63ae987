import numpy as np
import optax
import pytest
from scipy import stats

import jaxland as jl
from jaxland.landscape import distances_to, jitter, output_distances, returned

MINIMUM = np.random.default_rng(0).normal(size=12)


def test_norms_are_uniform_and_directions_too():
    drawn = jitter(MINIMUM, 20_000, 2.0)
    assert drawn.params.dtype == np.float64
    np.testing.assert_allclose(distances_to(drawn.params, MINIMUM), drawn.distance, rtol=1e-9)
    assert stats.kstest(drawn.distance, "uniform", args=(0, 2)).pvalue > 0.01
    units = (drawn.params - MINIMUM) / drawn.distance[:, None]
    np.testing.assert_allclose(units.mean(axis=0), 0, atol=5 / np.sqrt(12 * 20_000))
    np.testing.assert_allclose(units.T @ units / 20_000, np.eye(12) / 12, atol=0.003)
    # One coordinate of a uniform direction is distributed as 2 beta - 1.
    assert stats.kstest((units[:, 4] + 1) / 2, "beta", args=(5.5, 5.5)).pvalue > 0.01
    assert abs(stats.spearmanr(units[:, 0], drawn.distance).statistic) < 0.03


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_more_jitters_begin_with_the_same(count):
    few, many = jitter(MINIMUM, count, 2.0, seed=5), jitter(MINIMUM, 1001, 2.0, seed=5)
    np.testing.assert_array_equal(few.params, many.params[:count])
    np.testing.assert_array_equal(few.distance, many.distance[:count])


def test_each_minimum_has_its_own_noise_whatever_its_companions():
    minima = np.stack([MINIMUM, MINIMUM, 3 * MINIMUM])
    whole, part = jitter(minima, 50, 1.0, seed=1), jitter(minima[:2], 50, 1.0, seed=1)
    assert whole.params.shape == (3, 50, 12)
    np.testing.assert_array_equal(whole.params[:2], part.params)
    np.testing.assert_array_equal(whole.params[0], jitter(MINIMUM, 50, 1.0, seed=1).params)
    assert abs(np.corrcoef(whole.distance)[0, 1]) < 0.5
    assert (whole.params[0] != whole.params[1]).all()
    assert (whole.distance != jitter(minima, 50, 1.0, seed=2).distance).all()


def test_a_broken_minimum_does_not_touch_its_neighbours():
    minima = np.stack([MINIMUM * np.nan, MINIMUM])
    drawn = jitter(minima, 4, 1.0)
    assert np.isnan(drawn.params[0]).all()
    np.testing.assert_array_equal(drawn.params[1], jitter(np.stack([MINIMUM, MINIMUM]), 4, 1.0).params[1])
    assert jitter(minima[:0], 4, 1.0).params.shape == (0, 4, 12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((MINIMUM, 0, 1.0), "count must be at least 1; got 0"),
        ((MINIMUM, 3, 0.0), "radius must be positive and finite; got 0"),
        ((MINIMUM, 3, np.inf), "radius must be positive"),
        ((MINIMUM[None, None], 3, 1.0), r"must have shape \(P,\) or \(M, P\)"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        jitter(*arguments)


def test_return_to_a_minimum_of_loss_zero_is_told_by_the_loss():
    loss = np.array([0.0, 9e-6, 2e-5, np.nan, np.inf], np.float32)
    np.testing.assert_array_equal(returned(loss, loss_tolerance=1e-5), [True, True, False, False, False])
    np.testing.assert_array_equal(returned(loss, loss_tolerance=1e-4), [True, True, True, False, False])


def test_return_to_local_minima_needs_the_same_output():
    loss = np.array([[0.3, 0.3, 0.2], [0.1, 0.1, 0.1]])
    separation = np.array([[1e-4, 0.1, 1e-4], [np.nan, 0.0, 0.1]])
    found = returned(loss, np.array([0.3, 0.1]), separation, loss_tolerance=1e-5, separation_tolerance=1e-3)
    np.testing.assert_array_equal(found, [[True, False, False], [False, True, False]])


def test_output_distance_equals_a_loop_and_ignores_symmetry():
    network = jl.mlp([2, 4, 3, 2])
    rng = np.random.default_rng(1)
    params, x = rng.normal(size=(30, network.size)).astype(np.float32), rng.normal(size=(20, 2))
    found = output_distances(network, params, params[3].astype(float), x)

    def forward(vector, point):
        layers = network.unflatten(vector.astype(float))
        for layer in layers[:-1]:
            point = np.maximum(layer.weight @ point + layer.bias, 0)
        return layers[-1].weight @ point + layers[-1].bias

    squares = [[(forward(p, point) - forward(params[3], point)) ** 2 for point in x] for p in params]
    np.testing.assert_allclose(found, np.sqrt(np.mean(squares, axis=(1, 2))), rtol=1e-9)
    same = jl.symmetrise(network, params.astype(float)).params
    np.testing.assert_allclose(output_distances(network, same, params[3].astype(float), x), found, atol=1e-9)
    assert output_distances(network, params[:0], params[3].astype(float), x).shape == (0,)


def test_gradient_descent_returns_from_nearby_only(sawtooth_problem):
    """Figure 12 of Gamst and Walker in small: the basin of the global minimum."""
    network, minimum = sawtooth_problem.network, sawtooth_problem.minimum
    drawn = jitter(minimum, 128, 2.0)
    start = drawn.params.astype(np.float32)
    optimizer = optax.sgd(0.01, momentum=0.9)
    fits = jl.fit(network, sawtooth_problem, optimizer, fits=128, steps=2000, start=start)
    back = returned(fits.loss, loss_tolerance=1e-5)
    assert back[drawn.distance < 0.1].all()
    assert not back[drawn.distance > 0.8].any()
    separation = output_distances(network, fits.params, minimum, sawtooth_problem.x)
    np.testing.assert_array_equal(back, separation < np.sqrt(1e-5))
