"""Networks are matched modulo order, scale and sign: exactly where all exchanges can be tried, else with a bound."""

from itertools import permutations, product

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import jaxland as jl
from jaxland import landscape
from jaxland.landscape.matching import alignment, chains, enumeration
from jaxland.landscape.matching.bounds import product_bounds
from jaxland.networks import Units, declare_symmetry, from_equinox, from_flax
from jaxland.networks.symmetry import UnitLayer

MAIN = jl.mlp([1, 5, 5, 5, 5, 5, 1], "relu")


def _drawn(network, count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, network.size))


def _moved(network, params, seed=1):
    """Each with the units of all layers exchanged, scaled and turned at random."""
    random, layers = np.random.default_rng(seed), network.spec.symmetry.layers
    orders = [np.array([random.permutation(len(layer.incoming)) for _ in params]) for layer in layers]
    scales = [
        {"positive": lambda shape: random.uniform(0.2, 5, shape), "none": np.ones,
         "sign": lambda shape: random.choice([-1.0, 1.0], shape)}[layer.scaling]((len(params), len(layer.incoming)))
        for layer in layers
    ]  # fmt: skip
    return network.spec.symmetry.transform(params, orders, scales)


def _nearest_by_trial(network, params, goals):
    """Distances at the best of all exchanges and signs, one after the other."""
    layers = network.spec.symmetry.layers
    choices = [
        [
            *product(
                permutations(range(units)), product((1.0, -1.0) if layer.scaling == "sign" else (1.0,), repeat=units)
            )
        ]
        for layer in layers
        for units in [len(layer.incoming)]
    ]
    least = np.full(len(params), np.inf)
    for chosen in product(*choices):
        tried = params.copy()
        for layer, (order, signs) in zip(layers, chosen, strict=True):
            for entries in (layer.incoming, layer.outgoing):
                tried[:, entries] = (np.array(signs)[:, None] * tried[:, entries])[:, list(order)]
        least = np.minimum(least, np.linalg.norm(tried - goals, axis=1))
    return least


def _equinox():
    def build(key):
        first, second, third = jax.random.split(key, 3)
        return eqx.nn.Sequential(
            [
                eqx.nn.Conv2d(1, 3, 2, key=first),
                eqx.nn.Lambda(jax.nn.sigmoid),
                eqx.nn.Conv2d(3, 3, 2, key=second),
                eqx.nn.Lambda(lambda h: jnp.tanh(h).ravel()),
                eqx.nn.Linear(12, 2, key=third),
            ]
        )

    return from_equinox(build, (1, 4, 4))


def _flax():
    class Perceptron(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1)(nn.relu(nn.Dense(4)(nn.relu(nn.Dense(3)(x)))))

    return from_flax(Perceptron(), 2)


def _shortcut():
    """The first layer feeds the second and the third, which makes no chain."""

    def init(key):
        shapes = {"a": (2, 3), "b": (3, 3), "c": (3, 2), "d": (3, 2), "e": (2, 1)}
        return {name: jax.random.normal(key, shape) for name, shape in shapes.items()}

    def apply(params, x):
        first = jnp.tanh(x @ params["a"])
        second = jax.nn.relu(first @ params["b"])
        return jnp.tanh(first @ params["c"] + second @ params["d"]) @ params["e"]

    units = [
        Units([("a", 1)], [("b", 0), ("c", 0)], "sign"),
        Units([("b", 1)], [("d", 0)], "none"),
        Units([("c", 1), ("d", 1)], [("e", 0)], "sign"),
    ]
    return declare_symmetry(jl.Network(init, apply), units, _drawn(jl.mlp([1, 1]), 20))


def _recurrent():
    """Weights that leave one unit of a layer and enter another one of the same."""

    def init(key):
        return {name: jax.random.normal(key, shape) for name, shape in {"a": (2, 4), "r": (4, 4), "b": (4, 1)}.items()}

    def apply(params, x):
        state = jnp.tanh(x @ params["a"])
        return jnp.tanh(x @ params["a"] + state @ params["r"]) @ params["b"]

    units = [Units([("a", 1), ("r", 1)], [("r", 0), ("b", 0)], "sign")]
    return declare_symmetry(jl.Network(init, apply), units, _drawn(jl.mlp([1, 1]), 20))


def _residual(first=3, second=2, activation="tanh", blocks=1, width=2):
    """A stream of units, which blocks of others read and add to: their weights enter and leave the same two layers."""
    shapes = {"a": (width, first), "p": (first,), "e": (first, 1)}
    for block in range(blocks):
        shapes |= {f"b{block}": (first, second), f"q{block}": (second,), f"c{block}": (second, first)}
    function, scaling = {"tanh": (jnp.tanh, "sign"), "relu": (jax.nn.relu, "positive")}[activation]

    def init(key):
        return {name: jax.random.normal(key, shape) for name, shape in shapes.items()}

    def apply(params, x):
        stream = function(x @ params["a"] + params["p"][None])
        for block in range(blocks):
            stream = stream + function(stream @ params[f"b{block}"] + params[f"q{block}"][None]) @ params[f"c{block}"]
        return stream @ params["e"]

    reads, adds = ([(f"{name}{block}", axis) for block in range(blocks)] for name, axis in (("b", 0), ("c", 1)))
    units = [Units([("a", 1), ("p", 0), *adds], [("e", 0), *reads], scaling)]
    units += [Units([(f"b{each}", 1), (f"q{each}", 0)], [(f"c{each}", 0)], scaling) for each in range(blocks)]
    return declare_symmetry(jl.Network(init, apply), units, np.random.default_rng(0).normal(size=(20, width)))


def _convolutions():
    """Channels of two kernels, each pair of which shares several weights, with a residual connection."""

    def init(key):
        shapes = {"a": (3, 1, 3), "b": (3, 3, 2), "c": (3, 2, 3), "d": (3, 1)}
        return {name: jax.random.normal(key, shape) for name, shape in shapes.items()}

    def apply(params, x):
        def convolved(h, kernel):
            return sum(jnp.roll(h, shift, axis=1) @ kernel[shift] for shift in range(3))

        first = jnp.tanh(convolved(x[:, :, None], params["a"]))
        second = first + convolved(jax.nn.sigmoid(convolved(first, params["b"])), params["c"])
        return second.mean(axis=1) @ params["d"]

    units = [
        Units([("a", 2), ("c", 2)], [("b", 1), ("d", 0)], "none"),
        Units([("b", 2)], [("c", 1)], "none"),
    ]
    return declare_symmetry(jl.Network(init, apply), units, np.random.default_rng(0).normal(size=(20, 4)))


CHAINS = {
    "relu": jl.mlp([1, 3, 3, 3, 1], "relu"),
    "sigmoid": jl.mlp([2, 4, 2, 3, 2], "sigmoid", bias=False),
    "tanh": jl.mlp([1, 2, 3, 2], "tanh"),
    "one layer": jl.mlp([2, 4, 2], "tanh"),
    "equinox": _equinox(),
    "flax": _flax(),
}
OTHERS = {
    "shortcut": _shortcut(),
    "recurrent": _recurrent(),
    "residual": _residual(),
    "residual relu": _residual(3, 3, "relu", blocks=2),
    "convolutions": _convolutions(),
}


@pytest.mark.parametrize("name", [*CHAINS, *OTHERS])
def test_of_small_layers_the_nearest_of_all_exchanges_is_found(name):
    network = {**CHAINS, **OTHERS}[name]
    assert (chains.chain_of(network.spec.symmetry.layers, network.size) is not None) == (name in CHAINS)
    params, goals = _drawn(network, 12), _drawn(network, 12, seed=1)
    aligned = landscape.align(network, params, goals)
    least = _nearest_by_trial(network, params, goals)
    np.testing.assert_allclose(np.linalg.norm(aligned - goals, axis=1), least, rtol=1e-12)


@pytest.mark.parametrize("name", [*CHAINS, *OTHERS])
def test_the_nearest_lies_between_both_bounds_of_weight_matching(name):
    network = {**CHAINS, **OTHERS}[name]
    found = landscape.match(network, _drawn(network, 12), _drawn(network, 12, seed=1), exact=False)
    np.testing.assert_allclose(np.linalg.norm(found.params - found.reference, axis=1), found.distance, rtol=1e-12)
    least = _nearest_by_trial(network, found.params, found.reference)
    assert (found.at_least <= least * (1 + 1e-12)).all()
    assert (least <= found.distance * (1 + 1e-12)).all()
    assert (found.at_least > 0.4 * least).all()


def test_bounds_of_products_hold_for_each_way_to_share_weights_out(monkeypatch):
    from jaxland.landscape.matching import bounds

    network = CHAINS["relu"]
    params, goals = _drawn(network, 20), _drawn(network, 20, seed=1)
    squares = (params**2).sum(axis=1) + (goals**2).sum(axis=1)
    largest = (squares - _nearest_by_trial(network, params, goals) ** 2) / 2
    single = []
    for way in bounds._WAYS:
        monkeypatch.setattr(bounds, "_WAYS", (way,))
        single.append(product_bounds(network.spec.symmetry.layers, params, goals)[0])
        assert (single[-1] >= largest - 1e-9).all()
    monkeypatch.undo()
    together = product_bounds(network.spec.symmetry.layers, params, goals)[0]
    np.testing.assert_allclose(together, np.min(single, axis=0))


def test_one_wide_layer_is_matched_exactly_and_said_to_be():
    network = jl.mlp([2, 40, 3], "relu")
    found = landscape.match(network, _drawn(network, 5), _drawn(network, 5, seed=1))
    np.testing.assert_array_equal(found.at_least, found.distance)
    (layer,) = network.spec.symmetry.layers
    for params, goal, distance in zip(found.params, found.reference, found.distance, strict=True):
        units, places = (
            np.concatenate([each[layer.incoming], each[layer.outgoing]], axis=1) for each in (params, goal)
        )
        apart = ((places[:, None] - units[None]) ** 2).sum(axis=2)
        squared = apart[linear_sum_assignment(apart)].sum() + ((params - goal)[-3:] ** 2).sum()
        np.testing.assert_allclose(distance, np.sqrt(squared), rtol=1e-12)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("network", [jl.mlp([2, 10, 3], "relu"), MAIN, jl.mlp([2, 32, 32, 1], "tanh")], ids=str)
def test_planted_order_scale_and_sign_are_undone_always(network, exact):
    reference = _drawn(network, 100)
    found = landscape.match(network, _moved(network, reference), reference, exact=exact)
    np.testing.assert_allclose(found.params, found.reference, atol=1e-9)
    assert (found.distance < 1e-9).all()
    assert (found.at_least <= found.distance).all()


@pytest.mark.slow
def test_planted_order_and_scale_of_a_large_network_are_undone():
    network = jl.mlp([784, 64, 64, 10], "relu")
    reference = _drawn(network, 5)
    found = landscape.match(network, _moved(network, reference), reference)
    np.testing.assert_allclose(found.params, found.reference, atol=1e-9)


@pytest.mark.parametrize("name", ["equinox", "flax", *OTHERS])
def test_planted_exchanges_of_declared_networks_are_undone(name):
    network = {**CHAINS, **OTHERS}[name]
    reference = _drawn(network, 30)
    for exact in (True, False):
        found = landscape.match(network, _moved(network, reference), reference, exact=exact)
        assert (found.distance < 1e-9).all()
        assert found.exact.all()


@pytest.mark.parametrize("name", OTHERS)
def test_exact_distances_depend_on_no_member_of_an_orbit_and_are_no_more_than_others(name):
    network = OTHERS[name]
    params, pairs = _drawn(network, 10), landscape.random_pairs(10, 30)
    found = landscape.orbit_distances(network, params, pairs)
    assert found.exact.all()
    np.testing.assert_array_equal(found.at_least, found.distance)
    for seed, which in enumerate((slice(None), slice(0, 5), slice(5, 10))):
        moved = params.copy()
        moved[which] = _moved(network, params[which], seed)
        again = landscape.orbit_distances(network, moved, pairs)
        np.testing.assert_allclose(again.distance, found.distance, rtol=1e-9, atol=1e-9)
    bounded = landscape.orbit_distances(network, params, pairs, exact=False)
    assert (found.distance <= bounded.distance * (1 + 1e-12)).all()
    assert (bounded.at_least <= found.distance * (1 + 1e-12)).all()
    copies = np.concatenate([params[:1], _moved(network, params[:1])])
    mean = landscape.merge(network, copies).params
    np.testing.assert_allclose(landscape.match(network, mean[None], params[0]).distance, 0.0, atol=1e-9)


def test_a_group_that_is_just_too_large_is_not_said_to_be_looked_through(monkeypatch):
    network = OTHERS["residual"]  # 3! 2^3 2! 2^2 exchanges
    params, goals = _drawn(network, 20), _drawn(network, 20, seed=1)
    monkeypatch.setattr(enumeration, "_MOST", 384)
    nearest = landscape.match(network, params, goals)
    assert nearest.exact.all()
    monkeypatch.setattr(enumeration, "_MOST", 383)
    found = landscape.match(network, params, goals)
    np.testing.assert_array_equal(found.distance, landscape.match(network, params, goals, exact=False).distance)
    assert not found.exact.any()
    monkeypatch.setattr(enumeration, "_MOST", 384)
    monkeypatch.setattr(enumeration, "_LARGEST", 384 * 12 - 1)  # twelve weights between the layers
    np.testing.assert_array_equal(landscape.match(network, params, goals).distance, found.distance)
    monkeypatch.setattr(enumeration, "_LARGEST", 384 * 12)
    np.testing.assert_array_equal(landscape.match(network, params, goals).distance, nearest.distance)
    assert (found.at_least <= nearest.distance).all()
    assert (nearest.distance <= found.distance * (1 + 1e-12)).all()


@pytest.mark.parametrize("sizes", [(8, 6, "tanh", 1), (3, 2, "tanh", 3), (9, 7, "relu", 2)], ids=str)
def test_planted_exchanges_are_undone_where_there_are_too_many_to_look_through(sizes):
    network = _residual(*sizes)
    assert enumeration.search_of(network.spec.symmetry.layers, network.size) is None
    reference = _drawn(network, 60)
    found = landscape.match(network, _moved(network, reference), reference)
    assert (found.distance < 1e-9).all()
    one, other = (landscape.orbit_distances(network, reference, np.array([pair])) for pair in ((0, 1), (1, 0)))
    assert not one.exact.any()
    np.testing.assert_allclose(one.distance, other.distance, rtol=1e-12)


def test_random_starts_come_no_farther_than_none(monkeypatch):
    params, goals = _drawn(MAIN, 40), _drawn(MAIN, 40, seed=1)
    many = landscape.match(MAIN, params, goals, exact=False).distance
    np.testing.assert_array_equal(many, landscape.match(MAIN, params, goals, exact=False).distance)
    monkeypatch.setattr(alignment, "_DRAWS", 0)
    few = landscape.match(MAIN, params, goals, exact=False).distance
    assert (many <= few).all()
    assert (many < few).mean() > 0.2


def test_distances_modulo_symmetry_are_a_metric():
    params = _drawn(MAIN, 12)
    params = np.concatenate([params, _moved(MAIN, params)])
    pairs = np.array([*product(range(24), repeat=2)])
    found = landscape.orbit_distances(MAIN, params, pairs)
    np.testing.assert_array_equal(found.distance, found.at_least)
    apart = found.distance.reshape(24, 24)
    np.testing.assert_allclose(apart, apart.T, rtol=1e-12, atol=1e-12)
    same = np.arange(24)[:, None] % 12 == np.arange(24) % 12
    assert (apart[same] < 1e-9).all()
    assert (apart[~same] > 1).all()
    np.testing.assert_allclose(apart[:12, :12], apart[12:, 12:], atol=1e-9)
    ways = (apart[:, :, None] + apart[None]).min(axis=1)
    assert (apart <= ways + 1e-9).all()
    ordered = landscape.pair_distances(landscape.symmetrise(MAIN, params).params, pairs).reshape(24, 24)
    assert (apart <= ordered + 1e-9).all()
    assert np.median(ordered[~same] / apart[~same]) > 1.1


def test_bounds_depend_on_neither_order_of_a_pair_nor_members_of_orbits():
    network = jl.mlp([2, 9, 8, 1], "tanh")
    params = _drawn(network, 20)
    pairs = landscape.random_pairs(20, 60)
    found = landscape.orbit_distances(network, params, pairs)
    assert (found.at_least < found.distance).all()
    for other in (
        landscape.orbit_distances(network, params, pairs[:, ::-1]),
        landscape.orbit_distances(network, _moved(network, params), pairs),
    ):
        np.testing.assert_allclose(other, found, rtol=1e-9)
    ordered = landscape.pair_distances(landscape.symmetrise(network, params).params, pairs)
    assert (found.distance <= ordered * (1 + 1e-12)).all()


@pytest.mark.parametrize("network", [MAIN, OTHERS["residual"]], ids=["chain", "residual"])
@pytest.mark.parametrize("exact", [True, False])
def test_matches_do_not_depend_on_how_fits_are_cut(network, exact, monkeypatch):
    params, goals = _drawn(network, 9), _drawn(network, 9, seed=1)
    whole = landscape.match(network, params, goals, exact=exact)
    monkeypatch.setattr(alignment, "_AT_ONCE", 2 * network.size)
    for module in (chains, enumeration):
        monkeypatch.setattr(module, "_AT_ONCE", 1)
    for one, other in zip(whole, landscape.match(network, params, goals, exact=exact), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12)
    pairs = np.stack([np.arange(9), 9 + np.arange(9)], axis=1)
    apart = landscape.orbit_distances(network, np.concatenate([goals, params]), pairs, exact=exact)
    np.testing.assert_allclose(apart.distance, whole.distance, rtol=1e-12)


@pytest.mark.parametrize("exact", [True, False])
def test_distances_have_the_unit_of_parameters_whatever_it_is(exact):
    params, pairs = _drawn(MAIN, 6), landscape.random_pairs(6, 8)
    one = landscape.orbit_distances(MAIN, params, pairs, exact=exact)
    for power in (-600, 600):
        scaled = landscape.orbit_distances(MAIN, np.ldexp(params, power), pairs, exact=exact)
        np.testing.assert_allclose(np.ldexp(scaled, -power), one, rtol=1e-9)


def test_functions_and_kinds_of_numbers_stay():
    params, reference = _drawn(MAIN, 8).astype(np.float32), _drawn(MAIN, 1, seed=1)[0]
    found = landscape.match(MAIN, params, reference)
    assert found.params.dtype == np.float32
    assert found.reference.shape == reference.shape
    x = np.linspace(-1, 1, 7)
    for before, after in ((params, found.params), (reference[None], found.reference[None])):
        before, after = (landscape.outputs(MAIN, each.astype(float), x) for each in (before, after))
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)


def test_fits_that_diverged_are_nowhere():
    params = _drawn(MAIN, 4)
    params[2, 5] = np.inf
    found = landscape.match(MAIN, params, params[0])
    np.testing.assert_array_equal(found.params[2], params[2])
    np.testing.assert_array_equal(np.isnan(found.distance), [False, False, True, False])
    apart = landscape.orbit_distances(MAIN, params, np.array([[0, 1], [1, 2], [2, 2]]))
    np.testing.assert_array_equal(np.isnan(apart), [[False, True, True]] * 2)
    assert len(landscape.orbit_distances(MAIN, params, np.zeros((0, 2), int)).distance) == 0
    assert landscape.match(MAIN, params[:0], params[0]).params.shape == (0, MAIN.size)


def test_what_is_no_chain_of_small_layers_has_no_states():
    def chain(network):
        return chains.chain_of(network.spec.symmetry.layers, network.size)

    assert chain(jl.mlp([1, 6, 6, 1]))
    assert chain(jl.mlp([1, 4, 4, 1], "tanh"))
    assert not any(chain(each) for each in (jl.mlp([1, 7, 6, 1]), jl.mlp([1, 5, 5, 1], "tanh"), *OTHERS.values()))
    first, second = jl.mlp([1, 2, 2, 1]).spec.symmetry.layers
    crossed = UnitLayer(second.incoming[:, [1, 0, 2]] * 0 + np.array([[4, 7, 8], [6, 5, 9]]), second.outgoing, "none")
    assert not chains.chain_of((first, crossed), 13)


def test_what_cannot_be_matched_is_refused():
    with pytest.raises(ValueError, match=r"params must have shape \(fits, 136\)"):
        landscape.match(MAIN, np.ones((2, 135)), np.ones(135))
    with pytest.raises(ValueError, match="reference must be finite"):
        landscape.match(MAIN, np.ones((2, 136)), np.ones((3, 136)))
    with pytest.raises(ValueError, match="pairs must name fits 0 to 1; got 0 to 2"):
        landscape.orbit_distances(MAIN, np.ones((2, 136)), np.array([[0, 2]]))
    with pytest.raises(ValueError, match="declares no symmetry"):
        landscape.orbit_distances(jl.mlp([1, 1]), np.ones((2, 2)), np.array([[0, 1]]))
