"""Compressed steps beside those of all points: whole runs of three optimizers, and growth in points.

Usage: python benchmarks/compressed.py [FITS] [STEPS] (a few minutes by default, on a quiet machine)
"""

import sys
import time
from dataclasses import replace

import numpy as np
from scipy import stats

import jaxland as jl
from jaxland.bench.cases import MAIN, OPTIMIZERS
from jaxland.bench.report import processor
from jaxland.bench.timing import medians, steady
from jaxland.training import Ensemble, train, versions
from jaxland.training.lanes import LanesTrainer

_ROUNDS, _SECONDS = 3, 3
_POINTS, _SEGMENTS = (320, 3200, 32_000), 32


def whole_runs(fits: int, steps: int) -> None:
    """From the first step to the last, on one thread, in turn."""
    print(f"\nWhole runs of {fits} fits to step {steps:,}, one thread, float32; medians of {_ROUNDS} rounds:\n")
    print("| optimizer | all points, net-steps/s | compressed, exact-gradient net-steps/s | ratio | KS of losses |")
    print("|---|---|---|---|---|")
    for case in (MAIN, *OPTIMIZERS):
        ensemble = replace(case.ensemble, steps=steps)
        trainers = {compress: LanesTrainer(ensemble, compress=compress) for compress in (False, True)}
        seconds, losses = {False: [], True: []}, {}
        for _ in range(_ROUNDS):
            for compress, trainer in trainers.items():
                began = time.perf_counter()
                losses[compress] = train(trainer, ensemble, 0, fits, threads=1)[0].loss
                seconds[compress].append(time.perf_counter() - began)
        plain, compressed = (fits * steps / np.median(seconds[compress]) for compress in (False, True))
        distance = stats.ks_2samp(losses[False], losses[True]).statistic
        name = "momentum" if case is MAIN else case.name
        print(f"| {name} | {plain:.3g} | {compressed:.3g} | {compressed / plain:.2f} | {distance:.3f} |")


def growth() -> None:
    """In points, 4,000 steps into training or where some seconds lead; runs are taken from the first step on."""
    print("\nGrowth in points: the sawtooth's network, momentum, one thread:\n")
    print("| points | all points, net-steps/s | compressed, exact-gradient net-steps/s | ratio |")
    print("|---|---|---|---|")
    for points in _POINTS:
        problem = jl.problems.sawtooth(points_per_segment=points // _SEGMENTS)
        ensemble = Ensemble(MAIN.ensemble.network, problem, MAIN.ensemble.optimizer, steps=10**6)
        trainers = [LanesTrainer(ensemble, compress=compress) for compress in (False, True)]
        trainers[1] = LanesTrainer(ensemble, {**trainers[1].settings, "compress": 0})
        ways = {
            str(bool(compress)): steady(trainer, ensemble, trained=4000, seconds=_SECONDS)
            for compress, trainer in enumerate(trainers)
        }
        rates = medians(ways, _ROUNDS)
        plain, compressed = rates["False"], rates["True"]
        print(f"| {points:,} | {plain:.3g} | {compressed:.3g} | {compressed / plain:.1f} |")


if __name__ == "__main__":
    asked = [int(argument) for argument in sys.argv[1:]]
    print(f"{processor()}; {versions()}.")
    whole_runs(*asked, *(256, 20_000)[len(asked) :])
    growth()
