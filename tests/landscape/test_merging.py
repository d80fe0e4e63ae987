"""Networks merge to their mean after each has been matched to the others."""

from itertools import permutations, product

import numpy as np
import pytest

import jaxland as jl
from jaxland import landscape

NETWORKS = [
    jl.mlp([1, 5, 5, 5, 5, 5, 1], "relu"),
    jl.mlp([2, 10, 3], "relu"),
    jl.mlp([2, 12, 12, 1], "tanh"),
    jl.mlp([2, 4, 4, 1], "sigmoid"),
]


def _drawn(network, count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, network.size))


def _copies(network, vector, count, seed=1):
    random, layers = np.random.default_rng(seed), network.spec.symmetry.layers
    draw = {"positive": lambda shape: random.uniform(0.2, 5, shape), "none": np.ones}
    draw["sign"] = lambda shape: random.choice([-1.0, 1.0], shape)
    orders = [np.array([random.permutation(len(layer.incoming)) for _ in range(count)]) for layer in layers]
    scales = [draw[layer.scaling]((count, len(layer.incoming))) for layer in layers]
    return network.spec.symmetry.transform(np.tile(vector, (count, 1)), orders, scales)


def _scatter(members):
    """Sum of squared distances of all pairs."""
    return ((members[:, None] - members[None]) ** 2).sum() / 2


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_copies_under_symmetry_merge_to_the_original(network):
    original = landscape.symmetrise(network, _drawn(network, 1)).params[0]
    merged = landscape.merge(network, _copies(network, original, 8))
    np.testing.assert_allclose(merged.members, np.tile(merged.params, (8, 1)), atol=1e-9)
    np.testing.assert_allclose(landscape.symmetrise(network, merged.params[None]).params[0], original, atol=1e-9)
    assert landscape.match(network, merged.params[None], original).distance[0] < 1e-9


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_a_merged_network_is_the_mean_of_members_that_compute_what_they_did(network):
    params = _drawn(network, 6)
    merged = landscape.merge(network, params)
    np.testing.assert_allclose(merged.params, merged.members.mean(axis=0), rtol=1e-12)
    x = np.random.default_rng(2).normal(size=(9, network.inputs))
    before, after = (landscape.outputs(network, each, x) for each in (params, merged.members))
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9)
    first = landscape.match(network, params, params[0]).params
    assert _scatter(merged.members) <= _scatter(first) * (1 + 1e-12)
    assert _scatter(merged.members) < 0.9 * _scatter(landscape.symmetrise(network, params).params)


def test_no_exchange_of_one_member_brings_the_members_nearer():
    network = jl.mlp([1, 3, 3, 1], "tanh")
    layers = network.spec.symmetry.layers
    members = landscape.merge(network, _drawn(network, 4)).members
    least = _scatter(members)
    states = [*product(permutations(range(3)), product((1.0, -1.0), repeat=3))]
    for member in range(4):
        for chosen in product(states, states):
            tried = members.copy()
            for layer, (order, signs) in zip(layers, chosen, strict=True):
                for entries in (layer.incoming, layer.outgoing):
                    tried[member, entries] = (np.array(signs)[:, None] * tried[member, entries])[list(order)]
            assert _scatter(tried) >= least - 1e-9


def test_merging_finds_the_one_state_in_which_perturbed_copies_agree():
    network = NETWORKS[0]
    original = landscape.symmetrise(network, _drawn(network, 1)).params[0]
    noisy = original + 0.01 * _drawn(network, 20, seed=3)
    merged = landscape.merge(
        network, np.concatenate([_copies(network, each, 1, seed=i) for i, each in enumerate(noisy)])
    )
    # The mean of twenty is nearer than any of them.
    single = landscape.match(network, noisy, original).distance
    assert landscape.match(network, merged.params[None], original).distance[0] < 0.5 * single.min()


def test_one_fit_merges_to_itself_and_keeps_its_kind_of_number():
    network = NETWORKS[0]
    one = landscape.symmetrise(network, _drawn(network, 1).astype(np.float32)).params
    merged = landscape.merge(network, one)
    assert merged.params.dtype == merged.members.dtype == np.float32
    np.testing.assert_array_equal(merged.params, one[0])


def test_what_cannot_be_merged_is_refused():
    network = NETWORKS[0]
    params = _drawn(network, 3)
    params[1, 0] = np.nan
    with pytest.raises(ValueError, match="fits 1 are not"):
        landscape.merge(network, params)
    with pytest.raises(ValueError, match="there are none"):
        landscape.merge(network, params[:0])
    with pytest.raises(ValueError, match="declares no symmetry"):
        landscape.merge(jl.mlp([1, 1]), np.ones((2, 2)))
