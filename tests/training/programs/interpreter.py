"""Runs scheduled and rolled programs line by line in NumPy, apart from any compiler.

It follows `lanes.emit` in when memory is read and written, so that an order in which a value is overwritten before it
is read shows here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxland.training.program.expression import FOLD, TYPES, Expression
from jaxland.training.program.roll import Segment
from jaxland.training.program.schedule import Line

Memory = dict[tuple, Any]
"""The number, or the numbers of several fits, at each (kind, index)."""

_MEANING = {
    **FOLD,
    "fnma": lambda a, b, c: c - a * b,
    "fms": lambda a, b, c: a * b - c,
}


def run_lines(lines: Sequence[Line], memory: Memory, data: Mapping[tuple, Any] | None = None) -> None:
    """Runs straight lines, whose stores change `memory`; `data` holds inputs that no line stores to."""
    with np.errstate(all="ignore"):
        _Run(memory, data or {}).straight(lines, frozenset())


def run_segments(segments: Sequence[Segment], memory: Memory, data: Mapping[tuple, Any] | None = None) -> None:
    """Runs a rolled program: its loops read and write entry after entry."""
    run = _Run(memory, data or {})
    with np.errstate(all="ignore"):
        for segment in segments:
            if segment.count == 1:
                run.straight(segment.lines, segment.read_later)
            else:
                run.repeated(segment)


class _Run:
    def __init__(self, memory: Memory, data: Mapping[tuple, Any]):
        self.memory, self.data = memory, data
        self.values: dict[int, Any] = {}
        self.pinned: Memory = {}
        self.shifted: frozenset[tuple] = frozenset()
        self.shift = 0

    def repeated(self, segment: Segment) -> None:
        kept = dict(self.pinned)
        self.shifted = segment.shifted
        for self.shift in range(segment.count):
            self.straight(segment.lines, frozenset())
            self.pinned = dict(kept)
        self.shifted = frozenset()

    def straight(self, lines: Sequence[Line], read_later: frozenset[tuple]) -> None:
        last_read = {arg.value: place for place, line in enumerate(lines) for arg in line.args if _is_input(arg)}
        for place, line in enumerate(lines):
            if line.target is None:
                self.values[id(line)] = self._value(line)
                continue
            value = self._operand(line.args[0])
            if line.target in read_later or last_read.get(line.target, -1) > place:
                self.pinned.setdefault(line.target, self.memory[self._place(line.target)])
            self.memory[self._place(line.target)] = value

    def _place(self, target: tuple) -> tuple:
        return (target[0], target[1] + self.shift) if target in self.shifted else target

    def _value(self, line: Line) -> Any:
        args = [self._operand(arg) for arg in line.args]
        if line.op == "cast":
            return np.asarray(args[0]).astype(TYPES[line.type])
        if line.op == "bits":
            return np.asarray(args[0]).view(TYPES[line.type])
        value = _MEANING[line.op](*args)
        assert value.dtype == TYPES[line.type], f"{line.op} gives {value.dtype}, the line says {line.type}"
        return value

    def _operand(self, arg: Line | Expression) -> Any:
        if isinstance(arg, Line):
            return self.values[id(arg)]
        if arg.op == "constant":
            return arg.value
        if arg.value in self.data:
            return self.data[arg.value]
        return self.pinned[arg.value] if arg.value in self.pinned else self.memory[self._place(arg.value)]


def _is_input(arg):
    return isinstance(arg, Expression) and arg.op == "input"
