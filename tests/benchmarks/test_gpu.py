"""What is measured on a GPU, on the emulated one: every part at a tiny size, and checks that must see what is wrong."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from machine import agreement, gpu
from machine.parts import Check, Parts
from training.cuda.emulation import Emulated, needs_compiler

import jaxland as jl
from jaxland.bench.cases import Case
from jaxland.training import Ensemble
from jaxland.training.cuda import CudaMissing, Variant
from jaxland.training.xla import XlaTrainer

ROOT = Path(__file__).parents[2]
X = np.linspace(-1, 1, 9)
TINY = Ensemble(jl.mlp([1, 2, 1]), jl.Problem(X, np.abs(X)), optax.sgd(0.05, momentum=0.9), steps=10**6)
SHORT = Ensemble(TINY.network, TINY.problem, TINY.optimizer, steps=5)


@pytest.fixture
def device(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxland.bench.timing._REST", 0)
    for name, values in {"_THREADS": (4,), "_TILES": (1,), "_BLOCKS": (32,), "_MEASURED_SECONDS": 0.0}.items():
        monkeypatch.setattr(f"jaxland.training.cuda.tuning.{name}", values)
    monkeypatch.setattr(gpu, "ACCELERATOR_WIDTH", 4)
    return Emulated(tmp_path)


@pytest.fixture
def parts():
    lines = []
    made = Parts(None, 60, lines.append)
    made.lines = lines
    return made


@pytest.mark.slow
@needs_compiler
def test_backends_agree_on_the_device(device, parts):
    assert len(agreement.ensembles(points=9, fits=4, steps=5)) == 13
    gpu.check_agreement(parts, device, {"tiny": SHORT}, fits=4, block=32)
    assert parts.failed == []
    # lanes, xla by both ways and six variants, each with each.
    assert len(parts.tables["agreement"]) == 36


def test_a_program_that_fails_does_not_stop_the_others(parts, monkeypatch):
    def compared(name, *_):
        if name == "first":
            raise ValueError("the compiler refuses it")
        yield Check("second", "0", True)

    monkeypatch.setattr(agreement, "agreement", compared)
    gpu.check_agreement(parts, Emulated(ROOT), {"first": SHORT, "second": SHORT})
    assert parts.failed == ["agreement, first"]
    assert [row["backends and program"] for row in parts.tables["agreement"]] == ["second"]


def test_a_backend_that_is_wrong_is_seen():
    def wrong(ensemble):
        trainer = XlaTrainer(ensemble, {"width": 4})
        finish = trainer.finish
        trainer.finish = lambda group, **options: (result := finish(group))._replace(params=result.params * (1 + 1e-5))
        return trainer

    checks = list(agreement.agreement("tiny", SHORT, {"lanes": agreement.reference, "wrong": wrong}, fits=4))
    assert [check.passed for check in checks] == [False]
    late = agreement.difference(*(_result([-1, step, -1]) for step in (2, 3)))
    assert (late.worst, late.same_divergence) == (0, False)


def _result(diverged):
    return type("Result", (), {"params": np.ones((3, 2)), "loss": np.ones(3), "diverged_step": np.array(diverged)})


def test_all_parts_are_called_as_they_should_be(device, parts, monkeypatch):
    called = []

    def note(name):
        signature = inspect.signature(getattr(gpu, name))

        def part(*args, **kwargs):
            signature.bind(*args, **kwargs)
            called.append(name)
            if name == "throughput":
                parts.table("throughput", ["way", "net-steps/s"]).row("cuda", 1e8)
            if name == "study":
                assert args[1:] == (64, 1e8)

        return part

    names = ["networks", "throughput", "study", "doctor", "compare_variants"]
    for name in [*names, *(name for name in vars(gpu) if name.startswith("check_"))]:
        monkeypatch.setattr(gpu, name, note(name))
    gpu.run_all(parts, device)
    assert parts.failed == parts.skipped == []
    assert len(called) == 10
    assert parts.tables["machine"][0]["value"] == "emulated, host, 2 multiprocessors"


@pytest.mark.slow
@needs_compiler
def test_bits_are_compared(device, parts):
    gpu.check_bits(parts, device, SHORT, blocks=(32, 64))
    assert parts.failed == []
    assert [row["check"].split(":")[0] for row in parts.tables["bits"]] == ["same bits"] * 4
    assert not agreement._equal("one bit", np.float32(1), np.nextafter(np.float32(1), np.float32(2))).passed


def test_reduced_precision_is_seen(parts):
    gpu.check_precision(parts, SHORT, fits=4)
    assert parts.failed == []

    def coarse(first, second):
        # As TF32 does: ten bits are kept.
        return jnp.matmul(*((x.view(jnp.int32) & -(1 << 13)).view(jnp.float32) for x in (first, second)))

    assert not next(agreement.precision(multiply=coarse)).passed


@pytest.mark.slow
@needs_compiler
def test_variants_are_timed(device, parts):
    gpu.compare_variants(parts, device, TINY, [Variant(4, 1, 32), Variant(8, 1, 32, 2)], seconds=0)
    rows = parts.tables["variants"]
    assert [row["fits"] for row in rows] == [16, 16]
    assert all(row["net-steps/s"] > 0 for row in rows)
    assert parts.lines[-1].startswith("\nFastest: {'threads'")


@needs_compiler
@pytest.mark.slow
def test_every_way_is_timed_and_what_cannot_be_is_named(device, parts, monkeypatch):
    def absent():
        raise ImportError("no such library")

    tiny = Case("tiny", TINY)
    monkeypatch.setattr(gpu, "MAIN", tiny)
    monkeypatch.setattr(gpu, "OPTIMIZERS", [Case("adam", Ensemble(TINY.network, TINY.problem, optax.adam(0.1), 10**6))])
    monkeypatch.setattr(gpu, "GPU_PEERS", {"absent": absent, "steady": lambda: lambda: 7.0})
    gpu.throughput(parts, device, rounds=1, seconds=0.001)
    ways = [row["way"] for row in parts.tables["throughput"]]
    assert ways[:4] == ["cuda", "xla, products as dot", "xla, products as sum", "cuda, adam"]
    assert ways[5:] == ["steady"]
    assert any("absent: left out: ImportError: no such library" in line for line in parts.lines)
    rate = next(row for row in parts.tables["throughput"] if row["way"] == "cuda")["net-steps/s"]
    minutes = parts.tables["projected"][0]["minutes for 320,000 fits of 50,000 steps, projected"]
    assert minutes == pytest.approx(320_000 * 50_000 / rate / 60)
    monkeypatch.setattr(gpu, "LARGEST", 5)
    monkeypatch.setattr(device, "shared_memory", 50)
    gpu.networks(parts, device, [tiny], rounds=1, seconds=0.001)
    (row,) = parts.tables["networks"]
    assert row["cuda, net-steps/s"] is None
    assert row["xla, products as sum"] > 0
    assert any("left out: Unlowerable" in line for line in parts.lines)


def test_a_part_of_the_study_is_trained(parts, monkeypatch):
    for name, value in {"STUDY_STEPS": 3, "NETWORK": TINY.network, "PROBLEM": TINY.problem}.items():
        monkeypatch.setattr(gpu, name, value)
    gpu.study(parts, width=8, rate=50, seconds=1)
    found = {row["what"]: row["value"] for row in parts.tables["study"]}
    assert found["fits of 50,000 steps with momentum"] == 16
    assert found["backend"].startswith("lanes")
    assert 0 < found["median final loss"] < 10


@pytest.mark.slow
def test_a_killed_study_goes_on_with_the_same_bytes(tmp_path):
    checks = list(agreement.kill_and_resume(tmp_path, steps=20_000, fits=64, shards=4))
    assert [check for check in checks if not check.passed] == []
    assert len(checks) == 3


def test_without_a_gpu_one_line_says_what_is_missing(tmp_path):
    answer = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "nothing was measured" in answer.stderr
    assert not (tmp_path / "out").exists()


def test_a_gpu_that_jax_does_not_use_is_not_enough(monkeypatch):
    monkeypatch.setattr(gpu, "NvidiaGpu", lambda: Emulated(ROOT))
    with pytest.raises(CudaMissing, match="JAX computes on cpu, not on the emulated"):
        gpu.find_gpu()
