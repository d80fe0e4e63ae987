"""Checks of the backends on the device at hand: one against another, a fit's bits, precision, interruption."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

import jaxland
from jaxland.networks import mlp
from jaxland.problems import Problem, sawtooth
from jaxland.store import StudyStore
from jaxland.training import Ensemble, Trainer, numerics, train
from machine.parts import Check

Make = Callable[[Ensemble], Trainer]

# After a few steps float32 fits differ by rounding, which a ReLU that switches between two steps can magnify in a few
# of them; a wrong formula shows in all.
TOLERANCES = {"float32": (2e-6, 1e-2), "float64": (1e-13, 1e-9)}
"""Of the median and of the worst fit: largest difference of its parameters, relative to the largest of them."""


def ensembles(points: int | None = None, fits: int = 64, steps: int = 20) -> dict[str, Ensemble]:
    """What backends are compared on.

    Args:
        points: of every problem; those of the studies by default.
        fits: at least three.
        steps: of each fit.
    """
    rng = np.random.default_rng(0)
    main, problem = mlp([1, 5, 5, 5, 5, 5, 1]), sawtooth()
    if points is not None:
        problem = Problem(
            problem.x[:: len(problem.x) // points][:points], problem.y[:: len(problem.y) // points][:points]
        )

    def noise(inputs: int, count: int) -> Problem:
        count = points or count
        return Problem(rng.normal(size=(count, inputs)), rng.normal(size=(count, 1)))

    momentum = optax.sgd(0.01, momentum=0.9)
    clipped = optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.1))
    found = {
        f"main network, {name}, {dtype}": Ensemble(main, problem, optimizer, steps=steps, dtype=dtype)
        for name, optimizer in (
            ("momentum", momentum),
            ("adadelta", optax.adadelta(1.0, 0.95, 1e-6)),
            ("adam", optax.adam(1e-3)),
            ("clipped", clipped),
        )
        for dtype in ("float32", "float64")
    }
    small = {
        "1-7-1 sigmoid": (mlp([1, 7, 1], "sigmoid"), noise(1, 1000)),
        "1-2-1 sigmoid": (mlp([1, 2, 1], "sigmoid"), noise(1, 41)),
        "10-20-1": (mlp([10, 20, 1]), noise(10, 1000)),
    }
    for name, (network, data) in small.items():
        found[f"{name}, momentum, float32"] = Ensemble(network, data, momentum, steps=steps)
    count = len(small["1-2-1 sigmoid"][1].x)
    inputs, targets = rng.normal(size=(2, fits, count, 1))
    rates = np.geomspace(1e-3, 1e-1, fits)
    own = {"inputs": inputs, "targets": targets, "steps": steps}
    network, data = mlp([1, 4, 3, 1], "tanh"), small["1-2-1 sigmoid"][1]
    found["own data and learning rates, adam, float32"] = Ensemble(
        network, data, optax.adam, hyperparameters={"learning_rate": rates}, **own
    )
    rates = np.where(np.arange(fits) == 2, 1e30, rates)
    found["fit 2 diverges, float32"] = Ensemble(
        network, data, optax.sgd, hyperparameters={"learning_rate": rates}, **own
    )
    return found


class Difference(NamedTuple):
    """Between the same fits of two backends, parameters relative to the largest of a fit."""

    median: float
    worst: float
    same_divergence: bool


def difference(result: Any, reference: Any) -> Difference:
    """Compares two `GroupResult`s of the same fits; those that diverged are compared by the step when they did."""
    sane = np.asarray(reference.diverged_step) < 0
    first, second = np.asarray(result.params)[sane], np.asarray(reference.params)[sane]
    each = np.abs(first - second).max(axis=1) / np.abs(second).max(axis=1)
    losses = np.abs(np.asarray(result.loss)[sane] / np.asarray(reference.loss)[sane] - 1)
    each = np.maximum(each, losses)
    same = np.array_equal(result.diverged_step, reference.diverged_step)
    return Difference(float(np.median(each)), float(np.max(each)), same)


def agreement(name: str, ensemble: Ensemble, makers: Mapping[str, Make], fits: int = 64) -> Iterator[Check]:
    """Trains the same fits by each backend and compares each with each."""
    median, worst = TOLERANCES[ensemble.dtype]
    done: dict[str, Any] = {}
    for backend, make in makers.items():
        done[backend], _ = train(make(ensemble), ensemble, 0, fits, threads=1)
        for other in list(done)[:-1]:
            found = difference(done[backend], done[other])
            text = f"median {found.median:.1e} (at most {median:.0e}), worst {found.worst:.1e} (at most {worst:.0e})"
            if not found.same_divergence:
                text += "; other fits diverge, or at other steps"
            passed = found.median <= median and found.worst <= worst and found.same_divergence
            yield Check(f"{other} and {backend}: {name}", text, passed)


def same_bits(ensemble: Ensemble, make: Callable[..., Trainer], blocks: tuple[int, ...], fit: int) -> Iterator[Check]:
    """Whether the bits of a fit depend on its neighbours, the size of blocks, how steps are cut, or where results are.

    Args:
        ensemble: of at least four steps.
        make: a trainer for blocks of so many threads, given as `block`.
        blocks: sizes, at least two.
        fit: which one.
    """
    trainer = make(block=blocks[0])
    among, _ = train(trainer, ensemble, 0, trainer.width + fit + 1, threads=1)
    alone, _ = train(trainer, ensemble, fit, 1, threads=1)
    yield _equal(f"fit {fit} alone and among {len(among.loss)}", alone.params[0], among.params[fit])
    for block in blocks[1:]:
        other = make(block=block)
        result, _ = train(other, ensemble, 0, len(among.loss), threads=1)
        name = f"blocks of {block} threads, {other.width} fits a launch, and of {blocks[0]}, {trainer.width} fits"
        yield _equal(name, result.params, among.params)
    group = trainer.begin(ensemble.members(np.arange(trainer.width)))
    for steps in (1, 2, ensemble.steps - 3):
        group = trainer.advance(group, steps)
    pieces = trainer.finish(group).params
    yield _equal("steps in three launches and as usual", pieces, among.params[: trainer.width])
    there, _ = train(trainer, ensemble, 0, len(among.loss), threads=1, on_device=True)
    yield _equal("results left on the device and brought to the host", there.params, among.params)


def _equal(name, first, second) -> Check:
    differing = int((np.asarray(first) != np.asarray(second)).sum())
    return Check(f"same bits: {name}", f"{differing} of {np.size(first)} numbers differ", differing == 0)


def precision(size: int = 256, multiply: Callable = jnp.matmul) -> Iterator[Check]:
    """Whether float32 products are those of float32, not of TF32 or bfloat16; and, for information, JAX's default."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, size, size))
    exact = a.astype(np.float32).astype(float) @ b.astype(np.float32).astype(float)
    with numerics(np.dtype(np.float32)):
        ours = multiply(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32))
    default = multiply(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32))
    # TF32 keeps 10 bits, and errs by 1e-4 and more of the largest product.
    for name, product, most in (("as jaxland trains", ours, 2e-6), ("by JAX's default", default, np.inf)):
        error = float(np.abs(np.asarray(product) - exact).max() / np.abs(exact).max())
        yield Check(f"float32 product, {name}", f"relative error {error:.1e} (at most {most:.0e})", error <= most)


def float32_follows_float64(ensemble: Ensemble, make: Make, fits: int = 64) -> Check:
    """Whether float32 training stays beside float64 training as closely as full products let it."""
    results = []
    for dtype in ("float32", "float64"):
        fields = {name: getattr(ensemble, name) for name in ("network", "problem", "optimizer", "steps")}
        each = Ensemble(**fields, dtype=dtype)
        results.append(train(make(each), each, 0, fits, threads=1)[0])
    found = difference(*results)
    text = f"median {found.median:.1e} (at most 5e-06), worst {found.worst:.1e}"
    return Check(f"float32 and float64 training after {ensemble.steps} steps", text, found.median < 5e-6)


def reference(ensemble: Ensemble) -> Trainer:
    """The lanes backend with tiles of one point: nothing is measured, and a tile's size does not change bits."""
    from jaxland.training.lanes import LanesTrainer, machine
    from jaxland.training.lanes.tuning import VERSION

    target = machine.host()
    lanes = target.vector_bytes // ensemble.number_format.itemsize
    return LanesTrainer(ensemble, {"lanes": lanes, "tile": 1, "fused": target.fused, "kernel": VERSION})


def kill_and_resume(folder: Path, steps: int, fits: int = 64, shards: int = 4, timeout: float = 90) -> Iterator[Check]:
    """Runs a small study twice in processes of its own, stops one in the middle, goes on, and compares their bytes.

    Args:
        folder: for the two studies; what is there of them is removed.
        steps: of each fit, so many that a shard takes about a second.
        fits, shards: how many.
        timeout: seconds for each process.
    """
    paths = [folder / name for name in ("whole", "stopped")]
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
    sizes = ["--steps", str(steps), "--fits", str(fits), "--shard-fits", str(fits // shards)]
    commands = [["run", "sawtooth", "--optimizers", "momentum", *sizes, "--out", str(path)] for path in paths]
    code, _ = _until(commands[0], paths[0], shards, timeout)
    whole = _fits(paths[0])
    yield Check("a study that is not disturbed", f"{len(whole)} of {fits} fits, exit {code}", len(whole) == fits)
    code, text = _until(commands[1], paths[1], 1, timeout)
    kept = _fits(paths[1])
    stopped = code == 143 and 0 < len(kept) < fits and "jaxland resume" in text
    yield Check("SIGTERM in the middle", f"{len(kept)} of {fits} fits kept, exit {code}", stopped)
    code, text = _until(["resume", str(paths[1])], paths[1], None, timeout)
    after = _fits(paths[1])
    equal = sum(after.get(fit) == content for fit, content in whole.items())
    found = f"{equal} of {fits} fits have the same bytes, exit {code}"
    passed = code == 0 and after == whole and kept.items() <= whole.items()
    yield Check("jaxland resume", found if code == 0 else f"{found}: {text[-500:]}", passed)


def _until(command: list[str], path: Path, count: int | None, timeout: float) -> tuple[int, str]:
    """Runs jaxland, to its end or until there are so many shards, when it gets SIGTERM; its exit code and text."""
    log = path.with_suffix(".log")
    found = [str(Path(jaxland.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "jaxland", *command],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(found)},
        )
        end = time.monotonic() + timeout
        while process.poll() is None and time.monotonic() < end and (count is None or _shards(path) < count):
            time.sleep(0.02)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode, log.read_text()


def _shards(path: Path) -> int:
    return len(list((path / "fits").rglob("*.parquet")))


def _fits(path: Path) -> dict[int, bytes]:
    """All that is kept of each fit; how fits are cut into shards is none of it."""
    found = {}
    for shard in StudyStore.open(path).stream("momentum"):
        columns = [np.asarray(shard.arrays[name]) for name in sorted(shard.arrays)]
        columns = [column.astype(str) if column.dtype == object else column for column in columns]
        for row, fit in enumerate(shard.arrays["fit"]):
            found[int(fit)] = b"".join(column[row].tobytes() for column in columns)
    return found
