from collections import Counter
from functools import partial
from importlib import import_module
from types import SimpleNamespace

import jax
import numpy as np
import optax
import pytest
from training.cuda.emulation import Emulated, needs_compiler

import jaxland as jl
from jaxland.bench import peers, report
from jaxland.bench.cases import Case, instruction_mix
from jaxland.bench.peak import GPU_MULTIPLY_ADDS, GPU_SOURCE, _in_proportion, fma_peak, gpu_fma_peak, mix_peak
from jaxland.bench.report import backends, processor, step_flop
from jaxland.bench.timing import medians, on_threads, steady
from jaxland.training import BACKENDS, Ensemble
from jaxland.training.cuda import CudaMissing, compile_source
from jaxland.training.xla import XlaTrainer

X = np.linspace(-1, 1, 9)
TINY = Ensemble(jl.mlp([1, 2, 1]), jl.Problem(X, np.abs(X)), optax.sgd(0.05, momentum=0.9), steps=10**6)


def test_flop_are_those_counted_by_hand():
    """1-2-1 ReLU, 8 points: 9 multiply-adds and 7 other operations a point, 2 multiply-adds a parameter."""
    x = np.linspace(-1, 1, 8)
    ensemble = Ensemble(jl.mlp([1, 2, 1]), jl.Problem(x, np.abs(x)), optax.sgd(0.1, momentum=0.9), steps=1)
    assert step_flop(ensemble) == 8 * (2 * 9 + 7) + 7 * 2 * 2


def test_main_network_is_near_its_multiply_adds():
    ensemble = Ensemble(jl.mlp([1, 5, 5, 5, 5, 5, 1]), jl.problems.sawtooth(), optax.sgd(0.1, momentum=0.9), steps=1)
    least = 320 * 2 * (110 + 110 + 105)  # forward, weight gradient, back-propagated
    assert least < step_flop(ensemble) < 1.1 * least


def test_all_ways_are_timed_once_a_round(monkeypatch):
    monkeypatch.setattr("jaxland.bench.timing._REST", 0)
    calls = []
    rates = {"a": iter([99, 1, 5, 3]), "b": iter([99, 2, 2, 8])}

    def way(name):
        def timed():
            calls.append(name)
            return next(rates[name])

        return timed

    assert medians({"a": way("a"), "b": way("b")}, rounds=3) == {"a": 3, "b": 2}
    assert calls == ["a", "b"] * 4


def test_a_way_that_fails_is_left_out_or_stops_all():
    rates, failed = iter([1.0, 2.0]), []
    ways = {"breaks": lambda: next(rates), "steady": lambda: 5.0}
    found = medians(ways, rounds=3, on_error=lambda name, error: failed.append((name, type(error))))
    assert found == {"steady": 5.0}
    assert failed == [("breaks", StopIteration)]
    with pytest.raises(ZeroDivisionError):
        medians({"breaks": on_threads(lambda: 1 // 0, 2)})


def test_work_of_all_threads_counts():
    done = []
    rate = on_threads(lambda: done.append(1) or 10, 3)()
    assert len(done) == 3
    assert rate > 0


def test_the_peak_is_that_of_a_processor():
    assert 1e9 < fma_peak(1)() < 1e12


def test_the_mix_is_that_counted_by_hand():
    """1-2-1 ReLU: see `lanes.describe`; two maxima, two gates, and sums of output, bias and units."""
    x = np.linspace(-1, 1, 8)
    ensemble = Ensemble(jl.mlp([1, 2, 1]), jl.Problem(x, np.abs(x)), optax.sgd(0.1, momentum=0.9), steps=1)
    assert instruction_mix(ensemble) == {"fma": 9, "add": 4, "mul": 3, "max": 2, "choose": 2}


def test_a_mix_is_kept_in_its_proportions():
    mix = {"fma": 8.0, "add": 3.0, "max": 2.0, "choose": 1.0}
    body = _in_proportion(mix)
    assert Counter(body) == {name: 8 * count for name, count in mix.items()}
    assert body[:14].count("fma") == 8  # and spread evenly
    assert mix_peak(mix, 1)() > 0


def test_the_processor_is_named():
    assert "cores" in processor()


@pytest.mark.slow
def test_backends_that_are_not_here_are_named(monkeypatch):
    x = np.linspace(-1, 1, 8)
    ensemble = Ensemble(jl.mlp([1, 2, 1]), jl.Problem(x, np.abs(x)), optax.sgd(0.1, momentum=0.9), steps=10**6)

    def missing(ensemble, settings):
        raise CudaMissing("there is no GPU")

    monkeypatch.setitem(BACKENDS, "cuda", SimpleNamespace(trainer=missing, compresses=False))
    ways, absent = backends(ensemble)
    assert {"lanes", "xla"} <= set(ways)
    assert absent["cuda"] == "there is no GPU"
    assert ways["lanes"]() > 0


@pytest.mark.slow
@needs_compiler
def test_the_kernel_of_the_peak_counts_what_it_does(tmp_path):
    device = Emulated(tmp_path)
    assert gpu_fma_peak(device, seconds=0)() > 0
    # Without its last multiply-adds a chain does not end where it should.
    monkey = GPU_SOURCE.replace("i < rounds", "i < 0")
    wrong = Emulated(tmp_path)
    wrong.compile = lambda source: device.compile(monkey)
    with pytest.raises(RuntimeError, match="wrong sum"):
        gpu_fma_peak(wrong, seconds=0)()


def test_the_peak_is_multiply_adds_and_nothing_else():
    pytest.importorskip("cuda.bindings")
    compiled = compile_source(GPU_SOURCE, "sm_90")
    assert compiled.spilled == 0
    assert compiled.registers <= 32
    # Instructions of 16 bytes, whose lowest 12 bits say FFMA with three registers.
    words = np.frombuffer(compiled.code[: len(compiled.code) // 16 * 16], "<u8")[::2]
    assert GPU_MULTIPLY_ADDS <= np.count_nonzero(words & 0xFFF == 0x223) <= GPU_MULTIPLY_ADDS + 2


def test_groups_go_on_where_they_stopped():
    trainer = XlaTrainer(TINY, {"width": 4})
    steps = []
    advance = trainer.advance
    trainer.advance = lambda group, count: (steps.append(count), advance(group, count))[1]
    assert steady(trainer, TINY, threads=2, seconds=1e-4)() > 0
    assert steps[:2] == [1, 1]
    assert steps[-2] == steps[-1]


@pytest.mark.parametrize("peer", [peers.torch_func, peers.torch_stacked])
def test_what_pytorch_is_timed_with_trains(peer, monkeypatch):
    torch = pytest.importorskip("torch")
    kept = []
    monkeypatch.setattr(peers, "_torch_weights", partial(_kept, kept, peers._torch_weights))
    timed = peer(width=2, steps=3)
    before = [part.detach().clone() for layer in kept[0] for part in layer]
    timed()
    after = [part.detach() for layer in kept[0] for part in layer]
    ensemble = Ensemble(peers.NETWORK, peers.PROBLEM, peers.OPTIMIZER, steps=3)
    fits = jl.fit(ensemble.network, ensemble.problem, ensemble.optimizer, fits=2, steps=3)
    assert not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    vectors = np.concatenate([part.numpy().reshape(2, -1) for part in after], axis=1)
    np.testing.assert_allclose(vectors, fits.params, rtol=1e-4, atol=1e-6)


def _kept(kept, weights, *args):
    kept.append(weights(*args))
    return kept[-1]


@pytest.mark.slow
def test_on_an_accelerator_every_backend_has_its_column(monkeypatch):
    module = import_module("jaxland.bench.report")  # which the function of the same name hides
    monkeypatch.setattr(module, "local_platform", lambda: "gpu")
    for name, cases in {"MAIN": Case("tiny", TINY), "OPTIMIZERS": [], "NETWORKS": []}.items():
        monkeypatch.setattr(module, name, cases)
    lines = []
    report(rounds=1, say=lines.append)
    header, row = (line.split(" | ") for line in lines if line.startswith("| "))
    rates = dict(zip(header, row, strict=True))
    assert float(rates["lanes"]) > 0
    assert any(line.startswith("\nNo cuda for tiny: ") for line in lines)


@pytest.mark.slow
def test_the_report_covers_every_table():
    lines = []
    with jax.numpy_rank_promotion("allow"):  # the peers are written as their users write them
        report(rounds=1, say=lines.append)
    text = "\n".join(lines)
    for part in (
        "lanes, 1 thread",
        "xla, all",
        "the obvious vmap",
        "Multiply-add peak",
        "adam against",
        "15 x 15",
        "cache",
    ):
        assert part in text
