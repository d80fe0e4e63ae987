import jax
import numpy as np
import pytest
import reference

from jaxland import mlp
from jaxland.landscape import outputs, symmetrise

WIDTHS = [2, 3, 2]
NETWORK = mlp(WIDTHS, "tanh")
PARAMS = np.random.default_rng(0).normal(size=(7, NETWORK.size))
X = np.random.default_rng(1).normal(size=(11, 2))


def _loop(vector, x):
    (first, bias), (second, offset) = reference.split(vector, WIDTHS)
    return np.tanh(x @ first.T + bias) @ second.T + offset


def test_outputs_equal_a_loop():
    found = outputs(NETWORK, PARAMS, X)
    assert found.shape == (7, 11, 2)
    np.testing.assert_allclose(found, [_loop(vector, X) for vector in PARAMS], rtol=1e-12)
    assert outputs(NETWORK, PARAMS.astype(np.float32), X).dtype == np.float32


def test_large_networks_make_small_blocks():
    network = mlp([1, 60, 60, 60, 1])
    params, x = np.random.default_rng(3).normal(size=(145, network.size)) / 8, np.linspace(-1, 1, 5)[:, None]
    assert 2**20 // network.size < 145
    with jax.enable_x64(True):
        expected = np.asarray(jax.vmap(network.apply_flat, (0, None))(params, x))
    np.testing.assert_allclose(outputs(network, params, x), expected, rtol=1e-11, atol=1e-13)


def test_a_vector_of_points_is_one_column():
    network = mlp([1, 3, 1])
    params, x = np.random.default_rng(2).normal(size=(4, network.size)), np.linspace(-1, 1, 9)
    np.testing.assert_array_equal(outputs(network, params, x), outputs(network, params, x[:, None]))
    assert symmetrise(network, params, x=x).drift.max() < 1e-12


def test_trees_of_parameters_become_rows():
    """One tree a fit, or one tree of stacked leaves, as a vmapped training leaves it."""
    trees = [NETWORK.unflatten(vector) for vector in PARAMS]
    np.testing.assert_array_equal(np.stack([NETWORK.flatten(tree) for tree in trees]), PARAMS.astype(np.float32))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
    np.testing.assert_array_equal(jax.vmap(NETWORK.flatten)(stacked), PARAMS.astype(np.float32))


@pytest.mark.parametrize("function", [lambda params: outputs(NETWORK, params, X), lambda p: symmetrise(NETWORK, p)])
def test_wrong_shapes(function):
    with pytest.raises(ValueError, match=r"must have shape \(fits, 17\); got \(7, 16\)"):
        function(PARAMS[:, :16])
