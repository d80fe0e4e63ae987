"""Where fits come from: versions, device, and a fingerprint of everything that decides them."""

import hashlib
import platform
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from jaxland._precision import get_dtype, numerics
from jaxland._version import __version__
from jaxland.training.calls import once
from jaxland.training.devices import local_devices
from jaxland.training.ensemble import ByNumber, Ensemble
from jaxland.training.plain import PlainProgram
from jaxland.training.trainer import Values

PROBED = 16
"""How many of its first fits a function of fits' numbers is known by, at least."""
# Points at which network and loss are known, if they can be evaluated there: their texts then say nothing of the data.
_FEW = 2


def status_names(diverged_step: Int[Values, "F"]) -> np.ndarray:
    """`"diverged"` where a step is given, else `"ok"`."""
    return np.where(np.asarray(diverged_step) >= 0, "diverged", "ok")


def versions() -> str:
    """Versions of everything that decides a fit's bits."""
    others = (f"{name} {version(name)}" for name in ("jax", "jaxlib", "optax", "numpy"))
    return ", ".join([f"jaxland {__version__}", *others])


def device() -> str:
    """The device on which XLA computes."""
    kind = local_devices()[0].device_kind
    return f"{kind} ({platform.machine()})" if kind == "cpu" else kind


def fingerprint(ensemble: Ensemble) -> str:
    """A hash of the plain program, loss and optimizer included, and of every number fed to it.

    It is independent of the backend: one that would compute something else is not used (see `probe`). It changes with
    the version of JAX, which words programs differently; tables therefore carry versions as well. What made it change
    is told by `fingerprint_parts`.
    """
    return once(ensemble, "fingerprint", lambda: _fingerprint(ensemble))


def _fingerprint(ensemble: Ensemble) -> str:
    program = PlainProgram(ensemble, ensemble.number_format).text.encode()
    numbers = [numbers for _, numbers in _numbers(ensemble)]
    scalars = f"{ensemble.steps} {ensemble.seed} {ensemble.dtype} {ensemble.first}"
    scalars += "".join(f" {name} {value}" for name, value in _more(ensemble).items())
    return _hash(program, _drawing(ensemble), *numbers, scalars.encode() + _seeds(ensemble))[:16]


def fingerprint_parts(ensemble: Ensemble) -> dict[str, str]:
    """Short hashes of what `fingerprint` is made of, by what they are of, so that two ensembles' difference has a name.

    Programs are worded in float32 and for few points where they can be, so that other data, or another number format,
    are named alone. Where fingerprints differ and no part does, it is in what a network or loss makes of all points.
    """
    numbers = {name: b"" for name, _ in _numbers(ensemble)}
    for name, values in _numbers(ensemble):
        numbers[name] += values
    scalars = {
        "steps": ensemble.steps,
        "number format": ensemble.dtype,
        "number of the first fit": ensemble.first,
        **_more(ensemble),
    }
    parts = {
        "network": _worded(_network, ensemble),
        "loss": _worded(_loss, ensemble),
        **({"penalties": _worded(_penalties, ensemble)} if ensemble.problem.penalty else {}),
        "optimizer": _worded(_optimizer, ensemble),
        "initial parameters": _drawing(ensemble),
        **numbers,
        **{name: str(value).encode() for name, value in scalars.items()},
        "seed": str(ensemble.seed).encode() + _seeds(ensemble),
    }
    return {name: _hash(part)[:8] for name, part in parts.items()}


def _hash(*texts: bytes) -> str:
    return hashlib.sha256(b"".join(texts)).hexdigest()


def _drawing(ensemble: Ensemble) -> bytes:
    """The program that draws initial parameters."""
    return once(ensemble, "program of drawing", lambda: _drawing_text(ensemble)).encode()


def _drawing_text(ensemble: Ensemble) -> str:
    with jax.enable_x64(False):  # as starting points are drawn
        return jax.jit(lambda key: ensemble.network.init(key)).lower(jax.random.key(0)).as_text()


def _numbers(ensemble: Ensemble) -> Iterator[tuple[str, bytes]]:
    """Every array of numbers, and what it is of; a function of fits' numbers is known by what it gives the first."""
    given = [("hyperparameters", ensemble.hyperparameters[name]) for name in sorted(ensemble.hyperparameters)]
    given += [("inputs", ensemble.problem.x), ("targets", ensemble.problem.y)]
    given += [("inputs", ensemble.inputs), ("targets", ensemble.targets)]
    given += [("starting points", ensemble.start), ("scale of the initial parameters", ensemble.init_scale)]
    validation = ensemble.validation
    more = [("weights", ensemble.problem.weights), ("weights", ensemble.weights)]
    more += [("validation", validation.x), ("validation", validation.y)] if validation else []
    given += [(name, value) for name, value in more if value is not None]
    for name, value in given:
        value = value(probed_by(value) + ensemble.first) if callable(value) else value
        yield name, b"none" if value is None else np.ascontiguousarray(value, np.float64).tobytes()


def _more(ensemble: Ensemble) -> dict[str, Any]:
    """How points are taken and fits are judged, where that is not the usual way."""
    more = {}
    if ensemble.batch_size is not None:
        more = {"batch size": ensemble.batch_size, "replacement": ensemble.replacement}
    if ensemble.validation is not None:
        validation, steps = ensemble.validation, ensemble.validation_steps
        if validation.metrics:
            more["metrics"] = _hash(*(_metric(ensemble, name).encode() for name in sorted(validation.metrics)))
        more["stopping"] = f"{validation.patience} {validation.min_gain} {steps[:2].tolist()} {validation.share}"
    return more


def _seeds(ensemble: Ensemble) -> bytes:
    """What enters keys in place of fits' numbers, nothing where these do."""
    if ensemble.seeds is None:
        return b""
    seeds = ensemble.seeds
    given = seeds(probed_by(seeds) + ensemble.first) if callable(seeds) else seeds
    return np.ascontiguousarray(given, np.int64).tobytes()


def probed_by(function: ByNumber) -> Int[np.ndarray, "W"]:
    """The places, from the first fit on, at which a function of fits' numbers is looked at; see `ByNumber`."""
    return np.arange(max(PROBED, getattr(function, "period", 0)))


def _metric(ensemble: Ensemble, name: str) -> str:
    """A metric by name and program, at few points."""
    assert ensemble.validation is not None
    dtype, metric = ensemble.number_format, ensemble.validation.metrics[name]
    vector, x, y = (
        _of(dtype, shape)
        for shape in ((ensemble.network.size,), (_FEW, *ensemble.x_shape[1:]), (_FEW, *ensemble.y_shape[1:]))
    )
    with numerics(dtype), suppress(Exception):  # of any kind: it may take only so many points
        prediction = jax.eval_shape(ensemble.network.apply_flat, vector, x)
        return f"{name} {jax.make_jaxpr(lambda p, t: metric(p, t))(prediction, y)}"
    return name


def _worded(program: Callable[..., str], ensemble: Ensemble) -> bytes:
    own, single = ensemble.number_format, get_dtype("float32")
    for points in (_FEW, ensemble.x_shape[0]):
        # Errors of any kind: it is the user's code, which may take all points in its own format only.
        with suppress(Exception), numerics(single):
            return program(ensemble, points, single).encode()
    with numerics(own):
        return program(ensemble, ensemble.x_shape[0], own).encode()


def _network(ensemble: Ensemble, points: int, dtype: np.dtype) -> str:
    vector, x = (_of(dtype, shape) for shape in ((ensemble.network.size,), (points, *ensemble.x_shape[1:])))
    return jax.jit(lambda vector, x: ensemble.network.apply_flat(vector, x)).lower(vector, x).as_text()


def _loss(ensemble: Ensemble, points: int, dtype: np.dtype) -> str:
    vector, x, y = (
        _of(dtype, shape)
        for shape in ((ensemble.network.size,), (points, *ensemble.x_shape[1:]), (points, *ensemble.y_shape[1:]))
    )
    prediction = jax.eval_shape(ensemble.network.apply_flat, vector, x)
    return jax.jit(lambda prediction, y: ensemble.problem.loss(prediction, y)).lower(prediction, y).as_text()


def _penalties(ensemble: Ensemble, points: int, dtype: np.dtype) -> str:
    del points
    vector, problem = _of(dtype, (ensemble.network.size,)), ensemble.problem
    numbers = {name: _of(dtype, ()) for name in problem.numbers}
    return (
        jax.jit(lambda vector, numbers: problem.penalties(ensemble.network.unflatten(vector), numbers))
        .lower(vector, numbers)
        .as_text()
    )


def _optimizer(ensemble: Ensemble, points: int, dtype: np.dtype) -> str:
    """Its beginning and its update, with a loss that is any."""
    del points

    def both(hyperparameters, vector, gradient, value):
        transformation = ensemble.transformation(hyperparameters)
        params, gradient = map(ensemble.network.unflatten, (vector, gradient))

        def value_fn(params):
            return ensemble.network.flatten(params).sum()

        state = transformation.init(params)
        return state, transformation.update(gradient, state, params, value=value, grad=gradient, value_fn=value_fn)

    scalar, vector = _of(dtype, ()), _of(dtype, (ensemble.network.size,))
    numbers = dict.fromkeys(ensemble.hyperparameters, scalar)
    return jax.jit(both).lower(numbers, vector, vector, scalar).as_text()


def _of(dtype: np.dtype, shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)
