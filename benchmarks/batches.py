"""Mini-batches: their cost a point beside that of all points, and a whole job beside vmap and scan written by hand.

Usage: python benchmarks/batches.py [MEMBERS] [EPOCHS] (half an hour by default, 1000 and 200, on a quiet machine)

The job is a deep ensemble on the digits that come with scikit-learn: 64-32-10, softmax cross-entropy, adam, batches of
32 of 1,347 points shuffled anew each epoch, the loss on 450 others and the best parameters once an epoch. The program
by hand is jitted as a whole, keeps the best parameters in a scan over epochs, and takes the last points of an epoch,
which fill no batch, not at all, as such programs do. It trains fits by the chunk, of whichever size is fastest. Its
compilation is not counted; all of jaxland's call is.
"""

import sys
import time
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxland as jl
from jaxland.bench.report import processor
from jaxland.bench.timing import medians, steady
from jaxland.training import Ensemble, available_threads, versions
from jaxland.training.lanes import LanesTrainer

TRAINED, BATCH, ROUNDS, SECONDS = 1347, 32, 5, 1
_CHUNKS = (16, 64, 250)
DIGITS = jl.problems.digits()
NETWORK = jl.mlp([64, 32, 10])
PROBLEM = jl.Problem(DIGITS.pixels[:TRAINED], DIGITS.labels[:TRAINED], loss="softmax_cross_entropy", name="digits")
HELD_OUT = DIGITS.pixels[TRAINED:], DIGITS.labels[TRAINED:]


def cost_of_a_point() -> None:
    """In a trained state, one thread: batches in turn with all points."""
    print(f"\nThe cost a point of batches of {BATCH}, that of all points being 1; lanes, one thread, float32:\n")
    print("| network | optimizer | shuffled | with replacement |")
    print("|---|---|---|---|")
    cases = {"1-5-5-5-5-5-1": (jl.mlp([1, 5, 5, 5, 5, 5, 1]), jl.problems.sawtooth()), "64-32-10": (NETWORK, PROBLEM)}
    for name, (network, problem) in cases.items():
        for optimizer, made in {"momentum": optax.sgd(0.01, momentum=0.9), "adam": optax.adam(1e-3)}.items():
            given = {
                "whole": {},
                "shuffled": {"batch_size": BATCH},
                "replaced": {"batch_size": BATCH, "replacement": True},
            }
            ways = {}
            for way, more in given.items():
                ensemble = Ensemble(network, problem, made, steps=10**6, **more)
                ways[way] = steady(LanesTrainer(ensemble, compress=False), ensemble, seconds=SECONDS)
            rates = medians(ways, ROUNDS)
            points = rates["whole"] * len(problem.x)
            print(f"| {name} | {optimizer} | {points / (rates['shuffled'] * BATCH):.2f} | ", end="")
            print(f"{points / (rates['replaced'] * BATCH):.2f} |")


def _by_hand(epochs: int, chunk: int):
    """The same job in plain JAX, for a chunk of fits."""
    x, y = jnp.asarray(PROBLEM.x, jnp.float32), jnp.asarray(PROBLEM.y[:, 0], jnp.int32)
    held_x, held_y = jnp.asarray(HELD_OUT[0], jnp.float32), jnp.asarray(HELD_OUT[1], jnp.int32)
    optimizer, steps = optax.adam(1e-3), TRAINED // BATCH

    def loss(params, x, y):
        scores = jax.nn.relu(x @ params[0] + params[1]) @ params[2] + params[3]
        return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()

    def fit(key):
        first, second, batches = jax.random.split(key, 3)
        draw = jax.nn.initializers.glorot_uniform()
        params = [draw(first, (64, 32)), jnp.zeros(32), draw(second, (32, 10)), jnp.zeros(10)]

        def step(carry, rows):
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss)(params, x[rows], y[rows]), state)
            return (optax.apply_updates(params, updates), state), None

        def epoch(carry, key):
            params, state, best, best_params = carry
            order = jax.random.permutation(key, TRAINED)[: steps * BATCH].reshape(steps, BATCH)
            (params, state), _ = jax.lax.scan(step, (params, state), order)
            found = loss(params, held_x, held_y)
            best_params = jax.tree.map(lambda new, old: jnp.where(found < best, new, old), params, best_params)
            return (params, state, jnp.minimum(found, best), best_params), found

        start = params, optimizer.init(params), jnp.inf, params
        (_, _, best, best_params), losses = jax.lax.scan(epoch, start, jax.random.split(batches, epochs))
        return best, best_params, losses

    keys = jax.random.split(jax.random.key(0), chunk)
    return jax.jit(jax.vmap(fit)).lower(keys).compile()


def whole_job(members: int, epochs: int) -> None:
    """Both on all processors of the machine."""
    seconds, best = {}, {}
    few = max(1, epochs // 20)
    for chunk in _CHUNKS:
        program = _by_hand(few, chunk)
        seconds[chunk] = min(_seconds(program, _keys(chunk, number)) for number in range(2)) / chunk
    chunk = min(seconds, key=lambda size: seconds[size])
    program = _by_hand(epochs, chunk)
    began, found = time.perf_counter(), []
    for start in range(0, members, chunk):
        found.append(np.asarray(program(_keys(chunk, start))[0]))
    by_hand, best["by hand"] = time.perf_counter() - began, np.concatenate(found)[:members]
    began = time.perf_counter()
    fits = jl.fit(
        NETWORK, PROBLEM, optax.adam(1e-3), fits=members, epochs=epochs, batch_size=BATCH, validation=HELD_OUT
    )
    ours, best["jaxland"] = time.perf_counter() - began, fits.judged.best_validation
    print(f"\n{members:,} members, {epochs} epochs, {available_threads()} threads:\n")
    print("| | seconds | best validation loss, median member |")
    print("|---|---|---|")
    print(f"| vmap and scan, {chunk} fits at a time | {by_hand:.1f} | {median(best['by hand']):.4f} |")
    print(f"| jaxland, {fits.explanation.split(':')[0]} | {ours:.1f} | {median(best['jaxland']):.4f} |")
    print(f"\n{by_hand / ours:.1f} times as fast.")


def _keys(count: int, first: int) -> jax.Array:
    return jax.random.split(jax.random.fold_in(jax.random.key(1), first), count)


def _seconds(program, keys) -> float:
    began = time.perf_counter()
    jax.block_until_ready(program(keys))
    return time.perf_counter() - began


if __name__ == "__main__":
    asked = [int(argument) for argument in sys.argv[1:]]
    print(f"{processor()}; {versions()}.")
    cost_of_a_point()
    whole_job(*asked, *(1000, 200)[len(asked) :])
