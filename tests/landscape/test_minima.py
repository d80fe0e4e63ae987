"""Minima told apart and counted, against ones that are known."""

from itertools import permutations, product

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland import landscape
from jaxland.landscape import minima

pytestmark = pytest.mark.sampled


@pytest.fixture(scope="module")
def trained():
    """Fits of a network whose three units may change places and signs, with a penalty that leaves no flat direction."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(20, 2)), random.normal(size=20)
    network = jl.mlp([2, 3, 1], "tanh")
    problem = jl.Problem(x, (y - y.mean()) / y.std(), penalty=jl.problems.l2(2e-3, biases=True))
    fits = jl.fit(network, problem, optax.sgd(0.05, momentum=0.9), fits=300, steps=2_500, init_scale=3.0)
    return network, problem, fits.params.astype(float)


@pytest.fixture(scope="module")
def found(trained):
    return landscape.distinct_minima(*trained)


def test_minima_are_stationary_not_equal_and_all_counted(trained, found):
    network, problem, params = trained
    loss, slope = jl.training.gradients(network, problem)(found.params)
    assert np.abs(slope).max() < 1e-9
    np.testing.assert_allclose(found.loss, loss, rtol=1e-12)
    assert (np.diff(found.loss) >= 0).all()
    assert found.hits.sum() == (found.label >= 0).sum() > 290
    np.testing.assert_array_equal(np.bincount(found.label[found.label >= 0], minlength=len(found.hits)), found.hits)
    curvatures = np.linalg.eigvalsh(landscape.hessians(problem.objective(network), found.params))
    np.testing.assert_allclose(found.smallest_curvature, curvatures[:, 0] / curvatures[:, -1], atol=1e-10)
    # By brute force over all exchanges of units and signs, no two are one network, and every fit lies near its own.
    symmetry = network.spec.symmetry
    signs = [np.array(sign) for sign in product((1.0, -1.0), repeat=3)]
    moves = [(np.array(order), sign) for order in permutations(range(3)) for sign in signs]
    copies = lambda point: np.array([symmetry.transform(point, [order], [sign]) for order, sign in moves])  # noqa: E731
    orbits = [copies(point) for point in found.params]
    for one in range(len(orbits)):
        assert all(np.linalg.norm(orbits[one] - other, axis=1).min() > 1e-2 for other in found.params[:one])
    apart = [np.linalg.norm(orbits[at] - each, axis=1).min() for at, each in zip(found.label, params, strict=True)]
    assert np.median(np.array(apart)[found.label >= 0]) < 1e-2


@pytest.mark.slow
def test_those_recognised_by_their_outputs_are_where_newton_leads_them(trained, found, monkeypatch):
    monkeypatch.setattr(minima, "_FIRST", 64)
    quick = landscape.distinct_minima(*trained)
    assert np.mean(quick.label == found.label) > 0.99
    np.testing.assert_allclose(quick.loss[:3], found.loss[:3], rtol=1e-9)
    alone = landscape.distinct_minima(*trained, near=0)
    np.testing.assert_array_equal(alone.label, found.label)


def test_copies_of_a_network_are_one_minimum_without_a_symmetry_declared(trained, found):
    network, problem, params = trained
    plain = jl.Network(network.init, network.apply)
    orders = [np.argsort(np.random.default_rng(1).random((len(params), 3)), axis=1)]
    moved = network.spec.symmetry.transform(params, orders)
    again = landscape.distinct_minima(plain, problem, moved)
    np.testing.assert_array_equal(again.hits, found.hits)
    np.testing.assert_allclose(again.loss, found.loss, rtol=1e-9)


def test_fits_that_are_not_finite_or_lie_on_a_saddle_or_a_slope():
    network = jl.Network(lambda key: jnp.zeros(2), lambda params, x: jnp.tile(params**2 - 1, (len(x), 1)))
    wells = jl.Problem(np.ones((2, 1)), np.zeros((2, 2)))
    starts = np.array([[0.5, 2.0], [-0.5, 2.0], [np.nan, 1.0], [0.0, 0.0], [0.0, 1.0], [3.0, -0.1]])
    found = landscape.distinct_minima(network, wells, starts)
    # Four places, one function; at the two saddles there is no slope to leave them by.
    np.testing.assert_array_equal(found.label, [0, 0, -1, -1, -1, 0])
    assert found.hits.tolist() == [3]
    np.testing.assert_allclose(np.abs(found.params), 1, atol=1e-9)
    slope = jl.Network(lambda key: jnp.zeros(1), lambda params, x: jnp.tile(jnp.exp(params), (len(x), 1)))
    nowhere = landscape.distinct_minima(slope, jl.Problem(np.ones((2, 1)), np.zeros(2)), np.zeros((3, 1)))
    assert nowhere.label.tolist() == [-1, -1, -1]
    assert nowhere.params.shape == (0, 1)
    with pytest.raises(ValueError, match="shape"):
        landscape.distinct_minima(network, wells, np.zeros((2, 3)))
    assert landscape.distinct_minima(network, wells, np.zeros((0, 2))).hits.shape == (0,)


def test_a_valley_along_which_the_function_does_not_change_is_one_minimum():
    network = jl.Network(lambda key: jnp.zeros(2), lambda params, x: x * params[0] * params[1])
    x = np.linspace(-1, 1, 9)
    starts = np.random.default_rng(3).uniform(0.5, 2, size=(40, 2))
    found = landscape.distinct_minima(network, jl.Problem(x, 2 * x), starts)
    assert found.hits.tolist() == [40]
    assert abs(found.smallest_curvature[0]) < 1e-9
    np.testing.assert_allclose(found.params.prod(axis=1), 2, rtol=1e-9)
