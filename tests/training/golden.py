"""Bits that must not change unnoticed: those of draws, of orders of points, and of trained parameters.

    python tests/training/golden.py

writes what this machine finds to `golden.json`: in place of what stands there for the same machine, beside what stands
there for others. Run it where a kernel or a draw was changed on purpose, and look at what it changed; with
`JAXLAND_INSTRUCTIONS=sse` it does so for processors without fused multiply-adds.

Each entry is known by what decides its bits. Orders are made of integers and are the same everywhere. Draws take
logarithms and roots of XLA's, whose bits depend on whether multiply-adds are fused. Kernels of lanes call no library,
so their fits depend on that, on the version of the kernels, and on the program that JAX traces: derivatives and
optimizers are written out here, as those of JAX and optax are worded otherwise in other versions (that of tanh was
between 0.10 and 0.12). XLA chooses for each processor and version anew.
"""

import hashlib
import json
import sys
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from training.each_backend import make_trainer

import jaxland as jl
from jaxland.training import Ensemble, batches, starting_points, train
from jaxland.training.processor import instructions
from jaxland.training.provenance import device

TABLE = Path(__file__).with_name("golden.json")
FITS, STEPS = 32, 48


class Golden(NamedTuple):
    """What was found, and what decides it: `version`, of the kernels, is one that is raised by hand."""

    name: str
    decided_by: dict[str, Any]
    version: int | None
    sha256: str


def _fractions(seed: int, *shape: int, scale: int = 64) -> np.ndarray:
    """Numbers of which no change of a random number makes others."""
    places = np.arange(np.prod(shape), dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed * 40503)
    return ((places >> np.uint32(24)).astype(float).reshape(shape) - 127) / scale


@jax.custom_jvp
def _tanh(z):
    return jnp.tanh(z)


@_tanh.defjvp
def _derivative(z, tangent):
    found = _tanh(*z)
    return found, tangent[0] * (1 - found * found)


_TANH = jl.networks.Activation("tanh", _tanh, scaling="none")


def _adam() -> optax.GradientTransformation:
    """Roots, quotients and powers."""

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return jnp.ones(()), zeros, zeros

    def update(gradient, state, params=None):
        del params
        power, mean, square = state
        power = power * 0.9
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        square = jax.tree.map(lambda s, g: 0.99 * s + 0.01 * (g * g), square, gradient)
        change = jax.tree.map(lambda m, s: -0.01 * (m / (1 - power)) / (jnp.sqrt(s) + 1e-4), mean, square)
        return change, (power, mean, square)

    return optax.GradientTransformation(init, update)


def _momentum() -> optax.GradientTransformation:
    def init(params):
        return jax.tree.map(jnp.zeros_like, params)

    def update(gradient, state, params=None):
        del params
        state = jax.tree.map(lambda v, g: 0.9 * v + g, state, gradient)
        return jax.tree.map(lambda v: -0.02 * v, state), state

    return optax.GradientTransformation(init, update)


def _ensemble(sizes: list[int], activation: Any, optimizer: Any, **more: Any) -> Ensemble:
    network = jl.mlp(sizes, activation)
    x = _fractions(1, 40, sizes[0]) if sizes[0] > 1 else np.arange(-20, 20)[:, None] / 16
    problem = jl.Problem(x, _fractions(2, 40, sizes[-1]))
    return Ensemble(network, problem, optimizer, steps=STEPS, start=_fractions(3, FITS, network.size, scale=96), **more)


ENSEMBLES = {
    "tanh, adam": lambda: _ensemble([2, 6, 5, 2], _TANH, _adam()),
    "tanh, adam, batches": lambda: _ensemble([2, 6, 5, 2], _TANH, _adam(), batch_size=12),
    "ReLU, momentum": lambda: _ensemble([1, 6, 6, 1], "relu", _momentum()),
}
TRAINED = [
    ("lanes", "tanh, adam"),
    ("lanes", "tanh, adam, batches"),
    ("lanes", "ReLU, momentum"),
    ("lanes, points together", "ReLU, momentum"),
    ("lanes, loops over units", "tanh, adam"),
    ("xla", "tanh, adam"),
    ("xla", "tanh, adam, batches"),
]


def first_weights() -> Golden:
    """Those of 512 fits and of one with a large number."""
    drawn = starting_points(jl.mlp([1, 5, 5, 5, 5, 5, 1]), np.append(np.arange(512), 319_999))
    return _golden("first weights", {"device": device(), "fused": instructions() != ["sse"]}, drawn)


def orders_of_points() -> Golden:
    """Of batches with and without replacement, in the first epochs of some fits."""
    keys = batches.fold_in(batches.fold_in(batches.key_of(7), np.arange(FITS)), batches.ORDER)
    taken = [
        batches.batch_of(keys, step, 40, 12, replacement=replacement).points
        for replacement in (False, True)
        for step in range(9)
    ]
    return _golden("orders of points", {}, np.array(taken))


def trained(backend: str, name: str) -> Golden:
    """The parameters of some fits."""
    ensemble = ENSEMBLES[name]()
    trainer = make_trainer(backend, ensemble)
    result, _ = train(trainer, ensemble, 0, FITS)
    # Else nothing much was asked.
    assert (result.loss < result.initial_loss).mean() > 0.9
    settings = dict(trainer.settings)
    version = settings.pop("kernel", None)
    if backend == "xla":
        settings |= {"device": device(), "jax": version_of("jax"), "jaxlib": version_of("jaxlib")}
    else:
        # Fits have the same bits in any number of lanes, and in any tile.
        del settings["lanes"], settings["tile"]
    return _golden(f"{backend}: {name}", settings, result.params, version)


def _golden(name: str, decided_by: dict[str, Any], values: np.ndarray, version: int | None = None) -> Golden:
    return Golden(name, decided_by, version, hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest())


def read() -> list[Golden]:
    """The table."""
    return [Golden(**each) for each in json.loads(TABLE.read_text())] if TABLE.exists() else []


CASES = {
    "first weights": first_weights,
    "orders of points": orders_of_points,
    **{f"{backend}: {name}": partial(trained, backend, name) for backend, name in TRAINED},
}


def renew() -> None:
    """Puts what is found here into the table."""
    found = [find() for find in CASES.values()]
    here = [each[:2] for each in found]
    kept = [each for each in read() if each[:2] not in here]
    table = sorted([*kept, *found], key=lambda each: (each.name, json.dumps(each.decided_by)))
    lines = ",\n".join(json.dumps(each._asdict()) for each in table)
    TABLE.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    renew()
