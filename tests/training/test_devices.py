"""Groups of fits on several devices: two of XLA's on this processor, in a process of their own."""

import subprocess
import sys

import jax
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.execution import default_shard_fits
from jaxland.training import Ensemble, local_devices, local_platform, starting_points

_TWO_DEVICES = """
import jax, numpy as np, optax, jaxland as jl
from jaxland.training import Ensemble, XlaTrainer, train

class Watched(XlaTrainer):
    def begin(self, members, device=0):
        group = super().begin(members, device)
        used.add(next(iter(group.state.step.devices())).id)
        return group

def fits(threads):
    used.clear()
    return train(Watched(ensemble), ensemble, 5, 150, threads=threads)

used = set()
problem = jl.problems.sawtooth(points_per_segment=1)
ensemble = Ensemble(jl.mlp([1, 4, 1]), problem, optax.adam(0.01), steps=200, snapshots=(50,), trace_every=20)
both = fits(4)
assert used == {0, 1}, used
assert Watched(ensemble).devices == 2
with jax.default_device(jax.devices()[1]):
    one = fits(1)
assert used == {1}, used
for first, second in zip(jax.tree.leaves(both), jax.tree.leaves(one), strict=True):
    np.testing.assert_array_equal(first, second)
"""


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_devices(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    subprocess.run([sys.executable, "-c", _TWO_DEVICES], check=True)


def test_the_devices_are_those_that_jax_is_told_to_use():
    assert local_devices() == jax.local_devices()
    with jax.default_device(jax.devices()[0]):
        assert local_devices() == jax.devices()[:1]
    with jax.default_device("cpu"):
        assert local_platform() == "cpu"


def test_starting_points_are_drawn_on_the_processor():
    network, fits = jl.mlp([1, 3, 1]), np.arange(3)
    keys = [jax.random.fold_in(jax.random.key(7), fit) for fit in fits]
    expected = [network.flatten(network.init(key)) for key in keys]
    np.testing.assert_allclose(starting_points(network, fits, seed=7), expected, rtol=1e-6)


def test_a_shard_holds_whole_groups_of_every_device():
    assert default_shard_fits(1024, 2 * 4224) == 2 * 4224
    assert default_shard_fits(10**6, 1056) == 5 * 1056
    assert default_shard_fits(1024, 16) == 64
    ensemble = Ensemble(jl.mlp([1, 2, 1]), jl.problems.sawtooth(points_per_segment=1), optax.adam(0.01), steps=1)
    assert jl.training.choose_backend(ensemble, "lanes").trainer.devices == 1
