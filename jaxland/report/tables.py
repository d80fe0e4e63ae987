"""The CSV tables of a study directory, the beginning of very long ones."""

import csv
import re
from pathlib import Path
from typing import NamedTuple

WHOLE_ROWS = 24  # tables up to here are shown whole without scripts
FIRST_ROWS = 8  # of a longer one
LIMIT = 60_000  # characters of a table that the page holds, about
TOTAL = 600_000  # characters of all of them
_FOLDERS = ("analysis", "analyses")


class Table(NamedTuple):
    """A table, or its beginning.

    Attributes:
        path: in the study directory.
        columns: names.
        rows: the rows that the page holds, as text.
        total: how many rows the file has.
    """

    path: str
    columns: list[str]
    rows: list[list[str]]
    total: int

    @property
    def first(self) -> list[list[str]]:
        """The rows that are shown without scripts."""
        return self.rows if self.total <= WHOLE_ROWS else self.rows[:FIRST_ROWS]


def read_tables(directory: Path) -> tuple[list[Table], list[str], list[str]]:
    """The tables of an analysis in order of their names, the names of those that cannot be read, and of other files."""
    paths = [
        path
        for folder in _FOLDERS
        for path in sorted((directory / folder).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]
    tables, broken, others = [], [], []
    limit = min(LIMIT, TOTAL // max(sum(path.suffix == ".csv" for path in paths), 1))
    for path in paths:
        name = path.relative_to(directory).as_posix()
        if path.suffix != ".csv":
            others.append(name)
        elif table := _read(path, name, limit):
            tables.append(table)
        else:
            broken.append(name)
    return tables, broken, others


def _read(path, name, limit):
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = csv.reader(file)
            columns = next(lines, [])
            rows, size = [], 0
            for row in lines:
                row = [rounded(cell) for cell in row]
                rows.append(row)
                size += sum(map(len, row)) + len(row)
                if size > limit and len(rows) > WHOLE_ROWS:
                    break
            total = len(rows) + sum(1 for _ in lines)
    except (OSError, ValueError, csv.Error):
        return None
    if not columns or any(len(row) != len(columns) for row in rows):
        return None
    return Table(name, columns, rows, total)


_FRACTION = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")
_SHORT = 6  # characters, which hold no more than five digits
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|[+-]?inf")


def is_number(text: str) -> bool:
    """Whether a cell holds a number; an empty one does."""
    return not text or _NUMBER.fullmatch(text.strip().lower()) is not None


def rounded(text: str) -> str:
    """A cell as the page holds it: fractions to five digits, as they are shown, everything else as it is."""
    return f"{float(text):.5g}" if len(text) > _SHORT and _FRACTION.fullmatch(text) else text


def shown(text: str) -> str:
    """A cell as it is shown: fractions to five digits, everything else as it is, and a dash for nothing."""
    if not _FRACTION.fullmatch(text):
        return text or "—"
    mantissa, sign, exponent = f"{float(text):.5g}".partition("e")
    return f"{mantissa}e{int(exponent):+d}" if sign else mantissa
