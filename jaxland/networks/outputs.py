"""Outputs of many fits of one network."""

from functools import lru_cache

import jax
import numpy as np
from jaxtyping import Float

from jaxland._blocks import in_blocks
from jaxland._compiled import compiled
from jaxland.networks.network import Network

# Bounds memory: 512 fits on a thousand points are a few megabytes a layer. Of large networks fewer make a block, since
# one that is not full costs as much as one that is.
_WIDTH, _ENTRIES = 512, 2**20


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
    width = max(1, min(_WIDTH, _ENTRIES // max(network.size, 1)))
    return in_blocks(_program(network), width, params.dtype, shared=(1,))(params, x.astype(params.dtype))


@lru_cache(maxsize=64)
def _program(network):
    return compiled(jax.vmap(network.apply_flat, in_axes=(0, None)))
