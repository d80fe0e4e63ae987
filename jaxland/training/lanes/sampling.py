"""The points of a step, fetched by each lane for itself: what `batches` says, as LLVM assembly.

take(state, x, y, w, step)
    at the beginning of an epoch: put all points in order
    draw a word for each place of the batch
    change places as Fisher and Yates do, or draw points with replacement
    copy what was drawn, lane by lane, to where the gradient over a tile reads it
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxland.training.batches import PARITY, ROTATIONS
from jaxland.training.ensemble import Ensemble
from jaxland.training.lanes.emit import Target, Writer, scalar_type
from jaxland.training.lanes.scalar import Code, Scalar
from jaxland.training.program.expression import TYPES
from jaxland.training.program.layout import Layout

DATA = "ptr noalias %state, " + ", ".join(f"ptr noalias readonly %{name}" for name in "xyw")
"""The arguments of functions that read points."""
HEAD = f"void @take({DATA}, i64 %s)"

# Components that are fetched without a loop around them.
_UNROLLED = 8


class Source(NamedTuple):
    """Where points are fetched from, and to: `components` numbers a point, one for all lanes or one each."""

    name: str
    components: int
    own: bool


def write_take(ensemble: Ensemble, layout: Layout, target: Target) -> Writer:
    """The function `take`."""
    return _Taking(ensemble, layout, target).writer


class _Taking:
    def __init__(self, ensemble: Ensemble, layout: Layout, target: Target):
        self.layout, self.lanes, self.type = layout, layout.lanes, ensemble.scalar_type
        self.points, self.size = ensemble.x_shape[0], ensemble.points_a_step
        self.writer = Writer(layout, target, self.type)
        self.writer.label("entry")
        self.code = Code(self.writer)
        step = self.code.given("%s", "i64")
        sources = [
            Source("x", ensemble.x_shape[1], ensemble.inputs is not None),
            Source("y", ensemble.y_shape[1], ensemble.targets is not None),
        ]
        if ensemble.replacement:
            self._draw_words(step, self.code.constant(0, "i64"))
            begin, count = None, self.code.constant(self.size, "i64")
        else:
            epoch = step / ensemble.steps_an_epoch
            begin = (step - epoch * ensemble.steps_an_epoch) * self.size
            self._put_in_order(begin)
            self._draw_words(epoch, begin)
            left = self.code.constant(self.points, "i64") - begin
            count = self.code.choose(left < self.size, left, self.size)
        with self.code.loop(0, self.size) as place:
            rows = self._wide(self._any(place) if begin is None else self._next(begin, place))
            for source in sources:
                self._copy(source, rows, self._entry(f"batch_{source.name}", place * source.components, self.type))
            if ensemble.weighted:
                self._weigh(ensemble, rows, place, count)
        self.writer.do("ret void")
        self.writer.text[1:1] = self.code.allocations

    # Vectors of 32-bit integers, one for each lane.

    def _integers(self, text: str, *args: str) -> str:
        return self.writer.put(f"{text} {self.writer.vector('i32')} {', '.join(args)}")

    def _splat(self, number: Scalar) -> str:
        return self.writer.splat(number.to("i32").text, "i32")

    def _entry(self, kind: str, index: Scalar, type: str = "i32") -> str:
        """The address of an entry of a kind that is known while the code runs."""
        base = self.writer.put(f"getelementptr i8, ptr %state, i64 {self.layout.offset((kind, 0))}", "p")
        return self.writer.put(f"getelementptr i8, ptr {base}, i64 {(index * self.layout.slot(type)).text}", "p")

    def _wide(self, integers: str) -> str:
        return self.writer.put(f"zext {self.writer.vector('i32')} {integers} to {self.writer.vector('i64')}")

    def _wide_op(self, text: str, a: str, b: int | str) -> str:
        other = f"splat (i64 {b})" if isinstance(b, int) else b
        return self.writer.put(f"{text} {self.writer.vector('i64')} {a}, {other}")

    def _each_lane(self, bytes: int) -> str:
        """Multiples of some bytes by the number of each lane."""
        return f"<{', '.join(f'i64 {lane * bytes}' for lane in range(self.lanes))}>"

    def _pointers(self, base: str, offsets: str) -> str:
        return self.writer.put(f"getelementptr i8, ptr {base}, {self.writer.vector('i64')} {offsets}", "p")

    def _gather(self, pointers: str, type: str) -> str:
        """What each lane's pointer is to, by single loads: on Zen 4 these are faster than one that gathers."""
        w, many, vector = self.writer, f"<{self.lanes} x ptr>", self.writer.vector(type)
        value = "poison"
        for lane in range(self.lanes):
            pointer = w.put(f"extractelement {many} {pointers}, i64 {lane}")
            one = w.put(f"load {scalar_type(type)}, ptr {pointer}, align {TYPES[type].itemsize}")
            value = w.put(f"insertelement {vector} {value}, {scalar_type(type)} {one}, i64 {lane}")
        return value

    def _scatter(self, value: str, pointers: str) -> None:
        """Writes a 32-bit integer of each lane."""
        w, many = self.writer, f"<{self.lanes} x ptr>"
        for lane in range(self.lanes):
            pointer = w.put(f"extractelement {many} {pointers}, i64 {lane}")
            one = w.put(f"extractelement {w.vector('i32')} {value}, i64 {lane}")
            w.do(f"store i32 {one}, ptr {pointer}, align 4")

    # Which points.

    def _put_in_order(self, begin: Scalar) -> None:
        with self.code.when(begin.equals(0)), self.code.loop(0, self.points) as place:
            self.writer.store_to(self._entry("order", place), self._splat(place), "i32")

    def _draw_words(self, epoch: Scalar, begin: Scalar) -> None:
        """The words of places from `begin` on, kept from entry 1 of `place` on."""
        first, end = begin / 2, (begin + (self.size + 1)) / 2
        with self.code.loop(first, end) as block:
            words = self._threefry(self._splat(block), self._splat(epoch))
            entry = block * 2 - begin + 1
            for number, word in enumerate(words):
                self.writer.store_to(self._entry("place", entry + number), word, "i32")

    def _threefry(self, x: str, y: str) -> tuple[str, str]:
        """`batches.threefry` under the lanes' keys."""
        w, vector = self.writer, self.writer.vector("i32")
        one, two = w.load(("key", 0), "i32"), w.load(("key", 1), "i32")
        both = self._integers("xor", self._integers("xor", one, two), f"splat (i32 {PARITY})")
        keys = one, two, both
        name = f"@llvm.fshl.v{self.lanes}i32"
        w.declarations.add(f"declare {vector} {name}({vector}, {vector}, {vector})")
        x, y = self._integers("add", x, keys[0]), self._integers("add", y, keys[1])
        for group in range(5):
            for rotation in ROTATIONS[group % 2]:
                x = self._integers("add", x, y)
                turned = w.put(f"call {vector} {name}({vector} {y}, {vector} {y}, {vector} splat (i32 {rotation}))")
                y = self._integers("xor", x, turned)
            x = self._integers("add", x, keys[(group + 1) % 3])
            y = self._integers("add", self._integers("add", y, keys[(group + 2) % 3]), f"splat (i32 {group + 1})")
        return x, y

    def _share_of(self, word: str, count: str) -> str:
        """floor(u count), u being the word divided by 2^32; as 64-bit integers."""
        return self._wide_op("lshr", self._wide_op("mul", self._wide(word), self._wide(count)), 32)

    def _narrow(self, integers: str) -> str:
        return self.writer.put(f"trunc {self.writer.vector('i64')} {integers} to {self.writer.vector('i32')}")

    def _any(self, place: Scalar) -> str:
        """The point at a place, drawn from all."""
        word = self.writer.load_from(self._entry("place", place + 1), "i32")
        return self._narrow(self._share_of(word, f"splat (i32 {self.points})"))

    def _next(self, begin: Scalar, place: Scalar) -> str:
        """The point at a place, which changes places with one at this place or behind it."""
        at = begin + place
        if self.points % self.size == 0:
            return self._exchanged(at, place)
        # Where a batch is not full, its first point takes the places that do not count.
        entry, inside = self._entry("place", place + 1), at < self.points
        with self.code.when(inside):
            self.writer.store_to(entry, self._exchanged(at, place), "i32")
        with self.code.when(~inside):
            first = self._entry("place", self.code.constant(1, "i64") * 1)
            self.writer.store_to(entry, self.writer.load_from(first, "i32"), "i32")
        return self.writer.load_from(entry, "i32")

    def _exchanged(self, at: Scalar, place: Scalar) -> str:
        w, slot = self.writer, self.layout.slot("i32")
        left = self._splat(self.code.constant(self.points, "i64") - at)
        further = self._share_of(w.load_from(self._entry("place", place + 1), "i32"), left)
        other = self._wide_op("add", further, self._wide(self._splat(at)))
        offsets = self._wide_op("add", self._wide_op("mul", other, slot), self._each_lane(4))
        order = w.put(f"getelementptr i8, ptr %state, i64 {self.layout.offset(('order', 0))}", "p")
        pointers, here = self._pointers(order, offsets), self._entry("order", at)
        taken, given = self._gather(pointers, "i32"), w.load_from(here, "i32")
        self._scatter(given, pointers)
        w.store_to(here, taken, "i32")
        return taken

    # Their numbers.

    def _copy(self, source: Source, rows: str, begin: str) -> None:
        """The components of a point, from row by row to lane by lane."""
        size = TYPES[self.type].itemsize
        one = size * (self.lanes if source.own else 1)
        offsets = self._wide_op("mul", rows, source.components * one)
        if source.own:
            offsets = self._wide_op("add", offsets, self._each_lane(size))
        if not source.own and source.components >= self.lanes:
            self._transposed(source, offsets, begin)
            return
        pointers, slot = self._pointers(f"%{source.name}", offsets), self.layout.slot(self.type)
        self._each(source.components, lambda c: self._copy_one(pointers, c * one, begin, c * slot))

    def _each(self, count: int, one: Callable[[Scalar], None]) -> None:
        if count <= _UNROLLED:
            for number in range(count):
                one(self.code.constant(number, "i64") * 1)
        else:
            with self.code.loop(0, count) as number:
                one(number)

    def _copy_one(self, pointers: str, from_byte: Scalar, begin: str, to_byte: Scalar) -> None:
        w, many = self.writer, f"<{self.lanes} x ptr>"
        there = w.put(f"getelementptr i8, {many} {pointers}, i64 {from_byte.text}", "p")
        here = w.put(f"getelementptr i8, ptr {begin}, i64 {to_byte.text}", "p")
        w.store_to(here, self._gather(there, self.type), self.type)

    def _transposed(self, source: Source, offsets: str, begin: str) -> None:
        """As many components as there are lanes at a time: rows are read whole, and their matrix is transposed."""
        blocks, left = divmod(source.components, self.lanes)
        with self.code.loop(0, blocks) as block:
            self._block(source, offsets, begin, block * self.lanes)
        if left:  # once more what is read twice
            self._block(source, offsets, begin, self.code.constant(source.components - self.lanes, "i64") * 1)

    def _block(self, source: Source, offsets: str, begin: str, first: Scalar) -> None:
        w, size, vector = self.writer, TYPES[self.type].itemsize, self.writer.vector(self.type)
        base = w.put(f"getelementptr {scalar_type(self.type)}, ptr %{source.name}, i64 {first.text}", "p")
        rows = []
        for lane in range(self.lanes):
            offset = w.put(f"extractelement {w.vector('i64')} {offsets}, i64 {lane}")
            row = w.put(f"getelementptr i8, ptr {base}, i64 {offset}", "p")
            rows.append(w.put(f"load {vector}, ptr {row}, align {size}"))
        slot = self.layout.slot(self.type)
        here = w.put(f"getelementptr i8, ptr {begin}, i64 {(first * slot).text}", "p")
        for number, column in enumerate(self._columns(rows)):
            w.store_to(w.put(f"getelementptr i8, ptr {here}, i64 {number * slot}", "p"), column, self.type)

    def _columns(self, rows: list[str]) -> list[str]:
        """The transpose of a square matrix, by exchanges of ever larger parts (Eklundh, 1972)."""
        w, vector, distance = self.writer, self.writer.vector(self.type), 1
        while distance < self.lanes:
            new = list(rows)
            for i in range(self.lanes):
                if i & distance:
                    continue
                upper = [j if not j & distance else self.lanes + j - distance for j in range(self.lanes)]
                lower = [j + distance if not j & distance else self.lanes + j for j in range(self.lanes)]
                for place, mask in ((i, upper), (i + distance, lower)):
                    entries = ", ".join(f"i32 {j}" for j in mask)
                    new[place] = w.put(
                        f"shufflevector {vector} {rows[i]}, {vector} {rows[i + distance]}, "
                        f"<{self.lanes} x i32> <{entries}>"
                    )
            rows, distance = new, 2 * distance
        return rows

    def _weigh(self, ensemble: Ensemble, rows: str, place: Scalar, count: Scalar) -> None:
        w, vector = self.writer, self.writer.vector(self.type)
        here = self._entry("batch_w", place, self.type)
        full, inside = self.code.constant(self.size, "i64").to(self.type), place < count
        # A mean is one of the points that count; a sum is of these alone.
        each = full / count.to(self.type) if ensemble.problem.loss.points == "mean" else full / full
        factor = w.splat(self.code.choose(inside, each, 0.0).text, self.type)
        if ensemble.weights is None and ensemble.problem.weights is None:
            w.store_to(here, factor, self.type)
            return
        self._copy(Source("w", 1, ensemble.weights is not None), rows, here)
        given = w.load_from(here, self.type)
        w.store_to(here, w.put(f"fmul {vector} {given}, {factor}"), self.type)
