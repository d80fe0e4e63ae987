"""A check-up of this machine: versions, devices, precision, and each backend against a loop over fits."""

import importlib.util
import platform
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxland.networks import mlp
from jaxland.problems import sawtooth
from jaxland.training import BACKENDS, available_threads, fit, local_platform, numerics, versions

_OPTIONAL = ("dask_jobqueue", "distributed", "flax", "torch", "xarray")


def report(say: Callable[[str, str], object]) -> bool:
    """Tells what is here and what a check found, each in a line as soon as it is known.

    Args:
        say: receives what a line is of, a word, and the rest of it.

    Returns:
        Whether every check passed.
    """
    devices = ", ".join(f"{device.device_kind} ({device.platform})" for device in jax.devices())
    say("python", f"{platform.python_version()} on {platform.machine()}, {available_threads()} cores")
    say("versions", versions())
    say("devices", devices)
    absent = _absent_backends()
    for name, reason in absent.items():
        say("missing", f"backend {name}: {reason}")
    for name, library in missing().items():
        say("missing", f"{name}: pip install {library}")
    healthy = True
    present = [backend for backend in BACKENDS if backend not in absent]
    for check in (_precision_check, *(partial(_loop_check, backend) for backend in present), _position_check):
        text, passed = check()
        say("ok" if passed else "FAIL", text)
        healthy = healthy and passed
    return healthy


def missing() -> dict[str, str]:
    """Optional modules that are not installed, each with the library that pip brings it by."""
    return {name: name.replace("_", "-") for name in _OPTIONAL if importlib.util.find_spec(name) is None}


def _absent_backends() -> dict[str, str]:
    """Backends that this machine has nothing for, with the reason."""
    from jaxland.training.cuda import CudaMissing, NvidiaGpu

    absent = {}
    try:
        NvidiaGpu()
    except CudaMissing as reason:
        absent["cuda"] = str(reason)
    if local_platform() != "tpu":
        absent["tpu"] = (
            "JAX finds no TPU; on other devices its kernel is interpreted, for tests (pip install 'jax[tpu]')"
        )
    return absent


def _precision_check() -> tuple[str, bool]:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 64, 64))
    with numerics(np.dtype(np.float32)):
        product = np.asarray(jnp.asarray(a, jnp.float32) @ jnp.asarray(b, jnp.float32))
    error = float(np.abs(product - a @ b).max() / np.abs(a @ b).max())
    return f"float32 products are full float32: relative error {error:.1e} against float64", error < 1e-6


def _loop_check(backend: str) -> tuple[str, bool]:
    network, problem, optimizer = mlp([1, 5, 5, 1]), sawtooth(), optax.sgd(0.01, momentum=0.9)
    fits = fit(network, problem, optimizer, fits=4, steps=20, snapshots=(0,), backend=backend)
    worst = 0.0
    for start, end in zip(fits.snapshots[:, 0], fits.params, strict=True):
        worst = max(worst, float(np.abs(_loop(network, problem, optimizer, start, 20) - end).max()))
    return f"{backend}: a batch of fits equals a loop over fits to {worst:.1e} after 20 steps", worst < 1e-5


def _loop(network, problem, optimizer, start, steps):
    x, y = jnp.asarray(problem.x, jnp.float32), jnp.asarray(problem.y, jnp.float32)
    gradient = jax.jit(jax.grad(lambda params: problem.loss(network.apply_flat(params, x), y)))
    params = jnp.asarray(start)
    state = optimizer.init(params)
    with numerics(params.dtype):
        for _ in range(steps):
            updates, state = optimizer.update(gradient(params), state)
            params = optax.apply_updates(params, updates)
    return np.asarray(params)


def _position_check() -> tuple[str, bool]:
    network, problem, optimizer = mlp([1, 5, 5, 1]), sawtooth(), optax.sgd(0.01, momentum=0.9)
    many = fit(network, problem, optimizer, fits=20, steps=50)
    alone = fit(network, problem, optimizer, fits=1, first=17, steps=50)
    return "a fit has the same bits alone and among others", bool(np.array_equal(many.params[17], alone.params[0]))
