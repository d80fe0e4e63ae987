"""Writes a kernel as LLVM assembly in which every value is a vector of LANES fits.

The text says what is to be computed and in which width, so nothing is left to a vectoriser: a `<16 x float>` is one
AVX-512 register, `<8 x float>` one of AVX2, `<4 x float>` one of SSE or NEON, and a multiply-add is one instruction
where the CPU has it. No fast-math flag is set, apart from `nsz` on a select: bits do not depend on lane or width, and
NaN and infinity stay what they are.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxland.training.program.expression import COMPARISONS, FLOATS, INTEGERS, TYPES, Expression
from jaxland.training.program.layout import Layout, memory_type
from jaxland.training.program.roll import Segment
from jaxland.training.program.schedule import Line

# A block ends after so many lines. Scalars in memory are loaded once a block, near their uses, and the compiler
# orders lines within a block only.
BLOCK_LINES = 24

# The bits "flush to zero" and "denormals are zero" of MXCSR, and "flush to zero" of FPCR, which is both.
_X86_FLUSHES, _ARM_FLUSHES = 0x8040, 1 << 24

_TEXT = {"f32": "float", "f64": "double", "i32": "i32", "i64": "i64", "i1": "i1"}
_PREDICATES = {
    "float": {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"},
    "integer": {"eq": "eq", "ne": "ne", "lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge"},
    # The one bit of a truth value would be a sign.
    "truth": {"eq": "eq", "ne": "ne", "lt": "ult", "le": "ule", "gt": "ugt", "ge": "uge"},
}
_FLOAT_OPS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_INTEGER_OPS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "sdiv",
    "and": "and",
    "or": "or",
    "xor": "xor",
}
_INTEGER_OPS |= {"shl": "shl", "shr": "ashr"}
_INTRINSICS = {
    "sqrt": "sqrt",
    "abs": "fabs",
    "floor": "floor",
    "ceil": "ceil",
    "nearest": "roundeven",
    "fma": "fma",
}


class Target(NamedTuple):
    """What code is made for.

    Attributes:
        cpu: LLVM's name of the processor.
        features: LLVM's list, such as `"+avx2,+fma,-avx512f"`.
        vector_bytes: width of a register.
        fused: whether it has fused multiply-add.
        arm: whether it is one of ARM.
    """

    cpu: str
    features: str
    vector_bytes: int
    fused: bool
    arm: bool = False


class Writer:
    """Collects the assembly of one function, and its current block."""

    def __init__(self, layout: Layout, target: Target, type: str):
        self.layout, self.target, self.type = layout, target, type
        self.text: list[str] = []
        self.block = "entry"
        self.declarations: set[str] = set()
        self.shifted: set[tuple] = set()
        self.shift = "%state"
        self._count = 0

    def fresh(self, stem: str = "v") -> str:
        """A new name."""
        self._count += 1
        return f"%{stem}{self._count}"

    def put(self, text: str, stem: str = "v") -> str:
        """Adds an instruction and returns the name of its result."""
        name = self.fresh(stem)
        self.text.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """Adds an instruction without a result."""
        self.text.append(f"  {text}")

    def label(self, name: str) -> None:
        """Begins a block."""
        self.text.append(f"{name}:")
        self.block = name

    def next_block(self) -> None:
        """Ends a block of straight-line code and goes on in another."""
        name = self.fresh("b")[1:]
        self.do(f"br label %{name}")
        self.label(name)

    def vector(self, type: str) -> str:
        """The vector type of all lanes."""
        return f"<{self.layout.lanes} x {_TEXT[type]}>"

    def constant(self, value, type: str) -> str:
        """The same number in every lane."""
        return f"splat ({_TEXT[type]} {number(value, type)})"

    def intrinsic(self, name: str, type: str, *args: str) -> str:
        """Text of a call of an elementwise LLVM intrinsic."""
        vector = self.vector(type)
        function = f"@llvm.{name}.v{self.layout.lanes}{type}"
        self.declarations.add(f"declare {vector} {function}({', '.join([vector] * len(args))})")
        return f"call {vector} {function}({', '.join(f'{vector} {arg}' for arg in args)})"

    def address(self, target: tuple) -> str:
        """Pointer to an entry of the group's buffer; to a later one for the `shifted` ones of a loop."""
        base = self.shift if target in self.shifted else "%state"
        return self.put(f"getelementptr i8, ptr {base}, i64 {self.layout.offset(target)}", "p")

    def load(self, target: tuple, type: str) -> str:
        """All lanes of an entry of the group's buffer."""
        return self.load_from(self.address(target), type)

    def load_from(self, pointer: str, type: str) -> str:
        """All lanes of what a pointer is to."""
        memory = "i32" if type == "i1" else type
        alignment = min(64, self.layout.lanes * memory_type(type).itemsize)
        value = self.put(f"load {self.vector(memory)}, ptr {pointer}, align {alignment}")
        return self.put(f"trunc {self.vector('i32')} {value} to {self.vector('i1')}") if type == "i1" else value

    def store(self, target: tuple, value: str, type: str) -> None:
        """Writes all lanes of an entry."""
        self.store_to(self.address(target), value, type)

    def store_to(self, pointer: str, value: str, type: str) -> None:
        """Writes all lanes of what a pointer is to."""
        if type == "i1":
            value, type = self.put(f"zext {self.vector('i1')} {value} to {self.vector('i32')}"), "i32"
        alignment = min(64, self.layout.lanes * memory_type(type).itemsize)
        self.do(f"store {self.vector(type)} {value}, ptr {pointer}, align {alignment}")

    def flush_subnormals(self) -> None:
        """Takes subnormal numbers for zero, and makes none, until `restore_subnormals`; once a function.

        The velocity of a dead unit decays into them and stays there, and many processors take a hundred times as long
        for an instruction that meets one.
        """
        if self.target.arm:
            self.declarations |= {"declare i64 @llvm.aarch64.get.fpcr()", "declare void @llvm.aarch64.set.fpcr(i64)"}
            self.do("%control = call i64 @llvm.aarch64.get.fpcr()")
            self.do(f"%control.flushing = or i64 %control, {_ARM_FLUSHES}")
            self.do("call void @llvm.aarch64.set.fpcr(i64 %control.flushing)")
            return
        self.declarations |= {f"declare void @llvm.x86.sse.{name}(ptr)" for name in ("stmxcsr", "ldmxcsr")}
        self.do("%control = alloca i32, align 4")
        self.do("%control.flushing = alloca i32, align 4")
        self.do("call void @llvm.x86.sse.stmxcsr(ptr %control)")
        before = self.put("load i32, ptr %control, align 4")
        self.do(f"store i32 {self.put(f'or i32 {before}, {_X86_FLUSHES}')}, ptr %control.flushing, align 4")
        self.do("call void @llvm.x86.sse.ldmxcsr(ptr %control.flushing)")

    def restore_subnormals(self) -> None:
        """What `flush_subnormals` changed is as it was."""
        if self.target.arm:
            self.do("call void @llvm.aarch64.set.fpcr(i64 %control)")
        else:
            self.do("call void @llvm.x86.sse.ldmxcsr(ptr %control)")

    def splat_from(self, pointer: str, type: str) -> str:
        """What a pointer to one number is to, in every lane."""
        kept = "i32" if type == "i1" else type
        one = self.put(f"load {_TEXT[kept]}, ptr {pointer}, align {memory_type(kept).itemsize}")
        value = self.splat(one, kept)
        return self.put(f"trunc {self.vector('i32')} {value} to {self.vector('i1')}") if type == "i1" else value

    def splat(self, scalar: str, type: str) -> str:
        """A scalar in every lane."""
        vector = self.vector(type)
        one = self.put(f"insertelement {vector} poison, {_TEXT[type]} {scalar}, i64 0")
        return self.put(f"shufflevector {vector} {one}, {vector} poison, <{self.layout.lanes} x i32> zeroinitializer")


def scalar_type(type: str) -> str:
    """LLVM's name of the type of one number."""
    return _TEXT[type]


def number(value, type: str) -> str:
    """A constant in LLVM's notation; floating-point numbers as the bits of a double."""
    if type in FLOATS:
        return f"0x{np.float64(TYPES[type].type(value)).view(np.uint64):016X}"
    return str(bool(value)).lower() if type == "i1" else str(int(value))


class Straight:
    """Emits the straight-line code of a scheduled program, in blocks of `BLOCK_LINES`.

    Args:
        writer: where it goes.
        read: returns the text of the vector of an input that does not live in the group's buffer, or None.
    """

    def __init__(self, writer: Writer, read: Callable[[Expression], str | None] = lambda node: None):
        self.writer, self.read = writer, read
        self.names: dict[int, str] = {}
        self.loaded: dict[tuple, str] = {}
        self.pinned: dict[tuple, str] = {}

    def emit(self, lines: Sequence[Line], read_later: frozenset[tuple] = frozenset()) -> None:
        """Writes all lines; entries in `read_later` are read by others afterwards, who want what is there now."""
        last_read = {
            arg.value: position
            for position, line in enumerate(lines)
            for arg in line.args
            if isinstance(arg, Expression) and arg.op == "input"
        }
        for position, line in enumerate(lines):
            if position and position % BLOCK_LINES == 0:
                self._next_block()
            if line.op == "store":
                self._store(line, line.target in read_later or last_read.get(line.target, -1) > position)
            else:
                self.names[id(line)] = self._compute(line)

    def repeat(self, lines: Sequence[Line]) -> None:
        """Writes the body of a loop, whose values nothing outside uses."""
        self._next_block()
        kept = dict(self.pinned)
        self.emit(lines)
        self.pinned = kept
        self._next_block()

    def _next_block(self):
        self.writer.next_block()
        self.loaded.clear()

    def _store(self, line, still_needed):
        value = self.operand(line.args[0])
        if still_needed and line.target not in self.pinned:
            self.pinned[line.target] = self._input(Expression(-1, "input", (), line.type, line.target))
        self.writer.store(line.target, value, line.type)
        self.loaded.pop(line.target, None)

    def operand(self, arg: Line | Expression) -> str:
        """The text of a line that was written, of a constant or of an input."""
        if isinstance(arg, Line):
            return self.names[id(arg)]
        if arg.op == "constant":
            return self.writer.constant(arg.value, arg.type)
        return self._input(arg)

    def _input(self, node) -> str:
        if node.value in self.pinned:
            return self.pinned[node.value]
        if node.value not in self.loaded:
            text = self.read(node)
            self.loaded[node.value] = self.writer.load(node.value, node.type) if text is None else text
        return self.loaded[node.value]

    def _compute(self, line) -> str:
        args = [self.operand(arg) for arg in line.args]
        return getattr(self, f"_{line.op}", self._simple)(line, *args)

    def _simple(self, line, *args):
        writer, type = self.writer, line.args[0].type
        vector = writer.vector(type)
        if line.op in COMPARISONS:
            kind = "float" if type in FLOATS else "truth" if type == "i1" else "integer"
            instruction = f"{'fcmp' if kind == 'float' else 'icmp'} {_PREDICATES[kind][line.op]}"
        elif line.op in _INTRINSICS:
            return writer.put(writer.intrinsic(_INTRINSICS[line.op], type, *args))
        else:
            instruction = (_FLOAT_OPS if type in FLOATS else _INTEGER_OPS)[line.op]
        return writer.put(f"{instruction} {vector} {', '.join(args)}")

    def _fma(self, line, a, b, c):
        writer, vector = self.writer, self.writer.vector(line.type)
        if writer.target.fused:
            return writer.put(writer.intrinsic("fma", line.type, a, b, c))
        product = writer.put(f"fmul {vector} {a}, {b}")
        return writer.put(f"fadd {vector} {product}, {c}")

    def _fnma(self, line, a, b, c):
        return self._fma(line, self._negated(line.type, a), b, c)

    def _fms(self, line, a, b, c):
        return self._fma(line, a, b, self._negated(line.type, c))

    def _negated(self, type, value):
        return self.writer.put(f"fneg {self.writer.vector(type)} {value}")

    def _neg(self, line, a):
        if line.type in FLOATS:
            return self._negated(line.type, a)
        return self.writer.put(f"sub {self.writer.vector(line.type)} zeroinitializer, {a}")

    def _not(self, line, a):
        return self.writer.put(f"xor {self.writer.vector('i1')} {a}, splat (i1 true)")

    def _select(self, line, condition, a, b):
        # `nsz` can turn -0.0 into 0.0, nothing else.
        vector = self.writer.vector(line.type)
        flags = "nsz " if line.type in FLOATS else ""
        if is_relu(line):
            # The same as with 'z <= 0', and LLVM makes one maximum of this one only; NaN passes.
            condition = self.writer.put(f"fcmp olt {vector} {b}, zeroinitializer")
        return self.writer.put(f"select {flags}{self.writer.vector('i1')} {condition}, {vector} {a}, {vector} {b}")

    def _cast(self, line, a):
        source, result = line.args[0].type, line.type
        return self.writer.put(
            f"{_cast(source, result)} {self.writer.vector(source)} {a} to {self.writer.vector(result)}"
        )

    def _bits(self, line, a):
        source = self.writer.vector(line.args[0].type)
        return self.writer.put(f"bitcast {source} {a} to {self.writer.vector(line.type)}")


def is_relu(line: Line) -> bool:
    """Whether a selection is 'z <= 0 ? 0 : z', which is emitted as one maximum."""
    test, zero, value = line.args
    return isinstance(test, Line) and test.op == "le" and test.args[0] is value and _zero(zero) and _zero(test.args[1])


def _zero(node) -> bool:
    return isinstance(node, Expression) and node.op == "constant" and node.type in FLOATS and node.value == 0


def _cast(source: str, result: str) -> str:
    if source in FLOATS:
        return {"f64": "fpext", "f32": "fptrunc"}.get(result, "fptosi")
    if source == "i1":
        return "uitofp" if result in FLOATS else "zext"
    if result in FLOATS:
        return "sitofp"
    return "trunc" if INTEGERS[result].itemsize < INTEGERS[source].itemsize else "sext"


def emit_segments(writer: Writer, straight: Straight, segments: Sequence[Segment]) -> None:
    """Writes a rolled program: straight runs as one piece, repeated segments as loops."""
    for segment in segments:
        if segment.count == 1:
            straight.emit(segment.lines, segment.read_later)
        else:
            _emit_loop(writer, straight, segment)


def _emit_loop(w: Writer, straight: Straight, segment: Segment) -> None:
    name = w.fresh("loop")[1:]
    before = w.block
    w.do(f"br label %{name}")
    w.label(name)
    w.do(f"%{name}.i = phi i64 [ 0, %{before} ], [ %{name}.next, %{name}.end ]")
    slot = w.layout.slot(segment.lines[-1].type)
    w.shift = w.put(f"getelementptr i8, ptr %state, i64 {w.put(f'mul i64 %{name}.i, {slot}')}")
    w.shifted = set(segment.shifted)
    straight.repeat(segment.lines)
    w.shifted, w.shift = set(), "%state"
    w.do(f"br label %{name}.end")
    w.label(f"{name}.end")
    w.do(f"%{name}.next = add i64 %{name}.i, 1")
    w.do(f"%{name}.more = icmp slt i64 %{name}.next, {segment.count}")
    w.do(f"br i1 %{name}.more, label %{name}, label %{name}.done")
    w.label(f"{name}.done")
