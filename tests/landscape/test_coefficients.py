import math

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.integrate

import jaxland as jl
from jaxland.landscape import basin_volumes, gauss_newton, local_learning_coefficients
from jaxland.problems import gradients_of

TEMPERATURE = 1e4


def _power(order):
    return gradients_of(lambda w: (w**order).sum())


def _expected(order, localisation=1.0):
    """The estimator's own value for w^order, by quadrature of its density."""
    w = np.linspace(-8, 8, 400_001)
    density = np.exp(-TEMPERATURE * w**order - localisation * w**2 / 2)
    return TEMPERATURE * (density * w**order).sum() / density.sum()


@pytest.mark.parametrize("order", [4, pytest.param(2, marks=pytest.mark.slow), pytest.param(6, marks=pytest.mark.slow)])
def test_normal_forms_of_one_variable(order):
    """Where the loss is w^2k the coefficient is 1 / 2k (Watanabe 2009)."""
    found = local_learning_coefficients(_power(order), np.zeros((12, 1)), TEMPERATURE)
    assert _expected(order) == pytest.approx(1 / order, abs=0.01)
    z = (found.value - _expected(order)) / found.standard_error
    assert abs(z.mean()) < 1.2
    assert found.value.mean() == pytest.approx(_expected(order), rel=0.15)
    assert (found.r_hat < 1.3).all()
    assert (np.abs(found.acceptance - 0.8) < 0.15).all()


@pytest.mark.slow
def test_a_linear_network_whose_coefficient_is_known():
    """Two layers of 2 x 2 and target zero: 3/2, where a regular model has 4 (Aoyagi and Watanabe 2005)."""
    product = gradients_of(lambda w: 0.5 * ((w[:4].reshape(2, 2) @ w[4:].reshape(2, 2)) ** 2).sum())
    found = local_learning_coefficients(product, np.zeros((24, 8)), 1e6, steps=600)
    assert found.value.mean() == pytest.approx(1.5, abs=4 * found.value.std() / math.sqrt(24) + 0.01)
    assert found.value.std() / math.sqrt(24) < 0.05


def test_a_quadratic_counts_its_directions_and_localisation_those_that_are_flat():
    curvatures = np.logspace(-3, 3, 12)
    evaluate = gradients_of(lambda w: 0.5 * (jnp.asarray(curvatures, w.dtype) * w**2).sum())
    metric = np.repeat((100 * np.diag(curvatures) + np.eye(12))[None], 6, axis=0)
    found = local_learning_coefficients(evaluate, np.ones((6, 12)), 100.0, metric=metric, localisation=2.0)
    # About any point, not the minimum alone: the mean of a normal distribution minus what the loss is there.
    b, g = 100.0 * curvatures, 2.0
    mean = g / (b + g)  # of each coordinate
    expected = (b * (1 / (b + g) + mean**2) / 2).sum() - b.sum() / 2
    assert found.value.mean() == pytest.approx(expected, abs=4 * found.value.std() / math.sqrt(6) + 0.02)
    at_minimum = local_learning_coefficients(evaluate, np.zeros((6, 12)), 100.0, metric=metric)
    exact = (b / (b + 1) / 2).sum()
    assert at_minimum.value.mean() == pytest.approx(exact, rel=0.05)
    assert (np.abs(at_minimum.value - exact) < 5 * at_minimum.standard_error).all()


def test_a_fit_does_not_depend_on_those_beside_it_and_one_that_diverged_is_nan():
    params = np.array([[0.1], [np.nan], [0.0]])
    both = local_learning_coefficients(_power(4), params, TEMPERATURE, steps=20, burn_in=10)
    first = local_learning_coefficients(_power(4), params[:1], TEMPERATURE, steps=20, burn_in=10)
    assert both.value[0] == first.value[0]
    assert np.isnan(both.value[1])
    assert np.isfinite(both.value[2])
    again = local_learning_coefficients(_power(4), params, TEMPERATURE, steps=20, burn_in=10)
    np.testing.assert_array_equal(both.value, again.value)


@pytest.mark.slow
def test_fits_of_a_network_by_the_kernel_that_trains_them():
    net = jl.mlp([1, 6, 1], "tanh")
    x = np.linspace(-1, 1, 60)
    problem = jl.Problem(x, np.sin(3 * x))
    fits = jl.fit(net, problem, optax.adam(0.02), fits=4, steps=1_500)
    params = fits.params.astype(float)
    metric = 100 * gauss_newton(net, problem).matrices(params) + np.eye(net.size)
    found = local_learning_coefficients(jl.training.gradients(net, problem), params, 100.0, metric=metric)
    plain = local_learning_coefficients(gradients_of(problem.objective(net)), params, 100.0, metric=metric)
    assert (found.r_hat < 1.5).all()
    assert (np.abs(found.value - plain.value) < 4 * np.hypot(found.standard_error, plain.standard_error)).all()
    assert (found.value < net.size / 2).all()  # fewer than if all directions were stiff


def test_volumes_of_ellipsoids_are_exact_with_their_own_metric():
    curvatures = np.logspace(-2, 2, 9)
    evaluate = gradients_of(lambda w: 0.5 * (jnp.asarray(curvatures, w.dtype) * w**2).sum())
    found = basin_volumes(
        evaluate, np.zeros((2, 9)), 0.3, metric=np.repeat(np.diag(curvatures)[None], 2, axis=0), rays=5
    )
    ball = 4.5 * math.log(math.pi) - math.lgamma(5.5)
    assert found.log_volume == pytest.approx(ball + 0.5 * np.log(2 * 0.3 / curvatures).sum(), abs=1e-6)
    assert found.effective_rays == pytest.approx(5)
    # With no metric the longest ray is nearly all there is, and that is said.
    poor = basin_volumes(evaluate, np.zeros((1, 9)), 0.3, rays=200)
    assert poor.effective_rays[0] < 10


@pytest.mark.slow
def test_volumes_of_other_shapes_walls_and_of_what_has_none():
    valley = gradients_of(lambda w: w[0] ** 4 + w[1] ** 2)
    area = scipy.integrate.quad(lambda x: 2 * math.sqrt(0.1 - x**4), -(0.1**0.25), 0.1**0.25)[0]
    found = basin_volumes(valley, np.zeros((1, 2)), 0.1, rays=4_000)
    assert found.log_volume[0] == pytest.approx(math.log(area), abs=4 * found.standard_error[0])
    assert found.standard_error[0] < 0.02
    # Beyond a wall the loss is low again; what is not seen from the fit does not count.
    rings = gradients_of(lambda w: jnp.sin(jnp.linalg.norm(w)) ** 2)
    seen = basin_volumes(rings, np.full((1, 2), 1e-9), math.sin(1.0) ** 2, rays=50)
    assert seen.log_volume[0] == pytest.approx(math.log(math.pi), abs=1e-6)
    flat = basin_volumes(gradients_of(lambda w: w[0] ** 2 + 0 * w[1]), np.zeros((1, 2)), 1.0, longest=10.0, rays=500)
    assert 0 < flat.unbounded[0] < 1
    nothing = basin_volumes(valley, np.full((1, 2), np.nan), 0.1)
    assert np.isnan(nothing.log_volume[0])


def test_bad_input_is_refused_before_work():
    with pytest.raises(ValueError, match="inverse_temperature must be positive"):
        local_learning_coefficients(_power(2), np.zeros((1, 1)), 0.0)
    with pytest.raises(ValueError, match="two chains"):
        local_learning_coefficients(_power(2), np.zeros((1, 1)), 1.0, chains=1)
    with pytest.raises(ValueError, match="positive definite; add a share"):
        local_learning_coefficients(_power(2), np.zeros((1, 2)), 1.0, metric=np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="rise must be positive"):
        basin_volumes(_power(2), np.zeros((1, 2)), -1.0)
