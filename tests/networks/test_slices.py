import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.networks import entry_indices, filled, sliced

NETWORK = jl.mlp([2, 3, 1], "tanh")
ANCHOR = np.random.default_rng(0).normal(size=NETWORK.size)
X = np.random.default_rng(1).normal(size=(5, 2))
# Neither in the order of the flat vector, nor neighbours, and with both ends of it.
FREE = ("1.bias[0]", "0.weight[0,0]", "0.weight[2,1]")


def test_the_names_are_those_of_the_network():
    plane = sliced(NETWORK, ANCHOR, FREE)
    assert plane.size == 3
    assert plane.entry_names == FREE
    assert list(plane.unflatten(np.arange(3.0))) == list(FREE)


def test_other_entries_stay_as_they_are():
    values = np.array([7.0, 8.0, 9.0])
    with jax.enable_x64(True):
        whole = np.asarray(filled(ANCHOR, entry_indices(NETWORK, FREE))(jnp.asarray(values)))
        output = sliced(NETWORK, ANCHOR, FREE).apply_flat(jnp.asarray(values), jnp.asarray(X))
        expected = ANCHOR.copy()
        expected[[NETWORK.entry_names.index(name) for name in FREE]] = values
        np.testing.assert_array_equal(whole, expected)
        np.testing.assert_array_equal(output, NETWORK.apply_flat(jnp.asarray(expected), jnp.asarray(X)))


def test_an_infinite_entry_leaves_the_others_alone():
    whole = np.asarray(filled(ANCHOR, np.array([4]))(jnp.array([np.inf], jnp.float32)))
    np.testing.assert_array_equal(np.delete(whole, 4), np.delete(ANCHOR, 4).astype(np.float32))


def test_all_entries_may_be_free():
    network = sliced(NETWORK, ANCHOR, NETWORK.entry_names)
    vector = jnp.asarray(ANCHOR, jnp.float32)
    np.testing.assert_array_equal(network.apply_flat(vector, X), NETWORK.apply_flat(vector, X))


def test_starting_values():
    key = jax.random.key(3)
    whole = NETWORK.flatten(NETWORK.init(key))[entry_indices(NETWORK, FREE)]
    plane = sliced(NETWORK, ANCHOR, FREE)
    np.testing.assert_array_equal(plane.flatten(plane.init(key)), whole)
    drawn = sliced(NETWORK, ANCHOR, FREE, init=lambda key: jax.random.uniform(key, (3,)))
    np.testing.assert_array_equal(drawn.flatten(drawn.init(key)), jax.random.uniform(key, (3,)))


@pytest.mark.slow
def test_it_is_trained_by_lanes_as_by_a_masked_loop():
    """Gradient descent on the slice is that of the whole network with the gradient masked."""
    problem = jl.Problem(X, np.sin(X.sum(axis=1)), loss="sum_squared_error")
    start = np.array([[0.1, -0.3, 0.5]])
    fits = jl.fit(
        sliced(NETWORK, ANCHOR, FREE), problem, optax.sgd(0.05), fits=1, steps=20, start=start, dtype="float64"
    )
    assert fits.explanation.startswith("lanes")
    free = entry_indices(NETWORK, FREE)
    with jax.enable_x64(True):
        vector = ANCHOR.copy()
        vector[free] = start[0]
        slope = jax.grad(problem.objective(NETWORK))
        for _ in range(20):
            vector[free] -= 0.05 * np.asarray(slope(jnp.asarray(vector)))[free]
    np.testing.assert_allclose(fits.params[0], vector[free], rtol=1e-12)


@pytest.mark.parametrize(
    ("anchor", "free", "message"),
    [
        (ANCHOR, ("0.weight[0,2]",), "there is no entry '0.weight\\[0,2\\]'"),
        (ANCHOR, ("0.bias[0]", "0.bias[0]"), "each entry may be named once"),
        (ANCHOR[1:], ("0.bias[0]",), "anchor must have shape \\(13,\\); got \\(12,\\)"),
        (ANCHOR, (), "at least one free entry"),
    ],
)
def test_bad_slices_are_refused(anchor, free, message):
    with pytest.raises(ValueError, match=message):
        sliced(NETWORK, anchor, free)
