"""Losses of many fits on data they were not trained on, shared or each its own."""

from functools import lru_cache

import jax
import numpy as np
from jaxtyping import Float

from jaxland._blocks import in_blocks
from jaxland._compiled import compiled
from jaxland.networks import Network
from jaxland.problems import Loss

# Values of a hidden layer's input that are held at a time: 32 MB in float32.
_VALUES = 8_000_000


def losses(
    network: Network,
    loss: Loss,
    params: Float[np.ndarray, "F P"],
    x: Float[np.ndarray, "... D"],
    y: Float[np.ndarray, "... O"],
) -> Float[np.ndarray, "F"]:
    """Evaluates the loss of every fit, in the dtype of `params`.

    Args:
        network: the fits' network.
        loss: of `jaxland.problems`, such as `problem.loss`.
        params: flat parameters; non-finite ones give non-finite losses.
        x: inputs (N, D), the same for all fits, or (F, N, D), each fit's own.
        y: targets (N, O) or (F, N, O), likewise.

    Raises:
        ValueError: inputs and targets differ in number, or describe another number of fits.
    """
    params, x, y = np.asarray(params), np.asarray(x), np.asarray(y)
    _check_shapes(len(params), x, y)
    program = _program(network, loss, x.ndim == 3, y.ndim == 3)
    shared = [place for place, values in ((1, x), (2, y)) if values.ndim == 2]
    run = in_blocks(program, _block_width(params, x), params.dtype, shared=shared)
    return run(params, x.astype(params.dtype), y.astype(params.dtype))


def _check_shapes(fits, x, y):
    if x.shape[-2] != y.shape[-2]:
        raise ValueError(f"there are {x.shape[-2]} inputs but {y.shape[-2]} targets.")
    for name, values in (("x", x), ("y", y)):
        if values.ndim == 3 and len(values) != fits:
            raise ValueError(f"{name} describes {len(values)} fits, but there are {fits}.")


def _block_width(params, x):
    per_fit = x.shape[-2] * max(params.shape[1] // max(x.shape[-1], 1), x.shape[-1], 1)
    # A power of two, so that data sets of about one size share a program.
    return min(1 << max((_VALUES // per_fit).bit_length() - 1, 0), 512)


@lru_cache(maxsize=64)
def _program(network, loss, own_x, own_y):
    def one(vector, x, y):
        return loss(network.apply_flat(vector, x), y)

    return compiled(jax.vmap(one, in_axes=(0, 0 if own_x else None, 0 if own_y else None)))
