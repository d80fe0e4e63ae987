"""The speed of this machine's backends, beside its peak and beside other ways to do the same."""

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from jaxland.bench.cases import MAIN, NETWORKS, OPTIMIZERS, instruction_mix, step_flop
from jaxland.bench.peak import fma_peak, mix_peak
from jaxland.bench.peers import PEERS
from jaxland.bench.timing import Timed, medians, steady
from jaxland.training import BACKENDS, Ensemble, available_threads, choose_backend, device, local_platform, versions
from jaxland.training.lanes import LanesTrainer

# A measurement of one way lasts about this long, a round of all ways some twenty times as long.
_SECONDS = 0.3
# Steps before anything is timed: what a fit does at its start is not what it does for most of its time.
_TRAINED = 4000


def backend(ensemble: Ensemble, name: str, threads: int, *, compress: bool | None = False) -> Timed:
    """Reports net-steps per second of a backend with everything it keeps account of, in the middle of training."""
    trainer = choose_backend(ensemble, name, compress=compress).trainer
    return steady(trainer, ensemble, threads, _SECONDS, trained=_TRAINED)


def backends(ensemble: Ensemble) -> tuple[dict[str, Timed], dict[str, str]]:
    """All backends that this machine has something for, and why it has nothing for the others."""
    ways: dict[str, Timed] = {}
    absent: dict[str, str] = {}
    for name in BACKENDS:
        # A backend that computes on an accelerator fills it with one group.
        threads = available_threads() if name == "lanes" or local_platform() == "cpu" else 1
        try:
            ways[name] = backend(ensemble, name, threads)
        except (ImportError, RuntimeError) as reason:
            absent[name] = str(reason)
    return ways, absent


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


def report(rounds: int = 7, say: Callable[[str], None] = print, *, quick: bool = False) -> None:
    """Measures and prints everything, in Markdown. It takes about two minutes; run it on a quiet machine.

    Where JAX computes on an accelerator, the backends that use it are measured beside lanes on the processor.

    Args:
        rounds: how often each way is timed; medians are reported.
        say: receives the lines.
        quick: the main network alone, and fewer rounds.
    """
    threads, rounds = available_threads(), min(rounds, 3) if quick else rounds
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    say(f"{processor()}; {versions()}; load {load:.1f} at the start. Medians of {rounds} rounds.")
    if local_platform() != "cpu":
        return _report_accelerator((MAIN,) if quick else (MAIN, *OPTIMIZERS, *NETWORKS), rounds, say)
    _report_main(threads, rounds, say)
    if quick:
        return
    _report_networks(threads, rounds, say)
    _report_compilation(say)


def _report_accelerator(cases, rounds, say):
    say(f"\nOn {device()}, net-steps/s, float32; lanes on {available_threads()} threads of the processor:\n")
    say("| network, optimizer | " + " | ".join(BACKENDS) + " |")
    say("|---|" + "---|" * len(BACKENDS))
    reasons = {}
    for case in cases:
        ways, absent = backends(case.ensemble)
        rates = medians(ways, rounds)
        reasons |= {name: f"{case.name}: {reason}" for name, reason in absent.items()}
        cells = [f"{rates[name]:.3g}" if name in rates else "" for name in BACKENDS]
        say(f"| {case.name} | {' | '.join(cells)} |")
    for name, reason in reasons.items():
        say(f"\nNo {name} for {reason}")


def _report_main(threads, rounds, say):
    ways = {"peak, 1 thread": fma_peak(1), "peak, all": fma_peak(threads)}
    ways["mix, 1 thread"] = mix_peak(instruction_mix(MAIN.ensemble), 1)
    ways |= {
        "lanes, 1 thread": backend(MAIN.ensemble, "lanes", 1),
        "lanes, all": backend(MAIN.ensemble, "lanes", threads),
        "xla, all": backend(MAIN.ensemble, "xla", threads),
    }
    ways |= {case.name: backend(case.ensemble, "lanes", threads) for case in OPTIMIZERS}
    compressed = {case.name: f"{case.name}, compressed" for case in (MAIN, *OPTIMIZERS)}
    for case in (MAIN, *OPTIMIZERS):
        ways[compressed[case.name]] = backend(case.ensemble, "lanes", threads, compress=True)
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
    if max(rates["lanes, 1 thread"] / rates["peak, 1 thread"], rates["lanes, all"] / rates["peak, all"]) * flop > 1:
        say(
            "No program is faster than the peak: the machine was busy while that was measured. Take no share from here."
        )
    limit = rates["mix, 1 thread"] / rates["peak, 1 thread"]
    say(f"The kernel's mix of instructions, with nothing to wait for, reaches {limit:.0%} of it.")
    say(f"After {_TRAINED:,} steps {_subnormal_share(MAIN.ensemble):.1%} of the optimizer's state is subnormal.")
    say(f"lanes on {threads} threads against one: {rates['lanes, all'] / rates['lanes, 1 thread']:.2f}.")
    for case in OPTIMIZERS:
        say(f"{case.name} against momentum: {rates[case.name] / rates['lanes, all']:.2f}.")
    say("\nThe same gradients, points between kinks taken together; exact-gradient net-steps/s, no share of a peak:\n")
    say("| optimizer | net-steps/s | faster than all points by |")
    say("|---|---|---|")
    for name, case in (("momentum", MAIN), *((case.name, case) for case in OPTIMIZERS)):
        rate, plain = rates[compressed[case.name]], rates["lanes, all" if case is MAIN else case.name]
        say(f"| {name} | {rate:.3g} | {rate / plain:.1f} |")


def _subnormal_share(ensemble: Ensemble) -> float:
    """Of the numbers in the state of a group in the middle of training."""
    trainer = LanesTrainer(ensemble, compress=False)
    group = trainer.advance(trainer.begin(ensemble.members(np.arange(trainer.width))), _TRAINED)
    state = trainer.entries(group, "state")
    return float(np.mean((state != 0) & (np.abs(state) < np.finfo(ensemble.number_format).tiny)))


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
