"""Every question of the landscape of a user's own network, from Equinox or Flax, has the answer it has of `mlp`."""

from itertools import pairwise

import equinox as eqx
import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland import landscape
from jaxland.networks import from_equinox, from_flax

pytestmark = pytest.mark.sampled

WIDTHS = (1, 4, 3, 1)
X = np.linspace(-1, 1, 30)
PROBLEM = jl.Problem(X[:, None], np.sin(3 * X)[:, None] + 0.2 * X[:, None] ** 2)
MLP = jl.mlp(WIDTHS, "tanh")


def _flax():
    class Perceptron(nn.Module):
        @nn.compact
        def __call__(self, x):
            for width in WIDTHS[1:-1]:
                x = nn.tanh(nn.Dense(width)(x))
            return nn.Dense(WIDTHS[-1])(x)

    return from_flax(Perceptron(), 1)


def _equinox():
    def build(key):
        keys, layers = jax.random.split(key, 3), []
        for one, inputs, outputs in zip(keys, WIDTHS[:-1], WIDTHS[1:], strict=True):
            layers += [eqx.nn.Linear(inputs, outputs, key=one), eqx.nn.Lambda(jax.numpy.tanh)]
        return eqx.nn.Sequential(layers[:-1])

    return from_equinox(build, 1)


OWN = {"flax": _flax(), "equinox": _equinox()}


def _places(own):
    """Of each own parameter the place that it has in `mlp`: weights and offsets of a layer by their shapes."""
    tree = own.unflatten(np.arange(own.size, dtype=np.float64))
    leaves = [np.asarray(leaf, int) for leaf in jax.tree.leaves(tree)]
    found = []
    for inputs, outputs in pairwise(WIDTHS):
        offset = next(each for each in leaves if each.shape == (outputs,))
        shape = (inputs, outputs) if own is OWN["flax"] else (outputs, inputs)
        weight = next(each for each in leaves if each.shape == shape)
        found += [(weight.T if own is OWN["flax"] else weight).ravel(), offset]
    return np.concatenate(found)


@pytest.fixture(scope="module")
def points():
    fits = jl.fit(MLP, PROBLEM, optax.adam(0.02), fits=6, steps=1_500, seed=2)
    return fits.params.astype(np.float64)


@pytest.fixture(params=list(OWN))
def own(request):
    network = OWN[request.param]
    return network, np.argsort(_places(network))


def _same(found, expected, **tolerances):
    np.testing.assert_allclose(found, expected, **{"rtol": 1e-6, "atol": 1e-9, **tolerances})


def test_the_points_are_the_same_functions(own, points):
    network, to_own = own
    _same(landscape.outputs(network, points[:, to_own], X[:, None]), landscape.outputs(MLP, points, X[:, None]))


@pytest.mark.slow
def test_matching_and_barriers(own, points):
    network, to_own = own
    pairs = landscape.random_pairs(6, 8, seed=0)
    found, expected = (
        landscape.orbit_distances(net, p, pairs) for net, p in ((network, points[:, to_own]), (MLP, points))
    )
    _same(found.distance, expected.distance)
    _same(found.at_least, expected.at_least)
    barriers = []
    for net, p in ((network, points[:, to_own]), (MLP, points)):
        matched = landscape.match(net, p[1:], p[0])
        lines = np.repeat(matched.reference[None], 5, axis=0), matched.params
        barriers.append(landscape.linear_barriers(jl.training.gradients(net, PROBLEM), *lines))
    _same(*barriers)
    merged = [landscape.merge(net, p).params for net, p in ((network, points[:, to_own]), (MLP, points))]
    _same(np.sort(np.abs(merged[0])), np.sort(np.abs(merged[1])), atol=1e-6)


@pytest.mark.slow
def test_curvature(own, points):
    network, to_own = own
    here, there = points[:, to_own], points
    objectives = PROBLEM.objective(network), PROBLEM.objective(MLP)
    fishers = landscape.gauss_newton(network, PROBLEM), landscape.gauss_newton(MLP, PROBLEM)
    for found, expected in (objectives, fishers):
        values = [landscape.spectra(*each).eigenvalues for each in ((found, here), (expected, there))]
        _same(*values, atol=1e-8)
    largest = landscape.largest_eigenvalues(objectives[0], here, 2, steps=30)
    assert largest.converged.all()
    exact = np.linalg.eigvalsh(landscape.hessians(objectives[1], there))
    by_size = np.take_along_axis(exact, np.argsort(-np.abs(exact), axis=1)[:, :2], axis=1)
    _same(np.sort(largest.values, axis=1), np.sort(by_size, axis=1), rtol=1e-4)


@pytest.mark.slow
def test_bands(own, points):
    network, to_own = own
    bands = []
    for net, p in ((network, points[:, to_own]), (MLP, points)):
        straight = landscape.straight_bands(p[:2], p[2:4], images=7)
        evaluate = jl.training.gradients(net, PROBLEM)
        bands.append(landscape.relax(evaluate, straight, landscape.NebSettings(steps=30)))
    # Steps follow each other for a while before rounding parts them.
    _same(bands[0].images, bands[1].images[:, :, to_own], rtol=1e-3, atol=1e-3)
    assert (landscape.arc_lengths(bands[0].images)[:, -1] > 0).all()


@pytest.mark.slow
def test_valleys_and_posteriors(own, points):
    network, to_own = own
    found = []
    for net, p in ((network, points[:, to_own]), (MLP, points)):
        evaluate = jl.training.gradients(net, PROBLEM)
        curvature = 300 * landscape.gauss_newton(net, PROBLEM).matrices(p) + np.eye(net.size)
        valleys = landscape.local_learning_coefficients(evaluate, p, 300.0, metric=curvature, steps=200)
        about = landscape.laplace(net, PROBLEM, p)
        found.append((valleys, about, about.posterior.deviations(net, X[:, None])))
    (one, about, spread), (other, expected, expected_spread) = found
    # Chains and rays go other ways where parameters have other places.
    error = np.hypot(one.standard_error, other.standard_error)
    assert (np.abs(one.value - other.value) < 6 * error + 0.1).all()
    _same(about.log_evidence, expected.log_evidence, rtol=1e-5)
    _same(about.effective, expected.effective, rtol=1e-5)
    _same(spread, expected_spread, rtol=1e-4)
