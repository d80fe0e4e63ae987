"""The tpu backend without a TPU: its kernel interpreted by XLA on the CPU, and lowered for a TPU."""

import jax
import numpy as np
import optax
import pytest
import reference

import jaxland as jl
from jaxland.training import Ensemble, choose_backend, train
from jaxland.training.lanes import Unlowerable
from jaxland.training.tpu import TpuTrainer
from jaxland.training.tpu import trainer as trainer_module
from jaxland.training.xla import XlaTrainer

STEPS = 5
X = np.linspace(-1, 1, 5)
PROBLEM = jl.Problem(X, np.sin(3 * X))
# What the NumPy loops of `reference` do, and one that no loop over parameters can do.
OPTIMIZERS = {
    "momentum": optax.sgd(0.02, momentum=0.9),
    "adam": optax.adam(0.01),
    "adadelta": optax.adadelta(1.0, rho=0.9, eps=1e-6),
    "clipped": optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.1)),
}
CASES = [*(("relu", name) for name in OPTIMIZERS), ("sigmoid", "momentum")]


def _trained(trainer, ensemble, count=3, first=0):
    return train(trainer, ensemble, first, count, threads=1)


@pytest.mark.parametrize(("activation", "optimizer"), CASES)
def test_training_equals_xla_and_a_numpy_loop(activation, optimizer):
    ensemble = Ensemble(
        jl.mlp([1, 2, 1], activation), PROBLEM, OPTIMIZERS[optimizer], steps=STEPS, trace_every=1, snapshots=(0, 3)
    )
    tpu, snapshots = _trained(TpuTrainer(ensemble), ensemble)
    xla, expected = _trained(XlaTrainer(ensemble), ensemble)
    np.testing.assert_allclose(snapshots, expected, atol=2e-5)
    for name in ("params", "initial_loss", "loss", "best_loss", "trace"):
        np.testing.assert_allclose(getattr(tpu, name), getattr(xla, name), rtol=2e-5, atol=2e-5, err_msg=name)
    np.testing.assert_array_equal(tpu.best_step, tpu.trace.argmin(1))
    np.testing.assert_array_equal(tpu.diverged_step, -1)
    if optimizer in reference.UPDATES:
        for fit, start in enumerate(snapshots[:, 0]):
            arguments = ([1, 2, 1], activation, optimizer, PROBLEM.x, PROBLEM.y, STEPS)
            losses, params = reference.train(start, *arguments)
            np.testing.assert_allclose(tpu.trace[fit], losses, rtol=2e-5, atol=2e-5)
            np.testing.assert_allclose(tpu.params[fit], params, atol=2e-5)


def test_each_fit_has_its_own_numbers_and_data_and_may_diverge():
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(2, 6, 4, 1))
    targets[4, 2] = np.nan
    rates = np.array([0.01, 0.1, 1e30, 0.2, 0.05, 0.3])
    given = {"inputs": inputs, "targets": targets, "hyperparameters": {"learning_rate": rates}}
    ensemble = Ensemble(jl.mlp([1, 2, 1]), PROBLEM, optax.sgd, steps=4, trace_every=2, **given)
    tpu, _ = _trained(TpuTrainer(ensemble), ensemble, 6)
    xla, _ = _trained(XlaTrainer(ensemble), ensemble, 6)
    np.testing.assert_array_equal(tpu.diverged_step, xla.diverged_step)
    np.testing.assert_array_equal(tpu.best_step, xla.best_step)
    assert tpu.diverged_step[2] > 0
    assert tpu.diverged_step[4] == 0
    sane = tpu.diverged_step < 0
    assert sane.sum() == 4
    np.testing.assert_allclose(tpu.params[sane], xla.params[sane], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(tpu.trace[sane], xla.trace[sane], rtol=2e-5, atol=2e-5)


def test_bits_do_not_depend_on_place_blocks_or_how_steps_are_cut():
    """Fit 1,030 stands in the second block of a group of two, or at place 6 of the second group."""
    ensemble = Ensemble(jl.mlp([1, 2, 1]), PROBLEM, OPTIMIZERS["momentum"], steps=6, trace_every=2)
    narrow, wide = TpuTrainer(ensemble), TpuTrainer(ensemble, blocks=2)
    assert (narrow.width, wide.width) == (1024, 2048)
    many, _ = _trained(wide, ensemble, 2048)
    alone, _ = _trained(narrow, ensemble, 1, first=1030)
    for name in alone._fields:
        np.testing.assert_array_equal(getattr(many, name)[1030:1031], getattr(alone, name), err_msg=name)
    group = wide.begin(ensemble.members(np.arange(2048)))
    for steps in (1, 3, 2):
        wide.advance(group, steps)
    for name, values in wide.finish(group)._asdict().items():
        np.testing.assert_array_equal(values, getattr(many, name), err_msg=name)


def test_settings_repeat_a_trainer_or_are_refused():
    ensemble = Ensemble(jl.mlp([1, 1]), PROBLEM, optax.sgd(0.1), steps=2)
    choice = choose_backend(ensemble, "tpu", {"tile": 1, "kernel": trainer_module.VERSION, "device": "interpreted"})
    assert (choice.trainer.name, choice.trainer.settings["tile"]) == ("tpu", 1)
    two, _ = _trained(TpuTrainer(ensemble), ensemble)
    one, _ = _trained(choice.trainer, ensemble)
    np.testing.assert_allclose(one.params, two.params, rtol=1e-6)
    for changed in ({"kernel": 0}, {"device": "TPU v4"}):
        with pytest.raises(ValueError, match=f"settings say {next(iter(changed))}="):
            TpuTrainer(ensemble, choice.trainer.settings | changed)


@pytest.mark.parametrize(
    ("network", "given", "message"),
    [
        (jl.mlp([1, 2, 1]), {"dtype": "float64"}, "no float64"),
        (jl.mlp([1, 60, 60, 1]), {}, "lines of straight code a point"),
        (jl.mlp([1, 32, 32, 1]), {}, "MiB of a core's vector memory"),
        (jl.mlp([1, 1]), {"inputs": np.zeros((2, 4000, 1)), "targets": np.zeros((2, 4000, 1))}, "there are 14 MiB"),
    ],
)
def test_what_a_tpu_cannot_hold_is_refused(network, given, message):
    with pytest.raises(Unlowerable, match=message):
        TpuTrainer(Ensemble(network, PROBLEM, OPTIMIZERS["adam"], steps=1, **given))


def test_too_much_shared_data_is_refused():
    x = np.linspace(0, 1, 200_000)
    with pytest.raises(Unlowerable, match="scalar memory; there are 1020 KiB"):
        TpuTrainer(Ensemble(jl.mlp([1, 1]), jl.Problem(x, x), optax.sgd(0.1), steps=1))


class _TpuOnly:
    """Lowers a kernel for a TPU instead of compiling it for this machine, which has none."""

    def __init__(self, monkeypatch):
        self.text = ""
        monkeypatch.setattr(trainer_module, "_interpreted", lambda device: False)
        monkeypatch.setattr(trainer_module, "_memory_of_a_core", lambda interpret: (16 * 2**20, 2**20))
        monkeypatch.setattr(trainer_module, "_compiled", self.lower)

    def lower(self, function, shapes, options):
        assert options == {}
        self.text = function.trace(*shapes).lower(lowering_platforms=("tpu",)).as_text()


@pytest.mark.parametrize("optimizer", ["momentum", "adadelta", "adam", "clipped"])
def test_the_main_network_lowers_for_a_tpu(optimizer, monkeypatch):
    problem = jl.problems.sawtooth()
    lowered = _TpuOnly(monkeypatch)
    TpuTrainer(Ensemble(problem.network, problem, OPTIMIZERS[optimizer], steps=10, trace_every=2), blocks=2)
    assert lowered.text.count("tpu_custom_call") == 1


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "sin", "softplus"])
def test_activations_and_own_data_lower_for_a_tpu(activation, monkeypatch):
    values = np.zeros((2, 4, 1))
    lowered = _TpuOnly(monkeypatch)
    network = jl.mlp([1, 2, 1], activation)
    TpuTrainer(Ensemble(network, PROBLEM, optax.sgd(0.1), steps=10, inputs=values, targets=values), blocks=2)
    assert lowered.text.count("tpu_custom_call") == 1


def test_auto_takes_the_kernel_on_a_tpu_and_says_why_not(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    ensemble = Ensemble(jl.mlp([1, 1]), PROBLEM, optax.sgd(0.1), steps=2)
    choice = choose_backend(ensemble)
    assert choice.trainer.name == "tpu"
    assert choice.explanation.startswith("tpu: ")
    refused = choose_backend(Ensemble(jl.mlp([1, 1]), PROBLEM, optax.sgd(0.1), steps=2, dtype="float64"))
    assert refused.trainer.name == "xla"
    assert "no float64" in refused.explanation
