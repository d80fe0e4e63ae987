"""Compiling: with what XLA knows of options, and once for each shape, with nothing kept of the trace."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Options = dict[str, Any]
"""Of XLA's compiler."""


def compile_with(lowered: jax.stages.Lowered, choices: list[Options]) -> jax.stages.Compiled:
    """Compiles with the first options that this version of XLA knows; the last ones have to be known."""
    for options in choices[:-1]:
        try:
            return lowered.compile(compiler_options=options)
        except jax.errors.JaxRuntimeError:
            continue
    return lowered.compile(compiler_options=choices[-1])


def compiled(function: Callable[..., Any], static: tuple[int, ...] = ()) -> Callable[..., Any]:
    """Like `jax.jit`, for calls with arrays, not with tracers.

    JAX gives a NumPy array that a function captures one dtype, for as long as any trace of the function lives: what was
    traced in float32 then cannot be traced in float64, or the other way round. `jax.jit` keeps its traces as long as it
    lives itself; this keeps machine code alone.

    Args:
        function: of pytrees of arrays.
        static: places of arguments that are fixed when the function is compiled; these must be hashable.
    """
    programs: dict[Any, Any] = {}

    def call(*args):
        fixed = {place: args[place] for place in static}
        arrays = jax.tree.map(jnp.asarray, [arg for place, arg in enumerate(args) if place not in fixed])
        leaves, tree = jax.tree.flatten(arrays)
        key = tree, tuple((leaf.shape, leaf.dtype) for leaf in leaves), tuple(fixed.items()), _settings()
        if key not in programs:

            def merged(*arrays):
                spare = iter(arrays)
                return function(*(fixed[place] if place in fixed else next(spare) for place in range(len(args))))

            programs[key] = jax.jit(merged).lower(*arrays).compile()
        return programs[key](*arrays)

    return call


def _settings() -> tuple[Any, ...]:
    """What besides shapes decides what JAX compiles."""
    config: Any = jax.config
    return config.jax_enable_x64, config.jax_default_matmul_precision, config.jax_default_device
