"""Norms and deviations whose squares neither overflow nor underflow: all are taken in units of a power of two."""

import numpy as np
from jaxtyping import Float, Int


def exponent(values: Float[np.ndarray, "..."], axis: int | tuple[int, ...] | None = None) -> Int[np.ndarray, "..."]:
    """The exponent of the power of two just above the largest magnitude along the axes, which are kept; 0 for zeros."""
    largest = np.abs(values).max(axis=axis, keepdims=True, initial=0.0)
    return np.frexp(np.where(np.isfinite(largest), largest, 0.0))[1]


def norm(values: Float[np.ndarray, "*n P"]) -> Float[np.ndarray, "*n"]:
    """L2 norms along the last axis, in float64."""
    values = np.asarray(values, np.float64)
    shift = exponent(values, -1)
    # Entries too small to count vanish, as they should; only what is not finite may become infinite.
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(np.sqrt((np.ldexp(values, -shift) ** 2).sum(axis=-1)), shift[..., 0])


def deviation(values: Float[np.ndarray, "F ..."], ddof: int = 0) -> Float[np.ndarray, "..."]:
    """Standard deviations along the first axis, in float64."""
    values = np.asarray(values, np.float64)
    shift = exponent(values, 0)
    with np.errstate(under="ignore"):
        return np.ldexp(np.std(np.ldexp(values, -shift), axis=0, ddof=ddof), shift[0])
