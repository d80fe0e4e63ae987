import jax
import numpy as np
import pytest

from jaxland.networks import Network, embed, mlp

pytestmark = pytest.mark.sampled

SMALL = mlp([2, 3, 4, 2])
PARAMS = np.random.default_rng(0).normal(size=(5, SMALL.size))
X = np.random.default_rng(1).normal(size=(40, 2))


def _outputs(network, params):
    with jax.enable_x64(True):
        return np.asarray(jax.vmap(network.apply_flat, in_axes=(0, None))(params, X))


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("widths", [[2, 3, 4, 2], [2, 5, 4, 2], [2, 3, 4, 4, 2], [2, 6, 5, 4, 8, 2]], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_the_larger_network_computes_the_same(widths, seed, bias):
    small, larger = mlp([2, 3, 4, 2], bias=bias), mlp(widths)
    params = PARAMS[:, : small.size]
    embedded = embed(small, params, larger, seed=seed)
    assert embedded.shape == (5, larger.size)
    np.testing.assert_allclose(_outputs(larger, embedded), _outputs(small, params), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("hidden", [[], [3]], ids=str)
def test_linear_networks_take_more_units_or_layers_where_they_can(hidden):
    small = mlp([2, *hidden, 2], "identity")
    larger = mlp([2, *(width + 1 for width in hidden), *[4] * len(hidden), 2], "identity")
    params = PARAMS[:, : small.size]
    found = _outputs(larger, embed(small, params, larger))
    np.testing.assert_allclose(found, _outputs(small, params), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_tanh_takes_more_units():
    small, larger = mlp([2, 3, 4, 2], "tanh"), mlp([2, 4, 6, 2], "tanh")
    embedded = embed(small, PARAMS, larger, seed=0)
    np.testing.assert_allclose(_outputs(larger, embedded), _outputs(small, PARAMS), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_extra_units_are_fresh_and_unheard():
    larger = mlp([2, 5, 4, 6, 2], init="pytorch_uniform")
    fresh, empty = embed(SMALL, PARAMS, larger, seed=7), embed(SMALL, PARAMS, larger)
    entering = np.zeros(larger.size, bool)
    first, _, third = larger.spec.symmetry.layers
    entering[first.incoming[3:]] = entering[third.incoming[4:]] = True
    np.testing.assert_array_equal(fresh[:, ~entering], empty[:, ~entering])
    assert not empty[:, entering].any()
    assert np.unique(fresh[:, entering]).size == 5 * entering.sum()  # each fit and entry has its own draw
    for row in range(5):
        key = jax.random.fold_in(jax.random.key(7), row)
        drawn = np.asarray(larger.flatten(larger.init(key)))
        np.testing.assert_allclose(fresh[row, entering], drawn[entering], rtol=1e-6)
    np.testing.assert_array_equal(embed(SMALL, PARAMS[:2], larger, seed=7), fresh[:2])
    np.testing.assert_array_equal(fresh[:, third.outgoing[4:]], 0)


def test_dtype_and_broken_fits_are_kept():
    params = PARAMS.astype(np.float32)
    params[1, 3] = np.nan
    embedded = embed(SMALL, params, mlp([2, 4, 4, 2]), seed=0)
    assert embedded.dtype == np.float32
    assert np.isnan(embedded).any(axis=1).tolist() == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("small", "larger", "reason"),
    [
        (SMALL, mlp([2, 3, 2]), "1 layers less"),
        (SMALL, mlp([2, 2, 4, 2]), r"widths are \[2, 2, 4, 2\] where \[2, 3, 4, 2\] are needed"),
        (SMALL, mlp([2, 3, 4, 3, 2]), "are needed"),
        (SMALL, mlp([3, 3, 4, 2]), "are needed"),
        (SMALL, mlp([2, 3, 4, 2], "tanh"), "its activation is 'tanh'"),
        (SMALL, mlp([2, 3, 4, 2], output_activation="tanh"), "its output_activation is 'tanh'"),
        (SMALL, mlp([2, 3, 4, 2], bias=False), "no biases"),
        (mlp([2, 3, 2], "tanh"), mlp([2, 3, 3, 2], "tanh"), "only behind a layer of ReLU"),
        (mlp([2, 2]), mlp([2, 2, 2]), "only behind a layer of ReLU"),
        (Network(lambda key: np.zeros(3), lambda params, x: x), SMALL, "not a chain of dense layers"),
    ],
)
def test_what_does_not_fit(small, larger, reason):
    with pytest.raises(ValueError, match=reason):
        embed(small, np.zeros((1, small.size)), larger)


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"must have shape \(fits, 35\)"):
        embed(SMALL, np.zeros((2, 34)), SMALL)
    with pytest.raises(ValueError, match=r"A single fit is params\[None\]"):
        embed.__wrapped__(SMALL, np.zeros(35), SMALL)
