"""The tpu backend without a TPU: its kernel interpreted by XLA on the CPU, and lowered for a TPU."""

import jax
import numpy as np
import optax
import pytest
import reference

import jaxland as jl
from jaxland.training import Ensemble, Unlowerable, choose_backend, train
from jaxland.training.tpu import TpuTrainer
from jaxland.training.tpu import trainer as trainer_module
from jaxland.training.xla import XlaTrainer

pytestmark = pytest.mark.sampled

STEPS = 5
X = np.linspace(-1, 1, 5)
PROBLEM = jl.Problem(X, np.sin(3 * X))
START = np.random.default_rng(0).normal(size=(2048, 7)).astype(np.float32)
# What the NumPy loops of `reference` do, and one that no loop over parameters can do.
OPTIMIZERS = {
    "momentum": optax.sgd(0.02, momentum=0.9),
    "adam": optax.adam(0.01),
    "adadelta": optax.adadelta(1.0, rho=0.9, eps=1e-6),
    "clipped": optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.1)),
}


def _settings(tile, device="interpreted"):
    return {"tile": tile, "kernel": trainer_module.VERSION, "device": device}


def _trained(trainer, ensemble, count=3, first=0):
    return train(trainer, ensemble, first, count, threads=1)


@pytest.mark.parametrize(
    ("activation", "optimizer", "tile"),
    [("relu", "momentum", 2), ("sigmoid", "adam", 1), ("relu", "adadelta", 1)],
)
def test_training_equals_a_numpy_loop(activation, optimizer, tile):
    network = jl.mlp([1, 2, 1], activation)
    ensemble = Ensemble(
        network, PROBLEM, OPTIMIZERS[optimizer], steps=STEPS, trace_every=1, snapshots=(0, 3), start=START
    )
    tpu, snapshots = _trained(TpuTrainer(ensemble, _settings(tile)), ensemble)
    np.testing.assert_array_equal(snapshots[:, 0], START[:3])
    for fit in range(3):
        arguments = (START[fit], [1, 2, 1], activation, optimizer, PROBLEM.x, PROBLEM.y)
        losses, params = reference.train(*arguments, STEPS)
        np.testing.assert_allclose(tpu.trace[fit], losses, rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(tpu.params[fit], params, atol=2e-5)
        np.testing.assert_allclose(snapshots[fit, 1], reference.train(*arguments, 3)[1], atol=2e-5)
    np.testing.assert_array_equal(tpu.initial_loss, tpu.trace[:, 0])
    np.testing.assert_array_equal(tpu.loss, tpu.trace[:, -1])
    np.testing.assert_array_equal(tpu.best_loss, tpu.trace.min(1))
    np.testing.assert_array_equal(tpu.best_step, tpu.trace.argmin(1))
    np.testing.assert_array_equal(tpu.diverged_step, -1)


def test_gradients_clipped_by_their_norm_equal_a_numpy_loop():
    """Here the update of a parameter needs all gradients."""
    ensemble = Ensemble(jl.mlp([1, 2, 1]), PROBLEM, OPTIMIZERS["clipped"], steps=STEPS, start=START)
    tpu, _ = _trained(TpuTrainer(ensemble, _settings(1)), ensemble)
    for fit, params in enumerate(START[:3].astype(np.float64)):
        for _ in range(STEPS):
            _, gradient = reference.loss_and_gradient(params, [1, 2, 1], "relu", PROBLEM.x, PROBLEM.y)
            assert np.linalg.norm(gradient) > 0.1
            params = params - 0.1 * gradient * 0.1 / np.linalg.norm(gradient)
        np.testing.assert_allclose(tpu.params[fit], params, atol=2e-6)


@pytest.mark.slow
def test_each_fit_has_its_own_numbers_and_data_and_may_diverge():
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(2, 6, 4, 1))
    targets[4, 2] = np.nan
    rates = np.array([0.01, 0.1, 1e30, 0.2, 0.05, 0.3])
    given = {"inputs": inputs, "targets": targets, "hyperparameters": {"learning_rate": rates}, "start": START[:6]}
    ensemble = Ensemble(jl.mlp([1, 2, 1]), PROBLEM, optax.sgd, steps=4, trace_every=2, **given)
    tpu, _ = _trained(TpuTrainer(ensemble, _settings(1)), ensemble, 6)
    xla, _ = _trained(XlaTrainer(ensemble), ensemble, 6)
    np.testing.assert_array_equal(tpu.diverged_step, xla.diverged_step)
    np.testing.assert_array_equal(tpu.best_step, xla.best_step)
    assert tpu.diverged_step[2] > 0
    assert tpu.diverged_step[4] == 0
    sane = tpu.diverged_step < 0
    assert sane.sum() == 4
    np.testing.assert_allclose(tpu.params[sane], xla.params[sane], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(tpu.trace[sane], xla.trace[sane], rtol=2e-5, atol=2e-5)


def test_bits_do_not_depend_on_place_neighbours_or_how_steps_are_cut():
    """Fit 1,030 stands in the second block of its group, and starts where fit 3 does."""
    start = START.copy()
    start[1030] = start[3]
    start[1029], start[2] = np.nan, 1e30
    ensemble = Ensemble(jl.mlp([1, 2, 1]), PROBLEM, OPTIMIZERS["momentum"], steps=6, trace_every=2, start=start)
    trainer = TpuTrainer(ensemble, _settings(1), blocks=2)
    assert trainer.width == 2048
    result, _ = _trained(trainer, ensemble, 2048)
    group = trainer.begin(ensemble.members(np.arange(2048)))
    for steps in (1, 3, 2):
        trainer.advance(group, steps)
    for name, values in trainer.finish(group)._asdict().items():
        np.testing.assert_array_equal(values, getattr(result, name), err_msg=name)
        np.testing.assert_array_equal(values[1030], values[3], err_msg=name)
    assert np.flatnonzero(result.diverged_step == 0).tolist() == [2, 1029]


def _compile_nothing(monkeypatch, instead):
    """Where nothing can be run, nothing can be proved."""
    monkeypatch.setattr(trainer_module, "_compiled", instead)
    monkeypatch.setattr(trainer_module, "require_agreement", lambda *_: None)


def test_settings_repeat_a_trainer_or_are_refused(monkeypatch):
    _compile_nothing(monkeypatch, lambda *_: None)
    ensemble = Ensemble(jl.mlp([1, 1]), PROBLEM, optax.sgd(0.1), steps=2)
    choice = choose_backend(ensemble, "tpu", _settings(1))
    assert (choice.trainer.name, choice.trainer.settings) == ("tpu", _settings(1))
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
        monkeypatch.setattr(trainer_module, "_cores", lambda device: 2)
        monkeypatch.setattr(trainer_module, "_memory_of_a_core", lambda interpret: (16 * 2**20, 2**20))
        _compile_nothing(monkeypatch, self.lower)

    def lower(self, function, shapes, options):
        assert options == {}
        device = jax.sharding.AbstractDevice("TPU v5 lite", num_cores=1, platform="tpu")
        with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((1,), ("x",), abstract_device=device)):
            self.text = function.trace(*shapes).lower(lowering_platforms=("tpu",)).as_text()


@pytest.mark.parametrize("optimizer", ["momentum", "adadelta", "adam"])
def test_the_main_network_lowers_for_a_tpu(optimizer, monkeypatch):
    problem = jl.problems.sawtooth()
    lowered = _TpuOnly(monkeypatch)
    start = np.zeros((1, problem.network.size))
    ensemble = Ensemble(problem.network, problem, OPTIMIZERS[optimizer], steps=10, trace_every=2, start=start)
    TpuTrainer(ensemble, _settings(1, device="cpu"))
    assert lowered.text.count("tpu_custom_call") == 1


@pytest.mark.parametrize("activation", ["sin", "softplus"])
def test_activations_and_own_data_lower_for_a_tpu(activation, monkeypatch):
    values = np.zeros((2, 4, 1))
    lowered = _TpuOnly(monkeypatch)
    network = jl.mlp([1, 2, 1], activation)
    TpuTrainer(Ensemble(network, PROBLEM, optax.sgd(0.1), steps=10, inputs=values, targets=values, start=START[:2]))
    assert lowered.text.count("tpu_custom_call") == 1


def test_auto_takes_the_kernel_on_a_tpu_and_says_why_not(monkeypatch):
    _TpuOnly(monkeypatch)
    monkeypatch.setattr("jaxland.training.backends.local_platform", lambda: "tpu")
    monkeypatch.setattr("jaxland.training.xla.ACCELERATOR_WIDTH", 1)
    given = (jl.mlp([1, 1]), PROBLEM, optax.sgd(0.1))
    choice = choose_backend(Ensemble(*given, steps=2))
    assert choice.trainer.name == "tpu"
    assert choice.explanation.startswith("tpu: ")
    refused = choose_backend(Ensemble(*given, steps=2, dtype="float64"))
    assert refused.trainer.name == "xla"
    assert "no float64" in refused.explanation
