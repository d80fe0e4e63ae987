"""The kernel of an ensemble: the whole training loop of one group of lanes, as LLVM assembly.

train(state, x, y, w, trace, first, count, every, closing)
    for step in first ... first + count - 1:
        fetch the points of the step, where they are a batch (see `sampling`)
        set gradients and loss to zero, or to those of penalties
        for each tile of points: add its loss and its gradients
        the points left over: likewise
        take note of the loss: initial, best and its step, first that is not finite, trace
        return if closing
        update parameters and optimizer state
start(state)
    set the optimizer's state

And, in a module of its own, for points that are judged:

evaluate(state, x, y, w)
    add the losses of all points
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxland.training.ensemble import Ensemble
from jaxland.training.lanes.emit import Straight, Target, Writer, emit_segments
from jaxland.training.lanes.sampling import DATA, write_take
from jaxland.training.lanes.sampling import HEAD as TAKE
from jaxland.training.program.expression import Expression
from jaxland.training.program.layout import Layout
from jaxland.training.program.programs import Programs
from jaxland.training.program.roll import roll


class _Data(NamedTuple):
    """How a kernel reads x, y or w: `components` a point, one number for all lanes or one each."""

    name: str
    components: int
    own: bool
    base: str

    def numbers(self, points: int, lanes: int) -> int:
        return points * self.components * (lanes if self.own else 1)


def write_kernel(ensemble: Ensemble, programs: Programs, layout: Layout, target: Target) -> str:
    """The assembly of both functions."""
    return KernelWriter(ensemble, programs, layout, target).text()


def write_evaluation(ensemble: Ensemble, programs: Programs, layout: Layout, target: Target) -> str:
    """The assembly of `evaluate`, for programs whose tiles add losses alone."""
    return KernelWriter(ensemble, programs, layout, target).evaluation()


class KernelWriter:
    """Writes kernels: the parts that all of them have."""

    def __init__(self, ensemble, programs, layout, target):
        self.ensemble, self.programs, self.layout, self.target = ensemble, programs, layout, target
        self.type = ensemble.scalar_type
        outputs = ensemble.y_shape[1]
        self.batches = ensemble.batch_size is not None
        own = {"x": ensemble.inputs is not None, "y": ensemble.targets is not None, "w": ensemble.weights is not None}
        components = {"x": ensemble.x_shape[1], "y": outputs, **({"w": 1} if ensemble.weighted else {})}
        self.data = {
            name: _Data(name, count, own[name] or self.batches, f"%{'batch_' * self.batches}{name}")
            for name, count in components.items()
        }
        self.declarations: set[str] = set()
        self.flushes = not ensemble.subnormal
        self.loss_weight = ensemble.problem.loss.weight(programs.points, outputs)

    def text(self) -> str:
        take = [write_take(self.ensemble, self.layout, self.target)] if self.batches else []
        return self.module(
            [
                self.function(
                    f"void @train({DATA}, ptr noalias %trace, i64 %first, i64 %count, i64 %every, i64 %closing)",
                    self._train(),
                ),
                self.function("void @start(ptr noalias %state)", self._start()),
                *self.functions(),
                *(self.function(TAKE, body, "internal ") for body in take),
            ]
        )

    def evaluation(self) -> str:
        return self.module([self.function(f"void @evaluate({DATA})", self._evaluate()), *self.functions()])

    def function(self, head: str, body: Writer, linkage: str = "") -> str:
        """The text of a function."""
        self.declarations |= body.declarations
        return "\n".join([f"define {linkage}{head} #0 {{", *body.text, "}"])

    def module(self, functions: Sequence[str]) -> str:
        """All text, with what the functions declare."""
        bits = 8 * self.target.vector_bytes
        attributes = (
            f'attributes #0 = {{ nounwind alignstack=64 "prefer-vector-width"="{bits}" '
            f'"min-legal-vector-width"="{bits}" }}'
        )
        return "\n".join([*functions, *sorted(self.declarations), attributes]) + "\n"

    def _evaluate(self) -> Writer:
        w = Writer(self.layout, self.target, self.type)
        w.label("entry")
        if self.flushes:
            w.flush_subnormals()
        self._clear(w)
        self._points(w)
        w.store(("judged", 0), self._loss(w), self.type)
        if self.flushes:
            w.restore_subnormals()
        w.do("ret void")
        return w

    def functions(self) -> list[str]:
        """Texts of further functions."""
        return []

    def _begin(self, w: Writer) -> None:
        """Sets the optimizer's state."""
        emit_segments(w, Straight(w), roll(self.programs.start_lines, "state", self.layout))

    def _clear(self, w: Writer) -> None:
        """Sets gradients and loss to what they begin with."""
        emit_segments(w, Straight(w), roll(self.programs.clear_lines, "grad", self.layout))

    def _add(self, w: Writer, tile: str, rest: bool) -> None:
        """Adds the loss and the gradient of a tile, or of the points left over."""
        self._tile(w, tile, self.programs.rest_lines if rest else self.programs.tile_lines)

    def _start(self) -> Writer:
        w = Writer(self.layout, self.target, self.type)
        w.label("entry")
        self._begin(w)
        w.do("ret void")
        return w

    def _train(self) -> Writer:
        w = Writer(self.layout, self.target, self.type)
        w.label("entry")
        if self.flushes:
            w.flush_subnormals()
        for data in self.data.values() if self.batches else ():
            w.do(f"{data.base} = getelementptr i8, ptr %state, i64 {self.layout.offset((data.base[1:], 0))}")
        w.do("%last = add i64 %first, %count")
        w.do("%any = icmp sgt i64 %count, 0")
        w.do("br i1 %any, label %step, label %done")
        w.label("step")
        w.do("%s = phi i64 [ %first, %entry ], [ %s.next, %updated ]")
        if self.batches:
            w.do("call void @take(ptr %state, ptr %x, ptr %y, ptr %w, i64 %s)")
        self._clear(w)
        self._points(w)
        loss = self._record(w)
        w.do("%stop = icmp ne i64 %closing, 0")
        w.do("br i1 %stop, label %done, label %update")
        w.label("update")
        self._update(w, loss)
        w.do("br label %updated")
        w.label("updated")
        w.do("%s.next = add i64 %s, 1")
        w.do("%more = icmp slt i64 %s.next, %last")
        w.do("br i1 %more, label %step, label %done")
        w.label("done")
        if self.flushes:
            w.restore_subnormals()
        w.do("ret void")
        return w

    def _update(self, w, loss) -> None:
        straight = Straight(w, lambda node: loss if node.value[0] == "loss" else None)
        emit_segments(w, straight, roll(self.programs.update_lines, "param", self.layout))

    def _points(self, w):
        tiles = self.programs.points // self.programs.tile
        before = w.block
        w.do("br label %tile")
        w.label("tile")
        w.do(f"%t = phi i64 [ 0, %{before} ], [ %t.next, %tiled ]")
        if tiles:
            self._add(w, "%t", rest=False)
        w.do("br label %tiled")
        w.label("tiled")
        w.do("%t.next = add i64 %t, 1")
        w.do(f"%more.tiles = icmp slt i64 %t.next, {tiles}")
        w.do("br i1 %more.tiles, label %tile, label %rest")
        w.label("rest")
        if self.programs.points % self.programs.tile:
            self._add(w, str(tiles), rest=True)

    def data_at(self, w: Writer, tile: str) -> dict[str, str]:
        """Pointers to where the inputs and the targets of a tile begin."""
        size = 4 if self.type == "f32" else 8
        bases = {}
        for data in self.data.values():
            stride = data.numbers(self.programs.tile, self.layout.lanes) * size
            start = w.put(f"mul i64 {tile}, {stride}")
            bases[data.name] = w.put(f"getelementptr i8, ptr {data.base}, i64 {start}")
        return bases

    def _tile(self, w, tile, lines):
        size, bases = 4 if self.type == "f32" else 8, self.data_at(w, tile)

        def read(node: Expression) -> str | None:
            kind, index = node.value
            if kind not in self.data:
                return None
            data = self.data[kind]
            place = data.numbers(1, self.layout.lanes) * index[0] + (self.layout.lanes if data.own else 1) * index[1]
            pointer = w.put(f"getelementptr i8, ptr {bases[kind]}, i64 {place * size}", "p")
            if data.own:
                return w.put(f"load {w.vector(self.type)}, ptr {pointer}, align {min(64, self.layout.lanes * size)}")
            return w.splat(
                w.put(f"load {w.vector(self.type).split(' x ')[1][:-1]}, ptr {pointer}, align {size}"),
                self.type,
            )

        Straight(w, read).emit(lines)

    def _loss(self, w) -> str:
        loss = w.load(("total", 0), self.type)
        if self.loss_weight == 1:
            return loss
        return w.put(f"fmul {w.vector(self.type)} {loss}, {w.constant(self.loss_weight, self.type)}")

    def _record(self, w) -> str:
        """Takes note of the loss of step %s. Comparisons with NaN are false, so best losses stay finite."""
        type, vector, steps = self.type, w.vector(self.type), w.vector("i32")
        loss = self._loss(w)
        w.store(("loss", 0), loss, type)
        now = w.splat(w.put("trunc i64 %s to i32"), "i32")

        if not self.batches:  # the first loss is that of all points
            initial = w.load(("initial_loss", 0), type)
            is_first = w.put("icmp eq i64 %s, 0")
            w.store(("initial_loss", 0), w.put(f"select i1 {is_first}, {vector} {loss}, {vector} {initial}"), type)

        best, best_step = w.load(("best_loss", 0), type), w.load(("best_step", 0), "i32")
        better = w.put(f"fcmp olt {vector} {loss}, {best}")
        mask = w.vector("i1")
        w.store(("best_loss", 0), w.put(f"select {mask} {better}, {vector} {loss}, {vector} {best}"), type)
        w.store(("best_step", 0), w.put(f"select {mask} {better}, {steps} {now}, {steps} {best_step}"), "i32")

        diverged = w.load(("diverged_step", 0), "i32")
        size = w.put(w.intrinsic("fabs", type, loss))
        wild = w.put(f"fcmp uge {vector} {size}, {w.constant(float('inf'), type)}")
        unseen = w.put(f"icmp slt {steps} {diverged}, zeroinitializer")
        found = w.put(f"and {mask} {wild}, {unseen}")
        w.store(("diverged_step", 0), w.put(f"select {mask} {found}, {steps} {now}, {steps} {diverged}"), "i32")
        self._trace(w, loss)
        return loss

    def _trace(self, w, loss):
        w.do("%traced = icmp sgt i64 %every, 0")
        w.do("br i1 %traced, label %due, label %recorded")
        w.label("due")
        row = w.put("udiv i64 %s, %every")
        late = w.put(f"mul i64 {row}, %every")
        due = w.put(f"icmp eq i64 {late}, %s")
        w.do(f"br i1 {due}, label %keep, label %recorded")
        w.label("keep")
        size = self.layout.lanes * (4 if self.type == "f32" else 8)
        place = w.put(f"mul i64 {row}, {size}")
        pointer = w.put(f"getelementptr i8, ptr %trace, i64 {place}")
        w.do(f"store {w.vector(self.type)} {loss}, ptr {pointer}, align {min(64, size)}")
        w.do("br label %recorded")
        w.label("recorded")
