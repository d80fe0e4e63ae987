import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

import jaxland as jl
from jaxland.landscape import laplace, outputs, swag

RNG = np.random.default_rng(0)
X = RNG.normal(size=(25, 3))
TRUE = np.array([1.0, -2.0, 0.0, 0.5])
FEATURES = np.column_stack([X, np.ones(25)])
Y = FEATURES @ TRUE + 0.3 * RNG.normal(size=25)
LINEAR = jl.Network(
    lambda key: {"w": jax.random.normal(key, (3,)), "z": jnp.zeros(())},
    lambda params, x: (x @ params["w"] + params["z"])[:, None],
)


def _mode(precision, noise):
    return np.linalg.solve(FEATURES.T @ FEATURES / noise + precision * np.eye(4), FEATURES.T @ Y / noise)


def _log_evidence(precision, noise):
    """Of Bayesian linear regression: targets are normal about zero."""
    covariance = noise * np.eye(25) + FEATURES @ FEATURES.T / precision
    return -(Y @ np.linalg.solve(covariance, Y) + np.linalg.slogdet(2 * np.pi * covariance)[1]) / 2


@pytest.mark.parametrize("loss", ["mean_squared_error", "half_mean_squared_error", "sum_squared_error"])
def test_a_linear_network_has_the_posterior_of_bayesian_linear_regression(loss):
    problem = jl.Problem(X, Y, loss)
    found = laplace(LINEAR, problem, _mode(0.7, 0.2)[None], prior_precision=0.7, noise=0.2)
    covariance = np.linalg.inv(FEATURES.T @ FEATURES / 0.2 + 0.7 * np.eye(4))
    factor = found.posterior.factor[0]
    np.testing.assert_allclose(factor @ factor.T, covariance, rtol=1e-10, atol=1e-14)
    assert found.log_evidence[0] == pytest.approx(_log_evidence(0.7, 0.2), rel=1e-12)
    assert found.effective[0] == pytest.approx(4 - 0.7 * np.trace(covariance), rel=1e-10)
    new = RNG.normal(size=(7, 3))
    rows = np.column_stack([new, np.ones(7)])
    expected = np.sqrt(np.einsum("np,pq,nq->n", rows, covariance, rows))
    np.testing.assert_allclose(found.posterior.deviations(LINEAR, new)[0, :, 0], expected, rtol=1e-10)


def test_what_is_not_given_makes_the_evidence_largest():
    best = scipy.optimize.minimize(
        lambda logs: -_log_evidence(*np.exp(logs)),
        [0.0, -2.0],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12},
    )
    precision, noise = np.exp(best.x)
    # At the mode for these numbers, where the approximation is exact.
    found = laplace(LINEAR, jl.Problem(X, Y), _mode(precision, noise)[None])
    assert found.prior_precision[0] == pytest.approx(precision, rel=1e-4)
    assert found.noise[0] == pytest.approx(noise, rel=1e-4)
    assert found.log_evidence[0] == pytest.approx(-best.fun, rel=1e-9)


@pytest.mark.slow
def test_samples_and_linearised_outputs_agree_and_grow_away_from_the_data():
    net = jl.mlp([1, 8, 1], "tanh")
    x = np.linspace(-1, 1, 40)
    problem = jl.Problem(x, np.sin(3 * x) + 0.1 * RNG.normal(size=40))
    fits = jl.fit(net, problem, optax.adam(0.02), fits=3, steps=2_000)
    found = laplace(net, problem, fits.params, prior_precision=1.0)
    drawn = found.posterior.sample(4_000, seed=1)
    assert drawn.shape == (3, 4_000, net.size)
    factor = found.posterior.factor[1]
    np.testing.assert_allclose(np.cov(drawn[1].T), factor @ factor.T, atol=0.1 * np.abs(factor @ factor.T).max())
    inside, outside = found.posterior.deviations(net, np.array([0.0, 3.0]))[:, :, 0].T
    assert (inside < outside / 3).all()
    # In small steps the network is linear in its parameters.
    small = found.posterior._replace(factor=1e-5 * found.posterior.factor)
    spread = outputs(net, small.sample(4_000)[0], x).std(axis=0)[:, 0]
    np.testing.assert_allclose(small.deviations(net, x)[0, :, 0], spread, rtol=0.1)


@pytest.mark.slow
def test_classes_and_the_noise_that_they_do_not_have():
    net = jl.mlp([3, 3], "tanh")  # logistic regression
    labels = RNG.integers(0, 3, 25)
    problem = jl.Problem(X, labels, "softmax_cross_entropy", penalty=jl.problems.l2(0.1))
    params = RNG.normal(size=(2, net.size))
    found = laplace(net, problem, params, prior_precision=2.0)
    with jax.enable_x64(True):

        def likelihood(flat):
            chosen = jax.nn.log_softmax(net.apply_flat(flat, jnp.asarray(X)))[jnp.arange(25), labels]
            return -chosen.sum() + jnp.sum(flat**2)

        hessian = np.asarray(jax.hessian(likelihood)(jnp.asarray(params[1])))
        value = float(likelihood(jnp.asarray(params[1])))
    factor = found.posterior.factor[1]
    np.testing.assert_allclose(factor @ factor.T, np.linalg.inv(hessian), rtol=1e-9, atol=1e-12)
    expected = -value - np.linalg.slogdet(hessian / 2.0)[1] / 2
    assert found.log_evidence[1] == pytest.approx(expected, rel=1e-10)
    assert (found.noise == 1).all()
    with pytest.raises(ValueError, match="noise is of squared errors"):
        laplace(net, problem, params, noise=0.1)


def test_fits_that_diverged_are_nan_and_change_no_other():
    params = np.array([TRUE, np.full(4, np.nan), TRUE + 1])
    found, alone = (laplace(LINEAR, jl.Problem(X, Y), rows) for rows in (params, params[[0, 2]]))
    assert np.isnan(found.log_evidence[1])
    assert np.isnan(found.posterior.deviations(LINEAR, X)[1]).all()
    np.testing.assert_array_equal(found.log_evidence[[0, 2]], alone.log_evidence)
    np.testing.assert_array_equal(found.posterior.factor[[0, 2]], alone.posterior.factor)


def test_swag_has_the_moments_of_its_snapshots():
    path = np.random.default_rng(5).normal(size=(2, 30, 4)) * np.array([1.0, 2, 0.1, 0])
    found = swag(path, rank=10)
    covariance = found.factor @ found.factor.transpose(0, 2, 1) + found.diagonal[:, :, None] * np.eye(4)
    for index in range(2):
        away = path[index] - path[index].mean(axis=0)
        expected = away[-10:].T @ away[-10:] / 18 + np.diag(path[index].var(axis=0)) / 2
        np.testing.assert_allclose(covariance[index], expected, atol=1e-12)
    drawn = found.sample(20_000)
    np.testing.assert_allclose(drawn.mean(axis=1), found.mean, atol=0.1)
    # Five standard errors of the largest.
    np.testing.assert_allclose(np.cov(drawn[1].T), covariance[1], atol=5 * np.sqrt(2 / 20_000) * covariance[1].max())
    rows = np.column_stack([X, np.ones(25)])
    order = [list(LINEAR.entry_names).index(name) for name in ("w[0]", "w[1]", "w[2]", "z")]
    expected = np.sqrt(np.einsum("np,pq,nq->n", rows, covariance[0][np.ix_(order, order)], rows))
    np.testing.assert_allclose(found.deviations(LINEAR, X)[0, :, 0], expected, rtol=1e-9)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="two or more"):
        swag(np.zeros((2, 1, 4)))
    with pytest.raises(ValueError, match="prior_precision must be positive"):
        laplace(LINEAR, jl.Problem(X, Y), TRUE[None], prior_precision=0.0)
    with pytest.raises(ValueError, match="4 parameters"):
        swag(RNG.normal(size=(1, 3, 5))).deviations(LINEAR, X)
