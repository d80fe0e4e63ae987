"""Networks from Equinox say what Equinox says, and give back what they were made of."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxland as jl
from jaxland.landscape import outputs
from jaxland.networks import from_equinox, to_equinox

pytestmark = pytest.mark.sampled

RANDOM = np.random.default_rng(0)


def perceptron(key):
    return eqx.nn.MLP(3, 2, 5, 2, activation=jnp.tanh, key=key)


def convolutional(key):
    first, second, third = jax.random.split(key, 3)
    return eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(1, 3, 2, key=first),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.Conv2d(3, 4, 2, key=second),
            eqx.nn.Lambda(lambda h: jnp.tanh(h).ravel()),
            eqx.nn.Linear(16, 2, key=third),
        ]
    )


def test_a_network_is_its_module():
    network, model = from_equinox(convolutional, (1, 4, 4)), convolutional(jax.random.key(3))
    x = RANDOM.normal(size=(7, 1, 4, 4)).astype(np.float32)
    vector = np.asarray(network.flatten(eqx.filter(model, eqx.is_inexact_array)))
    np.testing.assert_array_equal(network.flatten(network.init(jax.random.key(3))), vector)
    expected = np.stack([model(point) for point in x])
    np.testing.assert_allclose(
        network.apply_flat(jnp.asarray(vector), x.reshape(7, -1)), expected, rtol=1e-5, atol=1e-6
    )
    back = to_equinox(network, vector)
    assert eqx.tree_equal(eqx.filter(back, eqx.is_array), eqx.filter(model, eqx.is_array))
    np.testing.assert_allclose(back(x[0]), expected[0], rtol=1e-5)


@pytest.mark.slow
def test_all_fits_become_one_stacked_module():
    network = from_equinox(perceptron, 3)
    params = RANDOM.normal(size=(4, network.size)).astype(np.float32)
    x = RANDOM.normal(size=(5, 3)).astype(np.float32)
    stacked = to_equinox(network, params)

    @eqx.filter_vmap(in_axes=(eqx.if_array(0), None))
    def together(model, x):
        return jax.vmap(model)(x)

    np.testing.assert_allclose(together(stacked, x), outputs(network, params, x), rtol=1e-4, atol=1e-6)
    one = jax.tree.map(lambda leaf: leaf[2], eqx.filter(stacked, eqx.is_array))
    np.testing.assert_array_equal(network.flatten(one), params[2])


def test_float64_is_kept_where_jax_holds_it():
    network = from_equinox(perceptron, 3)
    vector = RANDOM.normal(size=network.size)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(
            network.flatten(eqx.filter(to_equinox(network, vector), eqx.is_inexact_array)), vector
        )


def test_symmetries_are_found():
    network = from_equinox(convolutional, (1, 4, 4))
    tree = jax.tree.map(lambda leaf: np.asarray(leaf, np.int64), network.unflatten(np.arange(float(network.size))))
    first, second = network.spec.symmetry.layers
    assert (first.scaling, second.scaling) == ("positive", "sign")
    convolutions, dense = (tree[0], tree[2]), tree[4]
    for layer, convolution, units in zip((first, second), convolutions, (3, 4), strict=True):
        entering = [np.append(convolution.weight[c], convolution.bias[c]) for c in range(units)]
        np.testing.assert_array_equal(np.sort(layer.incoming, axis=1), np.sort(entering, axis=1))
    flat = dense.weight.reshape(2, 4, 2, 2)
    leaving = [convolutions[1].weight[:, c].ravel() for c in range(3)]
    np.testing.assert_array_equal(np.sort(first.outgoing, axis=1), np.sort(leaving, axis=1))
    np.testing.assert_array_equal(
        np.sort(second.outgoing, axis=1), np.sort([flat[:, c].ravel() for c in range(4)], axis=1)
    )


def test_orders_of_tied_channels_are_undone():
    """Entries of magnitude one and two, so that nearly all norms tie, and filters are mirror images of one another."""

    def make(key):
        first, second, third = jax.random.split(key, 3)
        return eqx.nn.Sequential(
            [
                eqx.nn.Conv1d(1, 2, 2, key=first),
                eqx.nn.Lambda(jax.nn.sigmoid),
                eqx.nn.Conv1d(2, 3, 2, key=second),
                eqx.nn.Lambda(lambda h: jax.nn.sigmoid(h).ravel()),
                eqx.nn.Linear(9, 1, key=third),
            ]
        )

    network = from_equinox(make, (1, 5))
    assert [layer.scaling for layer in network.spec.symmetry.layers] == ["none", "none"]
    params = RANDOM.choice([-2.0, -1.0, 1.0, 2.0], (40, network.size))
    _, second = network.spec.symmetry.layers
    places = network.unflatten(np.arange(float(network.size)))
    weight = np.asarray(places[2].weight, np.int64)
    # The second unit is the first one seen in a mirror, and both leave alike.
    params[:, weight[1]] = params[:, weight[0, :, ::-1]]
    params[:, np.asarray(places[2].bias, np.int64)[1]] = params[:, np.asarray(places[2].bias, np.int64)[0]]
    params[:, second.outgoing[1]] = params[:, second.outgoing[0]]
    orders = [np.argsort(RANDOM.random((40, len(layer.incoming))), axis=1) for layer in network.spec.symmetry.layers]
    moved = network.spec.symmetry.transform(params, permutations=orders)
    assert (moved != params).any(axis=1).sum() > 30
    np.testing.assert_array_equal(jl.symmetrise(network, moved).params, jl.symmetrise(network, params).params)


class Plain(eqx.Module):
    table: jax.Array

    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda key: eqx.nn.make_with_state(eqx.nn.BatchNorm)(3, "b", mode="batch"), ValueError, "keeps a state"),
        (
            lambda key: eqx.nn.BatchNorm(3, "b", mode="batch"),
            ValueError,
            "BatchNorm has a layer that keeps a state, as batch norm",
        ),
        (lambda key: eqx.nn.Sequential([eqx.nn.Dropout(0.5)]), ValueError, "give it inference=True"),
        (perceptron(jax.random.key(0)), TypeError, "every fit begins at a draw of its own"),
        (lambda key: 3, TypeError, "must return a module of Equinox; it returns 3"),
        (lambda key: Plain(jnp.arange(3)), ValueError, "Plain has no parameters"),
        (lambda key: eqx.nn.Conv1d(3, 2, 1, key=key), ValueError, "input"),
    ],
)
def test_what_is_no_pure_module_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        from_equinox(make, 3)


def test_one_number_a_point_is_one_column_and_dropout_at_rest_is_none():
    def make(key):
        layers = [eqx.nn.Linear(3, "scalar", key=key), eqx.nn.Dropout(0.5, inference=True)]
        return eqx.nn.Sequential(layers)

    network = from_equinox(make, 3)
    assert network.apply(network.init(jax.random.key(0)), jnp.ones((4, 3))).shape == (4, 1)
