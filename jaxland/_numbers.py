"""Arrays of users as numbers: what is missing, or is no number, is refused by name."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def whole_number(name: str, value: Any, least: int, most: int) -> int:
    """The value, which must be an integer from `least` to `most`.

    Raises:
        ValueError: it is not.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not least <= value <= most:
        end = f"2**{most.bit_length()})" if (most + 1).bit_count() == 1 and most > 2 else f"{most}]"
        raise ValueError(f"{name} must be an integer in [{least}, {end}; got {value!r}.")
    return int(value)


def require_named_numbers(name: str, numbers: Any) -> None:
    """Makes sure that something has a finite number for each of some names.

    Raises:
        TypeError: it has not.
    """
    if not isinstance(numbers, Mapping):
        raise TypeError(f"{name} must be numbers by name, as in {{'power': 1.5}}; got {numbers!r}.")
    for key, value in numbers.items():
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not isinstance(key, str) or not number or not np.isfinite(value):
            raise TypeError(f"{name} must be finite numbers by name; got {key!r}: {value!r}.")


def real_numbers(name: str, values: Any) -> np.ndarray:
    """The values as a float64 array of the same shape; NaN and infinities pass.

    Raises:
        ValueError: an entry is masked, missing (None, pandas NA), text, a date or complex; of a table or series it is
            the column that is named.
    """
    columns = named_columns(values)
    if not columns:
        return _real_numbers(name, values)
    parts = [_real_numbers(f"{name} (column {column!r})", each) for column, each in columns]
    return parts[0] if len(np.shape(values)) == 1 else np.stack(parts, axis=1)


def named_columns(values: Any) -> list[tuple[Any, Any]]:
    """The columns of a table or series of pandas, Polars or Arrow with their names; none of anything else."""
    if hasattr(values, "iter_columns"):  # a table of Polars
        return [(each.name, each) for each in values.iter_columns()]
    if hasattr(values, "itercolumns"):  # of Arrow
        return list(zip(values.column_names, values.itercolumns(), strict=True))
    if hasattr(values, "iloc") and values.ndim == 2:  # of pandas
        return list(values.items())
    return [(values.name, values)] if hasattr(values, "to_frame") and values.name not in (None, "") else []


def _real_numbers(name: str, values: Any) -> np.ndarray:
    if _masked(values):
        raise ValueError(
            f"{name} has masked entries, which are missing values; drop or fill them (values.filled(...))."
        )
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is no array of numbers; are its rows of one length? ({error})") from None
    kind = _no_number(array)
    if kind:
        remedy = (
            "Drop, fill in or encode what is not a number; jaxland.problems.one_hot encodes labels, pandas.get_dummies "
            "the columns of a table."
        )
        raise ValueError(f"{name} must be real numbers; got {kind}. {remedy}")
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
