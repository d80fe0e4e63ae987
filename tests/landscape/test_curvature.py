from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.landscape import (
    empirical_fisher,
    extreme_eigenvalues,
    gauss_newton,
    hessian_of,
    hessian_trace,
    hessians,
    spectra,
    spectral_density,
)

pytestmark = pytest.mark.sampled

RNG = np.random.default_rng(0)
NETWORK = jl.mlp([2, 5, 3], "tanh")
X, LABELS, TARGETS = RNG.normal(size=(30, 2)), RNG.integers(0, 3, 30), RNG.normal(size=(30, 3))
WEIGHTS = RNG.uniform(0.1, 2, 30)
PARAMS = RNG.normal(size=(2, NETWORK.size))
PROBLEMS = {
    "squares": jl.Problem(X, TARGETS),
    "weighted": jl.Problem(X, TARGETS, weights=WEIGHTS),
    "sum": jl.Problem(X, TARGETS, jl.problems.Loss("sum", lambda p, t: (p - t) ** 2, points="sum"), weights=WEIGHTS),
    "classes": jl.Problem(X, LABELS, "softmax_cross_entropy"),
    "penalty": jl.Problem(X, TARGETS, lambda p, t: jnp.log(jnp.cosh(p - t)), penalty=jl.problems.l2(0.3)),
}


def _jacobian(params, x):
    """Of all outputs, (N, O, P), by differences."""
    step = 1e-6
    with jax.enable_x64(True):
        run = lambda flat: np.asarray(NETWORK.apply_flat(jnp.asarray(flat), jnp.asarray(x)))  # noqa: E731
        return np.stack([(run(params + d) - run(params - d)) / (2 * step) for d in step * np.eye(len(params))], axis=-1)


def _softmax(outputs):
    shares = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def _outputs(params):
    with jax.enable_x64(True):
        return np.asarray(NETWORK.apply_flat(jnp.asarray(params), jnp.asarray(X)))


def test_gauss_newton_is_the_jacobian_squared_with_the_curvature_of_the_loss_between():
    for params in PARAMS:
        jacobian, shares = _jacobian(params, X), _softmax(_outputs(params))
        residual = _outputs(params) - TARGETS
        between = {
            "squares": 2 / 90 * np.eye(3)[None],
            "weighted": 2 / 90 * np.eye(3)[None] * (WEIGHTS / WEIGHTS.mean())[:, None, None],
            "sum": 2 / 3 * np.eye(3)[None] * WEIGHTS[:, None, None],
            "classes": (shares[:, :, None] * np.eye(3) - shares[:, :, None] * shares[:, None, :]) / 30,
            "penalty": np.eye(3)[None] / np.cosh(residual)[:, :, None] ** 2 / 90,
        }
        for name, middle in between.items():
            middle = np.broadcast_to(middle, (30, 3, 3))
            expected = np.einsum("nop,nok,nkq->pq", jacobian, middle, jacobian)
            if name == "penalty":
                expected += np.diag([0.3 * 2.0 * ("weight" in entry) for entry in NETWORK.entry_names])
            found = gauss_newton(NETWORK, PROBLEMS[name]).matrices(params[None])[0]
            np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max(), err_msg=name)


def test_gauss_newton_of_logits_is_the_fisher_information_of_targets_that_the_network_draws():
    """The expectation over all classes of every point, summed in full."""
    params = PARAMS[0]
    jacobian, shares = _jacobian(params, X), _softmax(_outputs(params))
    expected = np.zeros((NETWORK.size,) * 2)
    for label in range(3):
        gradients = np.einsum("no,nop->np", shares - np.eye(3)[label], jacobian)
        expected += np.einsum("n,np,nq->pq", shares[:, label] / 30, gradients, gradients)
    found = gauss_newton(NETWORK, PROBLEMS["classes"]).matrices(params[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["squares", "weighted", "sum", "classes"])
def test_empirical_fisher_is_the_second_moment_of_the_gradients_of_single_points(name):
    problem, params = PROBLEMS[name], PARAMS[1]
    weights = np.full(30, 1 / 30) if problem.weights is None else WEIGHTS
    weights = WEIGHTS / WEIGHTS.sum() if name == "weighted" else weights
    expected = np.zeros((NETWORK.size,) * 2)
    with jax.enable_x64(True):
        for x, y, weight in zip(problem.x, problem.y, weights, strict=True):
            own = jl.Problem(x[None], y[None], problem.loss).objective(NETWORK)
            gradient = np.asarray(jax.grad(own)(jnp.asarray(params)))
            expected += weight * np.outer(gradient, gradient)
    found = empirical_fisher(NETWORK, problem).matrices(params[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.slow
def test_hessian_and_gauss_newton_agree_where_the_network_is_linear_and_where_data_are_fitted():
    linear = jl.mlp([2, 3], "tanh")
    problem = jl.Problem(X, LABELS, "softmax_cross_entropy")
    params = RNG.normal(size=(3, linear.size))
    exact = hessian_of(problem.objective(linear)).matrices(params)
    np.testing.assert_allclose(gauss_newton(linear, problem).matrices(params), exact, atol=1e-14)
    fitted = jl.Problem(X, _outputs(PARAMS[0]))
    matrix = gauss_newton(NETWORK, fitted).matrices(PARAMS[:1])
    np.testing.assert_allclose(hessians(fitted.objective(NETWORK), PARAMS[:1]), matrix, atol=1e-13)


@pytest.mark.slow
def test_spectra_and_products_take_any_curvature():
    curvature = gauss_newton(NETWORK, PROBLEMS["squares"])
    matrix = curvature.matrices(PARAMS)[0]
    values = np.linalg.eigvalsh(matrix)
    found = spectra(curvature, PARAMS, vectors=True)
    np.testing.assert_allclose(found.eigenvalues[0], values, atol=1e-13)
    assert (values >= -1e-13).all()
    gradient = jax.grad(PROBLEMS["squares"].objective(NETWORK))(jnp.asarray(PARAMS[0], jnp.float32))
    assert found.gradient_norm[0] == pytest.approx(np.linalg.norm(gradient), rel=1e-4)
    ends = extreme_eigenvalues(curvature, PARAMS[0], 3)
    np.testing.assert_allclose(ends.largest.values, values[::-1][:3], rtol=1e-10)
    trace = hessian_trace(curvature, PARAMS[0], 200)
    assert trace.low < np.trace(matrix) < trace.high
    density = spectral_density(curvature, PARAMS[0], probes=3, steps=NETWORK.size)
    assert density.nodes.min() > -1e-10


@pytest.mark.slow
def test_a_users_own_network_and_an_optimizer_of_optax():
    def apply(params, x):
        return jnp.sin(x @ params["w"]) * params["scale"][None]

    own = jl.Network(lambda key: {"w": jax.random.normal(key, (2, 3)), "scale": jnp.ones(3)}, apply)
    problem = jl.Problem(X, TARGETS)
    fits = jl.fit(own, problem, optax.adam(0.05), fits=2, steps=50)
    found = gauss_newton(own, problem).matrices(fits.params)
    with jax.enable_x64(True):
        jacobian = jax.jacobian(own.apply_flat)(jnp.asarray(fits.params[1], jnp.float64), jnp.asarray(X))
    expected = 2 / 90 * np.einsum("nop,noq->pq", jacobian, jacobian)
    np.testing.assert_allclose(found[1], expected, atol=1e-12)


def test_bad_parameters_are_refused_before_work():
    curvature: Any = gauss_newton(NETWORK, PROBLEMS["squares"])
    with pytest.raises(ValueError, match=r"shape \(fits, P\)"):
        list(type(curvature).dense.__wrapped__(curvature, PARAMS[0]))
