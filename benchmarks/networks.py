"""Networks from a hundred to a hundred thousand parameters: straight code, loops over units and xla, on one thread.

    taskset -c 1 python benchmarks/networks.py [part of a name ...]

Prints a Markdown table: net-steps per second of each way, timed in turn (medians), seconds until each way was ready for
the first time, from an empty cache, what `auto` chose, and what this is of the processor's multiply-add peak.
"""

import os
import sys
import tempfile
import time
from typing import Any

import numpy as np
import optax

import jaxland as jl
from jaxland.bench.cases import step_flop
from jaxland.bench.peak import fma_peak
from jaxland.bench.report import processor
from jaxland.bench.timing import Timed, medians, steady
from jaxland.training import Ensemble, choose_backend
from jaxland.training.lanes import LanesTrainer, machine
from jaxland.training.lanes.tuning import VERSION
from jaxland.training.xla import XlaTrainer

ROUNDS = 7
MOST_STRAIGHT = 1300
"""Parameters up to which straight code is compiled, which takes seconds for the largest."""
MOMENTUM = optax.sgd(0.01, momentum=0.9)


def noise(inputs: int, points: int, outputs: int = 1) -> jl.Problem:
    """Targets that have nothing to do with inputs: only time counts here."""
    rng = np.random.default_rng(0)
    return jl.Problem(rng.normal(size=(points, inputs)), rng.normal(size=(points, outputs)))


def case(widths: list[int], points: int, activation: str = "relu", optimizer: Any = MOMENTUM, **more: Any) -> Ensemble:
    """An ensemble that never ends."""
    data = noise(widths[0], points, widths[-1])
    return Ensemble(jl.mlp(widths, activation), data, optimizer, steps=10**6, **more)


CASES = {
    "1-5x5-1 (main)": case([1, *[5] * 5, 1], 320),
    "10-20-1": case([10, 20, 1], 1000),
    "1-8x4-1": case([1, *[8] * 4, 1], 320),
    "1-12x3-1": case([1, *[12] * 3, 1], 320),
    "1-12x3-1 tanh": case([1, *[12] * 3, 1], 320, "tanh"),
    "4-16-16-3": case([4, 16, 16, 3], 150),
    "1-10x10-1": case([1, *[10] * 10, 1], 320),
    "1-10x10-1 adam": case([1, *[10] * 10, 1], 320, optimizer=optax.adam(1e-3)),
    "1-10x10-1 float64": case([1, *[10] * 10, 1], 320, dtype="float64"),
    "2-32-32-1": case([2, 32, 32, 1], 960),
    "2-32-32-1 tanh": case([2, 32, 32, 1], 960, "tanh"),
    "64-32-10": case([64, 32, 10], 960),
    "1-15x15-1": case([1, *[15] * 15, 1], 320),
    "16-64-64-4": case([16, 64, 64, 4], 500),
    "784-50-500-10": case([784, 50, 500, 10], 480),
}


def lanes(ensemble: Ensemble, form: str) -> LanesTrainer:
    """The trainer of one form, its tiles measured."""
    target = machine.host()
    width = target.vector_bytes // ensemble.number_format.itemsize
    return LanesTrainer(
        ensemble, {"lanes": width, "form": form, "tile": None, "fused": target.fused, "kernel": VERSION}
    )


def measure(name: str, ensemble: Ensemble) -> str:
    """A row of the table."""
    makers: dict[str, Any] = {"loops": lambda: lanes(ensemble, "loops"), "xla": lambda: XlaTrainer(ensemble)}
    if ensemble.network.size <= MOST_STRAIGHT:
        makers["straight"] = lambda: lanes(ensemble, "straight")
    ways: dict[str, Timed] = {"peak": fma_peak(1)}
    ready: dict[str, float] = {}
    for way, make in makers.items():
        began = time.perf_counter()
        trainer = make()
        ways[way] = steady(trainer, ensemble)
        ready[way] = time.perf_counter() - began
    chosen = choose_backend(ensemble).trainer
    form = chosen.settings.get("form", chosen.name)
    rates = medians(ways, ROUNDS)
    share = rates[form] * step_flop(ensemble) / rates["peak"]
    if ensemble.dtype == "float64":
        share *= 2
    cells = [f"{rates[way]:.3g} ({ready[way]:.1f} s)" if way in rates else "" for way in ("straight", "loops", "xla")]
    tile = chosen.settings.get("tile", "")
    ratio = rates[form] / rates["xla"]
    return f"| {name} | {ensemble.network.size:,} | {' | '.join(cells)} | {form} {tile} | {share:.0%} | {ratio:.1f} |"


def main() -> None:
    """Prints the table, row by row."""
    asked = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAXLAND_CACHE_DIR"] = folder
        print(f"{processor()}, one thread, momentum and float32 where nothing else is said; medians of {ROUNDS}.\n")
        print("| network | parameters | straight (ready in) | loops | xla | auto | of the peak | against xla |")
        print("|---|---|---|---|---|---|---|---|")
        for name, ensemble in CASES.items():
            if not asked or any(part in name for part in asked):
                print(measure(name, ensemble), flush=True)


if __name__ == "__main__":
    main()
