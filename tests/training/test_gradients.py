"""Losses and gradients of many fits, by lanes and by XLA, against automatic differentiation one fit at a time."""

from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxland import Network, Problem, mlp
from jaxland.problems import gradients_of
from jaxland.training import gradients
from jaxland.training.lanes import LanesGradient

pytestmark = pytest.mark.sampled


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(0).normal(size=(21, 22)) * 0.7


@pytest.fixture(scope="module")
def network():
    return mlp([1, 3, 3, 1])


@pytest.fixture(scope="module")
def problem():
    x = np.linspace(-1, 1, 23)
    return Problem(x, np.sin(4 * x))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
@pytest.mark.parametrize("which", ["lanes", "xla"])
def test_against_one_fit_at_a_time(network, problem, points, which, dtype, tolerance):
    objective = problem.objective(network)
    evaluate = gradients(network, problem, dtype=dtype) if which == "lanes" else gradients_of(objective, dtype)
    assert isinstance(evaluate, LanesGradient) == (which == "lanes")
    losses, slopes = evaluate(points)
    assert losses.dtype == slopes.dtype == np.dtype(dtype)
    with jax.enable_x64(True):
        for point, loss, slope in zip(points, losses, slopes, strict=True):
            value, gradient = jax.value_and_grad(objective)(jnp.asarray(point))
            np.testing.assert_allclose(loss, value, rtol=tolerance)
            np.testing.assert_allclose(slope, gradient, rtol=tolerance, atol=tolerance * np.abs(gradient).max())


@pytest.mark.parametrize("which", ["lanes", "xla"])
def test_bits_do_not_depend_on_the_others(network, problem, points, which):
    evaluate = gradients(network, problem) if which == "lanes" else gradients_of(problem.objective(network))
    losses, slopes = evaluate(points)
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda index: evaluate(points[[index]]), range(len(points))))
    np.testing.assert_array_equal(np.concatenate([loss for loss, _ in alone]), losses)
    np.testing.assert_array_equal(np.concatenate([slope for _, slope in alone]), slopes)
    backwards = evaluate(points[::-1])
    np.testing.assert_array_equal(backwards[1][::-1], slopes)


def test_a_point_that_is_not_a_number_stays_alone(network, problem, points):
    evaluate = gradients(network, problem)
    broken = points.copy()
    broken[4, 0] = np.nan
    losses, slopes = evaluate(broken)
    assert np.isnan(losses[4])
    others = np.arange(len(points)) != 4
    np.testing.assert_array_equal(slopes[others], evaluate(points)[1][others])


def test_what_lanes_cannot_express_goes_to_xla(problem):
    network = Network(
        init=lambda key: jax.random.normal(key, (4,)),
        apply=lambda params, x: jnp.sort(params[None] * x, axis=1)[:, :1],
    )
    evaluate = gradients(network, problem)
    assert not isinstance(evaluate, LanesGradient)
    assert evaluate(np.ones((3, 4)))[1].shape == (3, 4)
