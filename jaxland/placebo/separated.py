"""Files of separated values as people have them: commas or semicolons between values, points or commas within."""

import csv
import re
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_ROWS = 50  # that are looked at to tell what separates values
_DECIMAL_COMMA = r"\s*[+-]?\d+(,\d+)?([eE][+-]?\d+)?\s*"
_THOUSANDS = r"\s*[+-]?[1-9]\d{0,2},\d{3}\s*"


def read_separated(path: Path) -> pd.DataFrame:
    """Reads a table whose first line names the columns.

    Values are separated by commas, semicolons, tabs or bars, whichever the first line has. Numbers have decimal commas
    where a column of nothing but numbers has them; if these might as well mark thousands, as in 1,234, it is text.

    Raises:
        ValueError: it cannot be told what separates values, numbers have decimal commas in one column and decimal
            points in another, or rows have more values than there are names.
    """
    separator = _separator(path)
    names, *rows = _widths(path, separator)
    if rows and rows[0] > names:
        # pandas would take what has no name for the names of rows.
        raise ValueError(
            f"rows have {rows[0]} values separated by {_SEPARATORS[separator]}, but the first line has {names} names; "
            "name every column, and separate values by semicolons where numbers have decimal commas"
        )
    table = pd.read_csv(path, sep=separator)
    commas = {name: found for name, values in _texts(table).items() if len(found := _decimal_commas(values))}
    if all(values.str.fullmatch(_THOUSANDS).all() for values in commas.values()):
        # None; or decimal commas or marks at thousands: left as text, which is refused where it is used.
        return table
    again = pd.read_csv(path, sep=separator, decimal=",")
    points = [column for column in _texts(again) if pd.api.types.is_numeric_dtype(table[column])]
    if points:
        name, values = next(iter(commas.items()))
        raise ValueError(
            f"numbers have decimal commas in column {name!r}, such as {values.iloc[0]!r}, but decimal points in column "
            f"{points[0]!r}; write all with decimal points"
        )
    return again


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
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = (row for row in csv.reader(file, delimiter=separator) if row)
        return [len(row) for row in islice(rows, _ROWS)] or [0]


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
