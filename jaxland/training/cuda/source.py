"""Writes the training loop of an ensemble as CUDA C: the scalar programs of an ensemble, a few threads a network.

    train(state, x, y, trace, first, count, every, closing)
        shared memory = parameters and optimizer state of the block's networks
        for step in first ... first + count - 1:
            each of a network's G threads: gradients and loss over tiles g, g + G, g + 2 G, ...
            the G sums of each gradient are added, and thread g keeps every G-th part of them
            take note of the loss: initial, best and its step, first that is not finite, trace
            return if closing
            update, parameters shared among the G threads
        state = shared memory

Gradients are sums in registers, a variable for each parameter, so that a tile costs its multiply-adds, one read of
each weight and nothing else. All arithmetic is that of the program: contraction is off, so a fit's bits depend on
the variant and on nothing beside it. Slots of the state are those of `program.layout.Layout`, the fits of the group
side by side.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxland.training.ensemble import Ensemble
from jaxland.training.program.expression import COMPARISONS, FLOATS, INTEGERS, TYPES, Expression
from jaxland.training.program.layout import Layout
from jaxland.training.program.programs import Programs
from jaxland.training.program.roll import Segment, roll
from jaxland.training.program.schedule import Line

# A weight is read again where its last use lies so many lines back: what is kept longer costs registers, as
# benchmarks/registers.py shows. Three times as many or a third do as well for the main network.
WINDOW = 48

_TEXT = {"f32": "float", "f64": "double", "i32": "int", "i64": "long long", "i1": "bool"}
_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>"}
_OVERFLOWING = {"add", "sub", "mul", "shl"}
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_CALLS = {"sqrt": "sqrt", "abs": "fabs", "floor": "floor", "ceil": "ceil", "nearest": "rint", "fma": "fma"}
_BITS = {
    ("f32", "i32"): "__float_as_int",
    ("i32", "f32"): "__int_as_float",
    ("f64", "i64"): "__double_as_longlong",
    ("i64", "f64"): "__longlong_as_double",
}


class Variant(NamedTuple):
    """One way to lay a program out on a GPU.

    Attributes:
        threads: G, threads that train one network together: 1, 2, 4, 8, 16 or 32.
        tile: points whose gradient a thread takes at a time.
        block: threads of a block, a multiple of 32.
        blocks: blocks that shall fit on a multiprocessor, from which the compiler has the number of registers.
    """

    threads: int
    tile: int
    block: int
    blocks: int = 1

    @property
    def networks(self) -> int:
        """Networks of a block."""
        return self.block // self.threads


class Shared(NamedTuple):
    """The shared memory of one network, in entries of the program's float.

    Attributes:
        param, grad, state: where each kind begins; state is None where it stays in global memory.
        stride: entries from one network to the next.
    """

    param: int
    grad: int
    state: int | None
    stride: int


def shared_memory(layout: Layout, variant: Variant, type: str, most: int) -> Shared:
    """Where parameters, gradients and, if all of it is of the program's type and has room, the state are kept.

    Args:
        layout: of the group.
        variant: with as many networks a block as share the memory.
        type: of the program.
        most: bytes of shared memory of a block.

    Raises:
        ValueError: not even parameters and gradients have room.
    """
    size, states = len(layout.kinds["param"]), layout.kinds["state"]
    part = _padded(size, max(variant.threads, 16 // TYPES[type].itemsize))
    room = most // (variant.networks * TYPES[type].itemsize)
    without = _odd_quads(2 * part)
    with_state = _odd_quads(2 * part + len(states))
    if without > room:
        raise ValueError(f"{variant.networks} networks of {size} parameters need more than {most} bytes.")
    if states and set(states) == {type} and with_state <= room:
        return Shared(0, part, 2 * part, with_state)
    return Shared(0, part, None, without)


def _padded(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _odd_quads(count: int) -> int:
    """An odd number of quads, so that up to eight networks of a warp read from different banks."""
    quads = -(-count // 4)
    return 4 * (quads + 1 - quads % 2)


def read_function(real: str) -> list[str]:
    """The text of `read`: 16 bytes of shared memory, read where and as often as the program says so.

    A compiler that may keep them keeps every weight from its layer's forward to its backward pass, and spills.
    """
    parts, letter = ("xyzw", "f") if real == "float" else ("xy", "d")
    bits, outputs = 128 // len(parts), ", ".join(f'"={letter}"(v.{part})' for part in parts)
    places = ", ".join(f"%{index}" for index in range(len(parts)))
    return [
        f"static __device__ __forceinline__ {real}{len(parts)} read(const {real} *place) {{",
        f"  {real}{len(parts)} v;",
        f'  asm volatile("ld.volatile.shared.v{len(parts)}.f{bits} {{{places}}}, [%{len(parts)}];"',
        f'               : {outputs} : "r"((unsigned)__cvta_generic_to_shared(place)) : "memory");',
        "  return v;",
        "}",
    ]


def write_source(ensemble: Ensemble, programs: Programs, layout: Layout, variant: Variant, most: int) -> str:
    """The CUDA C of both kernels, `train` and `start`.

    Args:
        ensemble: what is trained.
        programs: scheduled for tiles of `variant.tile` points.
        layout: of the group; its lanes are the fits of the group.
        variant: threads, tile and block.
        most: bytes of shared memory of a block.
    """
    return _SourceWriter(ensemble, programs, layout, variant, most).text()


class _SourceWriter:
    def __init__(self, ensemble, programs, layout, variant, most):
        self.programs, self.layout, self.variant = programs, layout, variant
        self.type = ensemble.scalar_type
        self.real = _TEXT[self.type]
        self.shared = shared_memory(layout, variant, self.type, most)
        self.components = {"x": ensemble.x_shape[1], "y": ensemble.y_shape[1]}
        self.own = {"x": ensemble.inputs is not None, "y": ensemble.targets is not None}
        self.loss_weight = ensemble.problem.loss.weight(*ensemble.y_shape)
        self.size = len(layout.kinds["param"])
        self.part = self.shared.grad

    def text(self) -> str:
        v, real = self.variant, self.real
        lines = [
            "#define AT(type, offset) (((type *)(state + (offset)))[n])",
            *read_function(real),
            f'extern "C" __global__ void __launch_bounds__({v.block}, {v.blocks})',
            f"train(char *__restrict__ state, const {real} *__restrict__ x, const {real} *__restrict__ y,",
            f"      {real} *__restrict__ trace, long long first, long long count, long long every, int closing) {{",
            *_indented(self._train()),
            "}",
            f'extern "C" __global__ void __launch_bounds__({v.block})',
            "start(char *__restrict__ state) {",
            *_indented(self._start()),
            "}",
        ]
        return "\n".join(lines) + "\n"

    def _start(self):
        yield f"const long long n = (long long)blockIdx.x * {self.variant.block} + threadIdx.x;"
        yield f"if (n >= {self.layout.lanes}) return;"
        straight = _Straight(self._global)
        yield from straight.emit(self.programs.start_lines)
        yield from straight.stored(self._global)

    def _global(self, target: tuple, type: str) -> str:
        """An entry of the group's state in global memory."""
        return f"AT({'int' if type == 'i1' else _TEXT[type]}, {self.layout.offset(target)})"

    def _train(self):
        v, real = self.variant, self.real
        yield f"extern __shared__ __align__(16) {real} shared[];"
        yield f"const int g = threadIdx.x % {v.threads}, local = threadIdx.x / {v.threads};"
        yield f"const long long n = (long long)blockIdx.x * {v.networks} + local;"
        yield f"{real} *const own = shared + local * {self.shared.stride};"
        yield from self._copy(to_shared=True)
        yield f"{real} initial = {self._global(('initial_loss', 0), self.type)};"
        yield f"{real} best = {self._global(('best_loss', 0), self.type)};"
        yield f"int best_step = {self._global(('best_step', 0), 'i32')};"
        yield f"int diverged = {self._global(('diverged_step', 0), 'i32')};"
        yield f"{real} loss = {self._global(('loss', 0), self.type)};"
        yield "__syncwarp();"
        yield "for (long long s = first; s < first + count; ++s) {"
        yield from _indented(self._step())
        yield "}"
        yield from self._copy(to_shared=False)
        yield "if (g == 0) {"
        for name, variable, type in (
            ("initial_loss", "initial", self.type),
            ("loss", "loss", self.type),
            ("best_loss", "best", self.type),
            ("best_step", "best_step", "i32"),
            ("diverged_step", "diverged", "i32"),
        ):
            yield f"  {self._global((name, 0), type)} = {variable};"
        yield "}"

    def _copy(self, to_shared: bool):
        """Parameters and state between global and shared memory."""
        for kind, at in (("param", self.shared.param), ("grad", self.shared.grad), ("state", self.shared.state)):
            if at is None or (kind == "grad" and to_shared) or not self.layout.kinds[kind]:
                continue
            offset, slot = self.layout.offset((kind, 0)), self.layout.slot(self.type)
            here = f"own[{at} + k]"
            there = f"AT({self.real}, {offset} + (long long)k * {slot})"
            pair = f"{here} = {there}" if to_shared else f"{there} = {here}"
            yield f"for (int k = g; k < {len(self.layout.kinds[kind])}; k += {self.variant.threads}) {pair};"

    def _step(self):
        yield f"{self.real} total = 0, grad[{self.part}];"
        yield "#pragma unroll"
        yield f"for (int k = 0; k < {self.part}; ++k) grad[k] = 0;"
        yield from self._points()
        yield from self._reduce()
        yield from self._record()
        yield "if (closing) break;"
        yield from self._update()

    def _points(self):
        threads = self.variant.threads
        tiles = self.programs.points // self.programs.tile
        if tiles:
            # All threads make as many rounds, which the compiler can see, so that they stay together.
            yield "#pragma unroll 1"
            yield f"for (int round = 0; round < {-(-tiles // threads)}; ++round) {{"
            yield f"  const int t = g + round * {threads};"
            if tiles % threads:
                yield f"  if (t >= {tiles}) break;"
            yield from _indented(self._tile("t", self.programs.tile_lines))
            yield "}"
        if self.programs.rest_lines:
            yield f"if (g == {tiles % threads}) {{"
            yield from _indented(self._tile(str(tiles), self.programs.rest_lines))
            yield "}"
        yield "__syncwarp();"

    def _tile(self, tile, lines):
        """Gradients are variables here, and weights are read from shared memory."""
        for name, components in self.components.items():
            stride = self.programs.tile * components
            start = f"(long long){tile} * {stride * self.layout.lanes} + n" if self.own[name] else f"{tile} * {stride}"
            yield f"const {self.real} *const {name}t = {name} + {start};"

        def place(target, type):
            kind, index = target
            if kind in self.components:
                entry = index[0] * self.components[kind] + index[1]
                return f"{kind}t[{entry * self.layout.lanes if self.own[kind] else entry}]"
            return {"grad": f"grad[{index}]", "total": "total"}[kind]

        straight = _Straight(place, weights=self.real, direct={"grad", "total"})
        yield from straight.emit(lines)

    def _reduce(self):
        """Adds the sums of a network's threads by recursive halving: fewer than P entries travel, not P log G."""
        part, offset = self.part, self.variant.threads // 2
        if self.part % self.variant.threads:
            raise ValueError("gradients are padded to a multiple of the threads of a network.")
        while offset:
            yield f"total += __shfl_xor_sync(0xffffffffu, total, {offset});"
            part //= 2
            yield "#pragma unroll"
            yield f"for (int k = 0; k < {part}; ++k) {{"
            yield f"  const {self.real} sent = g & {offset} ? grad[k] : grad[k + {part}];"
            yield f"  const {self.real} kept = g & {offset} ? grad[k + {part}] : grad[k];"
            yield f"  grad[k] = kept + __shfl_xor_sync(0xffffffffu, sent, {offset});"
            yield "}"
            offset //= 2
        yield "#pragma unroll"
        yield f"for (int k = 0; k < {part}; ++k) own[{self.shared.grad} + g * {part} + k] = grad[k];"
        yield "__syncwarp();"

    def _record(self):
        """Comparisons with NaN are false, so best losses stay finite."""
        weight = "" if self.loss_weight == 1 else f" * {constant(self.loss_weight, self.type)}"
        yield f"loss = total{weight};"
        yield "if (s == 0) initial = loss;"
        yield "if (loss < best) { best = loss; best_step = (int)s; }"
        yield f"if (diverged < 0 && !(fabs(loss) < {constant(np.inf, self.type)})) diverged = (int)s;"
        yield f"if (every > 0 && s % every == 0 && g == 0) trace[s / every * {self.layout.lanes} + n] = loss;"

    def _update(self):
        straight = _Straight(self._updated)
        for segment in roll(self.programs.update_lines, "param", self.layout):
            if segment.count > 1 and _apart(segment):
                yield f"for (int i = g; i < {segment.count}; i += {self.variant.threads}) {{"
                yield from _indented(straight.repeat(segment, self._shifted(segment)))
                yield "}"
            elif segment.count > 1:
                yield "if (g == 0)"
                yield f"  for (int i = 0; i < {segment.count}; ++i) {{"
                yield from _indented(straight.repeat(segment, self._shifted(segment)), 4)
                yield "  }"
            else:
                # All threads compute, for others may need the values; one stores, when all have read.
                yield from straight.emit(segment.lines, segment.read_later)
                yield "__syncwarp();"
                yield "if (g == 0) {"
                yield from _indented(straight.stored(self._updated))
                yield "}"
            yield "__syncwarp();"

    def _updated(self, target: tuple, type: str, shift: str = "") -> str:
        """A parameter, gradient or number of the state, where the update finds it."""
        kind, index = target
        if kind == "loss":
            return "loss"
        if kind in ("param", "grad") or (kind == "state" and self.shared.state is not None):
            start = {"param": self.shared.param, "grad": self.shared.grad, "state": self.shared.state}[kind]
            return f"own[{start + index}{shift}]"
        if not shift:
            return self._global(target, type)
        memory = "int" if type == "i1" else _TEXT[type]
        return f"AT({memory}, {self.layout.offset(target)} + (long long)i * {self.layout.slot(type)})"

    def _shifted(self, segment: Segment):
        return lambda target, type: self._updated(target, type, " + i" if target in segment.shifted else "")


def _apart(segment: Segment) -> bool:
    """Whether no repetition of a loop reads what another one stores."""
    stored = {line.target for line in segment.lines if line.op == "store"}
    read = {
        arg.value
        for line in segment.lines
        for arg in line.args
        if isinstance(arg, Expression) and arg.op == "input" and arg.value in segment.shifted
    }
    return all(
        here == there or here[0] != there[0] or abs(here[1] - there[1]) >= segment.count
        for here in read
        for there in stored
        if there is not None
    )


class _Straight:
    """Straight-line code, one constant variable a line.

    Args:
        place: the text of an entry of memory.
        weights: type of the parameters, where they are read from shared memory, 16 bytes at a time, and again after
            `WINDOW` lines.
        direct: kinds whose entries are variables themselves, read and stored where the program says so.
    """

    def __init__(self, place, *, weights: str | None = None, direct: frozenset | set = frozenset()):
        self.place, self.weights, self.direct = place, weights, direct
        self.names: dict[int, str] = {}
        self.loaded: dict[tuple, str] = {}
        self.pinned: dict[tuple, str] = {}
        self._stores: list[tuple[tuple, str, str]] = []
        self._count = self._position = 0
        self._used: dict[tuple, int] = {}

    def emit(self, lines: Sequence[Line], read_later: frozenset[tuple] = frozenset()):
        """The text of all lines; stores but those to `direct` kinds are put off until `stored`."""
        for position, line in enumerate(lines):
            self._position = position
            if line.target is None:
                yield from self._line(line)
                continue
            reads: list[str] = []
            value = self._operand(line.args[0], reads)
            if line.target in read_later and line.target not in self.pinned:
                self.pinned[line.target] = self._load(line.target, line.type, reads)
            yield from reads
            if line.target[0] in self.direct:
                yield f"{self.place(line.target, line.type)} = {value};"
            else:
                self._stores.append((line.target, line.type, value))

    def stored(self, place):
        """The stores put off so far."""
        for target, type, value in self._stores:
            yield f"{place(target, type)} = {value};"
        self._stores.clear()
        self.loaded.clear()

    def repeat(self, segment: Segment, place):
        """The body of a loop over i, whose values nothing outside uses."""
        body = _Straight(place)
        body.names, body._count = dict(self.names), self._count
        body.pinned = dict(self.pinned)
        yield from body.emit(segment.lines)
        yield from body.stored(place)
        self._count = body._count

    def _line(self, line):
        reads: list[str] = []
        args = [self._operand(arg, reads) for arg in line.args]
        yield from reads
        name = self._name()
        yield f"const {_TEXT[line.type]} {name} = {_value(line, args)};"
        self.names[id(line)] = name

    def _operand(self, arg, reads) -> str:
        if isinstance(arg, Line):
            return self.names[id(arg)]
        if arg.op == "constant":
            return constant(arg.value, arg.type)
        if arg.value[0] in self.direct:
            return self.place(arg.value, arg.type)
        if arg.value in self.pinned:
            return self.pinned[arg.value]
        return self._load(arg.value, arg.type, reads)

    def _load(self, target, type, reads) -> str:
        if self.weights and target[0] == "param":
            return self._weight(target[1], reads)
        if target not in self.loaded:
            self.loaded[target] = self._name()
            reads.append(f"const {_TEXT[type]} {self.loaded[target]} = {self.place(target, type)};")
        return self.loaded[target]

    def _weight(self, index, reads) -> str:
        wide = 4 if self.weights == "float" else 2
        quad = ("quad", index // wide)
        if quad not in self.loaded or self._position - self._used[quad] > WINDOW:
            self.loaded[quad] = self._name()
            vector = f"{self.weights}{wide}"
            reads.append(f"const {vector} {self.loaded[quad]} = read(own + {index // wide * wide});")
        self._used[quad] = self._position
        return f"{self.loaded[quad]}.{'xyzw'[index % wide]}"

    def _name(self):
        self._count += 1
        return f"v{self._count}"


def _value(line: Line, args: list[str]) -> str:
    source, result = line.args[0].type, line.type
    if line.op in COMPARISONS:
        return f"{args[0]} {_COMPARE[line.op]} {args[1]}"
    if line.op == "fnma":
        return f"{_call('fma', result)}(-{args[0]}, {args[1]}, {args[2]})"
    if line.op == "fms":
        return f"{_call('fma', result)}({args[0]}, {args[1]}, -{args[2]})"
    if line.op in _CALLS:
        return f"{_call(line.op, result)}({', '.join(args)})"
    if line.op == "neg":
        return f"-{args[0]}" if result in FLOATS else _wrapping("-", result, "0", args[0])
    if line.op == "not":
        return f"!{args[0]}"
    if line.op == "select":
        return f"{args[0]} ? {args[1]} : {args[2]}"
    if line.op == "cast":
        return f"({_TEXT[result]}){args[0]}"
    if line.op == "bits":
        return f"{_BITS[source, result]}({args[0]})"
    if line.op in _OVERFLOWING and result in INTEGERS:
        return _wrapping(_INFIX[line.op], result, *args)
    return f"{args[0]} {_INFIX[line.op]} {args[1]}"


def _wrapping(sign: str, type: str, a: str, b: str) -> str:
    """Arithmetic of integers modulo 2**32 or 2**64, which C++ defines for those without sign only."""
    text = _TEXT[type]
    return f"({text})((unsigned {text}){a} {sign} (unsigned {text}){b})"


def _call(op: str, type: str) -> str:
    return _CALLS[op] + ("f" if type == "f32" else "")


def constant(value, type: str) -> str:
    """A number in CUDA C, to the bit."""
    if type not in FLOATS:
        if type == "i1":
            return "true" if value else "false"
        suffix = "LL" if type == "i64" else ""
        # The smallest integer has no literal of its own.
        smallest = int(value) == np.iinfo(TYPES[type]).min
        return f"({int(value) + 1}{suffix} - 1)" if smallest else f"({int(value)}{suffix})"
    value = TYPES[type].type(value)
    if not np.isfinite(value):
        bits = value.view(np.int32 if type == "f32" else np.int64)
        return f"{_BITS['i32' if type == 'f32' else 'i64', type]}({int(bits)})"
    return f"({float(value).hex()}{'f' if type == 'f32' else ''})"


def _indented(lines, width: int = 2):
    return (" " * width + line for line in lines)
