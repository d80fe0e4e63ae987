"""Numbers that become subnormal while a fit trains are zero, in every backend; those that are given are kept."""

import re

import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.training import Ensemble, train
from jaxland.training.lanes import LanesGradient, LanesTrainer, machine
from jaxland.training.lanes.kernel import write_kernel
from jaxland.training.program.programs import layout_of, schedule_programs
from jaxland.training.program.trace import trace_update

pytestmark = pytest.mark.sampled

NETWORK = jl.mlp([1, 5, 5, 1])
X = np.linspace(-1, 1, 24)
STEPS = 2000


def _ensemble(optimizer=None, x=X, steps=STEPS, **options):
    return Ensemble(
        NETWORK, jl.Problem(x, np.sin(3 * X)), optimizer or optax.sgd(0.05, momentum=0.9), steps=steps, **options
    )


def _trained(ensemble):
    """Parameters and optimizer states after all steps of 64 fits."""
    trainer = LanesTrainer(ensemble)
    params, state = [], []
    for first in range(0, 64, trainer.width):
        group = trainer.advance(trainer.begin(ensemble.members(np.arange(first, first + trainer.width))), STEPS)
        params.append(trainer.parameters(group))
        state.append(trainer.entries(group, "state"))
    return np.concatenate(params), np.concatenate(state)


def _subnormal(values):
    return (values != 0) & (np.abs(values) < np.finfo(np.float32).tiny)


@pytest.fixture
def keeping(monkeypatch):
    """What kernels would be if they kept all subnormal numbers."""

    def keep():
        monkeypatch.setattr(Ensemble, "subnormal", "x")

    return keep


@pytest.mark.parametrize("optimizer", [optax.sgd(0.05, momentum=0.9), optax.adam(0.1, b2=0.9)])
def test_no_velocity_is_subnormal_and_parameters_do_not_notice(optimizer, keeping):
    params, state = _trained(_ensemble(optimizer))
    assert not _subnormal(state).any()
    keeping()
    kept_params, kept_state = _trained(_ensemble(optimizer))
    assert _subnormal(kept_state).any()  # else there was nothing to flush
    np.testing.assert_array_equal(params, kept_params)


def test_numbers_that_are_given_are_kept():
    """A network with inputs of 1e-42 learns from them, in lanes as in xla."""
    tiny = np.float32(1e-42) * np.array([1, 2, 3, 4], np.float32)
    network = jl.Network(lambda key: {"w": np.zeros((1, 1))}, lambda p, x: (x * 1e38) @ p["w"])
    problem = jl.Problem(tiny, np.arange(1.0, 5) * 1e-4)
    for backend in ("lanes", "xla"):
        fits = jl.fit(network, problem, optax.sgd(1e6), fits=1, steps=400, backend=backend)
        np.testing.assert_allclose(fits.params, 1, rtol=3e-3)


@pytest.mark.parametrize("given", ["start", "hyperparameters", "function"])
def test_given_numbers_are_looked_for_everywhere(given):
    tiny = np.full((3, NETWORK.size), 1e-40)
    options = {
        "start": {"start": tiny},
        "function": {"start": lambda fits: np.full((len(fits), NETWORK.size), 1e-40)},
        "hyperparameters": {"hyperparameters": {"learning_rate": np.array([0.1, 1e-40, 0.1])}},
    }[given]
    ensemble = _ensemble(optax.sgd if given == "hyperparameters" else None, steps=1, **options)
    assert ensemble.subnormal
    assert not _ensemble(dtype="float64", steps=1, start=tiny).subnormal


def test_the_processor_is_as_it_was_afterwards():
    ensemble = _ensemble(steps=3)
    vector = np.zeros((1, NETWORK.size), np.float32)
    LanesGradient(ensemble)(vector)
    train(LanesTrainer(ensemble), ensemble, 0, 1, threads=1)
    assert np.float32(1e-40) * np.float32(0.5) > 0


@pytest.mark.parametrize("instructions", ["avx512", "avx2"])
def test_a_relu_is_one_maximum(instructions):
    try:
        target = machine.host(instructions)
    except ValueError:
        pytest.skip(f"this processor lacks {instructions}")
    ensemble = _ensemble()
    update = trace_update(ensemble)
    layout = layout_of(ensemble, update, target.vector_bytes // 4)
    text = machine.native_assembly(
        write_kernel(ensemble, schedule_programs(ensemble, update, 2), layout, target), target
    )
    assert len(re.findall(r"\bvmaxps", text)) == 2 * 10  # points, hidden units


def test_arm_flushes_too():
    """Its assembly is written and read by LLVM; there is no such processor here to run it."""
    import llvmlite.binding as llvm

    from jaxland.training.lanes.emit import Target

    ensemble = _ensemble()
    update = trace_update(ensemble)
    target = Target("generic", "", 16, True, arm=True)
    text = write_kernel(ensemble, schedule_programs(ensemble, update, 1), layout_of(ensemble, update, 4), target)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    compiler = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(cpu="generic", opt=3)
    assembly = compiler.emit_assembly(llvm.parse_assembly(text))
    assert len(re.findall(r"msr\s+fpcr", assembly, re.IGNORECASE)) == 2
