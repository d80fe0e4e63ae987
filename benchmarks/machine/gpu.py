"""What is measured on a machine with an NVIDIA GPU: checks, variants of the kernel, throughput, the study's time.

Each function is one part of `benchmarks/gpu.py`.
"""

import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from jaxland.bench.cases import MAIN, NETWORKS, OPTIMIZERS, Case, step_flop
from jaxland.bench.peak import gpu_fma_peak
from jaxland.bench.peers import GPU_PEERS, NETWORK, OPTIMIZER, PROBLEM
from jaxland.bench.timing import Timed, medians, steady
from jaxland.networks import mlp
from jaxland.training import Ensemble, Trainer, Unlowerable, available_threads, fit, local_platform, versions
from jaxland.training.cuda import CudaMissing, CudaTrainer, Device, NvidiaGpu, Variant
from jaxland.training.cuda.group import advance, begin
from jaxland.training.cuda.trainer import LARGEST
from jaxland.training.cuda.tuning import VERSION, build, candidates
from jaxland.training.lanes import LanesTrainer
from jaxland.training.program.trace import trace_update
from jaxland.training.xla import ACCELERATOR_WIDTH, MATMULS, XlaTrainer
from machine import agreement
from machine.parts import Parts

STUDY_FITS, STUDY_STEPS = 320_000, 50_000
# Parameters up to which a kernel is compiled in seconds; straight-line code of much more takes minutes.
_COMPILED_SOON = 1100
# Beside those that are chosen from: more threads a multiprocessor, and so fewer registers for each.
OTHER_VARIANTS = [Variant(8, 1, 384), *(Variant(threads, 1, 128, 3) for threads in (8, 16))]
# Networks between the sizes whose gradients fit into registers and those that are refused.
BETWEEN = [
    Case(f"1-{w}-{w}-{w}-1 ReLU", Ensemble(mlp([1, w, w, w, 1]), PROBLEM, OPTIMIZER, steps=10**6))
    for w in (7, 8, 9, 10, 12, 16)
]


def find_gpu() -> Device:
    """The GPU that both JAX and the cuda backend use.

    Raises:
        CudaMissing: what is missing, in one line.
    """
    device = NvidiaGpu()
    if local_platform() != "gpu":
        raise CudaMissing(
            f"JAX computes on {local_platform()}, not on the {device.name}; pip install 'jax[cuda12]' or "
            "'jax[cuda13]', and leave JAX_PLATFORMS unset."
        )
    return device


def machine(parts: Parts, device: Device) -> None:
    """Names everything that figures depend on."""
    table = parts.table("machine", ["what", "value"])
    table.row("GPU", f"{device.name}, {device.architecture}, {device.multiprocessors} multiprocessors")
    table.row("state of the GPU", _nvidia_smi())
    table.row("shared memory of a block", device.shared_memory)
    table.row("compiler", device.compiler)
    table.row("python", platform.python_version())
    table.row("versions", versions())
    for name in ("cuda-bindings", "jax-cuda13-plugin", "jax-cuda12-plugin", "torch"):
        table.row(name, _version(name))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    table.row("processor", f"{platform.machine()}, {available_threads()} cores, load {load:.1f}")


def _nvidia_smi() -> str:
    query = "driver_version,memory.used,memory.total,clocks.sm,clocks.max.sm,power.limit,temperature.gpu"
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return f"nvidia-smi does not answer ({error})"
    names, values = (line.split(", ") for line in answer.strip().splitlines()[:2])
    return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def check_agreement(
    parts: Parts,
    device: Device,
    ensembles: dict[str, Ensemble] | None = None,
    fits: int = 64,
    block: int = 256,
    seconds: float = 120,
) -> None:
    """Every backend against every other; the main network by several variants and both ways to multiply matrices.

    After so many seconds no further program is begun.
    """
    began = time.monotonic()
    ensembles = agreement.ensembles() if ensembles is None else ensembles
    first = next(iter(ensembles))
    table = parts.table("agreement", ["backends and program", "difference", "as it should be"])
    for name, ensemble in ensembles.items():
        makers: dict[str, agreement.Make] = {"lanes": agreement.reference}
        forms = list(MATMULS) if name == first else ["dot"]
        for form in forms:
            makers[f"xla ({form})"] = partial(XlaTrainer, settings={"width": fits, "matmul": form})
        for threads, tile in [(8, 1), (1, 1), (2, 2), (4, 2), (16, 1), (32, 2)] if name == first else [(8, 1)]:
            makers[f"cuda ({threads} threads, tile {tile})"] = _cuda(device, threads, tile, block)
        parts.guard(f"agreement, {name}", partial(_agreement, parts, table, name, ensemble, makers, fits))
        if parts.left < 60 or time.monotonic() - began > seconds:
            parts.skip(f"agreement from after {name!r} on")
            return


def _agreement(parts, table, name, ensemble, makers, fits):
    for check in agreement.agreement(name, ensemble, makers, fits):
        table.check(check)


def _cuda(device: Device, threads: int, tile: int, block: int) -> agreement.Make:
    settings = {"threads": threads, "tile": tile, "block": block, "kernel": VERSION}
    return partial(CudaTrainer, settings=settings, devices=[device], largest=10**6)


def check_bits(parts: Parts, device: Device, ensemble: Ensemble, blocks: tuple[int, ...] = (256, 384, 128)) -> None:
    """What a fit's bits must not depend on."""

    def make(block: int) -> Trainer:
        return _cuda(device, 8, 1, block)(ensemble)

    parts.checks("bits", list(agreement.same_bits(ensemble, make, blocks, fit=7)))


def check_precision(parts: Parts, ensemble: Ensemble, fits: int = 64) -> None:
    """That nothing is rounded to less than float32 behind our back."""
    make = partial(XlaTrainer, settings={"width": fits})
    parts.checks("precision", [*agreement.precision(), agreement.float32_follows_float64(ensemble, make, fits)])


def check_resume(parts: Parts, steps: int) -> None:
    """Kills a study and goes on with it."""
    with tempfile.TemporaryDirectory() as folder:
        parts.checks("resume", list(agreement.kill_and_resume(Path(folder), steps)))


def compare_variants(
    parts: Parts, device: Device, ensemble: Ensemble, variants: Sequence[Variant] | None = None, seconds: float = 0.05
) -> None:
    """Times variants of the kernel: what the choice is made from, so that it can be judged, and some others."""
    if variants is None:
        variants = [*candidates(ensemble, trace_update(ensemble), device), *OTHER_VARIANTS]
    columns = ["threads a network", "tile", "block", "blocks", "fits", "registers", "bytes besides", "net-steps/s"]
    table = parts.table("variants", [*columns, "seconds to compile"])
    update, compiled, rates = trace_update(ensemble), {}, {}
    # All are compiled before any is timed: a GPU that waits slows down its clock.
    for done, variant in enumerate(variants):
        if parts.left < 60:
            parts.skip(f"{len(variants) - done} variants from {tuple(variant)} on")
            break
        began = time.perf_counter()
        try:
            built = build(ensemble, update, device, variant)
        except (Unlowerable, RuntimeError) as reason:
            parts.left_out(f"variant {tuple(variant)}", reason)
            continue
        compiled[variant] = built, time.perf_counter() - began
    for variant, (built, compiling) in compiled.items():
        width = built.layout.lanes
        group = begin(built, ensemble, ensemble.members(np.arange(width) % 32))
        steps, elapsed = 1, 0.0
        while elapsed < seconds:
            steps *= 2
            elapsed = _seconds(partial(advance, group, steps))
        elapsed = min(_seconds(partial(advance, group, steps)) for _ in range(3))
        rates[variant] = width * steps / elapsed
        table.row(*variant, width, *device.usage(built.kernels), rates[variant], compiling)
    if rates:
        best = max(rates, key=lambda variant: rates[variant])
        parts.say(f"\nFastest: {best._asdict()}, {rates[best]:.3g} net-steps/s.")


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def backends_on_gpu(
    parts: Parts, case: Case, device: Device, seconds: float = 0.3, threads: Sequence[int] = ()
) -> dict[str, Timed]:
    """The ways in which jaxland trains on a GPU; what cannot be done is said and left out.

    Args:
        parts: hears the reasons.
        case: what is trained.
        device: where.
        seconds: of a measurement.
        threads: of a network, to be tried with tiles of one point; by default cuda chooses its variant itself.
    """
    ensemble = case.ensemble
    makers: dict[str, Callable[[], Trainer]] = {
        f"cuda, {count} threads": partial(_cuda(device, count, 1, 256), ensemble) for count in threads
    } or {"cuda": partial(CudaTrainer, ensemble, devices=[device])}
    for matmul in MATMULS:
        settings = {"width": ACCELERATOR_WIDTH, "matmul": matmul}
        makers[_xla(matmul)] = partial(XlaTrainer, ensemble, settings)
    return _ready(parts, {way: partial(_steady, make, ensemble, seconds) for way, make in makers.items()}, case.name)


def _steady(make: Callable[[], Trainer], ensemble: Ensemble, seconds: float) -> Timed:
    return steady(make(), ensemble, seconds=seconds)


def _ready(parts: Parts, makers: Mapping[str, Callable[[], Timed]], case: str = MAIN.name) -> dict[str, Timed]:
    """Makes ways of training a case ready to be timed; what cannot be done is said and left out."""
    ways = {}
    for name, make in makers.items():
        try:
            ways[name] = make()
        except Exception as reason:  # of any kind: the other ways are wanted all the more
            parts.left_out(f"{case}, {name}", reason)
    return ways


def _xla(matmul: str) -> str:
    return f"xla, products as {matmul}"


def throughput(parts: Parts, device: Device, rounds: int = 5, seconds: float = 0.3, peers: bool = True) -> None:
    """Net-steps/s of the main network by every way in one run, beside the device's multiply-add peak."""
    threads, flop = available_threads(), step_flop(MAIN.ensemble)
    ways = _ready(parts, {"peak": partial(gpu_fma_peak, device, seconds)})
    ways |= backends_on_gpu(parts, MAIN, device, seconds)

    def with_optimizer(case: Case) -> Timed:
        # The variant that suits momentum: to choose one for each would take a minute of compiling.
        settings = CudaTrainer(MAIN.ensemble, devices=[device]).settings
        return steady(CudaTrainer(case.ensemble, settings, devices=[device]), case.ensemble, seconds=seconds)

    processor = f"lanes, {threads} threads of the processor"
    others: dict[str, Callable[[], Timed]] = {
        f"cuda, {case.name}": partial(with_optimizer, case) for case in OPTIMIZERS
    }
    others[processor] = lambda: steady(LanesTrainer(MAIN.ensemble), MAIN.ensemble, threads, seconds)
    ways |= _ready(parts, others | (GPU_PEERS if peers else {}))
    rates = medians(ways, rounds, parts.left_out)
    peak, cuda = rates.pop("peak", float("nan")), rates.get("cuda")
    parts.say(
        f"\n{MAIN.name}, float32, {device.name}; {flop / 1e3:.0f} kFLOP a net-step; multiply-add peak measured "
        f"{peak / 1e12:.1f} TFLOP/s; medians of {rounds} rounds.\n"
    )
    table = parts.table("throughput", ["way", "net-steps/s", "share of the GPU's peak", "cuda is faster by"])
    for name, rate in rates.items():
        other = name == processor or name.startswith("cuda, ")
        share = None if other else f"{rate * flop / peak:.1%}"
        table.row(name, rate, share, None if cuda is None or name == "cuda" else cuda / rate)
    whole = parts.table("projected", ["optimizer", "minutes for 320,000 fits of 50,000 steps, projected"])
    for name in ("cuda", *(f"cuda, {case.name}" for case in OPTIMIZERS)):
        if name in rates:
            whole.row(name, STUDY_FITS * STUDY_STEPS / rates[name] / 60)


def networks(
    parts: Parts,
    device: Device,
    cases: Sequence[Case],
    name: str = "networks",
    rounds: int = 3,
    seconds: float = 0.2,
    threads: Sequence[int] = (),
) -> None:
    """cuda against xla for networks of other sizes: from where on is xla faster?

    Args:
        parts, device, rounds, seconds: as above.
        cases: what is trained.
        name: of the table.
        threads: of a network, the fastest of which counts; by default cuda chooses its variant itself, where the
            network is not too large for it.
    """
    columns = ["network", "parameters", "cuda, net-steps/s", "share of the peak", "variant", *map(_xla, MATMULS)]
    table = parts.table(name, [*columns, "cuda is faster than xla by"])
    peak = _ready(parts, {"peak": partial(gpu_fma_peak, device, seconds)})
    for case in cases:
        if parts.left < 40:
            parts.skip(f"{name} from {case.name!r} on")
            return
        size = case.ensemble.network.size
        # What auto would refuse is tried as well, up to where it would take minutes to compile.
        tried = threads or ((32,) if LARGEST < size <= _COMPILED_SOON else ())
        ways = {**backends_on_gpu(parts, case, device, seconds, tried), **peak}
        rates = medians(ways, rounds, lambda way, error, case=case: parts.left_out(f"{case.name}, {way}", error))
        cuda = {way: rate for way, rate in rates.items() if way.startswith("cuda")}
        xla = [rates.get(_xla(matmul)) for matmul in MATMULS]
        others = [rate for rate in xla if rate is not None]
        if not cuda:
            table.row(case.name, size, None, None, None, *xla, None)
            continue
        best = max(cuda, key=lambda way: cuda[way])
        share = f"{cuda[best] * step_flop(case.ensemble) / rates.get('peak', np.nan):.1%}"
        ratio = cuda[best] / max(others) if others else None
        table.row(case.name, size, cuda[best], share, best, *xla, ratio)


def study(parts: Parts, width: int, rate: float, seconds: float = 45) -> None:
    """Trains as much of the main study as there is time for, as a user does, and says what all of it takes.

    Args:
        parts: receives the table.
        width: fits of a group.
        rate: expected net-steps/s.
        seconds: to train for, about.
    """
    groups = max(1, int(min(seconds, parts.left / 2) * rate / (width * STUDY_STEPS)))
    count = groups * width
    began = time.perf_counter()
    fits = fit(NETWORK, PROBLEM, OPTIMIZER, fits=count, steps=STUDY_STEPS)
    elapsed = time.perf_counter() - began
    table = parts.table("study", ["what", "value"])
    table.row("backend", fits.explanation)
    table.row("fits of 50,000 steps with momentum", count)
    table.row("seconds, from the call to the result", elapsed)
    table.row("net-steps/s", count * STUDY_STEPS / elapsed)
    table.row("minutes for 320,000 fits at this rate", STUDY_FITS * elapsed / count / 60)
    table.row("diverged", int((fits.diverged_step >= 0).sum()))
    table.row("median final loss", statistics.median(map(float, fits.loss)))


def run_all(parts: Parts, device: Device) -> None:
    """All parts, the most needed ones first; with each the seconds it takes, roughly."""
    main = MAIN.ensemble
    short = agreement.ensembles()["main network, momentum, float32"]
    parts.run("The machine", 0, lambda: machine(parts, device))
    parts.run("Checks: a fit's bits", 20, lambda: check_bits(parts, device, short))
    parts.run("Checks: precision", 15, lambda: check_precision(parts, short))
    parts.run("Checks: backends agree", 60, lambda: check_agreement(parts, device))
    parts.run("Variants of the kernel, main network", 30, lambda: compare_variants(parts, device, main))
    parts.run("Throughput", 75, lambda: throughput(parts, device))
    width, rate = _of_cuda(parts, device)
    parts.run("A part of the study", 30, lambda: study(parts, width, rate))
    steps = max(1000, int(1.5 * rate / width))
    parts.run("Checks: kill and resume", 60, lambda: check_resume(parts, steps))
    parts.run("Other networks", 60, lambda: networks(parts, device, NETWORKS[:4]))
    parts.run("Where xla becomes faster", 60, lambda: networks(parts, device, BETWEEN, "sizes", 2, threads=(8, 16, 32)))
    parts.run("jaxland doctor", 20, lambda: doctor(parts))


def _of_cuda(parts: Parts, device: Device) -> tuple[int, float]:
    """Fits of a group and net-steps/s of the main network as measured, or else a cautious guess."""
    measured = [row["net-steps/s"] for row in parts.tables.get("throughput", []) if row["way"] == "cuda"]
    return device.multiprocessors * 32, measured[0] if measured else 1e7


def doctor(parts: Parts) -> None:
    """What `jaxland doctor` says here."""
    from jaxland.doctor import report

    lines: list[str] = []
    healthy = report(lines.append)
    parts.say("\n".join(["```text", *lines, "```"]))
    if not healthy:
        parts.failed.append("jaxland doctor")
