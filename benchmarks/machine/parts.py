"""A long measurement in parts: each is guarded, fits into the time or is left out, and is on disk when it ends."""

import csv
import json
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

# After these nothing works in the process: they end its context on the device, which is JAX's as well.
_FAULTS = ("CUDA_ERROR_ILLEGAL_ADDRESS", "CUDA_ERROR_LAUNCH_FAILED", "CUDA_ERROR_MISALIGNED_ADDRESS")


class Check(NamedTuple):
    """What was looked at, what was found, and whether that is as it should be."""

    name: str
    found: str
    passed: bool


class Parts:
    """Runs the parts of a measurement one after the other.

    What they say goes to the screen at once and to `gpu.md`; their tables go to `gpu.json` and, cell by cell, to
    `gpu.csv`.

    Args:
        folder: for the files, made if need be; none are written by default.
        minutes: time for all parts together.
        say: shows a line.
        clock: seconds.
    """

    def __init__(
        self,
        folder: Path | None,
        minutes: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ):
        self._folder, self._show, self._clock = folder, say, clock
        self._end = clock() + 60 * minutes
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.failed: list[str] = []
        self.skipped: list[str] = []
        self._lost = ""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "gpu.md").write_text("")

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - self._clock()

    def say(self, line: str) -> None:
        """A line of Markdown."""
        self._show(line)
        if self._folder is not None:
            with (self._folder / "gpu.md").open("a") as file:
                file.write(line + "\n")

    def run(self, title: str, seconds: float, part: Callable[[], None]) -> None:
        """Runs a part that takes about so many seconds, unless they are not left. An error is shown and kept back."""
        if self._lost:
            self.skip(f"{title} (the device was lost: {self._lost})")
            return
        if seconds > self.left:
            self.skip(f"{title} (takes about {seconds:.0f} s, {max(self.left, 0):.0f} s are left)")
            return
        self.say(f"\n## {title}\n")
        began = self._clock()
        self.guard(title, part)
        self.say(f"\n({self._clock() - began:.0f} s)")
        self._write()

    def guard(self, title: str, work: Callable[[], None]) -> None:
        """Does a piece of a part; an error is shown and counts as failed, and the part goes on."""
        try:
            work()
        except Exception as error:  # of any kind: time on a device is short, and the other parts may well work
            self._remember(error)
            self.failed.append(title)
            self.say(f"\n**FAILED**: {title}\n\n```text\n{traceback.format_exc().rstrip()}\n```\n")

    def left_out(self, name: str, error: Exception) -> None:
        """Says why one of several things is missing from a table.

        What is not implemented or not installed may be missing; any other error counts as failed.
        """
        self._remember(error)
        if not isinstance(error, NotImplementedError | ImportError):  # a backend's `Unlowerable`, a library not here
            self.failed.append(name)
        self.say(f"\n{name}: left out: {type(error).__name__}: {str(error)[:300]}\n")

    def _remember(self, error: Exception) -> None:
        self._lost = self._lost or next((fault for fault in _FAULTS if fault in str(error)), "")

    def skip(self, what: str) -> None:
        """Names what there was no time for."""
        self.skipped.append(what)
        self.say(f"\nskipped: {what}")

    def table(self, name: str, columns: Sequence[str]) -> "Table":
        """Begins a table whose rows are shown as they come."""
        return Table(self, self.tables.setdefault(name, []), columns)

    def checks(self, name: str, checks: Sequence[Check]) -> None:
        """Shows checks as a table; those that are not passed count as failed."""
        table = self.table(name, ["check", "found", "as it should be"])
        for check in checks:
            table.check(check)

    def close(self) -> int:
        """Sums up; returns the exit code: 0 where nothing failed, else 1."""
        self.say("\n## Summary\n")
        for title, names in (("failed", self.failed), ("skipped", self.skipped)):
            self.say(f"{title}: {'; '.join(names) or 'nothing'}")
        self._write()
        return 1 if self.failed else 0

    def _write(self):
        if self._folder is None:
            return
        record = {"failed": self.failed, "skipped": self.skipped, "tables": self.tables}
        (self._folder / "gpu.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
        with (self._folder / "gpu.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["table", "row", "column", "value"])
            for name, rows in self.tables.items():
                for index, row in enumerate(rows):
                    writer.writerows([name, index, column, value] for column, value in row.items())


class Table:
    """A table in Markdown; see `Parts.table`."""

    def __init__(self, parts: Parts, rows: list[dict[str, Any]], columns: Sequence[str]):
        self._parts, self._rows, self._columns = parts, rows, columns
        parts.say("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))

    def row(self, *values: Any) -> None:
        """Adds a row. Numbers are shown with three digits and kept whole; None is an empty cell."""
        self._rows.append(dict(zip(self._columns, values, strict=True)))
        self._parts.say("| " + " | ".join(map(_cell, values)) + " |")

    def check(self, check: Check) -> None:
        """Adds a check to a table of three columns; one that is not passed counts as failed."""
        self.row(check.name, check.found, "yes" if check.passed else "**NO**")
        if not check.passed:
            self._parts.failed.append(check.name)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
