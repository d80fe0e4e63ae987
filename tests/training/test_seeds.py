"""Fits that share their key's number share their start, whatever else they have of their own."""

import jax
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.training import Ensemble, fingerprint, fingerprint_parts, starting_points

NETWORK = jl.mlp([1, 3, 1], "tanh")
X = np.linspace(-1, 1, 12)
PROBLEM = jl.Problem(X, X**2)
SEEDS = np.tile([300, 2, 7], 2)


def _fit(seeds, **changes):
    given = {"hyperparameters": {"learning_rate": np.repeat([0.01, 0.1], 3)}, "fits": 6, "steps": 10} | changes
    return jl.fit(NETWORK, PROBLEM, optax.adam, seeds=seeds, seed=5, **given)


def _ensemble(**changes):
    return Ensemble(NETWORK, PROBLEM, optax.sgd(0.1), steps=3, seed=5, **changes)


@pytest.mark.parametrize("backend", ["lanes", "xla"])
@pytest.mark.parametrize("by_number", [False, True])
def test_the_key_of_a_fit_is_the_fold_of_its_seed(backend, by_number):
    fits = _fit((lambda fits: SEEDS[fits % 6]) if by_number else SEEDS, backend=backend, snapshots=(0,))
    keys = [jax.random.fold_in(jax.random.key(5), seed) for seed in SEEDS]
    np.testing.assert_array_equal(fits.snapshots[:, 0], [NETWORK.flatten(NETWORK.init(key)) for key in keys])
    assert (fits.params[:3] != fits.params[3:]).any(axis=1).all()


@pytest.mark.parametrize("backend", ["lanes", "xla"])
def test_a_fit_with_the_number_of_another_is_that_fit(backend):
    rates = {"learning_rate": 0.01}
    there = _fit(np.array([9, 4]), fits=2, hyperparameters=rates, backend=backend)
    here = _fit(None, fits=10, hyperparameters=rates, backend=backend)
    np.testing.assert_allclose(there.params, here.params[[9, 4]], rtol=1e-5, atol=1e-6)


def test_starting_points_are_those_that_fits_have():
    fits = _fit(SEEDS, snapshots=(0,), init_scale=np.arange(1.0, 7.0), dtype="float64")
    np.testing.assert_array_equal(starting_points(fits.ensemble, 6), fits.snapshots[:, 0])
    np.testing.assert_array_equal(starting_points(fits.ensemble, np.array([4])), fits.snapshots[[4], 0])
    drawn = starting_points(NETWORK, SEEDS, seed=5)
    np.testing.assert_array_equal(drawn.astype(np.float64) * np.arange(1, 7)[:, None], fits.snapshots[:, 0])
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(starting_points(NETWORK, 3, seed=5), starting_points(_ensemble(), 3))
    with pytest.raises(ValueError, match="fits 0 to 5 alone"):
        starting_points(fits.ensemble, 7)
    with pytest.raises(ValueError, match="integers in"):
        starting_points(NETWORK, np.array([-1]))


def test_seeds_are_part_of_what_a_fit_is():
    one, other = _ensemble(seeds=SEEDS), _ensemble(seeds=SEEDS + 1)
    assert len({fingerprint(one), fingerprint(other), fingerprint(_ensemble())}) == 3
    parts = [fingerprint_parts(each) for each in (one, other, _ensemble())]
    assert all({name for name in parts[0] if parts[0][name] != each[name]} == {"seed"} for each in parts[1:])


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (np.array([0, 1, -1, 2, 3, 4]), r"integers in \[0, 2\*\*32\)"),
        (np.full(6, 2**32), r"integers in \[0, 2\*\*32\)"),
        (np.arange(6.0), "integers in"),
        (np.zeros((6, 1), int), "one a fit"),
        (np.arange(5), "lengths differ"),
        (lambda fits: np.zeros(2, int), "returned 2 rows"),
    ],
)
def test_bad_seeds_are_refused(seeds, message):
    with pytest.raises(ValueError, match=message):
        _fit(seeds)


def test_equal_fits_are_warned_of():
    with pytest.warns(UserWarning, match="all seeds are 3"):
        jl.fit(NETWORK, PROBLEM, optax.sgd(0.1), fits=3, steps=1, seeds=np.full(3, 3))
