"""The programs of an ensemble as a short list of loop nests over arrays, whatever the size of its network.

A nest computes some arrays element by element; an element is a number of every lane. Its axes are those of the arrays,
and inside them those of a sum, if it has one: a product of matrices, or a reduction. What is done to one element is a
scalar program, written by the same rules as straight code (`expression`, `schedule`). Elementwise operations have no
nest of their own where they can be done to the sums of another nest while these are in registers, or to the elements
another nest reads.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from jaxland.training.program.arrays import Array, Graph, Joined, Node, Reduction, ends
from jaxland.training.program.expression import FLOATS, TYPES, Builder, Expression, Unlowerable
from jaxland.training.program.layout import memory_type
from jaxland.training.program.scalarize import extreme
from jaxland.training.program.schedule import Line, Result, schedule
from jaxland.training.program.views import View, row_strides, through

# A nest of register blocks repeats the code of an element for each of a block.
_COST_IN_BLOCKS = 12
# What costs less is computed again in each nest that needs it.
_COST_TO_KEEP = 5


class Memory(NamedTuple):
    """Where an array lives.

    Attributes:
        kind: of a `Layout`, `"x"`, `"y"`, `"constant"`, or `"scratch"`.
        first: the entry at which it begins; of constants and scratch memory the number of the array.
        type: a key of `TYPES`.
    """

    kind: str
    first: int
    type: str


class Access(NamedTuple):
    """Elements of memory that a nest reads or writes: a view whose axes are the first of the nest's."""

    memory: Memory
    view: View


class Nest(NamedTuple):
    """Loops over elements.

    Attributes:
        lengths: of its axes.
        inner: lengths of the axes it sums over, inside the others.
        reads: the input `("in", n)` of its lines is element n of these.
        writes: stores to `("out", n)` go to these.
        start: sets `("sum", 0)`, if it sums.
        body: adds to it.
        finish: computes what is stored.
    """

    lengths: tuple[int, ...]
    inner: tuple[int, ...]
    reads: list[Access]
    writes: list[Access]
    start: list[Line]
    body: list[Line]
    finish: list[Line]


class Loops(NamedTuple):
    """A program as loop nests.

    Attributes:
        nests: in their order.
        scratch: for each array of scratch memory, by its number, bytes of a lane before it.
        scratch_bytes: of a lane.
        constants: numbers that are the same in all lanes, by the `first` of their memory.
    """

    nests: list[Nest]
    scratch: dict[int, int]
    scratch_bytes: int
    constants: list[np.ndarray]


class Output(NamedTuple):
    """An array that leaves the program, to entries of a kind from `first` on; added to what is there, if asked for."""

    array: Array
    kind: str
    first: int
    accumulate: bool = False


def loops_of(graph: Graph, outputs: Sequence[Output]) -> Loops:
    """The nests of a program.

    Args:
        graph: has its nodes.
        outputs: what it computes.

    Raises:
        Unlowerable: something in it has no scalar form.
    """
    roots = [root for output in outputs for root in _roots_of(output)]
    uses = _uses(roots)
    roots = [part for root in roots for part in _terms(root, uses)]
    _gate_by_outputs(graph, roots)
    _begin_with_terms(roots)
    _renumber(roots)
    plan = _Plan(roots)
    nests = plan.nests()
    places, bytes = _allocate(nests, plan.sizes)
    return Loops(nests, places, bytes, graph.constants)


@dataclass(frozen=True)
class _Root:
    """An array that is stored at places of memory."""

    array: Array
    memory: Memory
    place: View
    accumulate: bool = False

    @property
    def keeps_itself(self) -> bool:
        """Whether it is stored for other nests of this program."""
        return self.memory.kind == "scratch" and self.memory.first == self.array.node.number

    def over(self, axes: Sequence[int | None], shape: tuple[int, ...]) -> "_Root":
        """The same with its axes in the order of a nest, None where the nest has one more of length one."""
        return _Root(
            Array(self.array.node, _along(self.array.view, axes, shape)),
            self.memory,
            _along(self.place, axes, shape),
            self.accumulate,
        )


def _along(view: View, axes: Sequence[int | None], shape: tuple[int, ...]) -> View:
    return View(shape, tuple(0 if axis is None else view.strides[axis] for axis in axes), view.offset)


# Outputs become roots.


def _roots_of(output: Output) -> list[_Root]:
    memory = Memory(output.kind, output.first, output.array.node.type)
    return _split(_Root(output.array, memory, View.whole(output.array.shape), output.accumulate))


def _split(root: _Root) -> list[_Root]:
    """Arrays beside each other are stored one by one."""
    root = _canonical(root)
    node = root.array.node
    if node.kind != "joined" or not root.array.is_whole:
        return [root]
    joined: Joined = node.detail
    if joined.fill is not None and not root.accumulate and root.memory.kind != "scratch":
        return [root]  # what is filled may be read before its parts are stored
    roots = []
    if joined.fill is not None and not (root.accumulate and _is_zero(joined.fill)):
        if root.accumulate or joined.fill.node.kind != "constant":
            raise Unlowerable(
                "the primitive `pad` with a computed value, or one that is not 0 in a gradient, has no loops."
            )
        roots.append(_Root(Array(joined.fill.node, joined.fill.view.spread(node.shape, ())), root.memory, root.place))
    for place, part in zip(joined.places, node.args, strict=True):
        stored = through(place, node.shape, root.place)
        if stored is None:
            return [root]
        roots += _split(_Root(part, root.memory, stored, root.accumulate))
    return roots


def _canonical(root: _Root) -> _Root:
    """The same root with the axes of its node, where it stores all of that."""
    axes = sorted(range(len(root.array.shape)), key=lambda axis: -abs(root.array.view.strides[axis]))
    source, place = root.array.view.transposed(axes), root.place.transposed(axes)
    if not Array(root.array.node, source).is_whole:
        return root
    stored = place.reshaped(root.array.node.shape)
    return root if stored is None else _Root(root.array.node.whole, root.memory, stored, root.accumulate)


def _terms(root: _Root, uses: Counter) -> list[_Root]:
    """A sum that is added to memory is added term by term, so that each can be a sum over points."""
    node = root.array.node
    if not (root.accumulate and node.kind == "map" and node.name in ("add", "add_any") and uses[node] == 1):
        return [root]
    views = [through(root.array.view, node.shape, arg.view) for arg in node.args]
    if None in views:
        return [root]
    terms = [Array(arg.node, view) for arg, view in zip(node.args, views, strict=True) if view is not None]
    split = [_canonical(_Root(term, root.memory, root.place, True)) for term in terms]
    return [part for term in split for part in _terms(term, uses)]


# Rewriting of nodes.


def _operands(node: Node) -> list[Array]:
    extra = []
    if node.kind == "reduce" and node.detail.initial is not None:
        extra = [node.detail.initial]
    if node.kind == "joined" and node.detail.fill is not None:
        extra = [node.detail.fill]
    return [*node.args, *extra]


def _reachable(roots: Iterable[_Root]) -> list[Node]:
    """All nodes the roots need, operands first, else in the order of creation."""
    found, stack = {}, [root.array.node for root in roots]
    while stack:
        node = stack.pop()
        if node not in found:
            found[node] = None
            stack.extend(arg.node for arg in _operands(node))
    order, seen = [], set()
    for first in sorted(found, key=lambda node: node.number):
        path = [(first, False)]
        while path:
            node, done = path.pop()
            if done:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                path.append((node, True))
                path.extend((arg.node, False) for arg in reversed(_operands(node)))
    return order


def _uses(roots: Sequence[_Root]) -> Counter:
    uses = Counter(arg.node for node in _reachable(roots) for arg in _operands(node))
    uses.update(root.array.node for root in roots)
    return uses


def _renumber(roots: Sequence[_Root]) -> None:
    for number, node in enumerate(_reachable(roots)):
        node.number = number


def _gate_by_outputs(graph: Graph, roots: Sequence[_Root]) -> None:
    """Tests a ReLU's output, which is kept for the next layer, where its input's sign is asked for again."""
    nodes = _reachable(roots)
    outputs = {_key(arg): node for node in nodes for arg in _rectified(node)}
    for node in nodes:
        if node.kind == "map" and node.name in ("le", "gt") and _is_zero(node.args[1]):
            output = outputs.get(_key(node.args[0]))
            if output is None or output.shape != node.shape:
                continue
            own = graph.map(node.detail, node.shape, node.type, node.args, node.name)
            output.args = tuple(own if arg.node is node else arg for arg in output.args)
            node.args = (output.whole, node.args[1])


def _key(array: Array):
    return array.node, array.view


def _rectified(node: Node) -> list[Array]:
    """What a node is the ReLU of, if it is one: z <= 0 ? 0 : z, or the maximum of z and 0."""
    if node.kind != "map" or node.type not in FLOATS:
        return []
    if node.name == "max" and _is_zero(node.args[1]) and node.args[0].is_whole:
        return [node.args[0]]
    if node.name != "select_n" or len(node.args) != 3:
        return []
    gate, value, zero = node.args
    same = gate.node.name == "le" and gate.is_whole and _is_zero(zero) and value.is_whole
    return [value] if same and _key(gate.node.args[0]) == _key(value) and _is_zero(gate.node.args[1]) else []


def _is_zero(array: Array) -> bool:
    return array.node.kind == "constant" and bool(array.node.detail == 0)


def _begin_with_terms(roots: Sequence[_Root]) -> None:
    """A sum that something is added to begins with that, as straight code does: it may be the bias of a unit."""
    uses = _uses(roots)
    for node in _reachable(roots):
        if node.kind == "map" and node.name in ("add", "add_any") and node.type in FLOATS:
            for total, other in (node.args, node.args[::-1]):
                if uses[total.node] == 1 and _begin(node, total, other):
                    break


def _begin(node: Node, total: Array, other: Array) -> bool:
    """Makes the sum of a node and another, if that is what the node is, one reduction."""
    reduction = total.node.detail
    if total.node.kind != "reduce" or reduction.kind != "sum" or reduction.initial is not None:
        return False
    axes = _matching(total.view, total.node.shape)
    if axes is None:
        return False
    count = len(total.node.shape)
    back: list[int | None] = [axes.index(axis) if axis in axes else None for axis in range(len(node.shape))]
    inner = list(range(count, count + len(reduction.lengths)))
    shape = (*node.shape, *reduction.lengths)
    node.args = tuple(Array(arg.node, _along(arg.view, [*back, *inner], shape)) for arg in total.node.args)
    node.kind, node.detail = "reduce", Reduction("sum", reduction.lengths, other)
    return True


def _matching(view: View, shape: tuple[int, ...]) -> list[int | None] | None:
    """For each axis of `shape` the axis of a view that goes along it, None for one of length one.

    None instead of a list where the view does not see each element once.
    """
    if view.offset or view.size != View.whole(shape).size:
        return None
    along: list[int | None] = []
    for size, step in zip(shape, row_strides(shape), strict=True):
        found = [a for a, n in enumerate(view.shape) if (n, view.strides[a]) == (size, step) and n > 1]
        if size > 1 and not found:
            return None
        along.append(found[0] if size > 1 else None)
    return along


# Nests.


@dataclass
class _Draft:
    """A nest to be: the sum it computes, if any, and what it stores."""

    shape: tuple[int, ...]
    reduce: Node | None = None
    roots: list[_Root] = field(default_factory=list)


class _Reach(NamedTuple):
    """What is read and what is computed for the elements of an array, each a list of (node, view)."""

    reads: list[tuple[Node, View]]
    maps: list[tuple[Node, View]]


class _Plan:
    def __init__(self, roots: list[_Root]):
        self.roots = roots
        self.sizes: dict[int, int] = {}
        self.nodes = _reachable(roots)
        self.constant: set[Node] = set()
        for node in self.nodes:
            if node.kind == "constant" or (node.kind == "map" and all(a.node in self.constant for a in node.args)):
                self.constant.add(node)
        # Operands of products are read many times; arrays beside each other come from several nests.
        self.kept = {
            arg.node for node in self.nodes if node.kind == "reduce" and len(node.args) > 1 for arg in node.args
        }
        self.kept |= {node for node in self.nodes if node.kind == "joined"}
        self.kept = {node for node in self.kept if self._may_be_kept(node)}
        self.drafts: list[_Draft] = []
        self.position: dict[Node, int] = {}
        self.sharers: dict[tuple[Node, View], int] = {}
        """The last nest without a sum that reads or computes these elements."""
        self.wanted: set[Node] = set()
        self.homes: dict[Node, set[int]] = defaultdict(set)

    def _may_be_kept(self, node):
        return node.kind in ("map", "joined") and node not in self.constant

    def nests(self) -> list[Nest]:
        """The nests, once it is known what has to be kept."""
        while more := self._arrange():
            self.kept |= more
        self._stage()
        stored = self._stored_sums()
        return [_Body(self, draft, draft.reduce in stored).nest() for draft in self.drafts]

    def _arrange(self) -> set[Node]:
        """Distributes sums and roots over drafts; returns nodes that should be kept for that."""
        self.drafts, self.position, self.sharers, self.wanted = [], {}, {}, set()
        self.homes = defaultdict(set)
        tasks: list[tuple[tuple[int, int], Any]] = []
        # Constants come first of all, for other arrays may be stored over some of them.
        for node in self.nodes:
            if node.kind == "reduce":
                tasks.append(((node.number, 0), node))
            elif node in self.kept:
                memory = self.scratch(node)
                root = _Root(node.whole, memory, View.whole(node.shape))
                tasks += [((node.number, 1), part) for part in (_split(root) if node.kind == "joined" else [root])]
        # Nothing waits for what leaves the program, so it comes when all it may share is there.
        tasks += [((len(self.nodes), 2), root) for root in self.roots]
        for _, task in sorted(tasks, key=lambda entry: (not _is_fill(entry[1]), *entry[0])):
            if isinstance(task, Node):
                self._add_sum(task)
            elif _is_fill(task):
                self.drafts.append(_Draft(task.array.shape, None, [task]))
            else:
                self._add_root(task)
        repeated = {n for n, homes in self.homes.items() if len(homes) > 1 and n.cost >= _COST_TO_KEEP}
        return (self.wanted | repeated) - self.kept

    def scratch(self, node: Node) -> Memory:
        """The memory of a node that is kept."""
        self.sizes[node.number] = node.size
        return Memory("scratch", node.number, node.type)

    def reach(self, array: Array, top: bool = False) -> _Reach:
        """What the elements of an array are computed from; `top` where this is to keep it."""
        reads: dict[tuple[Node, View], None] = {}
        maps: dict[tuple[Node, View], None] = {}
        stack = [(array, top)]
        while stack:
            (node, view), own = stack.pop()
            if node.kind == "constant" or (node, view) in maps or (node, view) in reads:
                continue
            if node.kind != "map" or (node in self.kept and not own):
                reads[node, view] = None
                continue
            maps[node, view] = None
            for arg in node.args:
                inner = through(view, node.shape, arg.view)
                if inner is None:
                    self.wanted.add(node)
                    break
                stack.append((Array(arg.node, inner), False))
            if not own and node not in self.constant and _repeats(view):
                self.wanted.add(node)
        return _Reach(list(reads), list(maps))

    def _add_sum(self, node):
        draft = _Draft(node.shape, node)
        position = len(self.drafts)
        for array in node.args if len(node.args) == 1 else ():
            for mapped, _ in self.reach(array).maps:
                self.homes[mapped].add(position)
        if node.detail.initial is not None:
            for mapped, _ in self.reach(node.detail.initial).maps:
                self.homes[mapped].add(position)
        self.position[node] = position
        self.drafts.append(draft)

    def _add_root(self, root: _Root):
        root = _canonical(root)
        reach = self.reach(root.array, root.keeps_itself)
        latest = max((self.position.get(node, -1) for node, _ in reach.reads), default=-1)
        position = self._with_its_sum(root, reach, latest)
        if position is None:
            position = self._with_its_like(root, reach, latest)
        for node, _ in reach.maps:
            self.homes[node].add(position)
        if root.memory.kind == "scratch":
            whole = self.nodes[root.memory.first]
            self.position[whole] = max(position, self.position.get(whole, -1))

    def _with_its_sum(self, root, reach, latest) -> int | None:
        """Joins the nest whose sum a root is computed from, to be done while sums are in registers."""
        if latest < 0 or self.drafts[latest].reduce is None:
            return None
        draft = self.drafts[latest]
        views = [view for node, view in reach.reads if node is draft.reduce]
        axes = _matching(views[0], draft.shape) if views else None
        if axes is None or any(view != views[0] for view in views):
            return None
        if sum(node.cost for node, _ in reach.maps) > _COST_IN_BLOCKS:
            return None
        moved = root.over(axes, draft.shape)
        for node, view in reach.reads:
            here = self.position.get(node) == latest and node is not draft.reduce
            if here and not _kept_here(draft, node, _along(view, axes, draft.shape)):
                return None
        draft.roots.append(moved)
        return latest

    def _with_its_like(self, root, reach, latest) -> int:
        """Joins a nest of the same shape that computes or reads the same, or begins a new one."""
        shape = root.array.shape
        shared = [entry for entry in (*reach.reads, *reach.maps) if not _repeats(entry[1])]
        for position in sorted({self.sharers.get(entry, -1) for entry in shared}, reverse=True):
            here = [entry for entry in reach.reads if self.position.get(entry[0]) == position]
            if position < max(latest, 0) or self.drafts[position].shape != shape:
                continue
            if all(_kept_here(self.drafts[position], *entry) for entry in here):
                break
        else:
            position = len(self.drafts)
            self.drafts.append(_Draft(shape))
        self.drafts[position].roots.append(root)
        self.sharers.update(dict.fromkeys(shared, position))
        return position

    def _stored_sums(self) -> set[Node]:
        """Sums that another nest than their own reads."""
        return {
            node
            for draft in self.drafts
            for node, _ in self._all_reads(draft)
            if node.kind == "reduce" and node is not draft.reduce
        }

    def _all_reads(self, draft: _Draft) -> list[tuple[Node, View]]:
        arrays = [(root.array, root.keeps_itself) for root in draft.roots]
        if draft.reduce is not None:
            arrays += [(array, False) for array in _operands(draft.reduce)]
        return [read for array, top in arrays for read in self.reach(array, top).reads]

    def _stage(self) -> None:
        """What is written over something that is read later is written beside it first."""
        reads = [
            [(_memory_of(node), view) for node, view in self._all_reads(draft) if node.kind == "memory"]
            for draft in self.drafts
        ]
        for position, draft in enumerate(list(self.drafts)):
            for number, root in enumerate(draft.roots):
                if root.accumulate or root.memory.kind == "scratch":
                    continue
                target = (root.memory, root.place)
                later = any(_overlap(target, read) for after in reads[position + 1 :] for read in after)
                crossed = any(_overlap(target, read) and not _same(target, read) for read in reads[position])
                if later or crossed:
                    self._write_aside(draft, number)

    def _write_aside(self, draft, number):
        root = draft.roots[number]
        name = -1 - len(self.sizes)
        aside = Memory("scratch", name, root.memory.type)
        self.sizes[name] = View.whole(draft.shape).size
        draft.roots[number] = _Root(root.array, aside, View.whole(draft.shape))
        copied = Node(-1, "memory", draft.shape, root.memory.type, (), ("scratch", name), "", 1)
        self.drafts.append(_Draft(draft.shape, None, [_Root(copied.whole, root.memory, root.place)]))


def _is_fill(task: Any) -> bool:
    return isinstance(task, _Root) and task.array.node.kind == "constant"


def _repeats(view: View) -> bool:
    return any(n > 1 and stride == 0 for n, stride in zip(view.shape, view.strides, strict=True))


def _kept_here(draft: _Draft, node: Node, view: View) -> bool:
    """Whether a draft computes just these elements of a node itself."""
    return any(root.keeps_itself and root.array == Array(node, view) for root in draft.roots)


def _memory_of(node: Node) -> Memory:
    kind, first = node.detail
    return Memory(kind, first, node.type)


def _span(entry: tuple[Memory, View]) -> tuple[int, int]:
    memory, view = entry
    first, last = ends(view)
    return memory.first + first, memory.first + last


def _overlap(one: tuple[Memory, View], other: tuple[Memory, View]) -> bool:
    (first, last), (begin, end) = _span(one), _span(other)
    return one[0].kind == other[0].kind and first <= end and begin <= last


def _same(one: tuple[Memory, View], other: tuple[Memory, View]) -> bool:
    """Whether both are the same element at each place."""
    long = [
        [(n, stride) for n, stride in zip(view.shape, view.strides, strict=True) if n > 1] for _, view in (one, other)
    ]
    return long[0] == long[1] and one[0].first + one[1].offset == other[0].first + other[1].offset


_BEGINNINGS = {"sum": -0.0, "prod": 1.0, "max": -np.inf, "min": np.inf}
_SMALLEST = {"max": lambda limits: limits.min, "min": lambda limits: limits.max}


class _Body:
    """Writes the scalar programs of one nest."""

    def __init__(self, plan: _Plan, draft: _Draft, stored: bool):
        self.plan, self.draft = plan, draft
        self.build = Builder()
        self.reads: dict[tuple[Memory, View], int] = {}
        self.known: dict[tuple[Node, View], Expression] = {}
        self.node = draft.reduce
        self.roots = list(draft.roots)
        if stored:
            assert self.node is not None
            self.roots.append(_Root(self.node.whole, plan.scratch(self.node), View.whole(self.node.shape)))
        self.own = {root.array.node: root.array.view for root in draft.roots if root.keeps_itself}

    def nest(self) -> Nest:
        writes = [Access(root.memory, root.place) for root in self.roots]
        start, body = self._sum() if self.node is not None else ([], [])
        finish = [] if self._adds_in_place else self._finish()
        if self._adds_in_place:
            assert self.node is not None
            total = self.build.input("sum", 0, self.node.type)
            finish = schedule([Result(("out", 0), total)])
        reads = [Access(memory, view) for memory, view in self.reads]
        inner = () if self.node is None else self.node.detail.lengths
        return Nest(self.draft.shape, inner, reads, writes, start, body, finish)

    @property
    def _adds_in_place(self) -> bool:
        """Whether the sum goes on from what is in memory, point by point."""
        if self.node is None or len(self.roots) != 1 or self.node.detail != Reduction("sum", self.node.detail.lengths):
            return False
        root = self.roots[0]
        return root.accumulate and root.array == self.node.whole

    def _finish(self):
        results = [
            Result(("out", number), self.value(root.array, root.keeps_itself), accumulate=root.accumulate)
            for number, root in enumerate(self.roots)
        ]
        return schedule(results, depth_first=self.node is None)

    def _sum(self):
        assert self.node is not None
        node, reduction, build = self.node, self.node.detail, self.build
        total = build.input("sum", 0, node.type)
        if self._adds_in_place:
            first = build.input("out", 0, node.type)
        elif reduction.initial is not None:
            first = self.value(reduction.initial)
        else:
            first = build.constant(_beginning(reduction.kind, node.type), node.type)
        start = schedule([Result(("sum", 0), first)])
        factors = [self.value(arg) for arg in node.args]
        element = factors[0] if len(factors) == 1 else build("mul", *factors)
        if reduction.kind == "sum":
            return start, schedule([Result(("sum", 0), element, accumulate=True)])
        return start, schedule([Result(("sum", 0), _joined_by(reduction.kind, build, total, element))])

    def value(self, array: Array, top: bool = False) -> Expression:
        """The scalar that an element of an array is."""
        node, view = array
        if (node, view) not in self.known:
            self.known[node, view] = self._value(node, view, top)
        return self.known[node, view]

    def _value(self, node, view, top):
        if node.kind == "constant":
            return self.build.constant(node.detail, node.type)
        if node is self.node:
            return self.build.input("sum", 0, node.type)
        own = top or self.own.get(node) == view
        if node.kind != "map" or (node in self.plan.kept and not own):
            memory = _memory_of(node) if node.kind == "memory" else self.plan.scratch(node)
            return self._read(memory, view)
        args = []
        for arg in node.args:
            inner = through(view, node.shape, arg.view)
            assert inner is not None
            args.append(self.value(Array(arg.node, inner)))
        return node.detail(self.build, *args)

    def _read(self, memory, view):
        number = self.reads.setdefault((memory, view), len(self.reads))
        return self.build.input("in", number, memory.type)


def _beginning(kind: str, type: str):
    if type == "i1":
        return kind in ("and", "min")
    if kind in _SMALLEST and type not in FLOATS:
        return _SMALLEST[kind](np.iinfo(TYPES[type]))
    return _BEGINNINGS[kind]


def _joined_by(kind: str, build: Builder, total: Expression, element: Expression) -> Expression:
    """What a reduction makes of what it has and the next element."""
    if kind in ("max", "min"):
        return extreme(build, "gt" if kind == "max" else "lt", total, element)
    return build({"prod": "mul"}.get(kind, kind), total, element)


def _allocate(nests: Sequence[Nest], sizes: dict[int, int]) -> tuple[dict[int, int], int]:
    """Places for arrays in scratch memory, in bytes of a lane; arrays that are not needed at a time share places."""
    born: dict[int, int] = {}
    dies: dict[int, int] = {}
    width: dict[int, int] = {}
    for position, nest in enumerate(nests):
        for access in (*nest.writes, *nest.reads):
            if access.memory.kind == "scratch":
                name = access.memory.first
                born.setdefault(name, position)
                dies[name] = position
                # Multiples of eight, so that every type lies as it must.
                width[name] = -(-sizes[name] * memory_type(access.memory.type).itemsize // 8) * 8
    places: dict[int, int] = {}
    for name in sorted(born, key=lambda name: (born[name], -width[name])):
        others = [n for n in places if born[n] <= dies[name] and born[name] <= dies[n]]
        places[name] = _first_gap([(places[n], places[n] + width[n]) for n in others], width[name])
    return places, max((places[name] + width[name] for name in places), default=0)


def _first_gap(taken: Iterable[tuple[int, int]], width: int) -> int:
    place = 0
    for begin, end in sorted(taken):
        if place + width <= begin:
            break
        place = max(place, end)
    return place
