"""Time of placebo fits: the 10-20-1 ReLU network on permuted labels of 1000 points, adam, 1000 epochs.

    python benchmarks/placebo.py [FITS] [EPOCHS]

Beside two loops over fits: one whose whole training is compiled as one `jax.lax.scan`, and, where PyTorch is installed,
the program of the study's source, which takes a step at a time (on one thread, where so small a network is fastest).
Of the loops a few fits are measured, without compilation.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import jaxland as jl
from jaxland.bench.report import processor
from jaxland.replications import PlaceboConfig

LOOPED = 4
CONFIG = PlaceboConfig()


def placebo_fits(fits: int, steps: int) -> tuple[float, np.ndarray]:
    """Seconds for a placebo test with this many fits, and the training losses of the real fit and of the placebos."""
    began = time.perf_counter()
    result = jl.placebo_test(
        CONFIG.network, CONFIG.problem(), CONFIG.optimizer, steps=steps, permutations=fits - 1, seed=CONFIG.seed
    )
    return time.perf_counter() - began, result.measures.training_loss[:, 0]


def compiled_loop(steps: int) -> tuple[float, np.ndarray]:
    """Seconds a fit, and the losses, of a loop over fits whose training is compiled whole."""
    design = jl.placebo.Design(CONFIG.network, (CONFIG.problem(),), (), CONFIG.optimizer, steps, LOOPED - 1)
    x, optimizer = jnp.asarray(design.problems[0].x, jnp.float32), CONFIG.optimizer

    def loss(params, y):
        return jnp.mean((CONFIG.network.apply(CONFIG.network.unflatten(params), x) - y) ** 2)

    @jax.jit
    def train(params, y):
        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss)(params, y), state, params)
            return (params + updates, state), None

        return loss(jax.lax.scan(step, (params, optimizer.init(params)), length=steps)[0][0], y)

    start = jnp.asarray(design.initial[0])
    labels = [jnp.asarray(design.labelling(0, number), jnp.float32) for number in range(LOOPED)]
    train(start, labels[0]).block_until_ready()
    began = time.perf_counter()
    found = [float(train(start, y)) for y in labels]
    return (time.perf_counter() - began) / LOOPED, np.array(found)


def torch_loop(steps: int) -> float:
    """Seconds a fit of the source's own program, without its pictures."""
    import torch

    torch.set_num_threads(1)
    x, y = torch.randn(CONFIG.points, CONFIG.inputs), torch.randn(CONFIG.points, 1)

    def train(epochs):
        model = torch.nn.Sequential(
            torch.nn.Linear(CONFIG.inputs, CONFIG.hidden), torch.nn.ReLU(), torch.nn.Linear(CONFIG.hidden, 1)
        )
        criterion, optimizer = torch.nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=CONFIG.learning_rate)
        for _ in range(epochs):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()

    train(20)
    began = time.perf_counter()
    for _ in range(LOOPED):
        train(steps)
    return (time.perf_counter() - began) / LOOPED


def main() -> None:
    """Checks that the ways agree, measures them and prints a table in Markdown."""
    fits = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else CONFIG.steps
    # Training is chaotic: the ways agree step by step at first, and later only in distribution.
    np.testing.assert_allclose(placebo_fits(LOOPED, 20)[1], compiled_loop(20)[1], rtol=1e-4)
    seconds, losses = placebo_fits(fits, steps)
    ways = {"`placebo_test`": seconds / fits, "a loop over fits, each compiled whole": compiled_loop(steps)[0]}
    try:
        ways["the source's program (PyTorch)"] = torch_loop(steps)
    except ImportError:
        print("PyTorch is not installed; its row is left out.\n")
    print(f"{processor()}; {jl.training.versions()}; {fits:,} fits of {steps:,} epochs, float32")
    print("\n| way | seconds for all | milliseconds a fit | times `placebo_test` |\n|---|---|---|---|")
    for name, each in ways.items():
        print(f"| {name} | {each * fits:,.1f} | {1e3 * each:.2f} | {each * fits / seconds:.1f} |")
    print(f"\nTraining losses of the placebos: median {np.median(losses):.3f}, lowest {losses.min():.3f}.")


if __name__ == "__main__":
    main()
