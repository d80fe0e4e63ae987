import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxland.networks import ACTIVATIONS, get_activation, smooth_relu

Z = np.array([-3.0, -0.7, 0.0, 0.4, 2.5])


_ALL = [*ACTIVATIONS.values(), smooth_relu(3.0)]


@pytest.mark.parametrize("activation", _ALL, ids=lambda activation: activation.name)
def test_declared_scaling_is_true(activation):
    value = np.asarray(activation.function(Z))
    if activation.scaling == "positive":
        np.testing.assert_allclose(activation.function(3.7 * Z), 3.7 * value, rtol=1e-6)
    elif activation.scaling == "sign":
        np.testing.assert_allclose(activation.function(-Z), -value, rtol=1e-6)
    else:
        assert not np.allclose(activation.function(2 * Z), 2 * value)
        assert not np.allclose(activation.function(-Z), -value)


@pytest.mark.parametrize("activation", _ALL, ids=lambda activation: activation.name)
def test_nan_passes_through(activation):
    assert np.isnan(activation.function(np.array(np.nan, np.float32)))


def test_relu_has_slope_zero_at_zero():
    slopes = jax.vmap(jax.grad(get_activation("relu").function))(np.array([-1.0, 0.0, 1.0], np.float32))
    np.testing.assert_array_equal(slopes, [0, 0, 1])


def test_unknown_name_offers_the_near_one():
    with pytest.raises(ValueError, match="Did you mean 'sigmoid'"):
        get_activation("sigmod")


@pytest.mark.parametrize("sharpness", [1.0, 5000.0])
def test_smooth_relu_and_its_derivatives_equal_closed_forms(sharpness):
    function = smooth_relu(sharpness).function
    z = np.array([-1e6, -3.0, -30 / sharpness, -1 / sharpness, 0.0, 1e-9, 1 / sharpness, 30 / sharpness, 3.0, 1e6])
    sigmoid, complement = scipy.special.expit(sharpness * z), scipy.special.expit(-sharpness * z)
    expected = [-scipy.special.log_expit(-sharpness * z) / sharpness, sigmoid, sharpness * sigmoid * complement]
    with jax.enable_x64(True):
        derivatives = [function, jax.grad(function), jax.grad(jax.grad(function)), jax.jacfwd(jax.grad(function))]
        value, slope, curvature, forward = (jax.vmap(each)(jnp.asarray(z)) for each in derivatives)
    np.testing.assert_allclose(value, expected[0], rtol=1e-13)
    np.testing.assert_allclose(slope, expected[1], rtol=1e-13)
    np.testing.assert_allclose(curvature, expected[2], rtol=1e-12)
    np.testing.assert_allclose(forward, expected[2], rtol=1e-12)


def test_smooth_relu_is_finite_in_single_precision():
    z = np.array([-3e38, -10, 0, 10, 3e38], np.float32)
    function = smooth_relu().function
    np.testing.assert_allclose(function(z), [0, 0, np.log(2) / 5000, 10, 3e38], rtol=1e-6)
    np.testing.assert_array_equal(jax.vmap(jax.grad(function))(z), [0, 0, 0.5, 1, 1])
    np.testing.assert_array_equal(jax.vmap(jax.grad(jax.grad(function)))(z), [0, 0, 1250, 0, 0])


@pytest.mark.parametrize("sharpness", [0.0, -1.0, np.inf, np.nan])
def test_bad_sharpness(sharpness):
    with pytest.raises(ValueError, match="sharpness must be positive"):
        smooth_relu(sharpness)
