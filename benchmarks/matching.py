"""How much sorted units overstate distances between networks, and the time of matching them.

    python benchmarks/matching.py [STEPS] [PAIRS] [CSV]

512 fits of the sawtooth study's network under either of its optimizers (20,000 steps and 10,000 pairs by default) are
symmetrised. Distances of pairs, and distances to the global minimum, are then taken with units sorted, as in figures 6
and 7 of Gamst and Walker, and modulo symmetry. Other networks are drawn at random.
Intervals of 95 % come from 200 resamplings of the fits, pairs with them.
"""

import sys
import time

import numpy as np
import optax
import pandas as pd

import jaxland as jl
from jaxland import landscape
from jaxland.bench.report import processor

FITS, LINES = 512, 500
PROBLEM = jl.problems.sawtooth()
NETWORK = PROBLEM.network
OPTIMIZERS = {
    "momentum": optax.sgd(0.01, momentum=0.9),
    "adadelta": optax.adadelta(1.0, rho=0.95, eps=1e-8),
}
DRAWN = {
    "2-10-3 relu": (jl.mlp([2, 10, 3], "relu"), 1_000),
    "2-6-6-1 relu": (jl.mlp([2, 6, 6, 1], "relu"), 1_000),
    "2-32-32-1 tanh": (jl.mlp([2, 32, 32, 1], "tanh"), 200),
    "784-64-64-10 relu": (jl.mlp([784, 64, 64, 10], "relu"), 10),
}


def interval(statistic, pairs: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    """A statistic of values of pairs of fits, with the interval that resampling the fits gives."""
    random, found = np.random.default_rng(0), []
    for _ in range(200):
        # Each pair as often as both its fits are drawn, a fit beside itself as often as it is.
        times = np.bincount(random.integers(FITS, size=FITS), minlength=FITS)
        weights = np.where(pairs[:, 0] == pairs[:, 1], times[pairs[:, 0]], times[pairs].prod(axis=1))
        found.append(statistic(np.repeat(values, weights)))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(statistic(values)), float(low), float(high)


def distances(fits: jl.training.Fits, pairs: np.ndarray) -> pd.DataFrame:
    """What becomes of the distances of figures 6 and 7; prints how long that took."""
    canonical = jl.symmetrise(NETWORK, fits.params, x=PROBLEM.x)
    alive = np.flatnonzero(canonical.converged)
    pairs = pairs[np.isin(pairs, alive).all(axis=1)]
    began = time.process_time(), time.perf_counter()
    matched = landscape.orbit_distances(NETWORK, canonical.params, pairs)
    spent = time.process_time() - began[0], time.perf_counter() - began[1]
    assert np.array_equal(matched.distance, matched.at_least)
    quick = landscape.orbit_distances(NETWORK, canonical.params, pairs, exact=False)
    near = quick.distance <= matched.distance * (1 + 1e-9)
    farther, bound = np.median(quick.distance / matched.distance) - 1, np.median(quick.at_least / matched.distance)
    print(
        f"{len(pairs):,} pairs in {spent[1]:.1f} s, {spent[0]:.1f} s of processors. Weight matching finds the ", end=""
    )
    print(f"nearest exchange of {near.mean():.0%} of them, and is {farther:.1%} farther in the median; ", end="")
    print(f"its lower bound is {bound:.2f} of the distance.\n")

    minimum = jl.symmetrise(NETWORK, PROBLEM.minimum[None], x=PROBLEM.x).params[0]
    some = canonical.params[alive]
    cases = {
        "pairs": (pairs, landscape.pair_distances(canonical.params, pairs), matched.distance, (6, 8)),
        "to the global minimum": (
            np.stack([alive, alive], axis=1),
            landscape.distances_to(some, minimum),
            landscape.match(NETWORK, some, minimum).distance,
            (9.5, 10.5),
        ),
    }
    rows = []
    for name, (which, ordered, nearest, (low, high)) in cases.items():
        rows.append((name, "median, sorted over modulo symmetry", *interval(np.median, which, ordered / nearest)))
        for way, values in {"sorted": ordered, "modulo symmetry": nearest}.items():
            within = ((low < values) & (values < high)).astype(float)
            rows.append((name, f"median, {way}", *interval(np.median, which, values)))
            rows.append((name, f"share in {low} to {high}, {way}", *interval(np.mean, which, within)))
            rows.append((name, f"smallest, {way}", float(values.min()), np.nan, np.nan))
    return pd.DataFrame(rows, columns=["distances", "statistic", "value", "low", "high"])


def barriers(params: np.ndarray) -> None:
    """Prints barriers on straight lines, of loss as they were trained, sorted and matched."""
    evaluate = jl.training.gradients(NETWORK, PROBLEM)
    canonical = jl.symmetrise(NETWORK, params, x=PROBLEM.x)
    params, ordered = params[canonical.converged], canonical.params[canonical.converged]
    first, second = landscape.random_pairs(len(params), LINES, seed=1).T
    matched = landscape.match(NETWORK, ordered[second], ordered[first])
    ends = {
        "as trained": (params[first], params[second]),
        "sorted": (ordered[first], ordered[second]),
        "matched": (matched.reference, matched.params),
    }
    print("\n| straight lines | median barrier | quartiles |\n|---|---|---|")
    for name, (one, other) in ends.items():
        heights = landscape.linear_barriers(evaluate, one, other)
        low, middle, high = np.quantile(heights, [0.25, 0.5, 0.75])
        print(f"| {name} | {middle:.3g} | {low:.3g} to {high:.3g} |")
    merged = landscape.merge(NETWORK, ordered[:16]).params
    print(f"\nLoss of 16 fits, median {np.median(evaluate(ordered[:16].astype(float))[0]):.3g}; ", end="")
    print(f"of their mean, sorted {evaluate(ordered[:16].astype(float).mean(axis=0)[None])[0][0]:.3g}, ", end="")
    print(f"merged {evaluate(merged.astype(float)[None])[0][0]:.3g}.")


def drawn() -> None:
    """Prints the same of networks whose parameters are drawn at random, as far as it is bounded."""
    print("\n| network, drawn | pairs | sorted / matched | lower bound / matched | milliseconds a pair |")
    print("|---|---|---|---|---|")
    for name, (network, count) in DRAWN.items():
        params = jl.symmetrise(network, jl.training.starting_points(network, 2 * count).astype(np.float64)).params
        pairs = np.arange(2 * count).reshape(-1, 2)
        began = time.process_time()
        found = landscape.orbit_distances(network, params, pairs)
        spent = time.process_time() - began
        ratio = np.median(landscape.pair_distances(params, pairs) / found.distance)
        bound = np.median(found.at_least / found.distance)
        print(f"| {name} | {count:,} | {ratio:.3f} | {bound:.2f} | {1e3 * spent / count:.2f} |")


def main() -> None:
    """Trains, measures and prints tables in Markdown."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    pairs = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    print(f"{processor()}; {jl.training.versions()}; {FITS} fits each, {steps:,} steps, float32")
    tables = {}
    for name, optimizer in OPTIMIZERS.items():
        fits = jl.fit(NETWORK, PROBLEM, optimizer, fits=FITS, steps=steps, seed=0)
        print(f"\n{name}\n")
        tables[name] = distances(fits, landscape.random_pairs(FITS, pairs))
        print(tables[name].to_string(index=False, float_format="{:.4g}".format))
        if name == "momentum":
            barriers(fits.params)
    drawn()
    if len(sys.argv) > 3:
        pd.concat(tables, names=["optimizer"]).droplevel(1).to_csv(sys.argv[3], float_format="%.5g")


if __name__ == "__main__":
    main()
