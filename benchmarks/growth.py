"""How the time of training grows with fits, steps, points and threads, and memory with fits.

    python benchmarks/growth.py

Main network of the sawtooth study, momentum, float32, the backend that `auto` chooses. Times are medians of five;
for what grows in proportion, the time for one unit of work is constant down a column.
"""

import statistics
import subprocess
import sys
import time

import numpy as np

import jaxland as jl
from jaxland.bench.peers import NETWORK, OPTIMIZER, PROBLEM
from jaxland.bench.report import processor
from jaxland.training import Ensemble, available_threads, choose_backend, train

_MEMORY = """
import resource, sys, optax, jaxland as jl
from jaxland.bench.peers import NETWORK, OPTIMIZER, PROBLEM
from jaxland.training import Ensemble, choose_backend, train
ensemble = Ensemble(NETWORK, PROBLEM, OPTIMIZER, steps=20)
trainer = choose_backend(ensemble).trainer
for start in range(0, int(sys.argv[1]), 1024):
    train(trainer, ensemble, start, 1024)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


def seconds(fits: int, steps: int, problem: jl.Problem = PROBLEM, threads: int | None = None) -> float:
    """Median time of training, the preparation of the backend left out."""
    ensemble = Ensemble(NETWORK, problem, OPTIMIZER, steps=steps)
    trainer = choose_backend(ensemble).trainer
    readings = []
    for _ in range(5):
        began = time.perf_counter()
        train(trainer, ensemble, 0, fits, threads=threads)
        readings.append(time.perf_counter() - began)
    return statistics.median(readings)


def _line(x: int) -> jl.Problem:
    points = np.linspace(-1, 1, x)
    return jl.Problem(points, np.sin(5 * points))


def main() -> None:
    """Prints the tables in Markdown."""
    print(f"{processor()}; {jl.training.versions()}")
    print("\n| fits | seconds | microseconds a net-step |\n|---|---|---|")
    for fits in (64, 128, 256, 512):
        spent = seconds(fits, 2000)
        print(f"| {fits} | {spent:.3f} | {1e6 * spent / (fits * 2000):.3f} |")
    print("\n| steps | seconds | microseconds a net-step |\n|---|---|---|")
    for steps in (1000, 2000, 4000, 8000):
        spent = seconds(64, steps)
        print(f"| {steps} | {spent:.3f} | {1e6 * spent / (64 * steps):.3f} |")
    print("\n| points | seconds | nanoseconds a point and net-step |\n|---|---|---|")
    for points in (80, 160, 320, 640, 1280):
        spent = seconds(64, 2000, _line(points))
        print(f"| {points} | {spent:.3f} | {1e9 * spent / (64 * 2000 * points):.3f} |")
    print("\n| threads | seconds | speed against one |\n|---|---|---|")
    one = seconds(256, 2000, threads=1)
    for threads in range(1, available_threads() + 1):
        spent = one if threads == 1 else seconds(256, 2000, threads=threads)
        print(f"| {threads} | {spent:.3f} | {one / spent:.2f} |")
    print("\n| fits, in shards of 1,024 | peak memory of the process, MB |\n|---|---|")
    for fits in (1024, 8192, 32768):
        command = [sys.executable, "-c", _MEMORY, str(fits)]
        print(f"| {fits} | {float(subprocess.run(command, capture_output=True, check=True).stdout):.0f} |")


if __name__ == "__main__":
    main()
