"""Files of separated values as people have them: commas or semicolons between values, points or commas within."""

import csv
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_ROWS = 50  # that are looked at to tell what separates values
MAX_COLUMNS = 10_000
_DECIMAL_COMMA = r"\s*[+-]?\d+(,\d+)?([eE][+-]?\d+)?\s*"
_THOUSANDS = r"\s*[+-]?[1-9]\d{0,2},\d{3}\s*"


def read_separated(path: Path) -> pd.DataFrame:
    """Reads a table whose first line names the columns.

    Values are separated by commas, semicolons, tabs or bars, whichever the first line has. Numbers have decimal commas
    where a column of nothing but numbers has them; if these might as well mark thousands, as in 1,234, it is text.

    Raises:
        ValueError: it cannot be told what separates values, numbers have decimal commas in one column and decimal
            points in another, rows have more values than there are names, a name is there twice, or there are more
            than 10,000 columns.
    """
    separator = _separator(path)
    header, *rows = [*_first_rows(path, separator)] or [[]]
    _check_names(header)
    if rows and len(rows[0]) > len(header):
        raise ValueError(
            f"rows have {len(rows[0])} values separated by {_SEPARATORS[separator]}, but the first line has "
            f"{len(header)} names; name every column, and separate values by semicolons where numbers have decimal "
            "commas"
        )
    table = _read(path, separator)
    commas = {name: found for name, values in _texts(table).items() if len(found := _decimal_commas(values))}
    if all(values.str.fullmatch(_THOUSANDS).all() for values in commas.values()):
        # None; or decimal commas or marks at thousands: left as text, which is refused where it is used.
        return table
    again = _read(path, separator, ",")
    points = [column for column in _texts(again) if pd.api.types.is_numeric_dtype(table[column])]
    if points:
        name, values = next(iter(commas.items()))
        raise ValueError(
            f"numbers have decimal commas in column {name!r}, such as {values.iloc[0]!r}, but decimal points in column "
            f"{points[0]!r}; write all with decimal points"
        )
    return again


def _read(path: Path, separator: str, decimal: str = ".") -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            # Without index_col pandas takes values that have no name for the names of rows, and shifts all others.
            return pd.read_csv(path, sep=separator, decimal=decimal, index_col=False)
        except pd.errors.ParserWarning:
            raise ValueError("rows have more values than the first line has names; name every column") from None


def _separator(path: Path) -> str:
    widths = {each: _widths(path, each) for each in _SEPARATORS}
    found = [each for each, (first, *_) in widths.items() if first > 1]
    if len(found) > 1:
        regular = [each for each in found if len(set(widths[each])) == 1]
        if len(regular) != 1:
            kinds = " and ".join(_SEPARATORS[each] for each in found)
            raise ValueError(
                f"its first line has {kinds}, and either may separate values; leave one out of the names of columns"
            )
        found = regular
    return found[0] if found else ","


def _widths(path: Path, separator: str) -> list[int]:
    """How many values each of the first rows would have; blank lines are none."""
    try:
        return [len(row) for row in _first_rows(path, separator)] or [0]
    except csv.Error:  # a line without this separator, and too long for one value
        return [1]


def _first_rows(path: Path, separator: str) -> Iterator[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from islice((row for row in csv.reader(file, delimiter=separator) if row), _ROWS)


def _check_names(names: list[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if name and count > 1), None)
    if twice is not None:
        raise ValueError(f"its first line names {twice!r} more than once; give every column a name of its own")
    check_count(len(names))


def check_count(columns: int) -> None:
    """Raises ValueError where a table has so many columns that a test of it would take hours to be refused."""
    if columns > MAX_COLUMNS:
        raise ValueError(f"it has {columns:,} columns, and a test takes {MAX_COLUMNS:,}; leave out what is not tested")


def _texts(table: pd.DataFrame) -> dict[str, Any]:
    """Columns of text, what is missing left out."""
    columns = {str(name): table[name].dropna() for name in table.columns}
    return {name: values for name, values in columns.items() if len(values) and pd.api.types.is_string_dtype(values)}


def _decimal_commas(values: pd.Series) -> pd.Series:
    """The values that have a comma, of a column of numbers that may have one; none of another column."""
    return values.loc[values.str.contains(",") & values.str.fullmatch(_DECIMAL_COMMA).all()]


def looks_like_a_number(value: object) -> bool:
    """Whether it is text of digits and marks alone, as a number that was written for another place."""
    return isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d[\d.,' \u00a0]*(?:[eE][+-]?\d+)?\s*", value) is not None
