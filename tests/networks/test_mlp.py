import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxland.networks import ACTIVATIONS, INITIALIZERS, Activation, Network, NetworkSpec, get_initializer, mlp, smoothed


def test_main_network_has_136_parameters():
    assert mlp([1, 5, 5, 5, 5, 5, 1]).size == 136


def test_output_equals_the_textbook_formula():
    network = mlp([2, 3, 2], activation="tanh")
    params = network.init(jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    params = jax.tree.map(np.asarray, params)
    hidden = np.tanh(x @ params[0].weight.T + params[0].bias)
    expected = hidden @ params[1].weight.T + params[1].bias
    np.testing.assert_allclose(network.apply(params, x), expected, rtol=1e-5, atol=1e-6)


def test_flat_vector_and_names_go_together():
    network = mlp([1, 2, 1])
    params = network.init(jax.random.key(1))
    vector = network.flatten(params)
    by_name = dict(zip(network.entry_names, np.asarray(vector), strict=True))
    assert by_name["0.weight[1,0]"] == params[0].weight[1, 0]
    assert by_name["1.bias[0]"] == params[1].bias[0]
    restored = network.unflatten(vector)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), params, restored))


def test_unflatten_refuses_another_length():
    with pytest.raises(ValueError, match="has 7 parameters"):
        mlp([1, 2, 1]).unflatten(jnp.zeros(8))


def test_without_biases():
    network = mlp([1, 4, 1], bias=False)
    assert network.size == 8
    np.testing.assert_array_equal(network.apply(network.init(jax.random.key(0)), np.zeros((1, 1), np.float32)), [[0]])


@pytest.mark.parametrize("widths", [[3], [1, 0, 1], [1, -2, 1]])
def test_bad_widths(widths):
    with pytest.raises(ValueError, match="widths must be"):
        mlp(widths)


def test_parameters_must_be_floating_point():
    network = Network(lambda key: {"count": jnp.zeros(2, jnp.int32)}, lambda params, x: x)
    with pytest.raises(TypeError, match="must be floating point"):
        _ = network.size


def test_any_pair_of_functions_is_a_network():
    network = Network(lambda key: {"a": jnp.ones(3), "b": jnp.zeros(())}, lambda p, x: x @ p["a"][:, None] + p["b"])
    assert network.spec == NetworkSpec()
    assert network.entry_names == ("a[0]", "a[1]", "a[2]", "b")


# Variance of the weights of a layer with 300 inputs and 200 outputs, from each scheme's paper.
_VARIANCE = {
    "glorot_uniform": 2 / 500,
    "glorot_normal": 2 / 500,
    "he_uniform": 2 / 300,
    "he_normal": 2 / 300,
    "lecun_uniform": 1 / 300,
    "lecun_normal": 1 / 300,
    "standard_normal": 1.0,
    "pytorch_uniform": 1 / 900,
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializer_variance(name):
    weight, bias = get_initializer(name)(jax.random.key(3), 200, 300)
    assert weight.shape == (200, 300)
    assert abs(np.mean(weight)) < 4 * np.sqrt(_VARIANCE[name] / weight.size)
    assert np.var(weight) == pytest.approx(_VARIANCE[name], rel=0.03)
    if name.endswith("uniform"):
        assert np.abs(weight).max() <= np.sqrt(3 * _VARIANCE[name]) * (1 + 1e-6)
    if name == "pytorch_uniform":
        assert np.abs(bias).max() > 0
    else:
        np.testing.assert_array_equal(bias, 0)


def test_an_activation_of_ones_own():
    square = Activation("square", jnp.square, "none")
    network = mlp([1, 2, 1], square)
    assert network.spec.name == "mlp-1-2-1-square"
    params = np.arange(7, dtype=np.float32)
    x = np.array([[0.5], [-2.0]], np.float32)
    expected = (x @ [[0, 1]] + [2, 3]) ** 2 @ [[4], [5]] + 6
    np.testing.assert_allclose(network.apply_flat(params, x), expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("bias", [True, False])
def test_smoothed_network_is_near_and_has_the_same_parameters(bias):
    network = mlp([2, 4, 3, 1], output_activation="relu", bias=bias, init="standard_normal")
    smooth = smoothed(network)
    assert smooth.entry_names == network.entry_names
    vector = network.flatten(network.init(jax.random.key(0)))
    np.testing.assert_array_equal(smooth.flatten(smooth.init(jax.random.key(0))), vector)
    x = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    sharp, soft, softer = (each.apply_flat(vector, x) for each in (network, smooth, smoothed(network, 50.0)))
    assert 0 < np.abs(soft - sharp).max() < 0.01
    assert np.abs(softer - sharp).max() > 0.01
    # Nothing is left with a kink, the last layer included.
    np.testing.assert_array_equal(smooth.spec.activation, smooth.spec.output_activation)
    assert smooth.spec.symmetry.layers[0].scaling == "none"


def test_what_cannot_be_smoothed():
    with pytest.raises(ValueError, match="does not know how to replace its activation"):
        smoothed(Network(lambda key: jnp.zeros(1), lambda params, x: x))
    with pytest.raises(ValueError, match="no ReLU to smooth; its activation is 'tanh'"):
        smoothed(mlp([1, 2, 1], "tanh"))


def _squared(z):
    return z**2


_SQUARED = Activation("squared", _squared, "none")


@pytest.mark.parametrize("activation", [*ACTIVATIONS, _SQUARED], ids=[*ACTIVATIONS, "own"])
def test_a_network_can_be_pickled(activation):
    network = mlp([2, 4, 1], activation, output_activation="sin", bias=False, init="he_normal")
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    vector = network.flatten(network.init(jax.random.key(0)))
    again = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(again.flatten(again.init(jax.random.key(0))), vector)
    np.testing.assert_array_equal(again.apply_flat(vector, x), network.apply_flat(vector, x))
    assert again.entry_names == network.entry_names
    np.testing.assert_array_equal(again.spec.symmetry.layers[0].incoming, network.spec.symmetry.layers[0].incoming)


def test_a_network_is_shown_in_a_line():
    network = mlp([1, 30, 30, 1])
    assert repr(network) == "Network('mlp-1-30-30-1-relu', 1,021 parameters)"
    assert len(repr(network.spec)) < 400

    def broken(key):
        raise RuntimeError

    assert repr(Network(broken, lambda params, x: x)) == "Network('custom')"
