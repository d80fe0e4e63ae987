"""What a call costs before the first step: the first one and the second, in one process and in a new one.

    python benchmarks/calls.py

Times are from entering `fit` to the first step, in seconds of the wall and, in brackets, of this process's processors;
imports are not counted. The first call has an empty cache; "new process" is the first call of a process with a full
one. Later calls build all objects anew and change the seed; they are medians of 5. Beside them stands plain JAX: a step
written by hand, vmapped and jitted, with the starts drawn by `vmap`, to its first step.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from statistics import median

ROUNDS = 5
NETWORKS = {
    "1-5-5-5-5-5-1, 320 points": [1, 5, 5, 5, 5, 5, 1],
    "10-20-1": [10, 20, 1],
    "2-32-32-1": [2, 32, 32, 1],
    "64-32-10": [64, 32, 10],
    "784-50-500-10": [784, 50, 500, 10],
}
BACKENDS = ("lanes", "xla", "plain JAX")


def calls(widths: list[int], backend: str) -> list[tuple[float, float]]:
    """Of each call of this process the seconds to the first step: wall, processors."""
    import jax
    import numpy as np
    import optax

    import jaxland as jl
    from jaxland.training.lanes import LanesTrainer
    from jaxland.training.xla import XlaTrainer

    rng = np.random.default_rng(0)
    data = (rng.normal(size=(64, width)) for width in (widths[0], widths[-1]))
    problem = jl.problems.sawtooth() if len(widths) == 7 else jl.Problem(*data)
    jax.devices()
    for kind in (LanesTrainer, XlaTrainer):
        kind.advance = _noting(kind.advance)
    took = []
    for call in range(1 + ROUNDS):
        began = _clocks()
        _FIRST_STEPS.clear()
        network = jl.mlp(widths)
        if backend == "plain JAX":
            _by_hand(network, problem, call)
            _FIRST_STEPS.append(_clocks())
        else:
            fits = jl.fit(network, problem, optax.adam(1e-3), fits=16, steps=2, seed=call, backend=_asked(backend))
            if not fits.explanation.startswith(backend):
                return []
        took.append(tuple(end - start for end, start in zip(_FIRST_STEPS[0], began, strict=True)))
    return took


_FIRST_STEPS: list[tuple[float, float]] = []


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _noting(method):
    def noted(*args):
        _FIRST_STEPS.append(_clocks())
        return method(*args)

    return noted


def _asked(backend: str) -> str:
    """Lanes where `auto` takes it."""
    return "auto" if backend == "lanes" else backend


def _by_hand(network, problem, seed: int) -> None:
    import jax
    import jax.numpy as jnp
    import optax

    optimizer = optax.adam(1e-3)
    x, y = jnp.asarray(problem.x, jnp.float32), jnp.asarray(problem.y, jnp.float32)

    def step(params, state):
        gradient = jax.grad(lambda params: jnp.mean((network.apply(params, x) - y) ** 2))(params)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    keys = jax.vmap(lambda fit: jax.random.fold_in(jax.random.key(seed), fit))(jnp.arange(16))
    params = jax.jit(jax.vmap(network.init))(keys)
    state = jax.jit(jax.vmap(optimizer.init))(params)
    jax.jit(jax.vmap(step)).lower(params, state).compile()


def in_a_new_process(widths: list[int], backend: str, folder: str) -> list[list[float]]:
    """`calls` in a process of its own, with its cache there."""
    command = [sys.executable, __file__, json.dumps(widths), backend]
    environment = {**os.environ, "JAXLAND_CACHE_DIR": folder, "TF_CPP_MIN_LOG_LEVEL": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints the table in Markdown."""
    print("| network | backend | first call | second | new process | second |\n|---|---|---|---|---|---|")
    for name, widths in NETWORKS.items():
        for backend in BACKENDS:
            with tempfile.TemporaryDirectory() as folder:
                cold = in_a_new_process(widths, backend, folder)
                warm = [in_a_new_process(widths, backend, folder) for _ in range(ROUNDS)]
            if not cold:
                print(f"| {name} | {backend} | takes xla | | | |", flush=True)
                continue
            firsts, laters = [each[0] for each in warm], [each for run in warm for each in run[1:]]
            columns = [cold[:1], cold[1:], firsts, laters]
            print(f"| {name} | {backend} | {' | '.join(map(_shown, columns))} |", flush=True)


def _shown(times: list) -> str:
    wall, processors = (median(each) for each in zip(*times, strict=True))
    return f"{wall:.3f} ({processors:.3f})"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(calls(json.loads(sys.argv[1]), sys.argv[2])))
    else:
        main()
