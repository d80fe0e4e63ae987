import jax
import numpy as np
import pytest

from jaxland.networks import ACTIVATIONS, get_activation

Z = np.array([-3.0, -0.7, 0.0, 0.4, 2.5])


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=lambda activation: activation.name)
def test_declared_scaling_is_true(activation):
    value = np.asarray(activation.function(Z))
    if activation.scaling == "positive":
        np.testing.assert_allclose(activation.function(3.7 * Z), 3.7 * value, rtol=1e-6)
    elif activation.scaling == "sign":
        np.testing.assert_allclose(activation.function(-Z), -value, rtol=1e-6)
    else:
        assert not np.allclose(activation.function(2 * Z), 2 * value)
        assert not np.allclose(activation.function(-Z), -value)


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=lambda activation: activation.name)
def test_nan_passes_through(activation):
    assert np.isnan(activation.function(np.array(np.nan, np.float32)))


def test_relu_has_slope_zero_at_zero():
    slopes = jax.vmap(jax.grad(get_activation("relu").function))(np.array([-1.0, 0.0, 1.0], np.float32))
    np.testing.assert_array_equal(slopes, [0, 0, 1])


def test_unknown_name_offers_the_near_one():
    with pytest.raises(ValueError, match="Did you mean 'sigmoid'"):
        get_activation("sigmod")
