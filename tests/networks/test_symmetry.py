import jax
import numpy as np
import pytest
import scipy.optimize

from jaxland.networks import ACTIVATIONS, minimum_energy, mlp


def _random_element(network, rng, count):
    permutations, scales = [], []
    for layer in network.spec.symmetry.layers:
        units = len(layer.incoming)
        permutations.append(np.argsort(rng.random((count, units)), axis=1))
        factor = {
            "positive": rng.lognormal(size=(count, units)),
            "sign": rng.choice([-1.0, 1.0], (count, units)),
            "none": np.ones((count, units)),
        }
        scales.append(factor[layer.scaling])
    return permutations, scales


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_declared_symmetry_leaves_the_function_unchanged(activation, bias):
    network = mlp([2, 4, 3, 2], activation, bias=bias)
    rng = np.random.default_rng(0)
    params = rng.normal(size=(5, network.size))
    permutations, scales = _random_element(network, rng, 5)
    moved = network.spec.symmetry.transform(params, permutations, scales)
    assert not np.allclose(moved, params)
    x = rng.normal(size=(11, 2))
    with jax.enable_x64(True):
        evaluate = jax.vmap(network.apply_flat, in_axes=(0, None))
        np.testing.assert_allclose(evaluate(moved, x), evaluate(params, x), rtol=1e-9, atol=1e-9)


def _live_imbalance(network, params):
    worst = 0.0
    for layer in network.spec.symmetry.layers:
        incoming = np.linalg.norm(params[:, layer.incoming], axis=-1)
        outgoing = np.linalg.norm(params[:, layer.outgoing], axis=-1)
        live = (incoming > 0) & (outgoing > 0)
        worst = max(worst, np.max(np.abs(incoming - outgoing)[live] / (incoming + outgoing)[live], initial=0))
    return worst


def test_minimum_energy_equals_a_general_optimiser():
    network = mlp([1, 3, 2, 1])
    rng = np.random.default_rng(1)
    params = rng.normal(size=(1, network.size))
    units = [len(layer.incoming) for layer in network.spec.symmetry.layers]

    def energy(logs):
        scales = [part[None] for part in np.split(np.exp(logs), np.cumsum(units)[:-1])]
        return float((network.spec.symmetry.transform(params, scales=scales) ** 2).sum())

    best = scipy.optimize.minimize(energy, np.zeros(sum(units)), method="BFGS", options={"gtol": 1e-10})
    found = minimum_energy(network.spec.symmetry, params)
    assert found.converged.all()
    assert (found.params**2).sum() == pytest.approx(best.fun, rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_live_units_are_balanced_and_the_second_time_changes_nothing(dtype):
    network = mlp([1, 5, 5, 5, 5, 5, 1])
    rng = np.random.default_rng(2)
    params = (rng.normal(size=(200, network.size)) * rng.lognormal(sigma=2, size=(200, network.size))).astype(dtype)
    once = minimum_energy(network.spec.symmetry, params)
    assert once.converged.all()
    assert _live_imbalance(network, once.params.astype(np.float64)) < 1e-5
    again = minimum_energy(network.spec.symmetry, once.params)
    np.testing.assert_array_equal(again.params, once.params)
    assert (again.sweeps == 0).all()


def test_dead_units_vanish_and_the_function_stays():
    network = mlp([1, 3, 3, 1])
    rng = np.random.default_rng(3)
    params = rng.normal(size=(2, network.size))
    first, second = network.spec.symmetry.layers
    params[0, first.outgoing[1]] = 0  # a unit nobody listens to
    params[1, second.incoming[2]] = 0  # a unit that hears nothing, not even a bias
    found = minimum_energy(network.spec.symmetry, params)
    assert found.converged.all()
    assert not found.params[0, first.incoming[1]].any()
    assert not found.params[1, second.outgoing[2]].any()
    x = rng.normal(size=(20, 1))
    with jax.enable_x64(True):
        evaluate = jax.vmap(network.apply_flat, in_axes=(0, None))
        np.testing.assert_allclose(evaluate(found.params, x), evaluate(params, x), atol=1e-12)


def test_non_finite_vectors_are_left_alone_and_flagged():
    network = mlp([1, 2, 1])
    params = np.random.default_rng(4).normal(size=(3, network.size))
    clean = minimum_energy(network.spec.symmetry, params[[0, 2]])
    params[1, 0] = np.nan
    found = minimum_energy(network.spec.symmetry, params)
    assert found.converged.tolist() == [True, False, True]
    np.testing.assert_array_equal(found.params[1], params[1])
    np.testing.assert_array_equal(found.params[[0, 2]], clean.params)


@pytest.mark.parametrize("bias", [True, False])
def test_scaling_directions_are_derivatives_along_the_orbit(bias):
    network = mlp([2, 4, 3, 2], bias=bias)
    rng = np.random.default_rng(5)
    params = rng.normal(size=(3, 2, network.size))
    tangents = network.spec.symmetry.scaling_directions(params)
    assert tangents.shape == (3, 2, 7, network.size)
    for unit in range(7):
        logs = np.zeros((3, 2, 7))
        logs[..., unit] = 1e-6
        forward, backward = (
            network.spec.symmetry.transform(params, scales=np.split(np.exp(step), [4], axis=-1))
            for step in (logs, -logs)
        )
        np.testing.assert_allclose(tangents[..., unit, :], (forward - backward) / 2e-6, atol=1e-8)


def test_only_positive_scaling_has_directions():
    network = mlp([1, 4, 1], "tanh")
    assert network.spec.symmetry.scaling_directions(np.ones(network.size)).shape == (0, network.size)
