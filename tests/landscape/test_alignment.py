"""Fits are aligned by the exchanges that bring them nearest, and by nothing that changes what they compute."""

from itertools import permutations, product

import numpy as np
import pytest

import jaxland as jl
from jaxland import landscape

SIGNS = {"tanh": (1.0, -1.0), "sigmoid": (1.0,)}


def _drawn(network, count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, network.size))


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_one_layer_is_aligned_with_the_nearest_of_all_exchanges(activation):
    network = jl.mlp([2, 4, 2], activation)
    params, references = _drawn(network, 6), _drawn(network, 6, seed=1)
    symmetry = network.spec.symmetry
    signs = list(product(SIGNS[activation], repeat=4))
    orbit = [
        symmetry.transform(params, [np.tile(order, (6, 1))], [np.tile(sign, (6, 1))])
        for order in permutations(range(4))
        for sign in signs
    ]
    nearest = np.linalg.norm(np.array(orbit) - references, axis=2).min(axis=0)
    aligned = landscape.align(network, params, references)
    np.testing.assert_allclose(np.linalg.norm(aligned - references, axis=1), nearest, rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_planted_exchanges_are_undone(activation):
    network = jl.mlp([2, 6, 5, 1], activation)
    reference = _drawn(network, 1)[0]
    random = np.random.default_rng(2)
    orders = [np.array([random.permutation(units) for _ in range(20)]) for units in (6, 5)]
    signs = [random.choice(SIGNS.get(activation, (1.0,)), (20, units)) for units in (6, 5)]
    moved = network.spec.symmetry.transform(np.tile(reference, (20, 1)), orders, signs)
    near = moved + 0.01 * random.normal(size=moved.shape)
    back = landscape.align(network, near, reference)
    assert (np.linalg.norm(near - reference, axis=1) > 1).all()
    assert (np.linalg.norm(back - reference, axis=1) < 0.1).all()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_no_exchange_of_two_units_comes_nearer_and_no_function_changes(activation):
    network = jl.mlp([2, 5, 4, 3, 1], activation)
    params, reference = _drawn(network, 30).astype(np.float32), _drawn(network, 1, seed=1)[0]
    aligned = landscape.align(network, params, reference)
    assert aligned.dtype == np.float32
    x = np.random.default_rng(3).normal(size=(7, 2))
    before, after = (landscape.outputs(network, each.astype(np.float64), x) for each in (params, aligned))
    np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-10)
    distances = np.linalg.norm(aligned - reference, axis=1)
    assert (distances <= np.linalg.norm(params - reference, axis=1) + 1e-9).all()
    for place, layer in enumerate(network.spec.symmetry.layers):
        units = len(layer.incoming)
        for first, second in [(i, j) for j in range(units) for i in range(j)]:
            orders = [np.arange(len(each.incoming)) for each in network.spec.symmetry.layers]
            orders[place][[first, second]] = second, first
            swapped = network.spec.symmetry.transform(aligned, [np.tile(order, (30, 1)) for order in orders])
            assert (np.linalg.norm(swapped - reference, axis=1) >= distances - 1e-6).all()


def test_fits_that_diverged_stay_and_none_may_be_there():
    network = jl.mlp([1, 3, 1])
    params = _drawn(network, 3)
    params[1, 0] = np.nan
    aligned = landscape.align(network, params, params[0])
    np.testing.assert_array_equal(aligned[:2], params[:2])
    assert landscape.align(network, params[:0], params[0]).shape == (0, network.size)


@pytest.mark.parametrize(
    ("network", "params", "reference", "message"),
    [
        (jl.mlp([1, 3, 1]), np.ones((2, 9)), np.ones(9), r"params must have shape \(fits, 10\)"),
        (jl.mlp([1, 3, 1]), np.ones((2, 10)), np.ones((3, 10)), r"reference must be finite, of shape \(10,\), or \(2"),
        (jl.mlp([1, 3, 1]), np.ones((2, 10)), np.full(10, np.nan), "reference must be finite"),
        (jl.mlp([1, 1]), np.ones((2, 2)), np.ones(2), "declares no symmetry"),
    ],
)
def test_what_cannot_be_aligned_is_refused(network, params, reference, message):
    with pytest.raises(ValueError, match=message):
        landscape.align(network, params, reference)
