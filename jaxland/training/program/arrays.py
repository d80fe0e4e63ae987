"""Evaluates a jaxpr on whole arrays, so that the size of a network costs nothing.

An array is a view of a node. What only moves numbers (`reshape`, `transpose`, `slice`, `broadcast_in_dim`, ...) is
another view; elementwise primitives are nodes that remember the scalar function they apply; products of matrices and
reductions are nodes with the axes they sum over. `loops` makes loops of these nodes.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jax import lax

from jaxland.training.program import approximations
from jaxland.training.program.expression import FLOATS, TYPES, Builder, Expression, Unlowerable
from jaxland.training.program.interpreter import Interpreter, parts_of_scan
from jaxland.training.program.scalarize import (
    ELEMENTWISE,
    apply_scalar,
    scatter_add,
    type_name,
)
from jaxland.training.program.views import View, through

# What takes many operations on scalars, or a long one, is rather kept than computed again.
_COSTS = {**dict.fromkeys(approximations.FUNCTIONS, 16), "pow": 40, "div": 5, "rem": 10, "sqrt": 5, "rsqrt": 10}
_MAPS = {
    *ELEMENTWISE,
    *approximations.FUNCTIONS,
    *("integer_pow", "square", "one_minus_square", "pow", "rsqrt", "max", "min", "clamp", "sign", "abs", "is_finite"),
    *("round", "div", "rem", "select_n", "not", "convert_element_type", "bitcast_convert_type", "reduce_precision"),
    *("shift_left", "shift_right_arithmetic"),
}
_MOST_STEPS = 20_000
_MOST_PIECES = 64


class Node:
    """Some numbers of one fit.

    Attributes:
        number: position in the order of creation; what it is made of comes first.
        kind: `"memory"`, `"constant"`, `"map"`, `"reduce"` or `"joined"`.
        shape: of the numbers.
        type: a key of `TYPES`.
        args: arrays it is made of.
        detail: of memory the (kind, index) of its first entry; of a constant its number; of a map its scalar function
            `(build, *expressions) -> expression`; of a reduction a `Reduction`; of joined arrays a `Joined`.
        cost: of a map, operations on scalars.
        name: of the primitive.
    """

    __slots__ = ("args", "cost", "detail", "kind", "name", "number", "shape", "type")

    def __init__(self, number: int, kind: str, shape: tuple, type: str, args: tuple, detail: Any, name: str, cost: int):
        self.number, self.kind, self.shape, self.type = number, kind, tuple(shape), type
        self.args, self.detail, self.name, self.cost = args, detail, name, cost

    @property
    def whole(self) -> "Array":
        """All of it."""
        return Array(self, View.whole(self.shape))

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


class Array(NamedTuple):
    """Numbers of a node, as a view sees them."""

    node: Node
    view: View

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is seen."""
        return self.view.shape

    @property
    def is_whole(self) -> bool:
        """Whether it is the node itself, but for axes of length one."""
        return self.view.in_order and self.view.offset == 0 and self.view.size == self.node.size


class Reduction(NamedTuple):
    """What a reduction does.

    Attributes:
        kind: `"sum"`, `"max"`, `"min"`, `"prod"`, `"and"` or `"or"`.
        lengths: of the axes it reduces, which are the last of its operands.
        initial: what a sum begins with.
    """

    kind: str
    lengths: tuple[int, ...]
    initial: Array | None = None


class Joined(NamedTuple):
    """Arrays beside each other, each at the places a view of the result says; `fill` is everywhere else."""

    places: tuple[View, ...]
    fill: Array | None


class Graph:
    """Makes nodes."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.constants: list[np.ndarray] = []

    def node(
        self, kind: str, shape: Sequence[int], type: str, args: tuple = (), detail: Any = None, name: str = "", cost=1
    ) -> Array:
        """A new node, all of it.

        Raises:
            Unlowerable: there are too many.
        """
        if len(self.nodes) >= _MOST_STEPS:
            raise Unlowerable(f"more than {_MOST_STEPS:,} operations on arrays, too many for loops.")
        if not math.prod(shape):
            raise Unlowerable("arrays of no elements have no loops.")
        self.nodes.append(Node(len(self.nodes), kind, tuple(shape), type, args, detail, name, cost))
        return self.nodes[-1].whole

    def memory(self, kind: str, index: int, shape: Sequence[int], type: str) -> Array:
        """Numbers in memory."""
        return self.node("memory", shape, type, detail=(kind, index))

    def constant(self, values: Any, dtype: Any = None) -> Array:
        """Numbers that are known; memory of the kind `"constant"` where they differ."""
        if dtype is None:
            dtype = values.dtype if hasattr(values, "dtype") else np.result_type(values)
        type = type_name(dtype)
        array = np.asarray(values).astype(TYPES[type])
        if not array.size:
            raise Unlowerable("arrays of no elements have no loops.")
        first = array.ravel()[0]
        if array.tobytes() == np.broadcast_to(first, array.shape).tobytes():
            return broadcast(self.node("constant", (), type, detail=first), array.shape, ())
        self.constants.append(array)
        return self.memory("constant", len(self.constants) - 1, array.shape, type)

    def map(self, function: Callable, shape: Sequence[int], type: str, args: Sequence[Array], name: str) -> Array:
        """A scalar function of each element."""
        if all(arg.node.kind == "constant" for arg in args):
            build = Builder()
            result = function(build, *(build.constant(arg.node.detail, arg.node.type) for arg in args))
            if result.op == "constant":
                return broadcast(self.node("constant", (), type, detail=result.value), shape, ())
        spread = tuple(_against(arg, shape) for arg in args)
        return self.node("map", shape, type, spread, function, name, _COSTS.get(name, 1))

    def reduce(self, kind: str, shape: Sequence[int], args: tuple[Array, ...], lengths: tuple[int, ...]) -> Array:
        """A reduction of the product of its operands over their last axes."""
        type = args[0].node.type
        if kind in ("sum", "prod") and type not in FLOATS:
            raise Unlowerable("sums and products of integers have no loops.")
        # Loops write what they reduce in their first turn, and of these there would be none.
        if 0 in lengths:
            raise Unlowerable("a reduction over no elements has no scalar form.")
        return self.node("reduce", shape, type, args, Reduction(kind, lengths), f"reduce_{kind}")


def broadcast(array: Array, shape: Sequence[int], axes: Sequence[int]) -> Array:
    """Repeats an array along new axes."""
    return Array(array.node, array.view.spread(shape, axes))


def _against(array, shape):
    """Repeats the elements of an array along axes where it has one, and before its first axis."""
    return broadcast(array, shape, range(len(shape) - len(array.shape), len(shape)))


def evaluate_arrays(graph: Graph, closed_jaxpr: Any, arguments: Sequence[Array]) -> list[Array]:
    """The outputs of a jaxpr as arrays made of those of its arguments.

    Args:
        graph: makes the nodes.
        closed_jaxpr: what `jax.make_jaxpr` returns.
        arguments: one for each input, of its shape.

    Raises:
        Unlowerable: a primitive has no loops; the message names it.
    """
    return _Evaluator(graph).closed(closed_jaxpr, arguments)


class _Evaluator(Interpreter[Array]):
    def __init__(self, graph: Graph):
        self.graph = graph

    def constant(self, value, dtype=None) -> Array:
        return self.graph.constant(value, dtype)

    def apply(self, equation, inputs) -> Array | list[Array]:
        name = equation.primitive.name
        if name in ("add", "add_any"):
            together = self.together(*inputs)
            if together is not None:
                return together
        if name in _MAPS:
            aval = equation.outvars[0].aval
            function = partial(apply_scalar, equation)
            return self.graph.map(function, aval.shape, type_name(aval.dtype), inputs, name)
        rule = getattr(self, f"p_{name.replace('-', '_')}", None)
        if rule is None:
            raise Unlowerable(f"the primitive `{name}` has no loops.")
        return rule(*inputs, **equation.params)

    # Control flow.

    def p_cond(self, index, *operands, branches, **_):
        outputs = [self.closed(branch, list(operands)) for branch in branches]
        result = outputs[-1]
        for number in range(len(branches) - 2, -1, -1):
            function = partial(_choose, number)
            result = [
                self.graph.map(function, other.shape, other.node.type, [index, one, other], "cond")
                for one, other in zip(outputs[number], result, strict=True)
            ]
        return result

    def p_scan(self, *inputs, jaxpr, length, reverse, num_consts=0, num_carry=0, ft_in=None, **_):
        if not length:
            raise Unlowerable("the primitive `scan` of no turns has no loops.")
        constants, carry, sequences = parts_of_scan(inputs, length, num_consts, num_carry, ft_in)
        num_carry, stacked = len(carry), []
        for step in range(length)[:: -1 if reverse else 1]:
            entries = [self._entry(sequence, step) for sequence in sequences]
            outputs = self.closed(jaxpr, [*constants, *carry, *entries])
            carry = outputs[:num_carry]
            stacked.append(outputs[num_carry:])
        columns = zip(*(stacked[::-1] if reverse else stacked), strict=True)
        return [*carry, *(self.p_stack(*column, axis=0) for column in columns)]

    def _entry(self, array, place):
        return Array(array.node, _entry(array.view, 0, place).transposed(range(1, len(array.shape))))

    # Sums and products over axes.

    def p_dot_general(self, x, y, *, dimension_numbers, preferred_element_type=None, **_):
        if preferred_element_type is not None:
            x, y = (self.converted(array, preferred_element_type) for array in (x, y))
        (x_contract, y_contract), (x_batch, y_batch) = dimension_numbers
        x_free = [axis for axis in range(len(x.shape)) if axis not in (*x_contract, *x_batch)]
        y_free = [axis for axis in range(len(y.shape)) if axis not in (*y_contract, *y_batch)]
        order = [*x_batch, *x_free, *x_contract], [*y_batch, *y_free, *y_contract]
        lengths = tuple(x.shape[axis] for axis in x_contract)
        batch, rows, columns = len(x_batch), len(x_free), len(y_free)
        shape = (*(x.shape[a] for a in (*x_batch, *x_free)), *(y.shape[a] for a in y_free))
        sums = range(len(shape), len(shape) + len(lengths))
        places = (*range(batch + rows), *sums), (*range(batch), *range(batch + rows, batch + rows + columns), *sums)
        operands = tuple(
            broadcast(Array(array.node, array.view.transposed(axes)), (*shape, *lengths), place)
            for array, axes, place in zip((x, y), order, places, strict=True)
        )
        if not lengths:
            return self.graph.map(_product, shape, x.node.type, operands, "mul")
        return self.graph.reduce("sum", shape, operands, lengths)

    def converted(self, array, dtype):
        type = type_name(np.dtype(dtype))
        if type == array.node.type:
            return array
        return self.graph.map(partial(_cast, type), array.shape, type, [array], "convert_element_type")

    def _reduced(self, kind, x, axes):
        kept = [axis for axis in range(len(x.shape)) if axis not in axes]
        view = x.view.transposed([*kept, *sorted(axes)])
        shape, lengths = view.shape[: len(kept)], view.shape[len(kept) :]
        if math.prod(lengths) == 1:
            return Array(x.node, View(shape, view.strides[: len(kept)], view.offset))
        return self.graph.reduce(kind, shape, (Array(x.node, view),), lengths)

    def p_reduce_sum(self, x, *, axes, **_):
        return self._reduced("sum", x, axes)

    def p_reduce_max(self, x, *, axes, **_):
        return self._reduced("max", x, axes)

    def p_reduce_min(self, x, *, axes, **_):
        return self._reduced("min", x, axes)

    def p_reduce_prod(self, x, *, axes, **_):
        return self._reduced("prod", x, axes)

    def p_reduce_and(self, x, *, axes, **_):
        return self._reduced("and", x, axes)

    def p_reduce_or(self, x, *, axes, **_):
        return self._reduced("or", x, axes)

    # Moving numbers.

    def p_broadcast_in_dim(self, x, *_, shape, broadcast_dimensions, **__):
        return broadcast(x, shape, broadcast_dimensions)

    def p_reshape(self, x, *_, new_sizes, dimensions=None, **__):
        view = x.view if dimensions is None else x.view.transposed(dimensions)
        reshaped = view.reshaped(new_sizes)
        if reshaped is not None:
            return Array(x.node, reshaped)
        copy = self.graph.node("joined", view.shape, x.node.type, (Array(x.node, view),), _one(view.shape), "reshape")
        reshaped = copy.view.reshaped(new_sizes)
        assert reshaped is not None
        return Array(copy.node, reshaped)

    def p_transpose(self, x, *, permutation, **_):
        return Array(x.node, x.view.transposed(permutation))

    def p_squeeze(self, x, *, dimensions, **_):
        return Array(x.node, x.view.transposed([a for a in range(len(x.shape)) if a not in dimensions]))

    def p_expand_dims(self, x, *, dimensions, **_):
        rank = len(x.shape) + len(dimensions)
        shape, sizes = [1] * rank, iter(x.shape)
        places = [axis for axis in range(rank) if axis not in dimensions]
        for axis in places:
            shape[axis] = next(sizes)
        return broadcast(x, shape, places)

    def p_rev(self, x, *, dimensions, **_):
        return Array(x.node, x.view.flipped(dimensions))

    def p_slice(self, x, *, start_indices, limit_indices, strides, **_):
        return Array(x.node, x.view.sliced(start_indices, limit_indices, strides))

    def p_dynamic_slice(self, x, *starts, slice_sizes, **_):
        begins = self._begins(x, starts, slice_sizes, "dynamic_slice")
        limits = [begin + size for begin, size in zip(begins, slice_sizes, strict=True)]
        return Array(x.node, x.view.sliced(begins, limits))

    def p_dynamic_update_slice(self, x, update, *starts, **_):
        begins = self._begins(x, starts, update.shape, "dynamic_update_slice")
        limits = [begin + size for begin, size in zip(begins, update.shape, strict=True)]
        return self._placed("scatter", x, [(View.whole(x.shape).sliced(begins, limits), update)])

    def p_gather(self, operand, indices, **params):
        numbers = np.arange(1, operand.view.size + 1, dtype=np.int32).reshape(operand.shape)
        chosen = lax.gather_p.bind(numbers, self._fixed(indices, "gather"), **{**params, "fill_value": 0})
        places = np.asarray(chosen).astype(np.int64) - 1
        if places.min(initial=0) < 0:
            raise Unlowerable("the primitive `gather` of places outside has no loops.")
        parts = [(place, self._seen(operand, view)) for place, view in _pieces(places, "gather")]
        if len(parts) == 1:
            return parts[0][1]
        joined = Joined(tuple(place for place, _ in parts), None)
        return self.graph.node("joined", places.shape, operand.node.type, tuple(a for _, a in parts), joined, "gather")

    def _seen(self, array, view) -> Array:
        """What a view sees of the elements of an array."""
        inner = through(view, array.shape, array.view)
        if inner is not None:
            return Array(array.node, inner)
        copy = self.graph.node("joined", array.shape, array.node.type, (array,), _one(array.shape), "gather")
        return Array(copy.node, view)

    def _scattered(self, name, operand, indices, update, params):
        numbers = np.arange(1, update.view.size + 1, dtype=np.int32).reshape(update.shape)
        fixed, zeros = self._fixed(indices, name), np.zeros(operand.shape, np.int32)
        if np.max(scatter_add(zeros, fixed, np.ones(update.shape, np.int32), params)) > 1:
            raise Unlowerable(f"the primitive `{name}` with repeated indices has no loops.")
        chosen = np.asarray(scatter_add(zeros, fixed, numbers, params)).ravel()
        places = np.full(update.view.size, -1)
        places[chosen[chosen > 0] - 1] = np.flatnonzero(chosen)
        if places.min() < 0:
            raise Unlowerable(f"the primitive `{name}` of places outside has no loops.")
        parts = _pieces(places.reshape(update.shape), name)
        return self._placed(name, operand, [(view, self._seen(update, part)) for part, view in parts])

    def p_scatter(self, operand, indices, update, **params):
        return self._scattered("scatter", operand, indices, update, params)

    def p_scatter_add(self, operand, indices, update, **params):
        return self._scattered("scatter-add", operand, indices, update, params)

    def _fixed(self, indices, name) -> np.ndarray:
        """Indices that are known."""
        kind, detail = indices.node.kind, indices.node.detail
        if kind == "constant":
            return np.full(indices.shape, detail, np.int32)
        if kind != "memory" or detail[0] != "constant" or not indices.is_whole:
            raise Unlowerable(f"the primitive `{name}` with computed indices has no loops.")
        return self.graph.constants[detail[1]].reshape(indices.shape).astype(np.int32)

    def _placed(self, name: str, operand: Array, parts: list[tuple[View, Array]]) -> Array:
        """An array with others put over some of its places, or added to them."""
        shape, type = operand.shape, operand.node.type
        known = operand.node.kind == "constant"
        fill = Array(operand.node, View((), ())) if known else self.graph.constant(np.zeros((), TYPES[type]))
        if name == "scatter-add" and not (known and operand.node.detail == 0):
            fill, known = self.graph.constant(np.zeros((), TYPES[type])), False
        places, arrays = zip(*parts, strict=True)
        joined = self.graph.node("joined", shape, type, arrays, Joined(places, fill), "pad")
        if known:
            return joined
        if name == "scatter-add":
            return self.graph.map(_sum, shape, type, [operand, joined], "add")
        inside = np.zeros(operand.view.size, bool)
        for place in places:
            inside[place.entries()] = True
        which = self.graph.constant(inside.reshape(shape))
        return self.graph.map(_choice, shape, type, [which, joined, operand], "select_n")

    def _begins(self, x, starts, sizes, name):
        if any(start.node.kind != "constant" for start in starts):
            raise Unlowerable(f"the primitive `{name}` with a computed position has no loops.")
        # JAX moves a window that would stick out back inside.
        values = [int(start.node.detail) for start in starts]
        return [min(max(value, 0), n - size) for value, n, size in zip(values, x.shape, sizes, strict=True)]

    def p_concatenate(self, *arrays, dimension, **_):
        shape = list(arrays[0].shape)
        shape[dimension] = sum(array.shape[dimension] for array in arrays)
        places, begin = [], 0
        for array in arrays:
            starts = [0] * len(shape)
            starts[dimension], limits = begin, list(shape)
            begin += array.shape[dimension]
            limits[dimension] = begin
            places.append(View.whole(shape).sliced(starts, limits))
        return self.graph.node("joined", shape, arrays[0].node.type, arrays, Joined(tuple(places), None), "concatenate")

    def p_stack(self, *arrays, axis, **_):
        return self.p_concatenate(*(self.p_expand_dims(a, dimensions=(axis,)) for a in arrays), dimension=axis)

    def p_unstack(self, x, *, axis, **_):
        pieces = self.p_split(x, sizes=(1,) * x.shape[axis], axis=axis)
        return [self.p_squeeze(piece, dimensions=(axis,)) for piece in pieces]

    def p_split(self, x, *, sizes, axis, **_):
        pieces, begin = [], 0
        for size in sizes:
            starts, limits = [0] * len(x.shape), list(x.shape)
            starts[axis], limits[axis] = begin, begin + size
            begin += size
            pieces.append(Array(x.node, x.view.sliced(starts, limits)))
        return pieces

    def p_pad(self, x, value, *, padding_config, **_):
        # Negative padding takes away what lies beyond.
        config = [tuple(map(int, entry)) for entry in padding_config]
        if any(min(low, high) < 0 and gap for low, high, gap in config):
            raise Unlowerable("the primitive `pad` that takes away and fills gaps has no loops.")
        cut = x.view.sliced(
            [max(-low, 0) for low, _, _ in config],
            [n - max(-high, 0) for n, (_, high, _) in zip(x.shape, config, strict=True)],
        )
        sizes = [n + (n - 1) * gap for n, (_, _, gap) in zip(cut.shape, config, strict=True)]
        starts = [max(low, 0) for low, _, _ in config]
        shape = [start + n + max(high, 0) for start, n, (_, high, _) in zip(starts, sizes, config, strict=True)]
        limits = [start + n for start, n in zip(starts, sizes, strict=True)]
        place = View.whole(shape).sliced(starts, limits, [gap + 1 for _, _, gap in config])
        return self.graph.node("joined", shape, x.node.type, (Array(x.node, cut),), Joined((place,), value), "pad")

    def p_iota(self, *, dtype, shape, dimension, **_):
        sizes = [-1 if axis == dimension else 1 for axis in range(len(shape))]
        numbers = np.arange(shape[dimension]).reshape(sizes).astype(dtype)
        return self.graph.constant(np.broadcast_to(numbers, shape))

    def p_copy(self, x, **_):
        return x

    p_copy_p = p_stop_gradient = p_optimization_barrier = p_copy

    def together(self, x, y) -> Array | None:
        """The sum of two padded arrays whose parts do not meet, or are the same places: arrays beside each other."""
        if not (_is_padded(x) and _is_padded(y)) or x.shape != y.shape:
            return None
        parts = dict(zip(x.node.detail.places, x.node.args, strict=True))
        for place, arg in zip(y.node.detail.places, y.node.args, strict=True):
            if place in parts:
                parts[place] = self.graph.map(_sum, arg.shape, arg.node.type, [parts[place], arg], "add")
            elif any(_meet(place, other) for other in parts):
                return None
            else:
                parts[place] = arg
        joined = Joined(tuple(parts), x.node.detail.fill)
        return self.graph.node("joined", x.shape, x.node.type, tuple(parts.values()), joined, "pad")


def _one(shape):
    return Joined((View.whole(shape),), None)


def _is_padded(array):
    """Whether it is zero except for some parts of it."""
    fill = array.node.detail.fill if array.node.kind == "joined" and array.is_whole else None
    return fill is not None and fill.node.kind == "constant" and fill.node.detail == 0


def _meet(one, other):
    """Whether two places may share an entry, judged by their ends."""
    (first, last), (begin, end) = ends(one), ends(other)
    return first <= end and begin <= last


def ends(view: View) -> tuple[int, int]:
    """The first and the last element that a view sees."""
    reach = [(n - 1) * stride for n, stride in zip(view.shape, view.strides, strict=True)]
    return view.offset + sum(min(r, 0) for r in reach), view.offset + sum(max(r, 0) for r in reach)


def _pieces(places: np.ndarray, name: str) -> list[tuple[View, View]]:
    """Parts of an array of places at which they go evenly: where these parts are, and what they see.

    Raises:
        Unlowerable: there are too many.
    """
    view = _even(places)
    if view is not None:
        return [(View.whole(places.shape), view)]
    for axis, size in enumerate(places.shape):
        entries = [np.take(places, [entry], axis) for entry in range(size)] if size <= _MOST_PIECES else []
        views = [_even(entry) for entry in entries]
        if views and None not in views:
            whole = View.whole(places.shape)
            return [(_entry(whole, axis, k), view) for k, view in enumerate(views) if view is not None]
    raise Unlowerable(f"the primitive `{name}` of uneven places has no loops.")


def _entry(view: View, axis: int, place: int) -> View:
    """One entry of an axis."""
    starts, limits = [0] * len(view.shape), list(view.shape)
    starts[axis], limits[axis] = place, place + 1
    return view.sliced(starts, limits)


def _even(places: np.ndarray) -> View | None:
    """The view that sees these places, if there is one."""
    first = places[(0,) * places.ndim]
    strides = tuple(
        int(places[tuple(int(a == axis) for a in range(places.ndim))] - first) if size > 1 else 0
        for axis, size in enumerate(places.shape)
    )
    view = View(places.shape, strides, int(first))
    return view if np.array_equal(view.entries().reshape(places.shape), places) else None


def _choice(build: Builder, which: Expression, x: Expression, y: Expression) -> Expression:
    return build("select", which, x, y)


def _product(build: Builder, x: Expression, y: Expression) -> Expression:
    return build("mul", x, y)


def _sum(build: Builder, x: Expression, y: Expression) -> Expression:
    return build("add", x, y)


def _cast(type: str, build: Builder, x: Expression) -> Expression:
    return build.cast(x, type)


def _choose(number: int, build: Builder, index: Expression, one: Expression, other: Expression) -> Expression:
    if index.type == "i1":
        chosen = index if number else build("not", index)
    else:
        chosen = build("le", index, build.constant(number, index.type))
    return build("select", chosen, one, other)
