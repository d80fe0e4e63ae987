"""What arguments of several statistics must be: refused before any work where they are not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Shaped

if TYPE_CHECKING:
    import pandas as pd


def ordered(name: str, values: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, "F"]:
    """One-dimensional float64 values without NaN: all that ranks need.

    Raises:
        ValueError: there are none, they have other than one axis, or one is NaN.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"{name} must be one-dimensional and not empty; got shape {numbers.shape}.")
    missing = np.count_nonzero(np.isnan(numbers))
    if missing:
        raise ValueError(
            f"{missing} of {len(numbers)} {name} are NaN. Let a fit that diverged count as infinite, or leave it out "
            "and say so."
        )
    return numbers


def finite(name: str, values: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, "*shape"]:
    """Finite values in float64.

    Raises:
        ValueError: there are none, or one is not finite.
    """
    numbers = np.asarray(values, np.float64)
    if not numbers.size:
        raise ValueError(f"{name} must not be empty; got shape {numbers.shape}.")
    wrong = np.count_nonzero(~np.isfinite(numbers))
    if wrong:
        raise ValueError(
            f"{wrong} of {numbers.size} {name} are not finite. Leave out fits that diverged, and say how many they are."
        )
    return numbers


def probability(name: str, value: float) -> None:
    """Raises:
    ValueError: the value is not between 0 and 1.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1; got {value}.")


def columns(table: "pd.DataFrame", names: Sequence[str]) -> None:
    """Raises:
    ValueError: a column is not in the table, or is named twice.
    """
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}; it has {', '.join(map(repr, table.columns))}.")
    if len(set(names)) < len(names):
        raise ValueError(f"each column has one part to play; got {', '.join(map(repr, names))}.")
