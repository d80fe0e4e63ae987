"""Rolls up a program that does the same to parameter after parameter, as an optimizer's update does.

The scheduled update is a list of segments, each ending with a store of one parameter. Neighbouring segments that
differ only in being one slot further become one loop: less to compile, and less to keep in the instruction cache.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxland.training.program.layout import Layout
from jaxland.training.program.schedule import Line


class Segment(NamedTuple):
    """Lines that are run `count` times; at each repetition the `shifted` entries are one slot further."""

    lines: list[Line]
    count: int
    shifted: frozenset[tuple]
    read_later: frozenset[tuple]
    """Entries read after this segment; where it stores to one of them, the old value must be kept."""


def roll(lines: Sequence[Line], kind: str, layout: Layout) -> list[Segment]:
    """Splits a program after each store of this kind and joins segments that repeat.

    Args:
        lines: the scheduled program.
        kind: of the stores that end a segment.
        layout: tells whether entries lie one slot apart.
    """
    pieces = _Pieces(_split(lines, kind), layout)
    segments, position = [], 0
    while position < len(pieces.lines):
        count, shifted = pieces.repetitions(position)
        read_later = pieces.read_after[position + count - 1]
        segments.append(Segment(pieces.lines[position], count, shifted, read_later))
        position += count
    return segments


def _split(lines, kind):
    pieces: list[list[Line]] = [[]]
    for line in lines:
        pieces[-1].append(line)
        if line.op == "store" and line.target[0] == kind:
            pieces.append([])
    return [piece for piece in pieces if piece]


class _Pieces:
    """The pieces of a program, with what each shares with others."""

    def __init__(self, lines: list[list[Line]], layout: Layout):
        self.lines, self.layout = lines, layout
        self.reads = [_reads(piece) for piece in lines]
        self.stores = [frozenset(line.target for line in piece if line.op == "store") for piece in lines]
        self.read_after = _unions(self.reads[::-1])[::-1]
        self.stored_before = _unions(self.stores)
        self.alone = [
            private and not stored & later
            for private, stored, later in zip(_private(lines), self.stores, self.read_after, strict=True)
        ]

    def repetitions(self, first: int) -> tuple[int, frozenset[tuple]]:
        """How many pieces from `first` on repeat it, and which entries move from one to the next."""
        count, shifted = 1, None
        while first + count < len(self.lines) and self.alone[first] and self.alone[first + count]:
            moved = _moved(self.lines[first], self.lines[first + count], count, self.layout)
            if moved is None or (shifted is not None and moved != shifted):
                break
            # A loop reads entries that move from memory, so they must still hold their old values.
            fixed = self.reads[first] - moved
            if ((self.reads[first] | self.reads[first + count]) - fixed) & self.stored_before[first]:
                break
            shifted, count = moved, count + 1
        return (count, shifted or frozenset()) if count > 2 else (1, frozenset())


def _reads(piece):
    return frozenset(
        arg.value for line in piece for arg in line.args if not isinstance(arg, Line) and arg.op == "input"
    )


def _unions(sets):
    """For each set the union of all before it."""
    unions, union = [], frozenset()
    for one in sets:
        unions.append(union)
        union |= one
    return unions


def _private(pieces):
    """Whether nothing outside a piece uses its lines."""
    home = {id(line): number for number, piece in enumerate(pieces) for line in piece}
    private = [True] * len(pieces)
    for number, piece in enumerate(pieces):
        for line in piece:
            for arg in line.args:
                if isinstance(arg, Line) and home[id(arg)] != number:
                    private[home[id(arg)]] = False
    return private


def _moved(one, other, distance, layout):
    """Entries of `one` that lie `distance` slots further in `other`, or None where the two differ otherwise."""
    if len(one) != len(other):
        return None
    stride = layout.slot(one[-1].type)
    places, moved, fixed = {id(line): k for k, line in enumerate(one)}, set(), set()
    others = {id(line): k for k, line in enumerate(other)}
    for a, b in zip(one, other, strict=True):
        if (a.op, a.type, len(a.args)) != (b.op, b.type, len(b.args)):
            return None
        pairs = [(a.target, b.target, a.type)] if a.op == "store" else []
        for p, q in zip(a.args, b.args, strict=True):
            if isinstance(p, Line) or isinstance(q, Line):
                if p is not q and places.get(id(p), -1) != others.get(id(q), -2):
                    return None
            elif p.op == "constant" or q.op == "constant":
                if p is not q:
                    return None
            else:
                pairs.append((p.value, q.value, p.type))
        for here, there, type in pairs:
            if here == there:
                fixed.add(here)
            elif layout.distance(here, there) == distance * stride and layout.slot(type) == stride:
                moved.add(here)
            else:
                return None
    stored = {line.target for line in one if line.op == "store"}
    return None if moved & fixed or stored & fixed else frozenset(moved)
