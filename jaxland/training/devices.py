"""The devices of this process on which fits are trained."""

from typing import Any

import jax

# `jax.Device`, which type checkers do not take for a type.
Device = Any


def local_devices() -> list[Device]:
    """All devices of JAX's default kind, or the one or the kind that `jax.default_device` names.

    Fits are spread over them; a fit's bits do not depend on how many there are. `CUDA_VISIBLE_DEVICES` chooses among
    GPUs.
    """
    chosen = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    if chosen is None:
        return jax.local_devices()
    return jax.local_devices(backend=chosen) if isinstance(chosen, str) else [chosen]


def local_platform() -> str:
    """`"cpu"`, `"gpu"` or `"tpu"`."""
    return local_devices()[0].platform


def host_device() -> Device | None:
    """The processor, or None where JAX was told to leave it alone."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None
