"""Networks from Flax say what Flax says, and give back what they were made of."""

import builtins
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxland as jl
from jaxland.networks import from_equinox, from_flax, to_equinox, to_flax

pytestmark = pytest.mark.sampled

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _as_flax_broadcasts():
    with jax.numpy_rank_promotion("allow"):
        yield


class Perceptron(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(nn.relu(nn.Dense(4)(jnp.tanh(nn.Dense(5)(x)))))


class Convolutional(nn.Module):
    """Two convolutions, of which the second hands its places and channels to a dense layer."""

    @nn.compact
    def __call__(self, x):
        h = nn.max_pool(nn.relu(nn.Conv(3, (2, 2))(x)), (2, 2), (2, 2))
        h = nn.relu(nn.Conv(4, (2, 2), use_bias=False)(h))
        return nn.Dense(2)(h.reshape(len(x), -1))


def _nnx(rngs):
    return nnx.Sequential(nnx.Linear(3, 5, rngs=rngs), jax.nn.relu, nnx.Linear(5, 2, rngs=rngs))


def test_a_linen_network_is_its_module():
    module: Any = Convolutional()
    network = from_flax(module, (4, 4, 1))
    x = RANDOM.normal(size=(7, 4, 4, 1)).astype(np.float32)
    variables = module.init(jax.random.key(3), x)
    drawn = network.init(jax.random.key(3))
    jax.tree.map(np.testing.assert_array_equal, drawn, variables["params"])
    vector = np.asarray(network.flatten(variables["params"]))
    found = network.apply_flat(jnp.asarray(vector), jnp.asarray(x.reshape(7, -1)))
    np.testing.assert_allclose(found, module.apply(variables, x), rtol=1e-5, atol=1e-6)
    back = to_flax(network, vector)
    jax.tree.map(np.testing.assert_array_equal, back, variables)
    np.testing.assert_array_equal(network.flatten(back["params"]), vector)
    assert network.spec.name == "Convolutional"


def test_an_nnx_network_is_its_module():
    network = from_flax(_nnx, 3, name="mine")
    model = _nnx(nnx.Rngs(jax.random.key(4)))
    vector = np.asarray(network.flatten(nnx.state(model, nnx.Param)))
    np.testing.assert_array_equal(network.flatten(network.init(jax.random.key(4))), vector)
    x = jnp.asarray(RANDOM.normal(size=(6, 3)), jnp.float32)
    np.testing.assert_allclose(network.apply_flat(jnp.asarray(vector), x), model(x), rtol=1e-6)
    back = to_flax(network, vector)
    np.testing.assert_array_equal(back(x), model(x))
    np.testing.assert_array_equal(network.flatten(nnx.state(back, nnx.Param)), vector)
    assert network.spec.name == "mine"


def test_all_fits_become_stacked_variables():
    module: Any = Perceptron()
    network = from_flax(module, 3)
    params = RANDOM.normal(size=(4, network.size)).astype(np.float32)
    x = RANDOM.normal(size=(5, 3)).astype(np.float32)
    variables = to_flax(network, params)
    together = jax.vmap(module.apply, in_axes=(0, None))(variables, x)
    np.testing.assert_allclose(together, jl.landscape.outputs(network, params, x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(jax.vmap(network.flatten)(variables["params"]), params)


def _places(network):
    """The tree of places in the flat vector: an index of the library's arrays that knows nothing of ours."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.int64), network.unflatten(np.arange(float(network.size))))


def _same_units(layer, incoming, outgoing):
    """Each unit has these entries, in whatever order."""
    np.testing.assert_array_equal(np.sort(layer.incoming, axis=1), np.sort(incoming, axis=1))
    np.testing.assert_array_equal(np.sort(layer.outgoing, axis=1), np.sort(outgoing, axis=1))


def test_the_symmetry_of_dense_layers_is_found():
    network = from_flax(Perceptron(), 3)
    # Flax counts modules as they are made, and here the last layer is made first.
    last, second, first = (_places(network)[f"Dense_{number}"] for number in range(3))
    layers = network.spec.symmetry.layers
    assert [layer.scaling for layer in layers] == ["sign", "positive"]
    _same_units(layers[0], np.vstack([first["kernel"], first["bias"][None]]).T, second["kernel"])
    _same_units(layers[1], np.vstack([second["kernel"], second["bias"][None]]).T, last["kernel"])


def test_the_symmetry_of_convolutions_is_found():
    network = from_flax(Convolutional(), (4, 4, 1))
    places = _places(network)
    first, second, dense = (places[name] for name in ("Conv_0", "Conv_1", "Dense_0"))
    layers = network.spec.symmetry.layers
    assert [layer.scaling for layer in layers] == ["positive", "positive"]
    kernel = second["kernel"]
    entering = [np.append(first["kernel"][..., c], first["bias"][c]) for c in range(3)]
    _same_units(layers[0], entering, [kernel[:, :, c].ravel() for c in range(3)])
    flat = dense["kernel"].reshape(2, 2, 4, 2)
    _same_units(layers[1], [kernel[..., c].ravel() for c in range(4)], [flat[:, :, c].ravel() for c in range(4)])


@pytest.mark.parametrize(
    ("function", "scaling"), [(nn.leaky_relu, "positive"), (jnp.sin, "sign"), (nn.gelu, "none"), (nn.swish, "none")]
)
def test_the_scaling_of_an_activation_is_found(function, scaling):
    network = from_flax(
        lambda rngs: nnx.Sequential(nnx.Linear(2, 3, rngs=rngs), function, nnx.Linear(3, 1, rngs=rngs)), 2
    )
    assert [layer.scaling for layer in network.spec.symmetry.layers] == [scaling]


class Residual(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.relu(nn.Dense(5)(x))
        h = h + nn.relu(nn.Dense(5)(h))
        return nn.Dense(1)(nn.LayerNorm()(nn.Dense(4)(h)))


def test_units_that_are_added_or_normed_are_not_declared():
    assert from_flax(Residual(), 3).spec.symmetry.layers == ()


@pytest.mark.slow
def test_it_is_trained():
    network = from_flax(nn.Sequential([nn.Dense(3), jnp.tanh, nn.Dense(1)]), 2)
    x = RANDOM.normal(size=(12, 2))
    fits = jl.fit(network, jl.Problem(x, x[:, :1]), optax.adam(0.01), fits=3, steps=10, backend="xla")
    assert (fits.loss < fits.initial_loss).all()
    assert len(np.unique(fits.initial_loss)) == 3


def test_planted_exchanges_and_scales_of_channels_are_undone():
    network = from_flax(Convolutional(), (4, 4, 1))
    params, layers = RANDOM.normal(size=(3, network.size)), network.spec.symmetry.layers
    permutations = [np.argsort(RANDOM.random((3, len(layer.incoming))), axis=1) for layer in layers]
    scales = [RANDOM.lognormal(size=(3, len(layer.incoming))) for layer in layers]
    moved = network.spec.symmetry.transform(params, permutations, scales)
    assert np.abs(moved - params).max() > 0.1
    one, two = (jl.symmetrise(network, each) for each in (params, moved))
    np.testing.assert_allclose(one.params, two.params, atol=1e-9)
    assert max(one.drift.max(), two.drift.max()) < 1e-9


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (nn.Sequential([nn.Dense(3), nn.BatchNorm(False)]), ValueError, r"batch_stats: layers_1.mean\), as batch norm"),
        (nn.Sequential([nn.Dense(3), nn.Dropout(0.5, deterministic=False)]), ValueError, "random numbers when it is"),
        (lambda rngs: nnx.BatchNorm(3, rngs=rngs), ValueError, r"BatchStat: mean, BatchStat: var\), as batch norm"),
        (lambda rngs: nnx.Dropout(0.5, rngs=rngs), ValueError, r"RngKey: rngs.key\), as batch norm and dropout"),
        (nn.Dense, TypeError, "takes a linen module, or a function"),
        (nnx.Linear(3, 2, rngs=nnx.Rngs(0)), TypeError, "takes a linen module, or a function"),
        (lambda rngs: 3, TypeError, "must return an nnx module, given nnx.Rngs; it returns 3"),
        (nn.Sequential([nn.relu]), ValueError, "Sequential has no parameters"),
        (
            nn.Sequential([nn.Dense(3), lambda h: h[:, None]]),
            ValueError,
            r"for two points it returns shape \(2, 1, 3\)",
        ),
    ],
)
def test_what_is_no_pure_module_is_refused(module, error, message):
    with pytest.raises(error, match=message):
        from_flax(module, 3)


@pytest.mark.parametrize("inputs", [0, -3, (), (3, 0)])
def test_bad_numbers_of_inputs(inputs):
    with pytest.raises(ValueError, match="inputs must be a positive integer"):
        from_flax(Perceptron(), inputs)


def test_one_output_a_point_is_one_column():
    network = from_flax(nn.Sequential([nn.Dense(1), lambda h: h[:, 0]]), 3)
    assert network.apply(network.init(jax.random.key(0)), jnp.ones((4, 3))).shape == (4, 1)
    with pytest.raises(ValueError, match="takes 3 inputs, but x has 2 components"):
        network.apply(network.init(jax.random.key(0)), jnp.ones((4, 2)))


def test_only_networks_of_flax_become_modules_of_flax():
    with pytest.raises(ValueError, match="was not made from a module of flax but by none; make it with from_flax"):
        to_flax(jl.mlp([1, 2, 1]), np.zeros(7))
    network = from_flax(Perceptron(), 3)
    with pytest.raises(ValueError, match=r"must have shape \(54,\) or \(fits, 54\) .* got \(53,\)"):
        to_flax(network, np.zeros(53))
    with pytest.raises(ValueError, match="not made from a module of equinox but from one of flax"):
        to_equinox(network, np.zeros(54))
    assert callable(from_equinox)


def test_without_flax_there_is_an_install_line(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "flax":
            raise ImportError("No module named 'flax'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install flax"):
        from_flax(Perceptron(), 3)
