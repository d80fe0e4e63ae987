"""Time of minimum-energy paths: 100 bands of 50 images from the global minimum of the sawtooth to trained fits.

    python benchmarks/bands.py [BANDS]

The fits are 20,000 steps of momentum. Bands are relaxed with the settings of the study at the paper's scale until each
converges, stalls or has taken 20,000 steps. Beside a plain loop that relaxes one band after another by the textbook:
XLA's value and gradient of all its images, improved tangents, springs and a damped step in NumPy. It is measured for
some hundred steps of one band.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxland as jl
from jaxland.bench.report import processor
from jaxland.landscape import NebSettings, relax, straight_bands
from jaxland.training import available_threads, gradients

IMAGES = 50
SETTINGS = NebSettings(steps=20_000, climb_after=2_000)
LOOPED = 300
PROBLEM = jl.problems.sawtooth()
NETWORK = PROBLEM.network


def straight(bands: int) -> np.ndarray:
    """Bands from W_f to symmetrised fits, (bands, IMAGES, P)."""
    optimizer = optax.sgd(0.01, momentum=0.9)
    params = jl.fit(NETWORK, PROBLEM, optimizer, fits=bands, steps=20_000, seed=0).params
    ends = jl.symmetrise(NETWORK, params.astype(np.float64), x=PROBLEM.x).params
    minimum = jl.symmetrise(NETWORK, PROBLEM.minimum[None], x=PROBLEM.x).params
    return straight_bands(np.repeat(minimum, bands, axis=0), ends, IMAGES)


def plain_loop(band: np.ndarray, steps: int) -> float:
    """Steps per second of one band."""
    objective = PROBLEM.objective(NETWORK)
    with jax.enable_x64(True):
        evaluate = jax.jit(jax.vmap(jax.value_and_grad(objective)))
        evaluate(jnp.asarray(band))
        images, velocity = band.copy(), np.zeros_like(band)
        began = time.perf_counter()
        for _ in range(steps):
            energies, slopes = map(np.asarray, evaluate(jnp.asarray(images)))
            velocity = 0.9 * velocity
            velocity[1:-1] += 1e-4 * _force(images, energies, slopes)
            images += velocity
    return steps / (time.perf_counter() - began)


def _force(images, energies, slopes, spring=0.1):
    before, after = np.diff(images, axis=0)[:-1], np.diff(images, axis=0)[1:]
    uphill = (energies[2:] > energies[:-2])[:, None]
    along = np.where(uphill, after, before)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    pull = spring * (np.linalg.norm(after, axis=1) - np.linalg.norm(before, axis=1))[:, None] * along
    return pull - slopes[1:-1] + (slopes[1:-1] * along).sum(axis=1, keepdims=True) * along


def main() -> None:
    """Relaxes, measures and prints a table in Markdown."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    bands = straight(count)
    evaluate = gradients(NETWORK, PROBLEM)
    evaluate(bands[0])  # compiles
    before = plain_loop(bands[0], LOOPED)
    began = time.perf_counter()
    result = relax(evaluate, bands, SETTINGS, threads=available_threads())
    seconds = time.perf_counter() - began
    loop = (before + plain_loop(bands[0], LOOPED)) / 2
    rate = result.steps.sum() / seconds
    reasons = ", ".join(
        f"{number} {reason}" for reason, number in zip(*np.unique(result.reason, return_counts=True), strict=True)
    )
    print(f"{processor()}; {jl.training.versions()}; float64\n")
    print(
        f"{count} bands of {IMAGES} images, {NETWORK.spec.name}, 320 points: {reasons}; {result.steps.sum():,} steps\n"
    )
    print("| way | band-steps/s | seconds for all | ratio |\n|---|---|---|---|")
    total = result.steps.sum() / loop
    print(f"| plain loop ({LOOPED} steps of one band) | {loop:,.0f} | {total:,.0f} (extrapolated) | 1 |")
    print(f"| `relax` | {rate:,.0f} | {seconds:.0f} | {rate / loop:.1f} |")
    print(f"\nMedian residual {np.median(result.residual):.1e}; median step count {np.median(result.steps):,.0f}.")


if __name__ == "__main__":
    main()
