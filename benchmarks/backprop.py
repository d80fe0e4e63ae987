"""Time of the basins of attraction: 100,000 trajectories of 30,000 epochs in two weights of a 1-2-1 network.

    python benchmarks/backprop.py [TRAJECTORIES [EPOCHS]]

In float32 and float64, at rate 40. Beside a plain loop that follows one trajectory after another, each compiled whole
as one `jax.lax.scan`; some trajectories are measured.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxland as jl
from jaxland.bench.report import processor
from jaxland.replications.backprop.model import WEIGHTS, plane, problem
from jaxland.replications.backprop.settling import ends
from jaxland.training import numerics

RATE = 40.0
LOOPED = 4


def plain_loop(starts: np.ndarray, epochs: int) -> float:
    """Epochs per second."""
    slope = jax.grad(problem().objective(plane(WEIGHTS)))

    @jax.jit
    def train(point):
        return jax.lax.scan(lambda point, _: (point - RATE * slope(point), None), point, length=epochs)[0]

    with numerics(starts.dtype):
        train(jnp.asarray(starts[0])).block_until_ready()
        began = time.perf_counter()
        for start in starts:
            train(jnp.asarray(start)).block_until_ready()
        return len(starts) * epochs / (time.perf_counter() - began)


def main() -> None:
    """Descends, measures and prints a table in Markdown."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 30_000
    starts = np.random.default_rng(0).uniform([-5, -5], [15, 45], (count, 2))
    print(f"{processor()}; {jl.training.versions()}; {count:,} trajectories, {epochs:,} epochs, rate {RATE:g}\n")
    print("| format | at the global minimum | at the other | seconds | epochs/s | plain loop, epochs/s | ratio |")
    print("|---|---|---|---|---|---|---|")
    for dtype in ("float32", "float64"):
        loop = plain_loop(starts[:LOOPED].astype(dtype), epochs)
        began = time.perf_counter()
        fits = jl.fit(plane(WEIGHTS), problem(), optax.sgd(RATE), fits=count, steps=epochs, start=starts, dtype=dtype)
        seconds = time.perf_counter() - began
        where = ends(fits.params.astype(np.float64), fits.loss.astype(np.float64), "mean_squared_error")
        shares = np.bincount(where, minlength=3) / count
        rate = count * epochs / seconds
        speed = f"{seconds:.0f} | {rate:.3g} | {loop:.3g} | {rate / loop:.0f}"
        print(f"| {dtype} | {shares[0]:.1%} | {shares[1]:.1%} | {speed} |")


if __name__ == "__main__":
    main()
