"""Declared symmetries are those of the function, or are refused layer by layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxland as jl
from jaxland.networks import Symmetry, UnitLayer, Units, declare_symmetry, mlp
from jaxland.networks.declared import Flattened

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 2))
SHAPES = {"a": (2, 4), "b": (4,), "c": (4, 4), "d": (4,), "e": (4, 1)}


def _init(key):
    parts = jax.random.split(key, len(SHAPES))
    return {name: jax.random.normal(part, shape) for part, (name, shape) in zip(parts, SHAPES.items(), strict=True)}


def _skipping(skip):
    """Two hidden layers by hand, the second square, and `skip` times the first handed to the outputs as well."""

    def apply(params, x):
        h = jax.nn.relu(x @ params["a"] + params["b"][None])
        return (jnp.tanh(h @ params["c"] + params["d"][None]) + skip * h) @ params["e"]

    return jl.Network(_init, apply)


FIRST = Units([("a", 1), ("b", 0)], [("c", 0)], "positive")
SECOND = Units([("c", -1), ("d", 0)], [("e", 0)], "sign")


def test_declared_units_are_those_of_an_mlp():
    """The index data written by names are those that mlp builds itself."""
    network = mlp([2, 4, 3, 1], "tanh")
    names = [
        Units([(f"{layer}.weight", 0), (f"{layer}.bias", 0)], [(f"{layer + 1}.weight", 1)], "sign")
        for layer in range(2)
    ]
    declared = declare_symmetry(network, names)
    for found, expected in zip(declared.spec.symmetry.layers, network.spec.symmetry.layers, strict=True):
        np.testing.assert_array_equal(found.incoming, expected.incoming)
        np.testing.assert_array_equal(found.outgoing, expected.outgoing)
        assert found.scaling == expected.scaling
    assert declared.spec.widths == network.spec.widths


def test_index_data_are_taken_as_they_are():
    network = mlp([2, 4, 3, 1])
    layers = network.spec.symmetry.layers
    assert declare_symmetry(network, layers).spec.symmetry.layers == layers
    swapped = layers[0].incoming.copy()
    swapped[0, 0], swapped[1, 0] = swapped[1, 0], swapped[0, 0]
    with pytest.raises(ValueError, match=r"layer 1 .*\(4 units\): exchanging its units changes the outputs"):
        declare_symmetry(network, [layers[1], UnitLayer(swapped, layers[0].outgoing, "none")])


def test_distances_use_what_is_declared():
    network = declare_symmetry(_skipping(0.0), [FIRST, SECOND], X)
    params = RANDOM.normal(size=(5, network.size))
    orders = [np.argsort(RANDOM.random((5, 4)), axis=1) for _ in range(2)]
    scales = [RANDOM.lognormal(size=(5, 4)), RANDOM.choice([-1.0, 1.0], (5, 4))]
    moved = network.spec.symmetry.transform(params, orders, scales)
    one, two = (jl.symmetrise(network, each, x=X) for each in (params, moved))
    assert max(one.drift.max(), two.drift.max()) < 1e-12
    np.testing.assert_allclose(one.params, two.params, atol=1e-10)


def test_units_that_feed_two_layers():
    network = _skipping(1.0)
    both = Units([("a", 1), ("b", 0), ("c", 1), ("d", 0)], [("c", 0), ("e", 0)])
    layer = declare_symmetry(network, [both], X).spec.symmetry.layers[0]
    assert layer.incoming.shape == (4, 2 + 1 + 4 + 1)
    assert layer.outgoing.shape == (4, 4 + 1)


@pytest.mark.parametrize("order", ["channels_last", "channels_first"])
def test_a_flattened_axis_counts_places_and_channels(order: Flattened):
    """Three channels at five places, handed to one output by a weight for each."""

    def init(key):
        first, second = jax.random.split(key)
        return {"filter": jax.random.normal(first, (2, 3)), "out": jax.random.normal(second, (15, 1))}

    def apply(params, x):
        places = jnp.stack([x[:, place : place + 2] for place in range(5)], axis=1)
        h = jax.nn.relu(places @ params["filter"])
        h = h if order == "channels_last" else h.transpose(0, 2, 1)
        return h.reshape(len(x), -1) @ params["out"]

    network, x = jl.Network(init, apply), RANDOM.normal(size=(20, 6))
    other: Flattened = "channels_first" if order == "channels_last" else "channels_last"
    declared = declare_symmetry(network, [Units([("filter", 1)], [("out", 0, order)], "positive")], x)
    grid = np.arange(6, 21).reshape((5, 3) if order == "channels_last" else (3, 5))
    expected = grid.T if order == "channels_last" else grid
    np.testing.assert_array_equal(declared.spec.symmetry.layers[0].outgoing, expected)
    with pytest.raises(ValueError, match=r"layer 0 .*\(filter to out\): exchanging its units changes the outputs"):
        declare_symmetry(network, [Units([("filter", 1)], [("out", 0, other)])], x)
    with pytest.raises(ValueError, match=r"counts 15, but there are 3 .*5 places.*\('out', 0, \"channels_last\"\)"):
        declare_symmetry(network, [Units([("filter", 1)], [("out", 0)])], x)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [FIRST, SECOND._replace(scaling="positive")],
            r"layer 1 .*scaling \('positive'\) its units changes the outputs",
        ),
        ([FIRST._replace(scaling="sign")], r"layer 0 .*scaling \('sign'\).*scaling='none' only"),
        (
            [FIRST._replace(incoming=[("a", 1)])],
            r"layer 0 of network 'custom' \(a to c\): exchanging its units changes",
        ),
        ([FIRST._replace(outgoing=[("c", 1)])], r"\(a, b to c\): exchanging its units changes"),
        ([Units([("f", 0)], [("c", 0)])], "unknown array of parameters 'f'"),
        ([Units([("a", 2)], [("c", 0)])], r"'a' has shape \(2, 4\) and no axis 2"),
        ([Units([("a", 0)], [("e", 1)])], r"axis 1 of 'e' counts 1, but there are 2 units along axis 0 of 'a'\.$"),
        ([Units([("a", 1)], [])], "arrays that enter them and arrays that leave them"),
        ([Units([("a", 1), ("a", 1)], [("c", 0)])], "an entry is among the incoming ones twice"),
        ([Units([("c", 1)], [("c", 0)], "positive")], "cannot be balanced"),
        ([UnitLayer(np.array([[0, 99]]), np.array([[1]]), "none")], "incoming entries must lie between 0 and 35; got"),
        ([UnitLayer(np.array([[0], [2]]), np.empty((2, 0), np.int64), "none")], "outgoing entries must have shape"),
    ],
)
def test_wrong_declarations(layers, message):
    with pytest.raises(ValueError, match=message):
        declare_symmetry(_skipping(0.0), layers, X)


def test_what_feeds_more_than_is_said():
    with pytest.raises(ValueError, match=r"layer 0 .*changes the outputs.*all that the units feed is named"):
        declare_symmetry(_skipping(1.0), [FIRST], X)


def test_nothing_is_believed_where_nothing_can_be_seen():
    """Units whose outputs nobody hears may be exchanged, however wrongly: that proves nothing."""
    deaf = jl.Network(_init, lambda params, x: x @ params["a"][:, :1] * (1 + params["b"][0]))
    with pytest.raises(ValueError, match="enters the units alone changes no output, so nothing can be verified"):
        declare_symmetry(deaf, [SECOND], X)
    undefined = jl.Network(_init, lambda params, x: x @ params["a"] / 0)
    with pytest.raises(ValueError, match="outputs at random parameters are not finite"):
        declare_symmetry(undefined, [FIRST], X)


def test_parameters_that_must_be_positive_are_drawn_by_init():
    def init(key):
        return jax.tree.map(lambda leaf: 1 + 0.01 * leaf, _init(key))

    def apply(params, x):
        return jnp.tanh(x @ jnp.log(params["a"]) + params["b"][None]) @ params["e"]

    layer = Units([("a", 1), ("b", 0)], [("e", 0)])
    assert declare_symmetry(jl.Network(init, apply), [layer], X).spec.symmetry != Symmetry()


def test_points_are_needed():
    with pytest.raises(ValueError, match="does not say how many inputs it takes; pass points x"):
        declare_symmetry(_skipping(0.0), [FIRST])
