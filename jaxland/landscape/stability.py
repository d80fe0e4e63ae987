"""When gradient descent becomes unstable: rises of the loss, and how small deviations shrink and grow on the way.

Near a smooth path of gradient descent at rate r, a deviation along the sharpest direction is multiplied by
1 - r * sharpness at each step, where the sharpness is the largest eigenvalue of the Hessian. It shrinks while the
sharpness is below 2 / r and grows beyond. What shrank first must grow back before anything is seen: the loss of
stability is delayed (Neishtadt 1987; for iterates, Baesens 1991). In floating point rounding keeps the deviation from
shrinking any further, and so decides by how much.
"""

import numpy as np
from jaxtyping import Float, Int


def first_rise(losses: Float[np.ndarray, "F T"], tolerance: float = 0.01) -> Int[np.ndarray, "F"]:
    """Index of the first loss that exceeds the smallest before it by this share of it, or is not finite; -1 if none.

    Gradient descent whose rate is below 2 / sharpness all along the way never lets the loss rise.

    Raises:
        ValueError: losses are not a matrix with a row for each fit.
    """
    losses = np.asarray(losses)
    if losses.ndim != 2 or not losses.shape[1]:
        raise ValueError(f"losses must have shape (fits, steps); got {losses.shape}. A single fit is losses[None].")
    smallest = np.fmin.accumulate(losses, axis=1)
    rises = (losses > (1 + tolerance) * smallest) | ~np.isfinite(losses)
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
