"""Exact knots of 320,000 fits: rate and peak memory, beside a plain loop over the fits.

    python benchmarks/knots.py [FITS]

The fits are trained ones: 2,048 fits of the sawtooth study's network, 2,000 steps of momentum, each repeated with its
entries off by one in a thousand at random; nothing else makes that many fits in minutes. They come in shards, as from
a store, and are taken into counts, positions and the moments of their functions. The loop does the same job for one
network at a time, some hundred of them.
"""

import resource
import sys
import time

import numpy as np
import optax

import jaxland as jl
from jaxland.bench.report import processor
from jaxland.landscape import function_moments, piecewise_linear
from jaxland.statistics import Histogram

SHARD = 8192
LOOPED = 300
PROBLEM = jl.problems.sawtooth()
NETWORK = PROBLEM.network


def trained() -> np.ndarray:
    """Parameters of 2,048 fits."""
    optimizer = optax.sgd(0.01, momentum=0.9)
    return jl.fit(NETWORK, PROBLEM, optimizer, fits=2048, steps=2000, seed=0).params


def shards(params: np.ndarray, fits: int):
    """Yields `fits` perturbed copies of the trained fits, a shard at a time."""
    rng = np.random.default_rng(0)
    for start in range(0, fits, SHARD):
        chosen = params[np.arange(start, min(start + SHARD, fits)) % len(params)]
        yield chosen * (1 + 1e-3 * rng.standard_normal(chosen.shape)).astype(np.float32)


def loop_over_fits(params: np.ndarray) -> list[np.ndarray]:
    """Knots of one network after the other: the zeros of every unit on every piece, then the bends of the output."""
    return [_knots_of(vector.astype(np.float64)) for vector in params]


def _knots_of(vector):
    knots, start = np.array([-1.0, 1.0]), 0
    values = knots[:, None]
    for layer, (inputs, width) in enumerate(zip(NETWORK.spec.widths, NETWORK.spec.widths[1:], strict=False)):
        weight = vector[start : start + inputs * width].reshape(width, inputs)
        bias = vector[start + inputs * width : start + (inputs + 1) * width]
        start += (inputs + 1) * width
        sums = values @ weight.T + bias
        if layer < len(NETWORK.spec.widths) - 2:
            zeros = list(knots)
            for unit in range(width):
                z = sums[:, unit]
                for gap in np.flatnonzero(z[:-1] * z[1:] < 0):
                    zeros.append(knots[gap] + z[gap] / (z[gap] - z[gap + 1]) * (knots[gap + 1] - knots[gap]))
            merged = np.unique(zeros)
            sums = np.stack([np.interp(merged, knots, z) for z in sums.T], axis=1)
            knots, values = merged, np.maximum(sums, 0)
    slopes = np.diff(sums[:, 0]) / np.diff(knots)
    bends = np.abs(np.diff(slopes)) > 1e-9 * np.abs(slopes).max()
    return np.concatenate([[-1.0], knots[1:-1][bends], [1.0]])


def _peak_gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Trains, measures and prints a table in Markdown."""
    fits = int(sys.argv[1]) if len(sys.argv) > 1 else 320_000
    params = trained()
    piecewise_linear(NETWORK, params[:1])  # proves the network once
    before, spent, merging = _peak_gigabytes(), 0.0, 0.0
    counts, positions, moments = Histogram.spanning(-0.5, 199.5, 200), Histogram.spanning(-1, 1, 400), None
    for shard in shards(params, fits):
        began = time.perf_counter()
        functions = piecewise_linear(NETWORK, shard)
        spent += time.perf_counter() - began
        began = time.perf_counter()
        counts = counts.add(np.where(functions.counts < 0, np.nan, functions.interior_counts))
        positions = positions.add(functions.interior_knots)
        part = function_moments(functions)
        moments = part if moments is None else moments.merge(part)
        merging += time.perf_counter() - began
    peak = _peak_gigabytes()
    began = time.perf_counter()
    looped = loop_over_fits(params[:LOOPED])
    rate = LOOPED / (time.perf_counter() - began)
    agree = np.mean([len(knots) for knots in looped] == piecewise_linear(NETWORK, params[:LOOPED]).counts)

    print(f"{processor()}; {jl.training.versions()}\n")
    print(f"{NETWORK.spec.name}, {fits:,} fits in shards of {SHARD:,}, {positions.total:,} interior knots\n")
    print("| way | fits/s | seconds for all | ratio |\n|---|---|---|---|")
    print(f"| loop over fits ({LOOPED} measured) | {rate:,.0f} | {fits / rate:,.0f} (extrapolated) | 1 |")
    print(f"| `piecewise_linear` | {fits / spent:,.0f} | {spent:.1f} | {fits / spent / rate:.0f} |")
    print(f"\nCounts, positions and merged moments took {merging:.1f} s more.")
    print(f"The loop finds as many knots in {agree:.1%} of its fits.")
    print(f"Peak memory {peak:.2f} GB, {before:.2f} GB of it before, after training.")
    assert moments is not None
    print(f"Root of the integrated variance of the fits: {np.sqrt(moments.integrated_variance):.3f}.")


if __name__ == "__main__":
    main()
