"""When gradient descent becomes unstable: rises of the loss, and how small deviations shrink and grow on the way.

Near a smooth path of gradient descent at rate r, a deviation along the sharpest direction is multiplied by
1 - r * sharpness at each step, where the sharpness is the largest eigenvalue of the Hessian. It shrinks while the
sharpness is below 2 / r and grows beyond. What shrank first must grow back before anything is seen: the loss of
stability is delayed (Neishtadt 1987; for iterates, Baesens 1991). In floating point rounding keeps the deviation from
shrinking any further, and so decides by how much.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxland._blocks import blocks
from jaxland._compiled import compiled
from jaxland._types import AnyArray
from jaxland.networks import Network
from jaxland.problems import Loss

# Hessians of one call.
_BLOCK = 64


def first_rise(losses: Float[np.ndarray, "F T"], tolerance: float = 0.01) -> Int[np.ndarray, "F"]:
    """Index of the first loss that exceeds the smallest before it by this share of it, or is not finite; -1 if none.

    The share is one of the magnitude: of a loss of -5 one hundredth more is -4.95.

    Gradient descent whose rate is below 2 / sharpness all along the way never lets the loss rise.

    Raises:
        ValueError: losses are not a matrix with a row for each fit.
    """
    losses = np.asarray(losses)
    if losses.ndim != 2 or not losses.shape[1]:
        raise ValueError(f"losses must have shape (fits, steps); got {losses.shape}. A single fit is losses[None].")
    smallest = np.fmin.accumulate(losses, axis=1)
    rises = (losses > smallest + tolerance * np.abs(smallest)) | ~np.isfinite(losses)
    return np.where(rises.any(axis=1), rises.argmax(axis=1), -1)


def log_deviation(
    rate: float, sharpness: Float[np.ndarray, "S"], *, floor: float = 0.0, start: float = 1.0, stride: int = 1
) -> Float[np.ndarray, "S"]:
    """Logarithm of the deviation from a smooth path of gradient descent, as linear theory has it.

    d[0] = start and d[t + 1] = max(|1 - rate * sharpness[t]| ** stride * d[t], floor): rounding makes anew in every
    step what has shrunk below it.

    Args:
        rate: learning rate.
        sharpness: largest eigenvalue of the Hessian along the path, at every `stride`-th step.
        floor: size of the deviation that rounding makes in a step, in units of `start`; 0 for exact arithmetic.
        start: deviation at the first step.
        stride: steps between two entries.

    Raises:
        ValueError: floor or start is negative, or start is zero.
    """
    if floor < 0 or start <= 0:
        raise ValueError(f"floor must not be negative and start must be positive; got {floor} and {start}.")
    with np.errstate(divide="ignore"):
        factors = stride * np.log(np.abs(1 - rate * np.asarray(sharpness, np.float64)))
        lowest = np.log(floor)
    result = np.empty(len(factors))
    current = np.log(start)
    for index, factor in enumerate(factors):
        result[index] = current
        current = max(current + factor, lowest)
    return result


def sharpness(
    network: Network,
    loss: Loss,
    params: Float[np.ndarray, "F P"],
    x: Float[AnyArray, "... N D"],
    y: Float[AnyArray, "... N O"],
) -> Float[np.ndarray, "F"]:
    """Largest eigenvalue of the Hessian of the loss at each fit, in float64, by dense decomposition.

    Args:
        network: what was trained.
        loss: such as `problem.loss`.
        params: flat parameters; where they, or the Hessian, are not finite the result is NaN.
        x, y: data of all fits, (N, D) and (N, O), or each fit's own, (F, N, D) and (F, N, O).

    Raises:
        ValueError: params are not a matrix, or data of their own do not belong to each fit.
    """
    params, x, y = (np.asarray(values, np.float64) for values in (params, x, y))
    if params.ndim != 2:
        raise ValueError(f"params must have shape (fits, P); got {params.shape}. A single fit is params[None].")
    for name, values in (("x", x), ("y", y)):
        if values.ndim not in (2, 3) or (values.ndim == 3 and len(values) != len(params)):
            raise ValueError(f"{name} must be (N, components) or ({len(params)}, N, components); got {values.shape}.")
    program = _hessians(network, loss, x.ndim == 3, y.ndim == 3)
    shared = [place for place, values in ((1, x), (2, y)) if values.ndim == 2]
    run = blocks(program, _BLOCK, "float64", shared=shared)
    return np.concatenate([_largest(block) for block in run(params, x, y)])


def _largest(hessians: Float[np.ndarray, "F P P"]) -> Float[np.ndarray, "F"]:
    finite = np.isfinite(hessians).all(axis=(1, 2))
    found = np.full(len(hessians), np.nan)
    found[finite] = np.linalg.eigvalsh((hessians + hessians.transpose(0, 2, 1))[finite] / 2)[:, -1]
    return found


@lru_cache(maxsize=64)
def _hessians(network: Network, loss: Loss, own_x: bool, own_y: bool):
    def objective(vector, x, y):
        return loss(network.apply_flat(vector, x), y)

    def program(params, x, y):
        def one(index):
            return jax.hessian(objective)(params[index], x[index] if own_x else x, y[index] if own_y else y)

        return jax.lax.map(one, jnp.arange(len(params)))

    return compiled(program)
