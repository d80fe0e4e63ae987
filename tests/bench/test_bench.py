from types import SimpleNamespace

import jax
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.bench import report
from jaxland.bench.peak import fma_peak
from jaxland.bench.report import backends, processor, step_flop
from jaxland.bench.timing import medians, on_threads
from jaxland.training import BACKENDS, Ensemble
from jaxland.training.cuda import CudaMissing


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


def test_the_processor_is_named():
    assert "cores" in processor()


def test_backends_that_are_not_here_are_named(monkeypatch):
    x = np.linspace(-1, 1, 8)
    ensemble = Ensemble(jl.mlp([1, 2, 1]), jl.Problem(x, np.abs(x)), optax.sgd(0.1, momentum=0.9), steps=10**6)

    def missing(ensemble, settings):
        raise CudaMissing("there is no GPU")

    monkeypatch.setitem(BACKENDS, "cuda", SimpleNamespace(trainer=missing))
    ways, absent = backends(ensemble)
    assert {"lanes", "xla"} <= set(ways)
    assert absent["cuda"] == "there is no GPU"
    assert ways["lanes"]() > 0


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
