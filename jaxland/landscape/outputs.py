"""Outputs of many fits of one network."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxland._compiled import compiled
from jaxland.networks import Network

# Bounds memory: 512 fits on a thousand points are a few megabytes a layer.
_WIDTH = 512


def outputs(
    network: Network, params: Float[np.ndarray, "F P"], x: Float[np.ndarray, "N D"] | Float[np.ndarray, "N"]
) -> Float[np.ndarray, "F N O"]:
    """Evaluates every fit at every point, in the dtype of `params`.

    Args:
        network: the fits' network.
        params: flat parameters; non-finite ones give non-finite outputs.
        x: points; a vector is taken as one column, as in `Problem`.

    Raises:
        ValueError: `params` does not fit the network.
    """
    params, x = np.asarray(params), np.asarray(x)
    if params.ndim != 2 or params.shape[1] != network.size:
        raise ValueError(
            f"params must have shape (fits, {network.size}); got {params.shape}. A single fit is params[None]."
        )
    x = x[:, None] if x.ndim == 1 else x
    with jax.enable_x64(params.dtype == np.float64), jax.default_matmul_precision("highest"):
        program, points = _program(network), jnp.asarray(x, params.dtype)
        return np.concatenate([_evaluate(program, params[at : at + _WIDTH], points) for at in _starts(params)])


def _starts(params):
    return range(0, max(len(params), 1), _WIDTH)


def _evaluate(program, params, x):
    # A last, shorter block is padded, so that one program serves all.
    padded = np.zeros((_WIDTH, params.shape[1]), params.dtype)
    padded[: len(params)] = params
    return np.asarray(program(jnp.asarray(padded), x))[: len(params)]


@lru_cache(maxsize=64)
def _program(network):
    return compiled(jax.vmap(network.apply_flat, in_axes=(0, None)))
