"""Five ways to train the main network of the sawtooth study, in one run on one machine.

    python benchmarks/compare.py

The network is 1-5-5-5-5-5-1 ReLU with 320 points, float32, gradient descent with momentum. Each way is compiled and
warmed up, then all are timed in turn, round after round, so that a change of the machine's speed touches all alike;
medians are printed. Net-steps are optimizer steps of one network. PyTorch is left out where it is not installed
(`pip install 'jaxland[compare]'`).
"""

import platform
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxland as jl
from jaxland.training import Ensemble, available_threads, choose_backend, draw_parameters

NETWORK = jl.mlp([1, 5, 5, 5, 5, 5, 1])
PROBLEM = jl.problems.sawtooth()
OPTIMIZER = optax.sgd(0.01, momentum=0.9)
# Multiply-adds of one net-step, from the widths: forward 110, weight gradient 110, back-propagated 105 a point, and
# per point 25 biases and ReLUs forward and backward, with the loss and the update on top.
FLOP = 224e3

Timed = Callable[[], float]
"""Does some work on every core and returns net-steps per second."""


def on_all_cores(work: Callable[[], int]) -> Timed:
    """Runs `work`, which returns its net-steps, on one thread a core."""

    def timed():
        counts: list[int] = []
        threads = [threading.Thread(target=lambda: counts.append(work())) for _ in range(available_threads())]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / (time.perf_counter() - began)

    return timed


def loop_over_seeds(steps: int = 300) -> Timed:
    """One network at a time, one jit-compiled step a call: what a first script does."""
    x, y = jnp.asarray(PROBLEM.x, jnp.float32), jnp.asarray(PROBLEM.y, jnp.float32)

    @jax.jit
    def step(params, state):
        gradient = jax.grad(lambda p: jnp.mean((NETWORK.apply(p, x) - y) ** 2))(params)
        updates, state = OPTIMIZER.update(gradient, state)
        return optax.apply_updates(params, updates), state

    start = NETWORK.init(jax.random.key(0))
    step(start, OPTIMIZER.init(start))

    def work():
        params, state = start, OPTIMIZER.init(start)
        for _ in range(steps):
            params, state = step(params, state)
        jax.block_until_ready(params)
        return steps

    return on_all_cores(work)


def obvious_vmap(width: int = 64, steps: int = 200) -> Timed:
    """vmap over seeds of the textbook network, points on rows: h @ w."""
    x, y = jnp.asarray(PROBLEM.x, jnp.float32), jnp.asarray(PROBLEM.y, jnp.float32)

    def apply(params):
        h = x
        for index, layer in enumerate(params):
            h = h @ layer.weight.T + layer.bias
            h = jax.nn.relu(h) if index < len(params) - 1 else h
        return h

    def step(carry, _):
        params, state = carry
        gradient = jax.grad(lambda p: jnp.mean((apply(p) - y) ** 2))(params)
        updates, state = OPTIMIZER.update(gradient, state)
        return (optax.apply_updates(params, updates), state), None

    params = jax.vmap(NETWORK.init)(jax.random.split(jax.random.key(0), width))
    program = jax.jit(jax.vmap(lambda p: jax.lax.scan(step, (p, OPTIMIZER.init(p)), None, length=steps)[0]))
    jax.block_until_ready(program(params))

    def work():
        jax.block_until_ready(program(params))
        return width * steps

    return on_all_cores(work)


def jaxland_backend(name: str, steps: int = 500) -> Timed:
    """A backend of jaxland, with everything it keeps account of."""
    ensemble = Ensemble(NETWORK, PROBLEM, OPTIMIZER, steps=10**6)
    trainer = choose_backend(ensemble, name).trainer
    members = ensemble.members(np.arange(trainer.width))
    trainer.advance(trainer.begin(members), 8)

    def work():
        trainer.advance(trainer.begin(members), steps)
        return trainer.width * steps

    return on_all_cores(work)


def torch_func(width: int = 64, steps: int = 10) -> Timed:
    """PyTorch: torch.func.vmap of grad, points on rows; threads are PyTorch's own."""
    import torch

    x, y = torch.tensor(PROBLEM.x, dtype=torch.float32), torch.tensor(PROBLEM.y, dtype=torch.float32)

    def loss(weights):
        h = x
        for index, (weight, bias) in enumerate(weights):
            h = h @ weight.T + bias
            h = torch.relu(h) if index < len(weights) - 1 else h
        return ((h - y) ** 2).mean()

    gradient = torch.func.vmap(torch.func.grad(loss))
    weights = _torch_weights(torch, width)

    def work():
        params = weights
        velocity = [(torch.zeros_like(w), torch.zeros_like(b)) for w, b in params]
        for _ in range(steps):
            grads = gradient(params)
            velocity = [(g + 0.9 * v, c + 0.9 * u) for (g, c), (v, u) in zip(grads, velocity, strict=True)]
            params = [(w - 0.01 * v, b - 0.01 * u) for (w, b), (v, u) in zip(params, velocity, strict=True)]
        return width * steps

    return _on_this_thread(work)


def torch_stacked(width: int = 64, steps: int = 40) -> Timed:
    """PyTorch: stacked weights, baddbmm with points on the minor axis, one backward for the sum of all losses."""
    import torch

    x = torch.tensor(PROBLEM.x.T, dtype=torch.float32).expand(width, 1, -1)
    y = torch.tensor(PROBLEM.y.T, dtype=torch.float32)
    weights = [part.clone().requires_grad_() for layer in _torch_weights(torch, width) for part in layer]

    def work():
        optimizer = torch.optim.SGD(weights, lr=0.01, momentum=0.9)
        for _ in range(steps):
            h = x
            for index in range(0, len(weights), 2):
                h = torch.baddbmm(weights[index + 1].unsqueeze(-1), weights[index], h)
                h = torch.relu(h) if index < len(weights) - 2 else h
            optimizer.zero_grad(set_to_none=True)
            ((h - y) ** 2).mean(dim=(1, 2)).sum().backward()
            optimizer.step()
        return width * steps

    return _on_this_thread(work)


def _torch_weights(torch, width):
    vectors = draw_parameters(NETWORK, 0, np.arange(width))
    layers = jax.vmap(NETWORK.unflatten)(vectors)
    return [tuple(torch.tensor(np.array(part)) for part in layer) for layer in layers]


def _on_this_thread(work):
    def timed():
        began = time.perf_counter()
        return work() / (time.perf_counter() - began)

    return timed


def contestants() -> dict[str, Callable[[], Timed]]:
    """Every way to train, by name."""
    ways: dict[str, Callable[[], Timed]] = {
        "JAX, a loop over seeds": loop_over_seeds,
        "JAX, the obvious vmap (h @ w)": obvious_vmap,
    }
    for name in jl.training.BACKENDS:
        ways[f"jaxland, {name}"] = partial(jaxland_backend, name)
    try:
        import torch  # noqa: F401
    except ImportError:
        return ways
    return ways | {"PyTorch, torch.func vmap": torch_func, "PyTorch, stacked baddbmm": torch_stacked}


def measure(ways: dict[str, Callable[[], Timed]], rounds: int = 7) -> dict[str, float]:
    """Median net-steps per second of each way, timed in turn after one round of warm-up."""
    timed = {name: make() for name, make in ways.items()}
    readings: dict[str, list[float]] = {name: [] for name in timed}
    for index in range(rounds + 1):
        for name, run in timed.items():
            rate = run()
            if index:
                readings[name].append(rate)
    return {name: statistics.median(values) for name, values in readings.items()}


def processor() -> str:
    """The name of the processor and how many cores this process may use."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.split(':')[1].strip()}, {available_threads()} cores"
    return f"{platform.machine()}, {available_threads()} cores"


def main() -> None:
    """Prints the table in Markdown."""
    rates = measure(contestants())
    base = rates["JAX, the obvious vmap (h @ w)"]
    print(f"{processor()}; {jl.training.versions()}\n")
    print("| way | net-steps/s | GFLOP/s | ratio to the obvious vmap |\n|---|---|---|---|")
    for name, rate in sorted(rates.items(), key=lambda item: item[1]):
        print(f"| {name} | {rate:.3g} | {rate * FLOP / 1e9:.1f} | {rate / base:.2f} |")


if __name__ == "__main__":
    main()
