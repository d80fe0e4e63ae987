"""Time of local learning coefficients of many fits of the main network: four chains each, 3,200 gradients a chain.

    python benchmarks/valleys.py [FITS] [STEPS]

Beside what users write: one chain of one fit at a time with a compiled gradient of JAX, of which 2,000 evaluations are
timed and the time of as many as the chains take is told from. The fits are trained STEPS steps by momentum.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxland as jl
from jaxland import landscape
from jaxland.bench.report import processor

TEMPERATURE, LOCALISATION, CHAINS, LEAPFROGS, BURN_IN, STEPS = 320 / np.log(320), 100.0, 4, 8, 100, 300
TIMED = 2_000


def plain_gradient(problem: jl.Problem, network: jl.Network, point: np.ndarray) -> float:
    """Seconds of one gradient in float64, called from Python one after another."""
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        evaluate = jax.jit(jax.value_and_grad(problem.objective(network)))
        vector = jnp.asarray(point)
        jax.block_until_ready(evaluate(vector))
        began = time.perf_counter()
        for _ in range(TIMED):
            vector = vector - 1e-9 * evaluate(vector)[1]
        jax.block_until_ready(vector)
        return (time.perf_counter() - began) / TIMED


def main() -> None:
    """Trains, measures and prints."""
    given = [int(each) for each in sys.argv[1:]]
    count, steps = (*given, *(256, 5_000)[len(given) :])
    network, problem = jl.mlp([1, 5, 5, 5, 5, 5, 1], "relu"), jl.problems.sawtooth()
    fits = jl.fit(network, problem, optax.sgd(0.01, momentum=0.9), fits=count, steps=steps)
    points = jl.symmetrise(network, fits.params.astype(np.float64)).params
    evaluate = jl.training.gradients(network, problem)
    evaluate(points[:1])
    began = time.perf_counter()
    metric = TEMPERATURE * landscape.gauss_newton(network, problem).matrices(points)
    metric += LOCALISATION * np.eye(network.size)
    settings = {"chains": CHAINS, "leapfrogs": LEAPFROGS, "burn_in": BURN_IN, "steps": STEPS}
    found = landscape.local_learning_coefficients(
        evaluate, points, TEMPERATURE, localisation=LOCALISATION, metric=metric, **settings
    )
    seconds = time.perf_counter() - began
    gradients = count * CHAINS * LEAPFROGS * (BURN_IN + STEPS)
    plain = plain_gradient(problem, network, points[0]) * gradients
    print(f"{processor()}; {jl.training.versions()}; {count:,} fits of {steps:,} steps, float64")
    print(f"{seconds:.1f} s, {1000 * seconds / count:.0f} s a thousand fits; {plain / seconds:.1f} times a plain loop")
    low, middle, high = np.quantile(found.value, [0.1, 0.5, 0.9])
    print(f"coefficients {low:.3g}, {middle:.3g}, {high:.3g} (10, 50 and 90 %) of at most {network.size / 2:.0f}")
    print(f"r-hat below 1.1 for {np.mean(found.r_hat < 1.1):.1%}; standard error {np.median(found.standard_error):.2g}")


if __name__ == "__main__":
    main()
