"""Losses and gradients of many fits, by lanes and by XLA, against automatic differentiation one fit at a time."""

from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxland import Network, Problem, mlp
from jaxland.problems import Loss, Penalty, gradients_of, l2, products_of
from jaxland.training import gradients, hessian_products
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


X = np.random.default_rng(1).normal(size=(19, 2))
WEIGHTS = np.linspace(0.5, 2, len(X))


def _rough(prediction, target, power):
    return jnp.log(jnp.cosh(power * (prediction - target)))


def _coupled(prediction, target):
    return jnp.exp(-prediction[:, 0] * prediction[:, 1]) + jnp.sum((prediction - target) ** 2, axis=1)


CASES = {
    "squares": Problem(X, np.sin(X)),
    "sums, weights": Problem(X, np.sin(X), loss="sum_squared_error", weights=WEIGHTS),
    "numbers": Problem(X, np.sin(X), loss=Loss("rough", _rough, outputs="sum", numbers={"power": 1.5})),
    "coupled, weights": Problem(X, np.sin(X), loss=Loss("coupled", pointwise=_coupled), weights=WEIGHTS),
    "labels": Problem(X, np.arange(len(X)) % 2, loss="softmax_cross_entropy"),
    "shares": Problem(X, np.tile([0.3, 0.7], (len(X), 1)), loss="softmax_cross_entropy"),
    "half as many": Problem(X, X[:, :1] ** 2, loss="gaussian_nll"),
    "penalties": Problem(
        X, np.cos(X), penalty=[l2(0.3), Penalty("own", lambda tree: jnp.sum(jnp.sin(jax.tree.leaves(tree)[0])))]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("which", ["lanes", "xla"])
@pytest.mark.parametrize("case", CASES)
def test_products_with_the_hessian_are_those_of_nested_differentiation(case, which):
    network, problem = mlp([2, 3, 2], "tanh"), CASES[case]
    rng = np.random.default_rng(2)
    points, vectors = rng.normal(size=(2, 11, network.size))
    objective = problem.objective(network)
    products = hessian_products(network, problem) if which == "lanes" else products_of(objective)
    slopes, found = products(points, vectors)
    with jax.enable_x64(True):
        matrices = np.asarray(jax.vmap(jax.jacrev(jax.grad(objective)))(jnp.asarray(points)))
        gradient = np.asarray(jax.vmap(jax.grad(objective))(jnp.asarray(points)))
    np.testing.assert_allclose(found, np.einsum("fpq,fq->fp", matrices, vectors), atol=1e-12 * np.abs(found).max())
    np.testing.assert_allclose(slopes, (gradient * vectors).sum(axis=1), atol=1e-12 * np.abs(slopes).max())


@pytest.mark.slow
def test_products_are_made_by_a_kernel_alone_to_the_bit_and_in_single_precision(network, problem, points):
    vectors = np.random.default_rng(3).normal(size=points.shape)
    products = hessian_products(network, problem)
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda index: products(points[[index]], vectors[[index]]), range(len(points))))
    slopes, found = products(points, vectors)
    np.testing.assert_array_equal(np.concatenate([product for _, product in alone]), found)
    np.testing.assert_array_equal(np.concatenate([slope for slope, _ in alone]), slopes)
    broken = points.copy()
    broken[4, 0] = np.nan
    others = np.arange(len(points)) != 4
    assert np.isnan(products(broken, vectors)[0][4])
    np.testing.assert_array_equal(products(broken, vectors)[1][others], found[others])
    single = hessian_products(network, problem, dtype="float32")(points, vectors)[1]
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, found, atol=2e-5 * np.abs(found).max())
    assert "products_of" in products_of(problem.objective(network)).__qualname__
    assert "products_of" not in products.__qualname__  # which would be XLA's
    sorting = Network(
        init=lambda key: jax.random.normal(key, (4,)),
        apply=lambda params, x: jnp.sort(params[None] * x, axis=1)[:, :1],
    )
    assert "products_of" in hessian_products(sorting, problem).__qualname__
