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
divide(lane)   the fewest runs there are for the parameters as they stand, found by comparing each point with the next
part(lane, slot)   its two ends were taken as two points; what is between is appended, to be taken in the same step
put(lane, slot, a, b, apart)   points a to b as a run or, apart, as two points (one, where a is b)

So every gradient is that of all points: a kink that moves is followed a step behind, and no step is wrong for it. Lists
are those of a lane and depend on nothing but its own past: a fit's bits do not depend on its neighbours.
"""

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

# What dividing anew costs beside the comparisons of all points, as a share of them; and what follows a run that is
# parted, in runs. See the rule in `_Driver.settle`.
_DIVIDING, _PARTING = 1.5, 12
# A fit is restless if a run was parted in more than one of so many steps.
_RESTLESS, _LONGEST_WAIT = 2, 4


class Lists(NamedTuple):
    """Where everything about the runs of a group lies in its memory: bytes from the start, and the size of it all.

    Slots are S = N, enough for every point to stand alone. W is how many lanes there are, O how many outputs.

    Attributes:
        x: (N + 2 W), ascending, the last one repeated.
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
        breaks: (N + 2 W) bytes, whether a point and the next lie on different pieces.
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
    breaks: int
    bytes: int


def lists_of(ensemble: Ensemble, lanes: int) -> Lists:
    """The memory of a group's runs."""
    (points, outputs), size = ensemble.y_shape, ensemble.number_format.itemsize
    own = lanes if ensemble.targets is not None else 1
    sizes = {
        "x": (points + 2 * lanes) * size,
        "y": outputs * points * own * size,
        "ends": points * 2 * lanes * size,
        "numbers": points * (SHARED + EACH * outputs) * lanes * size,
        **dict.fromkeys(("first", "last", "born"), points * lanes * 4),
        "core": points * 4,
        **dict.fromkeys(("count", "base", "parted", "age", "waits"), lanes * 4),
        "debt": lanes * 8,
        "longest": 4,
        "breaks": points + 2 * lanes,
    }
    offsets, end = {}, 0
    for name, bytes in sizes.items():
        offsets[name], end = end, -(-(end + bytes) // 64) * 64
    return Lists(**offsets, bytes=end)


def new_lists(ensemble: Ensemble, lanes: int, members: Members) -> np.ndarray:
    """The memory of a group's runs, with the points in it."""
    dtype, lists = ensemble.number_format, lists_of(ensemble, lanes)
    memory = aligned(lists.bytes, np.dtype(np.uint8))
    x = members.x[:, 0]
    order = np.argsort(x, kind="stable")
    padded = np.concatenate([x[order], np.full(2 * lanes, x[order[-1]], dtype)])
    memory[lists.x : lists.x + padded.nbytes] = padded.view(np.uint8)
    y = members.y[..., order, :]
    y = np.ascontiguousarray(y.transpose(2, 1, 0) if y.ndim == 3 else y.T, dtype)
    memory[lists.y : lists.y + y.nbytes] = y.reshape(-1).view(np.uint8)
    return memory


def write_compressed_kernel(
    ensemble: Ensemble, programs: Programs, runs: RunPrograms, layout: Layout, target: Target
) -> str:
    """The assembly of `train`; the layout has `differs` and `wild` as well."""
    return _CompressedWriter(ensemble, programs, runs, layout, target).text()


class _CompressedWriter(KernelWriter):
    def __init__(self, ensemble, programs, runs, layout, target):
        super().__init__(ensemble, programs, layout, target)
        self.runs = runs
        self.driver = _Driver(ensemble, programs, runs, lists_of(ensemble, layout.lanes), layout, target)

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
            emit_segments(w, Straight(w), roll(self._zeros(("wild", 0)), "grad", self.layout))
            self.driver.each_slot(code, step, self._run)
            self._spoil(w)
            loss = self._record(w)
            self._update(w, loss)
            self.driver.settle(code)
        if self.flushes:
            w.restore_subnormals()
        return self.driver.end(code)

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

    def __init__(self, ensemble: Ensemble, programs: Programs, runs: RunPrograms, lists: Lists, layout: Layout, target):
        self.lists, self.layout, self.target, self.runs = lists, layout, target, runs
        self.type, self.lanes = ensemble.scalar_type, layout.lanes
        self.points, self.outputs = ensemble.y_shape
        self.own = ensemble.targets is not None
        self.fields = SHARED + EACH * self.outputs
        # In lines of program, all lanes alike, so that registers of any width divide at the same steps.
        self.price = int(_DIVIDING * self.points * len(runs.compare_lines))
        self.extra = len(runs.gradient_lines)

    def functions(self) -> list[tuple[str, Writer]]:
        """Head and body of each function."""
        return [
            ("void @divide(ptr noalias %state, ptr noalias %lists, i64 %lane)", self._divide()),
            ("void @part(ptr noalias %lists, i64 %lane, i64 %slot, i64 %s)", self._part()),
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
                lane = Scalar(code, w.put(f"call i32 @llvm.cttz.i32(i32 {left.text}, i1 true)"), "i32").to("i64")
                code.call("part", "%lists", lane, at, step)
                failed.value = left & (left - 1)
            slot.value = at + 1
        w.declarations.add("declare i32 @llvm.cttz.i32(i32, i1)")

    def _lanes_that_differ(self, code: Code) -> Scalar:
        """A bit for each lane."""
        w, bits = code.writer, f"i{self.lanes}"
        differs = w.load(("differs", 0), "i1")
        packed = w.put(f"bitcast {w.vector('i1')} {differs} to {bits}")
        return Scalar(code, w.put(f"zext {bits} {packed} to i32"), "i32")

    def settle(self, code: Code) -> None:
        """Makes the runs of a lane anew when those beyond the first ones have cost as much as that does.

        It is the rule by which one rents skis until the rent paid would have bought them. Where runs were parted all
        the time since, as those of a fit that leaps to and fro between two states, twice as long is waited.
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
                futile = times * _RESTLESS > steps
                longer = code.choose(wait < _LONGEST_WAIT, wait + 1, wait)
                shorter = code.choose(wait > 0, wait - 1, wait)
                code.store(code.choose(futile, longer, shorter), "i32", waits, lane)
                code.call("divide", "%state", "%lists", lane)

    def _divide(self) -> Writer:
        code = self._begin()
        lane = code.given("%lane", "i64")
        breaks, count, base, parted, debt = self._arrays(code, "breaks", "count", "base", "parted", "debt")
        age = self._at(code, "age")
        with code.loop(0, -(-self.points // self.lanes)) as block:
            self._compare(code, lane, block * self.lanes, breaks)
        code.store(1, "i8", breaks, self.points - 1)
        before = code.load("i32", count, lane).to("i64")
        code.store(0, "i32", count, lane)
        self._find_runs(code, lane, breaks)
        now = code.load("i32", count, lane)
        with code.loop(now.to("i64"), before) as slot:
            self._blank(code, lane, slot)
        code.store(now, "i32", base, lane)
        code.store(0, "i32", parted, lane)
        code.store(0, "i32", age, lane)
        code.store(0, "i64", debt, lane)
        self._find_longest(code, count)
        return self.end(code)

    def _compare(self, code: Code, lane: Scalar, point: Scalar, breaks: str) -> None:
        """Whether points and the next ones lie on different pieces: as many points as there are lanes."""
        w, size = code.writer, self.layout.slot(self.type) // self.lanes
        x, state = self._at(code, "x"), w.put(f"getelementptr i8, ptr %state, i64 {(lane * size).text}")
        text = {"f32": "float", "f64": "double"}[self.type]

        def read(node: Expression) -> str:
            kind, index = node.value
            if kind == "end":
                place = (point + index).text
                pointer = w.put(f"getelementptr {text}, ptr {x}, i64 {place}", "p")
                return w.put(f"load {w.vector(self.type)}, ptr {pointer}, align {size}")
            pointer = w.put(f"getelementptr i8, ptr {state}, i64 {self.layout.offset(node.value)}", "p")
            return w.splat(w.put(f"load {text}, ptr {pointer}, align {size}"), self.type)

        *lines, last = self.runs.compare_lines
        straight = Straight(w, read)
        straight.emit(lines)
        differs = w.put(f"zext {w.vector('i1')} {straight.operand(last.args[0])} to <{self.lanes} x i8>")
        place = w.put(f"getelementptr i8, ptr {breaks}, i64 {point.text}", "p")
        w.do(f"store <{self.lanes} x i8> {differs}, ptr {place}, align 1")

    def _find_runs(self, code: Code, lane: Scalar, breaks: str) -> None:
        """Single points are joined in pairs."""
        first, single = code.variable("i64", 0), code.variable("i64", -1)
        with code.during() as runs:
            a = first.value
            runs.stop_unless(a < self.points)
            last = code.variable("i64", a)
            with code.during() as run:
                run.stop_unless(code.load("i8", breaks, last.value).equals(0))
                last.value = last.value + 1
            b = last.value
            first.value = b + 1
            alone = a.equals(b)
            with code.when(~alone):
                self._new(code, lane, a, b, apart=0)
            waiting = single.value
            with code.when(alone & (waiting < 0)):
                single.value = a
            with code.when(alone & ~(waiting < 0)):
                self._new(code, lane, waiting, a, apart=1)
                single.value = -1
        with code.when(~(single.value < 0)):
            self._new(code, lane, single.value, single.value, apart=1)

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
        a, b = a + 1, b - 1
        # What fails twice in a step has a kink inside, and not at its ends: it is halved.
        halved = again & (b - a > 4)
        middle = code.choose(halved, (a + b) >> 1, b)
        code.call("append", "%lists", lane, a, middle, step)
        code.call("append", "%lists", lane, middle + 1, b, step)
        return self.end(code)

    def _append(self) -> Writer:
        code = self._begin()
        lane, a, b, step = (code.given(name, "i64") for name in ("%lane", "%a", "%b", "%s"))
        with code.when(~(b < a)):
            slot = self._new(code, lane, a, b, apart=0)
            code.store(step, "i32", self._at(code, "born"), slot * self.lanes + lane)
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
                ends_y = ((V_A, a), (V_B, b))
                for field, point in ends_y:
                    self._set(code, lane, slot, SHARED + EACH * output + field, self._target(code, lane, output, point))
                self._set(code, lane, slot, SHARED + EACH * output + REST, 0.0)
        with code.when(whole):
            self._fit_lines(code, lane, slot, a, b)
        return self.end(code)

    def _target(self, code: Code, lane: Scalar, output: int, point: Scalar) -> Scalar:
        place = point + output * self.points
        return code.load(self.type, self._at(code, "y"), place * self.lanes + lane if self.own else place)

    def _fit_lines(self, code: Code, lane: Scalar, slot: Scalar, a: Scalar, b: Scalar) -> None:
        """A, B and C of a run, and the least-squares line of each output with what it leaves, in float64."""
        x, outputs = self._at(code, "x"), range(self.outputs)
        x_a, x_b = (code.load(self.type, x, point).to("f64") for point in (a, b))
        scale = code.constant(1.0, "f64") / (x_b - x_a)
        sums = [code.variable("f64", 0.0) for _ in range(SHARED + 2 * self.outputs)]
        with code.loop(a, b + 1) as point:
            t, u = self._place(code, x, point, x_a, scale)
            for total, term in zip(sums, (u * u, u * t, t * t), strict=False):
                total.value = total.value + term
            for output in outputs:
                y = self._target(code, lane, output, point).to("f64")
                for k, weight in enumerate((u, t)):
                    total = sums[SHARED + 2 * output + k]
                    total.value = total.value + weight * y
        aa, ab, bb = (total.value for total in sums[:SHARED])
        # At least 1, because each end counts for one.
        inverse = code.constant(1.0, "f64") / (aa * bb - ab * ab)
        for field, value in ((A, aa), (B, ab), (C, bb)):
            self._set(code, lane, slot, field, value)
        for output in outputs:
            at_a, at_b = (sums[SHARED + 2 * output + k].value for k in range(2))
            v_a, v_b = (bb * at_a - ab * at_b) * inverse, (aa * at_b - ab * at_a) * inverse
            rest = code.variable("f64", 0.0)
            with code.loop(a, b + 1) as point:
                t, u = self._place(code, x, point, x_a, scale)
                left = self._target(code, lane, output, point).to("f64") - (u * v_a + t * v_b)
                rest.value = rest.value + left * left
            for field, value in ((V_A, v_a), (V_B, v_b), (REST, rest.value)):
                self._set(code, lane, slot, SHARED + EACH * output + field, value)

    def _place(self, code: Code, x: str, point: Scalar, x_a: Scalar, scale: Scalar) -> tuple[Scalar, Scalar]:
        """t and 1 - t of a point."""
        t = (code.load(self.type, x, point).to("f64") - x_a) * scale
        return t, code.constant(1.0, "f64") - t
