"""Time of the basin of the global minimum: 2 x 4,096 jittered copies of W_f, each retrained for 20,000 steps.

    python benchmarks/basin.py [JITTERS]

Half of them with momentum, half with adadelta, as figure 12 of Gamst and Walker has it. Beside a plain loop that
retrains one copy after another, the whole training compiled as one `jax.lax.scan`; some copies are measured.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxland as jl
from jaxland.bench.report import processor
from jaxland.landscape import jitter, returned

STEPS = 20_000
LOOPED = 2
PROBLEM = jl.problems.sawtooth()
NETWORK = PROBLEM.network
OPTIMIZERS = {
    "momentum": optax.sgd(0.01, momentum=0.9),
    "adadelta": optax.adadelta(1.0, rho=0.95, eps=1e-8),
}


def plain_loop(optimizer: optax.GradientTransformation, starts: np.ndarray) -> float:
    """Net-steps per second."""
    objective = PROBLEM.objective(NETWORK)

    @jax.jit
    def train(params):
        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(jax.grad(objective)(params), state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, optimizer.init(params)), length=STEPS)[0][0]

    starts = jnp.asarray(starts, jnp.float32)
    train(starts[0]).block_until_ready()
    began = time.perf_counter()
    for start in starts:
        train(start).block_until_ready()
    return len(starts) * STEPS / (time.perf_counter() - began)


def main() -> None:
    """Retrains, measures and prints a table in Markdown."""
    jitters = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
    minimum = jl.symmetrise(NETWORK, PROBLEM.minimum[None], x=PROBLEM.x).params[0]
    start = jitter(minimum, jitters, 2.0, seed=0)
    print(f"{processor()}; {jl.training.versions()}; float32; {jitters:,} jitters, {STEPS:,} steps\n")
    print("| optimizer | return | seconds | net-steps/s | plain loop, net-steps/s | ratio |\n|---|---|---|---|---|---|")
    total = 0.0
    for name, optimizer in OPTIMIZERS.items():
        loop = plain_loop(optimizer, start.params[:LOOPED])
        began = time.perf_counter()
        fits = jl.fit(NETWORK, PROBLEM, optimizer, fits=jitters, steps=STEPS, start=start.params)
        seconds = time.perf_counter() - began
        total += seconds
        rate = jitters * STEPS / seconds
        back = int(returned(fits.loss).sum())
        print(f"| {name} | {back:,} | {seconds:.0f} | {rate:.3g} | {loop:.3g} | {rate / loop:.0f} |")
    print(f"\nBoth: {total:.0f} s, kernels compiled or taken from the cache included.")


if __name__ == "__main__":
    main()
