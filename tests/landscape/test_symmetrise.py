import jax
import numpy as np
import pytest

import jaxland as jl
from jaxland.landscape import fix_signs, outputs, sort_units, symmetrise

pytestmark = pytest.mark.sampled

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


def _exchanged(network, params, rng):
    orders = [
        np.argsort(rng.random((len(params), len(layer.incoming))), axis=1) for layer in network.spec.symmetry.layers
    ]
    return network.spec.symmetry.transform(params, permutations=orders)


def _with_ties(network, rng, count=20):
    """Fits of a few weights of magnitude one and two, so that nearly all norms tie and so do many entries."""
    return rng.choice([-2.0, -1.0, 1.0, 2.0], (count, network.size))


def test_the_two_units_of_an_even_function_have_one_order():
    """|x| = relu(x) + relu(-x): both units have the same norms, before and after."""
    network = jl.mlp([1, 2, 1])
    one = np.array([[1.0, -1.0, 0.5, 0.5, 2.0, -2.0, 0.3]])
    other = network.spec.symmetry.transform(one, permutations=[np.array([[1, 0]])])
    for function in (lambda params: symmetrise(network, params).params, lambda p: sort_units(network.spec.symmetry, p)):
        np.testing.assert_array_equal(function(other), function(one))


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("widths", [[1, 4, 1], [2, 3, 4, 1], [2, 3, 3, 3, 2]])
def test_orders_and_rounding_of_tied_units_are_undone(activation, widths):
    network, rng = jl.mlp(widths, activation), np.random.default_rng(3)
    params = _with_ties(network, rng)
    moved = _exchanged(network, params, rng) * (1 + 1e-15 * rng.normal(size=params.shape))
    representatives = [symmetrise(network, each).params for each in (params, moved)]
    np.testing.assert_allclose(representatives[1], representatives[0], atol=1e-11)
    np.testing.assert_array_equal(symmetrise(network, representatives[0]).params, representatives[0])


def test_a_sign_does_not_depend_on_the_rounding_of_entries_of_equal_magnitude():
    network = jl.mlp([2, 1, 1], "tanh", bias=False)
    for first, second in ((1, -1 - 1e-15), (1 + 1e-15, -1), (-1, 1 + 1e-15)):
        np.testing.assert_allclose(fix_signs(network.spec.symmetry, np.array([[first, second, 3.0]]))[0, :2], [1, -1])
    silent = np.array([[0.0, -0.0, -3.0]])
    np.testing.assert_array_equal(fix_signs(network.spec.symmetry, silent), [[0, 0, 3]])


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
    with pytest.warns(UserWarning, match=r"'custom' declares no symmetry.*declare_symmetry") as warned:
        np.testing.assert_array_equal(symmetrise(network, params, x=X).params, params)
    assert len(warned) == 1
    with pytest.warns(UserWarning, match="no symmetry"), pytest.raises(ValueError, match="pass points x"):
        symmetrise(network, params)


def test_a_network_without_hidden_units_has_nothing_to_declare():
    network = jl.mlp([1, 2])
    params = np.random.default_rng(0).normal(size=(4, 4))
    np.testing.assert_array_equal(symmetrise(network, params, x=X).params, params)


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"must have shape \(fits, 136\)"):
        symmetrise(NETWORK, np.zeros((2, 135)))


def test_outputs_equal_one_evaluation_at_a_time(params):
    found = outputs(NETWORK, params, X)
    with jax.enable_x64(True):
        expected = [NETWORK.apply_flat(jax.numpy.asarray(vector), jax.numpy.asarray(X)) for vector in params]
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-12, atol=1e-12)
    assert outputs(NETWORK, params[:0], X).shape == (0, 101, 1)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_units_of_equal_norm_have_one_order(activation):
    """Mirrored, duplicated and permuted units in two layers, with entries that agree to rounding."""
    network = jl.mlp([1, 4, 4, 1], activation)
    rng = np.random.default_rng(0)
    first, second = network.spec.symmetry.layers
    vector = rng.normal(size=network.size)
    vector[first.incoming] = 0.5 * np.array([[1, 1], [-1, 1], [1, -1], [1, 1]])
    vector[second.incoming] = rng.choice([-1.0, 1.0], second.incoming.shape)
    moved = np.repeat(vector[None], 60, axis=0)
    orders = [np.argsort(rng.random((60, 4)), axis=1) for _ in range(2)]
    signs = [rng.choice([-1.0, 1.0], (60, 4)) if activation == "tanh" else np.ones((60, 4)) for _ in range(2)]
    moved = network.spec.symmetry.transform(moved, orders, signs) * (1 + 1e-15 * rng.normal(size=moved.shape))
    found = symmetrise(network, moved, x=X).params
    np.testing.assert_allclose(found, found[:1].repeat(60, axis=0), atol=1e-12)
    np.testing.assert_array_equal(symmetrise(network, found, x=X).params, found)


@pytest.mark.parametrize("scale", [1e150, 1e-160, 1e-20])
def test_scales_whose_squares_overflow_or_underflow(scale):
    network = jl.mlp([1, 3, 3, 1])
    params = np.random.default_rng(1).normal(size=(5, network.size))
    scales = [np.tile([scale, 1, 1 / scale], (5, 1)), np.ones((5, 3))]
    found = symmetrise(network, network.spec.symmetry.transform(params, scales=scales), x=X)
    np.testing.assert_allclose(found.params, symmetrise(network, params, x=X).params, atol=1e-12)
    assert found.converged.all()


def test_minimum_energy_of_a_tiny_network_is_that_of_the_network_made_tiny():
    params = np.random.default_rng(2).normal(size=(5, NETWORK.size))
    tiny = jl.networks.minimum_energy(NETWORK.spec.symmetry, 2.0**-600 * params)
    np.testing.assert_array_equal(
        tiny.params, 2.0**-600 * jl.networks.minimum_energy(NETWORK.spec.symmetry, params).params
    )
