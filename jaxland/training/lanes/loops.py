"""The kernel of an ensemble as loops over units: what `kernel` writes, with nests in the place of straight code.

Each nest is a function of the addresses it reads and writes; nests that differ in these only, as layers of one width
do, are one function. So neither the code nor the time to compile it grows with the size of a network.
"""

from collections.abc import Callable, Sequence

import numpy as np

from jaxland.training.ensemble import Ensemble
from jaxland.training.lanes.blocks import Loop, order_of
from jaxland.training.lanes.emit import Straight, Target, Writer, scalar_type
from jaxland.training.lanes.emit import number as number_text
from jaxland.training.lanes.kernel import KernelWriter
from jaxland.training.program.expression import TYPES, Expression
from jaxland.training.program.layout import Layout
from jaxland.training.program.loop_programs import LoopPrograms
from jaxland.training.program.loops import Access, Loops, Memory, Nest
from jaxland.training.program.schedule import Line
from jaxland.training.program.views import View


def write_loop_kernel(ensemble: Ensemble, programs: LoopPrograms, layout: Layout, target: Target) -> str:
    """The assembly of both functions and of those of the nests."""
    return _LoopWriter(ensemble, programs, layout, target).text()


def write_loop_evaluation(ensemble: Ensemble, programs: LoopPrograms, layout: Layout, target: Target) -> str:
    """The assembly of `evaluate` and of its nests, for programs whose tiles add losses alone."""
    return _LoopWriter(ensemble, programs, layout, target).evaluation()


class _LoopWriter(KernelWriter):
    programs: LoopPrograms

    def __init__(self, ensemble: Ensemble, programs: LoopPrograms, layout: Layout, target: Target):
        super().__init__(ensemble, programs, layout, target)
        self.nests: dict[str, str] = {}
        """The names of their functions by their texts."""
        self.constants: dict[str, str] = {}
        """The names of arrays of constants by their texts."""
        self.scratch = layout.offset(("scratch", 0)) if programs.scratch_bytes else 0

    def functions(self) -> list[str]:
        texts = [text.replace(_NAME, name, 1) for text, name in self.nests.items()]
        return [*texts, *(f"{name} = private unnamed_addr constant {text}" for text, name in self.constants.items())]

    def _begin(self, w: Writer) -> None:
        self._run(w, self.programs.start_loops)

    def _clear(self, w: Writer) -> None:
        if self.programs.clear_loops is not None:
            self._run(w, self.programs.clear_loops)
            return
        w.store(("total", 0), w.constant(0.0, self.type), self.type)
        entries = len(self.layout.kinds["grad"])
        memory = Memory("grad", 0, self.type)
        self._run(w, Loops([_zeros(memory, entries)], {}, 0, []))

    def _update(self, w: Writer, loss: str) -> None:
        del loss  # it is in memory
        self._run(w, self.programs.update_loops)

    def _add(self, w: Writer, tile: str, rest: bool) -> None:
        loops = self.programs.rest_loops if rest else self.programs.tile_loops
        self._run(w, loops, self.data_at(w, tile))

    def _run(self, w: Writer, loops: Loops, data: dict[str, str] | None = None) -> None:
        for nest in loops.nests:
            self._call(w, nest, loops, data or {})

    def _call(self, w, nest, loops, data):
        writer = _NestWriter(nest, self.layout, self.target, self.type, self._shared)
        name = self.nests.setdefault(writer.text, f"@nest{len(self.nests)}")
        self.declarations |= writer.declarations
        pointers = [self._address(w, access, loops, data) for access in (*nest.reads, *nest.writes)]
        w.do(f"call void {name}({', '.join(f'ptr {pointer}' for pointer in pointers)})")

    def _address(self, w, access: Access, loops: Loops, data: dict[str, str]) -> str:
        kind, first, _ = access.memory
        if kind in self.data:
            base, place = data[kind], 0
        elif kind == "constant":
            text = _numbers(loops.constants[first], access.memory.type)
            base, place = self.constants.setdefault(text, f"@constants{len(self.constants)}"), 0
        elif kind == "scratch":
            base, place = "%state", self.scratch + self.layout.lanes * loops.scratch[first]
        else:
            base, place = "%state", self.layout.offset((kind, first))
        place += access.view.offset * self._bytes(access.memory)
        return w.put(f"getelementptr i8, ptr {base}, i64 {place}", "p")

    def _shared(self, memory: Memory) -> bool:
        """Whether there is one number for all lanes."""
        return memory.kind == "constant" or (memory.kind in self.data and not self.data[memory.kind].own)

    def _bytes(self, memory: Memory) -> int:
        return self.layout.slot(memory.type) // (self.layout.lanes if self._shared(memory) else 1)


def _numbers(values: np.ndarray, type: str) -> str:
    """An array of constants in LLVM's notation."""
    kept = "i32" if type == "i1" else type
    scalar = scalar_type(kept)
    numbers = (number_text(value, kept) for value in values.astype(TYPES[kept]).ravel())
    return f"[{values.size} x {scalar}] [{', '.join(f'{scalar} {value}' for value in numbers)}]"


def _zeros(memory: Memory, entries: int) -> Nest:
    zero = Expression(-1, "constant", (), memory.type, 0.0)
    store = Line("store", (zero,), memory.type, ("out", 0))
    return Nest((entries,), (), [], [Access(memory, View((entries,), (1,)))], [], [], [store])


_NAME = "@nest"


class _Element(Straight):
    """The lines of one element: its inputs come from, and its results go to, where the nest says."""

    def __init__(self, writer: Writer, read: Callable[[Expression], str], store: Callable[[Line, str], None]):
        super().__init__(writer, read)
        self.keep = store

    def _store(self, line, still_needed):
        del still_needed  # inputs were loaded before
        self.keep(line, self.operand(line.args[0]))


class _NestWriter:
    """Writes the function of a nest.

    Attributes:
        text: of the function, called `_NAME`.
        declarations: of what it calls.
    """

    def __init__(self, nest: Nest, layout: Layout, target: Target, type: str, shared: Callable[[Memory], bool]):
        self.nest, self.layout, self.shared = nest, layout, shared
        self.w = Writer(layout, target, type)
        self.order = order_of(nest, target)
        self.pointers = [f"%r{n}" for n in range(len(nest.reads))], [f"%w{n}" for n in range(len(nest.writes))]
        arguments = ", ".join(f"ptr {name}" for name in (*self.pointers[0], *self.pointers[1]))
        self.w.label("entry")
        self._outer(self.order.outer, *self.pointers)
        self.w.do("ret void")
        self.text = "\n".join([f"define internal void {_NAME}({arguments}) #0 {{", *self.w.text, "}"])
        self.declarations = self.w.declarations

    # Loops.

    def _outer(self, loops: Sequence[Loop], reads: list[str], writes: list[str], blocks: tuple[int, ...] = ()) -> None:
        """Runs a block at each place of the remaining loops."""
        if not loops:
            self._block(reads, writes, blocks)
            return
        loop, rest = loops[0], loops[1:]
        turns, left = divmod(loop.length, loop.block)

        def body(index: str, sums: list[str]) -> list[str]:
            self._outer(rest, *self._moved(loop, reads, writes, index, loop.block), (*blocks, loop.block))
            return sums

        if turns:
            self._loop(turns, [], body)
        if left:
            self._outer(rest, *self._moved(loop, reads, writes, str(turns), loop.block), (*blocks, left))

    def _loop(self, turns: int, carried: list[str], body: Callable[[str, list[str]], list[str]]) -> list[str]:
        """A loop around `body(index, carried)`, which returns what the next turn is given."""
        if turns == 1:
            return body("0", carried)
        w = self.w
        name = w.fresh("loop")[1:]
        before = w.block
        w.do(f"br label %{name}")
        w.label(name)
        index, vector = f"%{name}.i", self._sum_vector()
        place = len(w.text)
        inside = [f"%{name}.s{number}" for number in range(len(carried))]
        after = body(index, inside)
        phis = [f"  {index} = phi i64 [ 0, %{before} ], [ {index}.next, %{w.block} ]"]
        for sum, first, next in zip(inside, carried, after, strict=True):
            phis.append(f"  {sum} = phi {vector} [ {first}, %{before} ], [ {next}, %{w.block} ]")
        w.text[place:place] = phis
        w.do(f"{index}.next = add nuw nsw i64 {index}, 1")
        w.do(f"{index}.more = icmp ult i64 {index}.next, {turns}")
        w.do(f"br i1 {index}.more, label %{name}, label %{name}.end")
        w.label(f"{name}.end")
        return after

    def _sum_vector(self) -> str:
        return self.w.vector(self.nest.body[-1].type) if self.nest.body else ""

    def _moved(self, loop: Loop, reads, writes, index: str, step: int) -> tuple[list[str], list[str]]:
        """Where a turn of a loop begins to read and to write."""
        return (
            self._each_moved(reads, loop.reads, self.nest.reads, index, step),
            self._each_moved(writes, loop.writes, self.nest.writes, index, step),
        )

    def _each_moved(self, pointers, strides, accesses, index, step) -> list[str]:
        return [
            self._at(pointer, index, step * stride * self._bytes(access.memory))
            for pointer, stride, access in zip(pointers, strides, accesses, strict=True)
        ]

    def _at(self, pointer: str, index: str, bytes: int) -> str:
        if bytes == 0 or index == "0":
            return pointer
        if index.isdecimal():
            return self.w.put(f"getelementptr i8, ptr {pointer}, i64 {int(index) * bytes}", "p")
        return self.w.put(f"getelementptr i8, ptr {pointer}, i64 {self.w.put(f'mul nsw i64 {index}, {bytes}')}", "p")

    def _bytes(self, memory: Memory) -> int:
        return self.layout.slot(memory.type) // (self.layout.lanes if self.shared(memory) else 1)

    # Blocks.

    def _block(self, reads: list[str], writes: list[str], blocks: tuple[int, ...]) -> None:
        """Computes the elements of a block, one after the other in each of its stages."""
        places: list[tuple[int, ...]] = [()]
        for size in blocks:
            places = [(*place, entry) for place in places for entry in range(size)]
        sums: list[str] = []
        if self.nest.body:
            stage = _Stage(self, reads, writes)
            sums = [stage.sum_after(self.nest.start, place, "") for place in places]
            sums = self._inner(self.order.inner, reads, sums, places)
        stage = _Stage(self, reads, writes)
        for number, place in enumerate(places):
            stage.finish(self.nest.finish, place, sums[number] if sums else "")

    def _inner(self, loops: Sequence[Loop], reads: list[str], sums: list[str], places) -> list[str]:
        if not loops:
            stage, after = _Stage(self, reads, []), list(sums)
            for number in _in_turn(places):
                after[number] = stage.sum_after(self.nest.body, places[number], sums[number])
            return after
        loop, rest = loops[0], loops[1:]

        def body(index: str, sums: list[str]) -> list[str]:
            moved = self._each_moved(reads, loop.reads, self.nest.reads, index, 1)
            return self._inner(rest, moved, sums, places)

        return self._loop(loop.length, sums, body)


def _in_turn(places: Sequence[tuple[int, ...]]) -> list[int]:
    """The order of the elements of a block in which least has to stay in registers: along its shorter side first."""
    shape = [max(axis) for axis in zip(*places, strict=True)]
    along_rows = len(shape) < 2 or shape[-2] >= shape[-1]
    return sorted(range(len(places)), key=lambda number: places[number] if along_rows else places[number][::-1])


class _Stage:
    """What is done to the elements of a block before its sums, for each of their terms, or after them.

    What several elements of a block read is loaded once.
    """

    def __init__(self, nest: _NestWriter, reads: list[str], writes: list[str]):
        self.nest, self.reads, self.writes = nest, reads, writes
        self.loaded: dict[tuple, str] = {}

    def sum_after(self, lines: Sequence[Line], place: tuple[int, ...], sum: str) -> str:
        """The sum of an element after some lines."""
        kept: list[str] = []
        element = _Element(self.nest.w, lambda node: self._input(node, place, sum), lambda _, value: kept.append(value))
        element.emit(lines)
        return kept[0]

    def finish(self, lines: Sequence[Line], place: tuple[int, ...], sum: str) -> None:
        """Stores the results of an element."""
        # What is overwritten is read before.
        for number in range(len(self.nest.nest.reads) if len(self.nest.nest.writes) > 1 else 0):
            if any(("in", number) == _value(arg) for line in lines for arg in line.args):
                self._element("in", number, place)
        element = _Element(
            self.nest.w,
            lambda node: self._input(node, place, sum),
            lambda line, value: self._store(line, value, place),
        )
        element.emit(lines)

    def _input(self, node: Expression, place, sum) -> str:
        kind, number = node.value
        return sum if kind == "sum" else self._element(kind, number, place)

    def _element(self, kind: str, number: int, place: tuple[int, ...]) -> str:
        offset = self._offset(kind, number, place)
        if (kind, number, offset) not in self.loaded:
            self.loaded[kind, number, offset] = self._load(kind, number, offset)
        return self.loaded[kind, number, offset]

    def _offset(self, kind: str, number: int, place: tuple[int, ...]) -> int:
        """Bytes from where the block begins."""
        strides = (loop.reads[number] if kind == "in" else loop.writes[number] for loop in self.nest.order.outer)
        memory = self._accesses(kind)[number].memory
        return self.nest._bytes(memory) * sum(entry * stride for entry, stride in zip(place, strides, strict=True))

    def _accesses(self, kind: str) -> list[Access]:
        return self.nest.nest.reads if kind == "in" else self.nest.nest.writes

    def _load(self, kind, number, offset):
        w, memory = self.nest.w, self._accesses(kind)[number].memory
        pointer = w.put(f"getelementptr i8, ptr {self._pointer(kind, number)}, i64 {offset}", "p")
        if self.nest.shared(memory):
            return w.splat_from(pointer, memory.type)
        return w.load_from(pointer, memory.type)

    def _pointer(self, kind, number):
        return self.reads[number] if kind == "in" else self.writes[number]

    def _store(self, line: Line, value: str, place) -> None:
        w = self.nest.w
        assert line.target is not None
        number = line.target[1]
        offset = self._offset("out", number, place)
        pointer = w.put(f"getelementptr i8, ptr {self.writes[number]}, i64 {offset}", "p")
        w.store_to(pointer, value, self.nest.nest.writes[number].memory.type)


def _value(arg: Line | Expression):
    return arg.value if isinstance(arg, Expression) and arg.op == "input" else None
