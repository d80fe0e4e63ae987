import numpy as np
import pytest

import jaxland as jl
from jaxland.landscape import outputs
from jaxland.landscape import spectra as spectra_by_jax
from jaxland.report.computed import bends, evaluate, spectra


def _told(activation, bias, **more):
    return {"widths": [1, 4, 3, 1], "activation": activation, "output_activation": activation, "bias": bias, **more}


@pytest.mark.parametrize("activation", ["relu", "identity", "tanh", "sin", "sigmoid", "softplus"])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_are_those_of_the_network(activation, bias):
    network = jl.mlp([1, 4, 3, 1], activation, output_activation=activation, bias=bias)
    params, x = np.random.default_rng(0).normal(size=(5, network.size)), np.linspace(-3, 3, 50)
    expected = outputs(network, params, x[:, None])[..., 0]
    np.testing.assert_allclose(evaluate(_told(activation, bias), params, x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "identity", "tanh", "sin", "sigmoid", "softplus"])
@pytest.mark.parametrize("bias", [True, False])
def test_spectra_are_those_of_the_derivatives_that_jax_takes(activation, bias):
    network = jl.mlp([1, 4, 3, 1], activation, output_activation=activation, bias=bias)
    params, x = np.random.default_rng(1).normal(size=(4, network.size)), np.linspace(-1, 2, 23)
    problem = jl.Problem(x, np.abs(x), "half_mean_squared_error")
    expected = spectra_by_jax(problem.objective(network), params).eigenvalues
    found = spectra(_told(activation, bias, squares=0.5 / 23), params, x, np.abs(x))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_fits_without_finite_derivatives_have_no_spectrum_and_others_beside_them_do():
    x, params = np.linspace(-1, 1, 9), np.random.default_rng(2).normal(size=(3, 27))
    params[1, 0] = np.nan
    found = spectra(_told("tanh", True, squares=1.0), params, x, x)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False]
    assert np.isfinite(found[[0, 2]]).all()


@pytest.mark.parametrize("told", [_told("tanh", True), _told("tanh", True, squares=1.0) | {"widths": [1, 3000, 1]}])
def test_of_another_loss_and_of_large_networks_there_is_no_spectrum(told):
    size = 27 if told["widths"][1] == 4 else 9001
    x = np.linspace(-1, 1, 9)
    assert spectra(told, np.ones((1, size)), x, x) is None


def test_a_layer_of_relu_bends_where_its_units_turn_on():
    told = {"widths": [1, 2, 1], "activation": "relu", "output_activation": "identity", "bias": True}
    found = bends(told, np.array([[2.0, -1.0, -1.0, -0.5, 3.0, 4.0, 0.0]]), -1, 1)
    assert found is not None
    np.testing.assert_allclose(found.knots[0], [-1, -0.5, 0.5, 1])
    assert bends(told | {"activation": "tanh"}, np.ones((1, 7)), -1, 1) is None
