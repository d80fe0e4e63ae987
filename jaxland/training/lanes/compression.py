"""The kernel of compressed steps: every lane has its own runs of points, and takes their ends instead of all points.

See `program.piecewise` for what a run is and why its ends are enough. This is how the runs follow a fit:

train(state, lists, trace, first, count, every, renew)
    where runs are to be made anew: divide(lane) for each lane
    for step in first ... first + count - 1:
        set gradients and loss to zero
        for slot in 0 ... the longest list:
            the gradient over the run in this slot of each lane
            for each lane in which a comparison differs between the ends of a run: part(lane, slot)
        gradients of lanes whose predictions are not finite are NaN
        take note of the loss, update parameters and optimizer state: as in `kernel`
        for each lane whose pieces have cost more than making them anew: divide(lane)
divide(lane)   makes the fewest runs there are for the parameters as they stand
search(lane, a, b, s)   makes a run at each place between a and b at which comparisons change: sixteen intervals are
    compared, and those whose ends differ are searched in turn
append(lane, a, b, s)   puts a run into the next slot, in step s
part(lane, slot)   its two ends were taken as two points; what is between is appended, to be taken in the same step
put(lane, slot, a, b, apart)   points a to b as a run or, apart, as two points (one, where a is b)

So every gradient is that of all points: a kink that moves is followed a step behind, and no step is wrong for it. Lists
are those of a lane and depend on nothing but its own past: a fit's bits do not depend on its neighbours.
"""

import math
from typing import NamedTuple

import numpy as np

from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.lanes.emit import Straight, Target, Writer, emit_segments
from jaxland.training.lanes.kernel import KernelWriter
from jaxland.training.lanes.scalar import Code, Scalar
from jaxland.training.program.expression import Expression
from jaxland.training.program.layout import Layout
from jaxland.training.program.memory import aligned
from jaxland.training.program.piecewise import EACH, REST, SHARED, V_A, V_B, Y_A, Y_B, A, B, C, RunPrograms
from jaxland.training.program.programs import Programs
from jaxland.training.program.roll import roll
from jaxland.training.program.schedule import Line

# Differences of sums over all points lose digits in a short run: what its points times the square of its width must be,
# as a share of the sum of all x^2, for all digits of float32.
_SHORTEST = 2.0**-25

# What dividing anew costs, for each comparison and doubling of the points, in comparisons of a point; and what follows
# a run that is parted, in runs. See the rule in `_Driver.settle`.
_SEARCHES, _PARTING = 2.0, 12
# Intervals into which points are divided in a search, at most as many as a 32-bit integer has bits.
_WAYS = 16
# A list grows no more if its excess was, on average, all but one in so many parts of what it is.
_SETTLED, _LONGEST_WAIT = 7, 3


class Lists(NamedTuple):
    """Where everything about the runs of a group lies in its memory: bytes from the start, and the size of it all.

    Slots are S = N, enough for every point to stand alone. W is how many lanes there are, O how many outputs.

    Attributes:
        x: (N,), ascending.
        y: (O, N), or (O, N, W) where each fit has its own.
        ends: (S, 2, W), x at the ends of runs.
        numbers: (S, SHARED + EACH O, W), see `program.piecewise`.
        first, last, born: (S, W) of 32-bit integers, the ends of runs as numbers of points, and the step in which a
            run was appended.
        core: (S,) of 32-bit integers, a bit for each lane whose run has points between its ends.
        count, base, parted, age: (W,) of 32-bit integers: runs, how many there were when they were made, how many were
            parted since, and how many steps ago that was.
        waits: (W,) of 32-bit integers, how often the price of making runs anew was doubled.
        debt: (W,) of 64-bit integers, what runs beyond `base` have cost since.
        longest: one 32-bit integer.
        from_point, single: 64-bit integers, while runs are made: where the next one begins, and a point that waits for
            another to make a pair, or -1.
        between: (2, W), x at both ends of intervals whose comparisons are compared.
        middle_x, middle_y: float64, the mean of x, and (O,) of the targets or (O, W).
        sums_x, sums_y: float64, sums over all points before each, less their means: (2, N + 1) of x and x^2, and
            (O, 3, N + 1) of y, x y and y^2, or (O, 3, N + 1, W).
        bytes: of all.
    """

    x: int
    y: int
    ends: int
    numbers: int
    first: int
    last: int
    born: int
    core: int
    count: int
    base: int
    parted: int
    age: int
    waits: int
    debt: int
    longest: int
    from_point: int
    single: int
    between: int
    middle_x: int
    sums_x: int
    middle_y: int
    sums_y: int
    bytes: int


def lists_of(ensemble: Ensemble, lanes: int) -> Lists:
    """The memory of a group's runs."""
    (points, outputs), size = ensemble.y_shape, ensemble.number_format.itemsize
    own = lanes if ensemble.targets is not None else 1
    sizes = {
        "x": points * size,
        "y": outputs * points * own * size,
        "ends": points * 2 * lanes * size,
        "numbers": points * (SHARED + EACH * outputs) * lanes * size,
        **dict.fromkeys(("first", "last", "born"), points * lanes * 4),
        "core": points * 4,
        **dict.fromkeys(("count", "base", "parted", "age", "waits"), lanes * 4),
        "debt": lanes * 8,
        "longest": 4,
        "from_point": 8,
        "single": 8,
        "between": 2 * lanes * size,
        "middle_x": 8,
        "sums_x": 2 * (points + 1) * 8,
        "middle_y": outputs * own * 8,
        "sums_y": outputs * 3 * (points + 1) * own * 8,
    }
    offsets, end = {}, 0
    for name, bytes in sizes.items():
        offsets[name], end = end, -(-(end + bytes) // 64) * 64
    return Lists(**offsets, bytes=end)


def new_lists(ensemble: Ensemble, lanes: int, members: Members) -> np.ndarray:
    """The memory of a group's runs, with the points in it."""
    dtype, lists = ensemble.number_format, lists_of(ensemble, lanes)
    memory = aligned(lists.bytes, np.dtype(np.uint8))
    order = np.argsort(members.x[:, 0], kind="stable")
    x, y = members.x[order, 0], members.y[..., order, :]
    # (O, N, 1) or (O, N, W).
    y = np.ascontiguousarray(y.transpose(2, 1, 0) if y.ndim == 3 else y.T[:, :, None], dtype)
    # Targets of a fit's own need not be finite.
    with np.errstate(invalid="ignore", over="ignore"):
        middle_x, middle_y = x.mean(dtype=np.float64), y.mean(axis=1, dtype=np.float64, keepdims=True)
        x_off, y_off = (x - middle_x)[:, None], y - middle_y
        sums_x = _sums_before(np.stack([x_off, x_off**2]))
        sums_y = _sums_before(np.stack([y_off, x_off * y_off, y_off**2], axis=1))
    placed = {"x": x, "y": y, "middle_x": middle_x, "middle_y": middle_y, "sums_x": sums_x, "sums_y": sums_y}
    for name, values in placed.items():
        values = np.ascontiguousarray(values).reshape(-1)
        memory[getattr(lists, name) :][: values.nbytes] = values.view(np.uint8)
    return memory


def _sums_before(values: np.ndarray) -> np.ndarray:
    """Over the last axis but one: nothing, the first, the first two and so on."""
    return np.concatenate([np.zeros_like(values[..., :1, :]), np.cumsum(values, axis=-2)], axis=-2)


def write_compressed_kernel(
    ensemble: Ensemble, programs: Programs, runs: RunPrograms, layout: Layout, target: Target
) -> str:
    """The assembly of `train`; the layout has `differs` and `wild` as well."""
    return _CompressedWriter(ensemble, programs, runs, layout, target).text()


def _least(code: Code, one: Scalar, other: Scalar) -> Scalar:
    return code.choose(one < other, one, other)


class _CompressedWriter(KernelWriter):
    def __init__(self, ensemble, programs, runs, layout, target):
        super().__init__(ensemble, programs, layout, target)
        self.runs = runs
        self.driver = _Driver(ensemble, runs, layout, target)

    def text(self) -> str:
        functions = [
            self.function(
                "void @train(ptr noalias %state, ptr noalias %lists, ptr noalias %trace, i64 %first, i64 %count, "
                "i64 %every, i64 %renew)",
                self._compressed(),
            ),
            *(self.function(head, writer, "internal ") for head, writer in self.driver.functions()),
        ]
        return self.module(functions)

    def _compressed(self) -> Writer:
        w = Writer(self.layout, self.target, self.type)
        code = Code(w)
        w.label("entry")
        if self.flushes:
            w.flush_subnormals()
        with code.when(~code.given("%renew", "i64").equals(0)), code.loop(0, self.layout.lanes) as lane:
            code.call("divide", "%state", "%lists", lane)
        with code.loop(code.given("%first", "i64"), code.given("%first", "i64") + code.given("%count", "i64")) as step:
            w.do(f"%s = add i64 {step.text}, 0")
            emit_segments(w, Straight(w), roll(self._clear_lines(), "grad", self.layout))
            self.driver.each_slot(code, step, self._run)
            self._spoil(w)
            loss = self._record(w)
            self._update(w, loss)
            self.driver.settle(code)
        if self.flushes:
            w.restore_subnormals()
        return self.driver.end(code)

    def _clear_lines(self) -> list[Line]:
        zero = Expression(-1, "constant", (), self.type, 0.0)
        return [Line("store", (zero,), self.type, ("wild", 0)), *self.programs.clear_lines]

    def _run(self, w: Writer, ends: str, numbers: str) -> None:
        """The gradient over the runs of a slot."""
        slot = self.layout.slot(self.type)

        def read(node: Expression) -> str | None:
            kind, index = node.value
            base = {"end": ends, "run": numbers}.get(kind)
            if base is None:
                return None
            pointer = w.put(f"getelementptr i8, ptr {base}, i64 {index * slot}", "p")
            return w.put(f"load {w.vector(self.type)}, ptr {pointer}, align {slot}")

        Straight(w, read).emit(self.runs.gradient_lines)

    def _spoil(self, w: Writer) -> None:
        """Gradients become NaN where a prediction is not finite.

        Slots that others use and this lane does not count nothing, but nothing times an infinite weight is NaN: what
        a diverging fit becomes would depend on its neighbours.
        """
        vector, mask = w.vector(self.type), w.vector("i1")
        wild = w.load(("wild", 0), self.type)
        bits = f"i{self.layout.lanes}"
        found = w.put(f"fcmp uno {vector} {wild}, {wild}")
        any_found = w.put(f"icmp ne {bits} {w.put(f'bitcast {mask} {found} to {bits}')}, 0")
        w.do(f"br i1 {any_found}, label %spoil, label %sane")
        w.label("spoil")
        for k in range(len(self.layout.kinds["grad"])):
            gradient = w.load(("grad", k), self.type)
            w.store(("grad", k), w.put(f"select {mask} {found}, {vector} {wild}, {vector} {gradient}"), self.type)
        w.do("br label %sane")
        w.label("sane")


class _Driver:
    """What keeps the lists of runs, in scalar code."""

    def __init__(self, ensemble: Ensemble, runs: RunPrograms, layout: Layout, target: Target):
        self.lists, self.layout, self.target, self.runs = lists_of(ensemble, layout.lanes), layout, target, runs
        self.type, self.lanes = ensemble.scalar_type, layout.lanes
        self.points, self.outputs = ensemble.y_shape
        self.own = ensemble.targets is not None
        self.fields = SHARED + EACH * self.outputs
        # In lines of program, all lanes alike, so that registers of any width divide at the same steps.
        comparisons = runs.comparisons * _SEARCHES * math.log2(max(2, self.points))
        self.price = int(comparisons * len(runs.compare_lines))
        self.extra = len(runs.gradient_lines)

    def functions(self) -> list[tuple[str, Writer]]:
        """Head and body of each function."""
        return [
            ("void @divide(ptr noalias %state, ptr noalias %lists, i64 %lane)", self._divide()),
            ("void @search(ptr noalias %state, ptr noalias %lists, i64 %lane, i64 %a, i64 %b, i64 %s)", self._search()),
            ("void @part(ptr noalias %state, ptr noalias %lists, i64 %lane, i64 %slot, i64 %s)", self._part()),
            ("void @append(ptr noalias %lists, i64 %lane, i64 %a, i64 %b, i64 %s)", self._append()),
            ("void @put(ptr noalias %lists, i64 %lane, i64 %slot, i64 %a, i64 %b, i64 %apart)", self._put()),
        ]

    def _begin(self) -> Code:
        writer = Writer(self.layout, self.target, self.type)
        writer.label("entry")
        return Code(writer)

    def end(self, code: Code) -> Writer:
        """Ends a function, and puts its variables where they belong."""
        code.writer.do("ret void")
        code.writer.text[1:1] = code.allocations
        return code.writer

    def _at(self, code: Code, name: str) -> str:
        return code.writer.put(f"getelementptr i8, ptr %lists, i64 {getattr(self.lists, name)}", "p")

    def _arrays(self, code: Code, *names: str) -> list[str]:
        return [self._at(code, name) for name in names]

    def each_slot(self, code: Code, step: Scalar, run) -> None:
        """Calls `run(writer, ends, numbers)`, which writes the gradient over a slot, and parts the runs that differ."""
        w, size = code.writer, self.layout.slot(self.type)
        core, longest, ends, numbers = self._arrays(code, "core", "longest", "ends", "numbers")
        slot = code.variable("i64", 0)
        with code.during() as loop:
            at = slot.value
            # Read again each time: a run that is parted appends others.
            loop.stop_unless(at < code.load("i32", longest, 0).to("i64"))
            here = [
                w.put(f"getelementptr i8, ptr {base}, i64 {(at * (count * size)).text}")
                for base, count in ((ends, 2), (numbers, self.fields))
            ]
            run(w, *here)
            failed = code.variable("i32", self._lanes_that_differ(code) & code.load("i32", core, at))
            with code.during() as parting:
                left = failed.value
                parting.stop_unless(~left.equals(0))
                code.call("part", "%state", "%lists", self._lowest(code, left), at, step)
                failed.value = left & (left - 1)
            slot.value = at + 1
        w.declarations.add("declare i32 @llvm.cttz.i32(i32, i1)")

    def _lanes_that_differ(self, code: Code) -> Scalar:
        """A bit for each lane."""
        return self._packed(code, code.writer.load(("differs", 0), "i1"))

    def settle(self, code: Code) -> None:
        """Makes the runs of a lane anew when those beyond the first ones have cost as much as that does.

        It is the rule by which one rents skis until the rent paid would have bought them. Where a list grew at once and
        then no more, as that of a fit which leaps to and fro between two states, twice as long is waited.
        """
        count, base, parted, age, debt, waits = self._arrays(code, "count", "base", "parted", "age", "debt", "waits")
        with code.loop(0, self.lanes) as lane:
            more = (code.load("i32", count, lane) - code.load("i32", base, lane)).to("i64")
            owed = code.load("i64", debt, lane) + more * self.extra
            code.store(owed, "i64", debt, lane)
            times, steps = code.load("i32", parted, lane), code.load("i32", age, lane) + 1
            code.store(steps, "i32", age, lane)
            bought = times.to("i64") * (_PARTING * self.extra) + self.price
            wait = code.load("i32", waits, lane)
            with code.when(owed > (bought << wait.to("i64"))):
                # Had it grown to the end, it would have been half as long on the way.
                settled = owed * _SETTLED > more * steps.to("i64") * (_SETTLED - 1) * self.extra
                longer = code.choose(wait < _LONGEST_WAIT, wait + 1, wait)
                shorter = code.choose(wait > 0, wait - 1, wait)
                code.store(code.choose(settled, longer, shorter), "i32", waits, lane)
                code.call("divide", "%state", "%lists", lane)

    def _divide(self) -> Writer:
        code = self._begin()
        lane = code.given("%lane", "i64")
        count, base, parted, debt = self._arrays(code, "count", "base", "parted", "debt")
        before = code.load("i32", count, lane).to("i64")
        code.store(0, "i32", count, lane)
        self._search_all(code, lane, code.constant(0, "i64"), code.constant(self.points - 1, "i64"), -1)
        now = code.load("i32", count, lane)
        with code.loop(now.to("i64"), before) as slot:
            self._blank(code, lane, slot)
        code.store(now, "i32", base, lane)
        for array, type in ((parted, "i32"), (self._at(code, "age"), "i32"), (debt, "i64")):
            code.store(0, type, array, lane)
        self._find_longest(code, count)
        return self.end(code)

    def _search_all(self, code: Code, lane: Scalar, a: Scalar, b: Scalar, step: Scalar | int) -> None:
        """Makes the runs of points a to b."""
        start = self._at(code, "from_point")
        code.store(a, "i64", start, 0)
        code.store(-1, "i64", self._at(code, "single"), 0)
        code.call("search", "%state", "%lists", lane, a, b, code.constant(step, "i64"))
        code.call("append", "%lists", lane, code.load("i64", start, 0), b, code.constant(step, "i64"))
        self._append_single(code, lane)

    def _append_single(self, code: Code, lane: Scalar) -> None:
        single = code.load("i64", self._at(code, "single"), 0)
        with code.when(~(single < 0)):
            self._new(code, lane, single, single, apart=1)

    def _search(self) -> Writer:
        code = self._begin()
        w, (lane, a, b, step) = code.writer, [code.given(name, "i64") for name in ("%lane", "%a", "%b", "%s")]
        start, between, x = self._arrays(code, "from_point", "between", "x")
        with code.when(b > a):
            stride = (b - a + (_WAYS - 1)) / _WAYS
            found = code.variable("i32", 0)
            # As many ways for registers of any width, so that all find the same runs.
            with code.loop(0, -(-_WAYS // self.lanes)) as block:
                begin = block * self.lanes
                with code.loop(0, self.lanes) as place:
                    for end in range(2):
                        point = _least(code, a + (begin + place + end) * stride, b)
                        code.store(code.load(self.type, x, point), self.type, between, place + end * self.lanes)
                found.value = found.value | (self._intervals_that_differ(code, lane, between) << begin.to("i32"))
            with code.during() as searching:
                left = found.value
                searching.stop_unless(~left.equals(0))
                place = self._lowest(code, left)
                first = a + place * stride
                last = _least(code, first + stride, b)
                near = last.equals(first + 1)
                with code.when(near):
                    code.call("append", "%lists", lane, code.load("i64", start, 0), first, step)
                    code.store(last, "i64", start, 0)
                with code.when(~near):
                    code.call("search", "%state", "%lists", lane, first, last, step)
                found.value = left & (left - 1)
        w.declarations.add("declare i32 @llvm.cttz.i32(i32, i1)")
        return self.end(code)

    def _lowest(self, code: Code, bits: Scalar) -> Scalar:
        """The place of the lowest bit that is set."""
        return Scalar(code, code.writer.put(f"call i32 @llvm.cttz.i32(i32 {bits.text}, i1 true)"), "i32").to("i64")

    def _intervals_that_differ(self, code: Code, lane: Scalar, between: str) -> Scalar:
        """A bit for each interval, at the parameters of a lane."""
        w, slot = code.writer, self.layout.slot(self.type)
        size, text = slot // self.lanes, {"f32": "float", "f64": "double"}[self.type]
        state = w.put(f"getelementptr i8, ptr %state, i64 {(lane * size).text}")

        def read(node: Expression) -> str:
            kind, index = node.value
            if kind == "end":
                pointer = w.put(f"getelementptr i8, ptr {between}, i64 {index * slot}", "p")
                return w.put(f"load {w.vector(self.type)}, ptr {pointer}, align {slot}")
            pointer = w.put(f"getelementptr i8, ptr {state}, i64 {self.layout.offset(node.value)}", "p")
            return w.splat(w.put(f"load {text}, ptr {pointer}, align {size}"), self.type)

        *lines, last = self.runs.compare_lines
        straight = Straight(w, read)
        straight.emit(lines)
        return self._packed(code, straight.operand(last.args[0]))

    def _packed(self, code: Code, mask: str) -> Scalar:
        """A truth value of each lane as the bits of an integer."""
        w, bits = code.writer, f"i{self.lanes}"
        packed = w.put(f"bitcast {w.vector('i1')} {mask} to {bits}")
        return Scalar(code, w.put(f"zext {bits} {packed} to i32"), "i32")

    def _new(self, code: Code, lane: Scalar, a: Scalar, b: Scalar, apart: int) -> Scalar:
        """Puts a run into the next slot, and returns it."""
        count, longest = self._arrays(code, "count", "longest")
        slot = code.load("i32", count, lane).to("i64")
        code.store(slot + 1, "i32", count, lane)
        with code.when(~(slot < code.load("i32", longest, 0).to("i64"))):
            # The first to come this far; other lanes have nothing here.
            with code.loop(0, self.lanes) as other:
                self._blank(code, other, slot)
            code.store(slot + 1, "i32", longest, 0)
        code.call("put", "%lists", lane, slot, a, b, code.constant(apart, "i64"))
        return slot

    def _blank(self, code: Code, lane: Scalar, slot: Scalar) -> None:
        """A run that counts nothing: the first point, twice, with weights of zero."""
        x, ends = self._arrays(code, "x", "ends")
        here = code.load(self.type, x, 0)
        for end in range(2):
            code.store(here, self.type, ends, (slot * 2 + end) * self.lanes + lane)
        for field in range(self.fields):
            self._set(code, lane, slot, field, 0.0)
        self._set_core(code, lane, slot, code.constant(0, "i32"))

    def _set(self, code: Code, lane: Scalar, slot: Scalar, field: int, value) -> None:
        code.store(value, self.type, self._at(code, "numbers"), (slot * self.fields + field) * self.lanes + lane)

    def _set_core(self, code: Code, lane: Scalar, slot: Scalar, bit: Scalar) -> None:
        """Whether a run has points between its ends: 1 or 0."""
        core, place = self._at(code, "core"), lane.to("i32")
        others = code.load("i32", core, slot) & ~(code.constant(1, "i32") << place)
        code.store(others | (bit << place), "i32", core, slot)

    def _find_longest(self, code: Code, count: str) -> None:
        most = code.variable("i32", 0)
        with code.loop(0, self.lanes) as lane:
            here = code.load("i32", count, lane)
            most.value = code.choose(here > most.value, here, most.value)
        code.store(most.value, "i32", self._at(code, "longest"), 0)

    def _part(self) -> Writer:
        code = self._begin()
        lane, slot, step = (code.given(name, "i64") for name in ("%lane", "%slot", "%s"))
        first, last, born, parted = self._arrays(code, "first", "last", "born", "parted")
        place = slot * self.lanes + lane
        a, b = (code.load("i32", array, place).to("i64") for array in (first, last))
        again = code.load("i32", born, place).equals(step.to("i32"))
        code.call("put", "%lists", lane, slot, a, b, code.constant(1, "i64"))
        code.store(-1, "i32", born, place)
        code.store(code.load("i32", parted, lane) + 1, "i32", parted, lane)
        # Most kinks have moved by a point. What differs twice in a step has one inside, which is looked for.
        with code.when(~again):
            code.store(-1, "i64", self._at(code, "single"), 0)
            code.call("append", "%lists", lane, a + 1, b - 1, step)
            self._append_single(code, lane)
        with code.when(again & (b - a > 1)):
            self._search_all(code, lane, a + 1, b - 1, step)
        return self.end(code)

    def _append(self) -> Writer:
        """A run of points; single ones are joined in pairs."""
        code = self._begin()
        lane, a, b, step = (code.given(name, "i64") for name in ("%lane", "%a", "%b", "%s"))
        place = self._at(code, "single")
        with code.when(b > a):
            slot = self._new(code, lane, a, b, apart=0)
            code.store(step, "i32", self._at(code, "born"), slot * self.lanes + lane)
        single = code.load("i64", place, 0)
        with code.when(b.equals(a) & (single < 0)):
            code.store(a, "i64", place, 0)
        with code.when(b.equals(a) & ~(single < 0)):
            self._new(code, lane, single, a, apart=1)
            code.store(-1, "i64", place, 0)
        return self.end(code)

    def _put(self) -> Writer:
        code = self._begin()
        lane, slot, a, b, apart = (code.given(f"%{name}", "i64") for name in ("lane", "slot", "a", "b", "apart"))
        x, ends, first, last, born = self._arrays(code, "x", "ends", "first", "last", "born")
        place = slot * self.lanes + lane
        for array, value in ((first, a), (last, b), (born, -1)):
            code.store(value, "i32", array, place)
        for end, point in enumerate((a, b)):
            code.store(code.load(self.type, x, point), self.type, ends, (slot * 2 + end) * self.lanes + lane)
        whole = apart.equals(0) & (b - a > 1)
        self._set_core(code, lane, slot, whole.to("i32"))
        for output in range(self.outputs):
            for field, point in ((Y_A, a), (Y_B, b)):
                self._set(code, lane, slot, SHARED + EACH * output + field, self._target(code, lane, output, point))
        with code.when(~whole):
            self._set(code, lane, slot, A, 1.0)
            self._set(code, lane, slot, B, 0.0)
            self._set(code, lane, slot, C, code.choose(a.equals(b), code.constant(0.0, self.type), 1.0))
            for output in range(self.outputs):
                for field, point in ((V_A, a), (V_B, b)):
                    self._set(code, lane, slot, SHARED + EACH * output + field, self._target(code, lane, output, point))
                self._set(code, lane, slot, SHARED + EACH * output + REST, 0.0)
        with code.when(whole):
            self._fit_lines(code, lane, slot, a, b)
        return self.end(code)

    def _target(self, code: Code, lane: Scalar, output: int, point: Scalar) -> Scalar:
        place = point + output * self.points
        return code.load(self.type, self._at(code, "y"), place * self.lanes + lane if self.own else place)

    def _fit_lines(self, code: Code, lane: Scalar, slot: Scalar, a: Scalar, b: Scalar) -> None:
        """A, B and C of a run, and the least-squares line of each output with what it leaves, in float64.

        They come from sums over all points before the ends of the run, or over its own points, one by one, where it is
        so short that differences of the former are not exact enough.
        """
        x, middle = self._at(code, "x"), code.load("f64", self._at(code, "middle_x"), 0)
        x_a, x_b = (code.load(self.type, x, point).to("f64") - middle for point in (a, b))
        width, many = x_b - x_a, (b - a + 1).to("f64")
        scale = code.constant(1.0, "f64") / width
        run = _RunOfPoints(a, b, x_a, scale, many)
        short = width * width * many < self._spread(code)
        sums = [code.variable("f64", 0.0) for _ in range(SHARED + 3 * self.outputs)]
        with code.when(short):
            self._sum_points(code, lane, run, sums)
        with code.when(~short):
            self._subtract_sums(code, lane, run, sums)
        aa, ab, bb = (total.value for total in sums[:SHARED])
        # At least 1, because each end counts for one.
        inverse = code.constant(1.0, "f64") / (aa * bb - ab * ab)
        for field, value in ((A, aa), (B, ab), (C, bb)):
            self._set(code, lane, slot, field, value)
        for output in range(self.outputs):
            at_a, at_b, squares = sums[SHARED + 3 * output : SHARED + 3 * (output + 1)]
            v_a, v_b = ((p * q.value - ab * r.value) * inverse for p, q, r in ((bb, at_a, at_b), (aa, at_b, at_a)))
            rest = code.variable("f64", squares.value - v_a * at_a.value - v_b * at_b.value)
            with code.when(short):
                self._sum_rests(code, lane, run, output, (v_a, v_b), rest)
            level = self._level(code, lane, output)
            values = {V_A: v_a + level, V_B: v_b + level, REST: code.choose(rest.value > 0, rest.value, 0.0)}
            for field, value in values.items():
                self._set(code, lane, slot, SHARED + EACH * output + field, value)

    def _spread(self, code: Code) -> Scalar:
        """What the square of a run's width, times its points, must reach for differences of sums to be exact enough."""
        if self.type == "f64":
            return code.constant(float("inf"), "f64")
        return code.load("f64", self._at(code, "sums_x"), 2 * self.points + 1) * _SHORTEST

    def _sum_points(self, code: Code, lane: Scalar, run: "_RunOfPoints", sums: list) -> None:
        with code.loop(run.a, run.b + 1) as point:
            t, u = self._place(code, point, run)
            for total, term in zip(sums, (u * u, u * t, t * t), strict=False):
                total.value = total.value + term
            for output in range(self.outputs):
                y = self._centred(code, lane, output, point)
                for total, weight in zip(sums[SHARED + 3 * output :], (u, t), strict=False):
                    total.value = total.value + weight * y

    def _sum_rests(self, code: Code, lane: Scalar, run: "_RunOfPoints", output: int, line, rest) -> None:
        rest.value = 0.0
        with code.loop(run.a, run.b + 1) as point:
            t, u = self._place(code, point, run)
            left = self._centred(code, lane, output, point) - (u * line[0] + t * line[1])
            rest.value = rest.value + left * left

    def _subtract_sums(self, code: Code, lane: Scalar, run: "_RunOfPoints", sums: list) -> None:
        x, y = self._arrays(code, "sums_x", "sums_y")
        width = self.lanes if self.own else 1

        def over(base: str, row: int, each: int) -> Scalar:
            ends = ((point + row * (self.points + 1)) * each for point in (run.b + 1, run.a))
            after, before = (code.load("f64", base, place + lane if each > 1 else place) for place in ends)
            return after - before

        x_sum, x_squares = (over(x, row, 1) for row in range(2))
        t_sum = (x_sum - run.many * run.x_a) * run.scale
        t_squares = (x_squares - (x_sum * 2.0 - run.many * run.x_a) * run.x_a) * run.scale * run.scale
        terms = run.many - t_sum * 2.0 + t_squares, t_sum - t_squares, t_squares
        for total, term in zip(sums, terms, strict=False):
            total.value = term
        for output in range(self.outputs):
            y_sum, xy_sum, squares = (over(y, 3 * output + row, width) for row in range(3))
            at_b = (xy_sum - y_sum * run.x_a) * run.scale
            for total, term in zip(sums[SHARED + 3 * output :], (y_sum - at_b, at_b, squares), strict=False):
                total.value = term

    def _level(self, code: Code, lane: Scalar, output: int) -> Scalar:
        """The mean of the targets."""
        place = lane + output * self.lanes if self.own else output
        return code.load("f64", self._at(code, "middle_y"), place)

    def _centred(self, code: Code, lane: Scalar, output: int, point: Scalar) -> Scalar:
        return self._target(code, lane, output, point).to("f64") - self._level(code, lane, output)

    def _place(self, code: Code, point: Scalar, run: "_RunOfPoints") -> tuple[Scalar, Scalar]:
        """t and 1 - t of a point."""
        middle = code.load("f64", self._at(code, "middle_x"), 0)
        t = (code.load(self.type, self._at(code, "x"), point).to("f64") - middle - run.x_a) * run.scale
        return t, code.constant(1.0, "f64") - t


class _RunOfPoints(NamedTuple):
    """A run while its numbers are computed: its ends, x at the first less the mean of all, 1 over its width in x, and
    how many points it has."""

    a: Scalar
    b: Scalar
    x_a: Scalar
    scale: Scalar
    many: Scalar
