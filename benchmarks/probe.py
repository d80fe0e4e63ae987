"""What the probe adds to the first call of a program, and what a second call takes.

    python benchmarks/probe.py

A call makes the trainer: it traces, compiles, measures tiles and probes. First calls are timed with an empty cache, in
turn with the probe and without it; a second call is one of the same process with a full cache. Medians of 5 rounds.
"""

import os
import tempfile
import time
from contextlib import suppress
from statistics import median
from unittest import mock

import jaxland as jl
from jaxland.bench.cases import MAIN, NETWORKS, OPTIMIZERS, Case
from jaxland.bench.report import processor
from jaxland.training import Unlowerable, plain
from jaxland.training.lanes import LARGEST_PROGRAM, LanesTrainer, trainer, tuning

ROUNDS = 5


def seconds(case: Case) -> float:
    """Of one call."""
    began = time.perf_counter()
    with suppress(Unlowerable):  # where xla is faster
        LanesTrainer(case.ensemble, largest=LARGEST_PROGRAM)
    return time.perf_counter() - began


def first(case: Case, probed: bool) -> float:
    """Of a call with an empty cache, with all that jaxland itself remembers forgotten."""
    plain._EXACT.clear()
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, JAXLAND_CACHE_DIR=folder):
        if probed:
            return seconds(case)
        with mock.patch.object(trainer, "require_agreement"), mock.patch.object(tuning, "exact_program"):
            return seconds(case)


def main() -> None:
    """Prints the table in Markdown."""
    print(f"{processor()}; {jl.training.versions()}\n")
    print("| network | first call without the probe, s | with it | added | second call |\n|---|---|---|---|---|")
    for case in [MAIN, *OPTIMIZERS, *NETWORKS]:
        first(case, True)
        pairs = [(first(case, False), first(case, True)) for _ in range(ROUNDS)]
        seconds(case)
        without, probed = (median(times) for times in zip(*pairs, strict=True))
        again = median(seconds(case) for _ in range(ROUNDS))
        print(f"| {case.name} | {without:.2f} | {probed:.2f} | {probed - without:.2f} | {again:.3f} |", flush=True)


if __name__ == "__main__":
    main()
