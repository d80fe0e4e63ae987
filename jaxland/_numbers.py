"""Arrays of users as numbers: what is missing, or is no number, is refused by name."""

from typing import Any

import numpy as np


def real_numbers(name: str, values: Any) -> np.ndarray:
    """The values as a float64 array of the same shape; NaN and infinities pass.

    Raises:
        ValueError: an entry is masked, missing (None, pandas NA), text, a date or complex.
    """
    if _masked(values):
        raise ValueError(
            f"{name} has masked entries, which are missing values; drop or fill them (values.filled(...))."
        )
    array = np.asarray(values)
    kind = _no_number(array)
    if kind:
        raise ValueError(f"{name} must be real numbers; got {kind}. Drop, fill in or encode what is not a number.")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be real numbers; {error}.") from None


def in_dtype(name: str, values: Any, dtype: np.dtype) -> np.ndarray:
    """The numbers in this dtype.

    Raises:
        ValueError: as `real_numbers`, or a finite number becomes infinite.
    """
    if type(values) is np.ndarray and values.dtype == dtype:
        return values
    numbers = real_numbers(name, values)
    with np.errstate(over="ignore"):
        result = numbers.astype(dtype)
    lost = np.isinf(result) & np.isfinite(numbers)
    if lost.any():
        raise ValueError(
            f"{name} has {numbers[lost][0]:g}, which {dtype} cannot hold (its largest number is "
            f'{np.finfo(dtype).max:.3g}); give dtype="float64", or rescale.'
        )
    return result


def _masked(values) -> bool:
    if isinstance(values, list | tuple):
        return any(map(_masked, values))
    return np.ma.isMaskedArray(values) and bool(np.ma.is_masked(values))


_KINDS = {"U": "text", "S": "text", "M": "dates", "m": "times", "c": "complex numbers"}


def _no_number(array: np.ndarray) -> str:
    """What else an array holds, "" where it may hold numbers."""
    if array.dtype.kind in _KINDS:
        return _KINDS[array.dtype.kind]
    if array.dtype.kind != "O":
        return ""
    foreign = (entry for entry in array.ravel() if not hasattr(entry, "__float__") or isinstance(entry, np.str_))
    return next((f"{entry!r} ({type(entry).__name__})" for entry in foreign), "")
