"""What decides fits has a fingerprint, and its parts have names."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.training import Ensemble, fingerprint, fingerprint_parts

pytestmark = pytest.mark.sampled

X = np.linspace(-1, 1, 12)
START = np.zeros((1, 10))


def _network(activation="tanh", scale=1.0):
    plain = jl.mlp([1, 3, 1], activation=activation)
    return jl.Network(lambda key: jax.tree.map(lambda leaf: scale * leaf, plain.init(key)), plain.apply)


def _problem(x=X, y=X**2, loss="mean_squared_error"):
    return jl.Problem(x, y, loss)


def _ensemble(**changes):
    known = {"network": _network(), "problem": _problem(), "optimizer": optax.sgd, "steps": 5}
    return Ensemble(**{**known, "hyperparameters": {"learning_rate": 0.1}, **changes})


def _differing(one, other):
    one, other = fingerprint_parts(one), fingerprint_parts(other)
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}


CHANGES = {
    "network": {"network": _network("relu")},
    "loss": {"problem": _problem(loss="mean_absolute_error")},
    "optimizer": {"optimizer": partial(optax.sgd, momentum=0.9)},
    "initial parameters": {"network": _network(scale=2.0)},
    "hyperparameters": {"hyperparameters": {"learning_rate": 0.2}},
    "inputs": {"problem": _problem(x=2 * X)},
    "targets": {"problem": _problem(y=X)},
    "starting points": {"start": START},
    "scale of the initial parameters": {"init_scale": lambda fits: 1.0 + fits},
    "steps": {"steps": 6},
    "seed": {"seed": 1},
    "number format": {"dtype": "float64"},
    "number of the first fit": {"first": 3},
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_is_named_and_nothing_else(name):
    changed = _ensemble(**CHANGES[name])
    assert _differing(_ensemble(), changed) == {name}
    assert fingerprint(_ensemble()) != fingerprint(changed)


def test_every_part_is_tested():
    assert set(CHANGES) == set(fingerprint_parts(_ensemble()))


def test_other_points_are_other_data_and_no_other_network():
    fewer = _problem(X[:7], X[:7] ** 2)
    assert _differing(_ensemble(), _ensemble(problem=fewer)) == {"inputs", "targets"}


def test_the_same_configuration_has_the_same_parts():
    assert _differing(_ensemble(), _ensemble()) == set()
    assert fingerprint(_ensemble()) == fingerprint(_ensemble())


def test_a_network_that_takes_all_points_only():
    def apply(params, x):
        return params * jnp.asarray(X[:, None]) + x

    network = jl.Network(lambda key: jax.random.normal(key), apply)
    assert _differing(_ensemble(network=network), _ensemble(network=network, steps=6)) == {"steps"}
