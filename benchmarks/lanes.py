"""How near the lanes backend comes to the limit of the machine: `python benchmarks/lanes.py [table ...]`.

Tables: main, optimizers, small, growth, compile; all by default. Rates are medians over repetitions of net-steps/s, and
the peak is measured between them, so that fractions and ratios hold on a noisy machine. FLOP are counted from the
scalar program: a multiply-add is two, every other sum, difference, product, quotient or root is one, comparisons and
selects (the ReLU) are none.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import llvmlite.binding as llvm
import numpy as np
import optax

import jaxland as jl
from jaxland.training import Ensemble, available_threads
from jaxland.training.lanes import LanesTrainer, machine
from jaxland.training.lanes.kernel import schedule_programs
from jaxland.training.lanes.trace import trace_update
from jaxland.training.xla import XlaTrainer

MAIN = jl.mlp([1, 5, 5, 5, 5, 5, 1])
SAWTOOTH = jl.problems.sawtooth()
MOMENTUM = optax.sgd(0.01, momentum=0.9)
OPTIMIZERS = {"momentum": MOMENTUM, "adam": optax.adam(1e-3), "adadelta": optax.adadelta(1.0, rho=0.9, eps=1e-6)}
REPETITIONS = 7
SECONDS = 0.2
CHAINS = 16


def peak_kernel():
    """A loop of independent full-width multiply-adds, as `(function, FLOP of one iteration)`."""
    target = machine.host()
    lanes = target.vector_bytes // 4
    vector = f"<{lanes} x float>"
    intrinsic = f"{vector} @llvm.fma.v{lanes}f32"
    entry = "\n".join(
        f"  %a{k} = phi {vector} [ splat (float 0x3FF0000000000000), %entry ], [ %b{k}, %loop ]" for k in range(CHAINS)
    )
    work = "\n".join(f"  %b{k} = call {intrinsic}({vector} %a{k}, {vector} %c, {vector} %c)" for k in range(CHAINS))
    total = "\n".join(f"  %s{k} = fadd {vector} %b{k}, {f'%s{k - 1}' if k else '%c'}" for k in range(CHAINS))
    bits = 8 * target.vector_bytes
    text = f"""
define void @peak(ptr %memory, i64 %count) #0 {{
entry:
  %c = load {vector}, ptr %memory, align 4
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{entry}
{work}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %done
done:
{total}
  store {vector} %s{CHAINS - 1}, ptr %memory, align 4
  ret void
}}
declare {intrinsic}({vector}, {vector}, {vector})
attributes #0 = {{ "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}" }}
"""
    code = machine.compile_object(text, target)
    engine = llvm.create_mcjit_compiler(
        llvm.parse_assembly(""), llvm.Target.from_default_triple().create_target_machine()
    )
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    import ctypes

    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(engine.get_function_address("peak"))
    memory = np.full(64, 0.5, np.float32)
    return lambda count: function(memory.ctypes.data, count), 2 * CHAINS * lanes, (engine, memory)


def on_threads(work, threads):
    """Runs `work` on so many threads at once; seconds until all are done."""
    workers = [threading.Thread(target=work) for _ in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began


def fma_peak(threads, kernel=None):
    """FLOP/s of `threads` threads that do nothing but multiply-adds."""
    run, flops, _kept = kernel or peak_kernel()
    count = 20_000_000
    return threads * flops * count / on_threads(lambda: run(count), threads)


class Rate:
    """Net-steps/s of a trainer, measured again at each call."""

    def __init__(self, trainer, ensemble, threads=1):
        self.trainer, self.threads = trainer, threads
        members = ensemble.members(np.arange(trainer.width))
        self.groups = [trainer.begin(members) for _ in range(threads)]
        self.steps = 1
        while (seconds := self._seconds()) < SECONDS / 2:
            self.steps = max(2 * self.steps, int(self.steps * SECONDS / 2 / max(seconds, 1e-6)))

    def _seconds(self):
        numbers = iter(range(self.threads))

        def work():
            k = next(numbers)
            self.groups[k] = self.trainer.advance(self.groups[k], self.steps)

        return on_threads(work, self.threads)

    def __call__(self):
        return self.threads * self.trainer.width * self.steps / self._seconds()


def medians(*measures):
    """The median of each measure; they take turns."""
    rows = [[measure() for measure in measures] for _ in range(REPETITIONS)]
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def flops_per_step(ensemble, tile):
    """Arithmetic of one net-step, counted from the scalar program."""
    programs = schedule_programs(ensemble, trace_update(ensemble), tile)

    def count(lines):
        cost = {"fma": 2, "fnma": 2, "fms": 2} | dict.fromkeys(("add", "sub", "mul", "div", "sqrt"), 1)
        return sum(cost.get(line.op, 0) for line in lines if line.type in ("f32", "f64"))

    tiles = programs.points // programs.tile
    return tiles * count(programs.tile_lines) + count(programs.rest_lines) + count(programs.update_lines)


def main_network():
    ensemble = Ensemble(MAIN, SAWTOOTH, MOMENTUM, steps=1)
    trainer, kernel = LanesTrainer(ensemble), peak_kernel()
    flops = flops_per_step(ensemble, trainer.settings["tile"])
    print(f"main network, momentum, float32, {flops / 1e3:.1f} kFLOP a net-step, {trainer.settings}")
    print("threads  peak GFLOP/s  lanes net-steps/s  of peak  xla net-steps/s  lanes / xla")
    for threads in sorted({1, available_threads()}):
        lanes, xla = Rate(trainer, ensemble, threads), Rate(XlaTrainer(ensemble), ensemble, threads)
        peak, fast, slow = medians(lambda n=threads: fma_peak(n, kernel), lanes, xla)
        print(
            f"{threads:7} {peak / 1e9:13.0f} {fast:18.3g} {fast * flops / peak:8.1%} {slow:16.3g} {fast / slow:12.1f}"
        )


def optimizers():
    ensembles = [Ensemble(MAIN, SAWTOOTH, optimizer, steps=1) for optimizer in OPTIMIZERS.values()]
    rates = medians(*(Rate(LanesTrainer(ensemble), ensemble) for ensemble in ensembles))
    print("\noptimizer  net-steps/s  of momentum (main network, one thread)")
    for name, rate in zip(OPTIMIZERS, rates, strict=True):
        print(f"{name:9} {rate:12.3g} {rate / rates[0]:12.2f}")


def wave(points, inputs=1):
    x = np.random.default_rng(0).uniform(-1, 1, (points, inputs))
    return jl.Problem(x, np.sin(5 * x[:, 0]))


def small_networks():
    print("\nnetwork             points   lanes net-steps/s  xla net-steps/s  lanes / xla (momentum, one thread)")
    for widths, activation, points in (
        ([1, 7, 1], "sigmoid", 1000),
        ([1, 2, 1], "sigmoid", 41),
        ([10, 20, 1], "relu", 1000),
        ([1, *[10] * 10, 1], "relu", 320),
        ([1, *[15] * 15, 1], "relu", 320),
    ):
        ensemble = Ensemble(jl.mlp(widths, activation), wave(points, widths[0]), MOMENTUM, steps=1)
        trainers = LanesTrainer(ensemble), XlaTrainer(ensemble)
        lanes, xla = medians(*(Rate(trainer, ensemble) for trainer in trainers))
        name = "-".join(map(str, widths)) if len(widths) < 6 else f"{len(widths) - 2} x {widths[1]}"
        print(f"{name:10} {activation:8} {points:6} {lanes:19.3g} {xla:16.3g} {lanes / xla:12.1f}")


def growth():
    from jaxland.training import train

    print("\nseconds (main network, momentum, all threads)")
    for fits, steps in ((64, 2000), (128, 2000), (256, 2000), (64, 4000), (64, 8000)):
        ensemble = Ensemble(MAIN, SAWTOOTH, MOMENTUM, steps=steps)
        trainer = LanesTrainer(ensemble)
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            train(trainer, ensemble, 0, fits)
            seconds.append(time.perf_counter() - began)
        print(f"{fits:5} fits {steps:6} steps {statistics.median(seconds):8.3f}")


_COMPILE = """
import time, numpy as np, optax, jaxland as jl
from jaxland.training import Ensemble
from jaxland.training.lanes import LanesTrainer
ensemble = Ensemble(jl.mlp([1, 5, 5, 5, 5, 5, 1]), jl.problems.sawtooth(), optax.sgd(0.01, momentum=0.9), steps=1)
began = time.perf_counter()
LanesTrainer(ensemble)
print(time.perf_counter() - began)
"""


def compile_times():
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "JAXLAND_CACHE_DIR": directory}
        seconds = [
            float(
                subprocess.run(
                    [sys.executable, "-c", _COMPILE], env=environment, capture_output=True, check=True
                ).stdout
            )
            for _ in range(4)
        ]
    print(f"\nmain kernel: first {seconds[0]:.2f} s (traced, measured, compiled), later {min(seconds[1:]):.3f} s")


TABLES = {
    "main": main_network,
    "optimizers": optimizers,
    "small": small_networks,
    "growth": growth,
    "compile": compile_times,
}

if __name__ == "__main__":
    for table in sys.argv[1:] or TABLES:
        TABLES[table]()
