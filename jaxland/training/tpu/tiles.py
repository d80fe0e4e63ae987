"""Evaluates scheduled scalar programs on tiles: a scalar of 1,024 fits is one array of shape (8, 128).

A tile is what a TPU's vector register holds, so every line of a program is one or two vector instructions and no
instruction mixes two fits. Evaluation happens while JAX traces the kernel.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import lax

from jaxland.training.program.expression import COMPARISONS, FLOATS, TYPES, Expression, Unlowerable
from jaxland.training.program.layout import Layout, memory_type
from jaxland.training.program.roll import Segment
from jaxland.training.program.schedule import Line

TILE = (8, 128)
"""Shape of a register: 1,024 numbers of 32 bits."""
FITS = TILE[0] * TILE[1]

# A scalar in memory is read again after so many lines, so that it does not hold one of the 64 registers for long.
WINDOW = 24

_OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "add": lax.add,
    "sub": lax.sub,
    "mul": lax.mul,
    "div": lax.div,
    "neg": lax.neg,
    "fma": lambda a, b, c: lax.add(lax.mul(a, b), c),
    "fms": lambda a, b, c: lax.sub(lax.mul(a, b), c),
    "fnma": lambda a, b, c: lax.sub(c, lax.mul(a, b)),
    "sqrt": lax.sqrt,
    "abs": lax.abs,
    "floor": lax.floor,
    "ceil": lax.ceil,
    "nearest": lambda a: lax.round(a, lax.RoundingMethod.TO_NEAREST_EVEN),
    "select": lax.select,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "not": operator.invert,
    "shl": lax.shift_left,
    "shr": lax.shift_right_arithmetic,
    **{name: getattr(lax, name) for name in COMPARISONS},
}


def number(value: Any, type: str) -> jax.Array:
    """The same number, known now or read by the kernel, in every place of a tile."""
    return lax.full(TILE, value, TYPES[type])


def operation(line: Line, args: Sequence[jax.Array]) -> jax.Array:
    """The value of a line other than a store."""
    if line.op == "cast":
        # Truth values become numbers by a select, which every type has.
        if line.args[0].type == "i1":
            return lax.select(args[0], number(1, line.type), number(0, line.type))
        return lax.convert_element_type(args[0], TYPES[line.type])
    if line.op == "bits":
        return lax.bitcast_convert_type(args[0], TYPES[line.type])
    return _OPERATIONS[line.op](*args)


@dataclass(frozen=True)
class Memory:
    """Tiles of a block of fits in the core's memory, at the places of a layout; entries of any type have the
    four bytes of a float.

    Attributes:
        ref: (slots, 8, 128) float32.
        layout: where each entry is.
        shifted: entries that lie `shift` places further, in the body of a loop.
        shift: a traced integer.
    """

    ref: Any
    layout: Layout
    shifted: frozenset[tuple] = frozenset()
    shift: Any = 0

    def place(self, target: tuple) -> Any:
        """Position of an entry in `ref`."""
        place = self.layout.offset(target) // self.layout.slot("f32")
        return place + self.shift if target in self.shifted else place

    def load(self, target: tuple, type: str) -> jax.Array:
        """The tile of an entry."""
        tile = self.ref[self.place(target)]
        if type in FLOATS:
            return tile
        tile = lax.bitcast_convert_type(tile, memory_type(type))
        return lax.ne(tile, number(0, "i32")) if type == "i1" else tile

    def store(self, target: tuple, tile: jax.Array, type: str) -> None:
        """Writes the tile of an entry."""
        if type == "i1":
            tile, type = lax.select(tile, number(1, "i32"), number(0, "i32")), "i32"
        self.ref[self.place(target)] = tile if type in FLOATS else lax.bitcast_convert_type(tile, np.float32)


class Straight:
    """Evaluates the straight-line code of a scheduled program.

    Args:
        memory: where entries live.
        read: returns the tile of an input that does not live there, or None.
    """

    def __init__(self, memory: Memory, read: Callable[[Expression], jax.Array | None] = lambda node: None):
        self.memory, self.read = memory, read
        self.values: dict[int, jax.Array] = {}
        self.loaded: dict[tuple, jax.Array] = {}
        self.pinned: dict[tuple, jax.Array] = {}

    def run(self, segments: Sequence[Segment]) -> None:
        """Evaluates a rolled program: repeated segments as loops."""
        for segment in segments:
            if segment.count == 1:
                self.emit(segment.lines, segment.read_later)
            else:
                lax.fori_loop(0, segment.count, lambda i, _, body=segment: self._repeat(body, i), None)
                self.loaded.clear()

    def emit(self, lines: Sequence[Line], read_later: frozenset[tuple] = frozenset()) -> None:
        """Evaluates all lines; entries in `read_later` are read by others afterwards, who want what is there now."""
        last_read = {
            arg.value: position
            for position, line in enumerate(lines)
            for arg in line.args
            if isinstance(arg, Expression) and arg.op == "input"
        }
        for position, line in enumerate(lines):
            if position % WINDOW == 0:
                self.loaded.clear()
            if line.target is not None:
                still_needed = line.target in read_later or last_read.get(line.target, -1) > position
                self._store(line, line.target, still_needed)
            else:
                self.values[id(line)] = operation(line, [self._operand(arg) for arg in line.args])

    def _repeat(self, segment: Segment, i) -> None:
        """The body of a loop, whose values nothing outside uses."""
        body = Straight(Memory(self.memory.ref, self.memory.layout, segment.shifted, i), self.read)
        body.values, body.pinned = dict(self.values), dict(self.pinned)
        body.emit(segment.lines)

    def _store(self, line: Line, target: tuple, still_needed: bool) -> None:
        value = self._operand(line.args[0])
        if still_needed and target not in self.pinned:
            self.pinned[target] = self._load(target, line.type)
        self.memory.store(target, value, line.type)
        self.loaded.pop(target, None)

    def _operand(self, arg: Line | Expression) -> jax.Array:
        if isinstance(arg, Line):
            return self.values[id(arg)]
        if arg.op == "constant":
            return number(arg.value, arg.type)
        if arg.value in self.pinned:
            return self.pinned[arg.value]
        if arg.value not in self.loaded:
            tile = self.read(arg)
            self.loaded[arg.value] = self._load(arg.value, arg.type) if tile is None else tile
        return self.loaded[arg.value]

    def _load(self, target: tuple, type: str) -> jax.Array:
        return self.loaded[target] if target in self.loaded else self.memory.load(target, type)


def check_types(lines: Sequence[Line]) -> None:
    """Makes sure that a TPU has every type of a program.

    Raises:
        Unlowerable: there are numbers of 64 bits.
    """
    for line in lines:
        for type in (line.type, *(arg.type for arg in line.args)):
            if type in ("f64", "i64"):
                raise Unlowerable(f"the program computes with {TYPES[type]}, which a TPU does not have.")
