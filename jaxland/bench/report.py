"""The speed of this machine's backends, beside its peak and beside other ways to do the same."""

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optax

from jaxland.bench.peak import fma_peak
from jaxland.bench.peers import NETWORK, OPTIMIZER, PEERS, PROBLEM
from jaxland.bench.timing import Timed, medians, on_threads
from jaxland.networks import mlp
from jaxland.problems import Problem
from jaxland.training import Ensemble, available_threads, choose_backend, versions
from jaxland.training.lanes import LanesTrainer
from jaxland.training.lanes.kernel import schedule_programs
from jaxland.training.lanes.trace import trace_update

_OPERATIONS = {"fma": 2, "fnma": 2, "fms": 2, "add": 1, "sub": 1, "mul": 1, "div": 1, "sqrt": 1}
# A measurement of one way lasts about this long, a round of all ways some twenty times as long.
_SECONDS = 0.3


@dataclass(frozen=True)
class Case:
    """A network with its data and optimizer."""

    name: str
    ensemble: Ensemble


def _ensemble(network, problem, optimizer=OPTIMIZER) -> Ensemble:
    return Ensemble(network, problem, optimizer, steps=10**6)


def _noise(inputs: int, points: int) -> Problem:
    rng = np.random.default_rng(0)
    return Problem(rng.normal(size=(points, inputs)), rng.normal(size=(points, 1)))


MAIN = Case("1-5-5-5-5-5-1 ReLU, 320 points, momentum", _ensemble(NETWORK, PROBLEM))
OPTIMIZERS = [
    Case("adadelta", _ensemble(NETWORK, PROBLEM, optax.adadelta(1.0, 0.95, 1e-8))),
    Case("adam", _ensemble(NETWORK, PROBLEM, optax.adam(1e-3))),
]
NETWORKS = [
    Case("1-7-1 sigmoid, 1000 points", _ensemble(mlp([1, 7, 1], "sigmoid"), _noise(1, 1000))),
    Case("1-2-1 sigmoid, 41 points", _ensemble(mlp([1, 2, 1], "sigmoid"), _noise(1, 41))),
    Case("10-20-1 ReLU, 1000 points", _ensemble(mlp([10, 20, 1]), _noise(10, 1000))),
    Case("10 x 10 ReLU, 320 points", _ensemble(mlp([1, *[10] * 10, 1]), PROBLEM)),
    Case("15 x 15 ReLU, 320 points", _ensemble(mlp([1, *[15] * 15, 1]), PROBLEM)),
]


def backend(ensemble: Ensemble, name: str, threads: int) -> Timed:
    """Reports net-steps per second of a backend with everything it keeps account of."""
    trainer = choose_backend(ensemble, name).trainer
    members = ensemble.members(np.arange(trainer.width))
    trainer.advance(trainer.begin(members), 8)
    began = time.perf_counter()
    trainer.advance(trainer.begin(members), 8)
    steps = max(8, int(8 * _SECONDS / (time.perf_counter() - began)))

    def work():
        trainer.advance(trainer.begin(members), steps)
        return trainer.width * steps

    return on_threads(work, threads)


def step_flop(ensemble: Ensemble) -> int:
    """Floating-point operations of a net-step, counted in the scalar program of the lanes backend.

    A multiply-add counts two, any other sum, product, quotient or root one; comparisons and selections (the ReLU),
    loads and stores none.
    """
    programs = schedule_programs(ensemble, trace_update(ensemble), 1)
    return programs.points * _flop(programs.tile_lines) + _flop(programs.update_lines)


def _flop(lines) -> int:
    return sum(_OPERATIONS.get(line.op, 0) for line in lines)


def peers() -> dict[str, Timed]:
    """The other ways whose libraries are installed."""
    found: dict[str, Timed] = {}
    for name, make in PEERS.items():
        try:
            found[name] = make()
        except ImportError:
            continue
    return found


def processor() -> str:
    """The name of the processor, and how many cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {available_threads()} cores"


def report(rounds: int = 7, say: Callable[[str], None] = print) -> None:
    """Measures and prints everything, in Markdown. It takes about two minutes; run it on a quiet machine.

    Args:
        rounds: how often each way is timed; medians are reported.
        say: receives the lines.
    """
    threads = available_threads()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    say(f"{processor()}; {versions()}; load {load:.1f} at the start. Medians of {rounds} rounds.")
    _report_main(threads, rounds, say)
    _report_networks(threads, rounds, say)
    _report_compilation(say)


def _report_main(threads, rounds, say):
    ways = {"peak, 1 thread": fma_peak(1), "peak, all": fma_peak(threads)}
    ways |= {
        "lanes, 1 thread": backend(MAIN.ensemble, "lanes", 1),
        "lanes, all": backend(MAIN.ensemble, "lanes", threads),
        "xla, all": backend(MAIN.ensemble, "xla", threads),
    }
    ways |= {case.name: backend(case.ensemble, "lanes", threads) for case in OPTIMIZERS}
    others = peers()
    rates = medians({**ways, **others}, rounds)
    flop = step_flop(MAIN.ensemble)
    say(f"\n{MAIN.name}, float32; {flop / 1e3:.0f} kFLOP a net-step:\n")
    say("| way | net-steps/s | share of the multiply-add peak | lanes is faster by |")
    say("|---|---|---|---|")
    for name, peak in (("lanes, 1 thread", "peak, 1 thread"), ("lanes, all", "peak, all"), ("xla, all", "peak, all")):
        ratio = rates["lanes, all"] / rates[name] if name == "xla, all" else None
        say(_row(name, rates[name], rates[name] * flop / rates[peak], ratio))
    for name in others:
        say(_row(name, rates[name], rates[name] * flop / rates["peak, all"], rates["lanes, all"] / rates[name]))
    one, every = rates["peak, 1 thread"] / 1e9, rates["peak, all"] / 1e9
    say(f"\nMultiply-add peak: {one:.0f} GFLOP/s on one thread, {every:.0f} on {threads}.")
    say(f"lanes on {threads} threads against one: {rates['lanes, all'] / rates['lanes, 1 thread']:.2f}.")
    for case in OPTIMIZERS:
        say(f"{case.name} against momentum: {rates[case.name] / rates['lanes, all']:.2f}.")


def _row(name, rate, share, ratio):
    return f"| {name} | {rate:.3g} | {share:.1%} | {'' if ratio is None else f'{ratio:.1f}'} |"


def _report_networks(threads, rounds, say):
    say("\nOther networks, momentum, float32, all cores:\n")
    say("| network | backend chosen | net-steps/s | share of the multiply-add peak | xla, net-steps/s | ratio |")
    say("|---|---|---|---|---|---|")
    for case in NETWORKS:
        chosen = choose_backend(case.ensemble).trainer.name
        ways = {"auto": backend(case.ensemble, "auto", threads), "xla": backend(case.ensemble, "xla", threads)}
        rates = medians({**ways, "peak": fma_peak(threads)}, rounds)
        share = rates["auto"] * step_flop(case.ensemble) / rates["peak"]
        ratio = rates["auto"] / rates["xla"]
        say(f"| {case.name} | {chosen} | {rates['auto']:.3g} | {share:.0%} | {rates['xla']:.3g} | {ratio:.1f} |")


def _report_compilation(say):
    with _empty_cache():
        first, cached = _seconds(lambda: LanesTrainer(MAIN.ensemble)), _seconds(lambda: LanesTrainer(MAIN.ensemble))
    say(f"\nKernel of the main network: {first:.1f} s to trace, tune and compile; {cached:.2f} s from the cache.")


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def _empty_cache() -> Iterator[None]:
    kept = os.environ.get("JAXLAND_CACHE_DIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAXLAND_CACHE_DIR"] = folder
        try:
            yield
        finally:
            if kept is None:
                del os.environ["JAXLAND_CACHE_DIR"]
            else:
                os.environ["JAXLAND_CACHE_DIR"] = kept
