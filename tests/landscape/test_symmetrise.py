import jax
import numpy as np
import pytest

import jaxland as jl
from jaxland.landscape import outputs, symmetrise

NETWORK = jl.mlp([1, 5, 5, 5, 5, 5, 1])
X = np.linspace(-1, 1, 101)[:, None]


@pytest.fixture(scope="module")
def params():
    return np.random.default_rng(0).normal(size=(50, NETWORK.size))


def _moved(network, params, rng):
    layers = network.spec.symmetry.layers
    shape = [(len(params), len(layer.incoming)) for layer in layers]
    permutations = [np.argsort(rng.random(size), axis=1) for size in shape]
    scales = [rng.lognormal(sigma=2, size=size) for size in shape]
    return network.spec.symmetry.transform(params, permutations, scales)


def test_planted_permutation_and_scaling_are_undone(params):
    moved = _moved(NETWORK, params, np.random.default_rng(1))
    assert np.abs(moved - params).max() > 1
    one, two = symmetrise(NETWORK, params, x=X), symmetrise(NETWORK, moved, x=X)
    np.testing.assert_allclose(two.params, one.params, atol=1e-9)


def test_planted_signs_are_undone():
    network = jl.mlp([2, 4, 3, 1], "tanh")
    rng = np.random.default_rng(2)
    params = rng.normal(size=(20, network.size))
    layers = network.spec.symmetry.layers
    signs = [rng.choice([-1.0, 1.0], (20, len(layer.incoming))) for layer in layers]
    permutations = [np.argsort(rng.random((20, len(layer.incoming))), axis=1) for layer in layers]
    moved = network.spec.symmetry.transform(params, permutations, signs)
    np.testing.assert_allclose(symmetrise(network, moved).params, symmetrise(network, params).params, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certificate(params, dtype):
    found = symmetrise(NETWORK, params.astype(dtype), x=X)
    assert found.params.dtype == dtype
    assert found.converged.all()
    assert found.imbalance.max() < 1e-5
    scale = np.abs(outputs(NETWORK, params, X)).max(axis=(1, 2))
    assert (found.drift / scale).max() < 100 * np.finfo(dtype).eps
    layers = NETWORK.spec.symmetry.layers
    for layer in layers:
        norms = np.linalg.norm(found.params[:, layer.incoming], axis=-1)
        assert (np.diff(norms, axis=1) >= 0).all()
    assert (np.linalg.norm(found.params, axis=1) <= np.linalg.norm(params, axis=1) + 1e-5).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_second_time_changes_nothing(params, dtype):
    once = symmetrise(NETWORK, params.astype(dtype), x=X).params
    np.testing.assert_array_equal(symmetrise(NETWORK, once, x=X).params, once)


def test_a_fit_does_not_depend_on_its_companions(params):
    whole = symmetrise(NETWORK, params, x=X).params
    np.testing.assert_array_equal(symmetrise(NETWORK, params[7:9], x=X).params, whole[7:9])


def test_drift_is_measured_and_not_assumed(params):
    lying = jl.mlp([1, 5, 5, 5, 5, 5, 1], "softplus")
    network = jl.Network(lying.init, lying.apply, NETWORK.spec)  # declares the symmetry of ReLU, which it has not
    assert symmetrise(network, params, x=X).drift.max() > 0.01


def test_diverged_fits_pass_through(params):
    broken = params.copy()
    broken[3, 5] = np.inf
    found = symmetrise(NETWORK, broken, x=X)
    np.testing.assert_array_equal(found.params[3], broken[3])
    assert not found.converged[3]
    np.testing.assert_array_equal(
        np.delete(found.params, 3, 0), np.delete(symmetrise(NETWORK, params, x=X).params, 3, 0)
    )


def test_a_network_without_symmetry_is_left_alone():
    network = jl.Network(lambda key: jax.numpy.zeros(3), lambda params, x: x * params[0])
    params = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_array_equal(symmetrise(network, params, x=X).params, params)
    with pytest.raises(ValueError, match="pass points x"):
        symmetrise(network, params)


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"must have shape \(fits, 136\)"):
        symmetrise(NETWORK, np.zeros((2, 135)))


def test_outputs_equal_one_evaluation_at_a_time(params):
    found = outputs(NETWORK, params, X)
    with jax.enable_x64(True):
        expected = [NETWORK.apply_flat(jax.numpy.asarray(vector), jax.numpy.asarray(X)) for vector in params]
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-12, atol=1e-12)
    assert outputs(NETWORK, params[:0], X).shape == (0, 101, 1)
