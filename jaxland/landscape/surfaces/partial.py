"""Evaluates an objective at many points of a plane and computes only once what they have in common.

On a plane through two weights of the last layer nothing before that layer changes, and of that layer a single unit.
The objective's own program, its jaxpr, says so: every array in it is followed by the *box* of entries that can differ
from point to point, which begins as the free entries of the flat vector and grows from operation to operation. A matrix
product in which one row of the weights changes changes one row of the result; a sum over everything is a sum of what
never changes, taken once, and of what does. Whatever lies outside its box is computed once, at the origin.

Nothing is assumed of the network: operations without a rule of their own are given their operands whole.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

Box = tuple[np.ndarray, ...]
"""Increasing indices along each axis. An entry of an array can change only if all its indices are among them."""

Changing = list[Any]
"""At one point of the plane: the entries in the boxes of all arrays that change, in the order of the program."""

Reader = Callable[[Changing], Any]
Step = Callable[[Changing], Sequence[Any]]

_CALLS = "checkpoint closed_call core_call custom_jvp_call custom_vjp_call jit pjit remat remat2"
_ELEMENTWISE = """
abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp convert_element_type copy cos cosh digamma
div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le lgamma log log1p logistic lt max min mul ne
neg nextafter not or pow reduce_precision rem round rsqrt select_n sign sin sinh sqrt square stop_gradient sub tan tanh
xor
"""
_MOVING = "concatenate reshape rev slice split squeeze"


class Value(NamedTuple):
    """An array of the program."""

    base: Any
    """What it is at the origin of the plane."""
    box: Box | None = None
    """The entries that can change; None where none can."""
    place: int = -1
    """Where these stand among all that change."""


class Partial:
    """A scalar program with one vector for input, taken apart into what changes with some entries of it and the rest.

    Attributes:
        largest: most numbers that any array has in its box.
    """

    def __init__(self, closed_jaxpr: Any, constants: Sequence[Any], origin: Any, support: np.ndarray):
        self._steps: list[Step] = []
        self._count = 1
        self.largest = len(support)
        whole = [Value(constant) for constant in constants]
        (self._result,) = self._walk(closed_jaxpr.jaxpr, whole, [Value(origin, (support,), 0)])

    def __call__(self, entries: Any) -> Any:
        """The result where the entries of the support have these values."""
        if self._result.box is None:
            return self._result.base
        changing: Changing = [entries]
        for step in self._steps:
            changing.extend(step(changing))
        return changing[self._result.place]

    def _walk(self, jaxpr: Any, constants, arguments) -> list[Value]:
        values: dict[Any, Value] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))

        def look_up(atom) -> Value:
            if not isinstance(atom, Literal):
                return values[atom]
            aval: Any = atom.aval
            return Value(jnp.asarray(atom.val, aval.dtype))

        for equation in jaxpr.eqns:
            results = self._apply(equation, [look_up(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        return [look_up(atom) for atom in jaxpr.outvars]

    def _apply(self, equation, operands: list[Value]) -> list[Value]:
        name = equation.primitive.name
        inner = _inner(equation) if name in _CALLS.split() else None
        if inner is not None:
            return self._walk(inner.jaxpr, map(Value, inner.consts), operands)
        bases = _bind(equation, [operand.base for operand in operands])
        if all(operand.box is None for operand in operands):
            return [Value(base) for base in bases]
        boxes, step = (_RULES.get(name) or _whole)(equation, operands, bases)
        return self._add(bases, boxes, step)

    def _add(self, bases, boxes, step) -> list[Value]:
        """Keeps a step, whose results are what is in the boxes that are not None."""
        results = []
        for base, box in zip(bases, boxes, strict=True):
            results.append(Value(base) if box is None else Value(base, box, self._count))
            self._count += box is not None
            self.largest = max(self.largest, 0 if box is None else _size(box))
        if any(box is not None for box in boxes):
            self._steps.append(step)
        return results


def _inner(equation):
    """The program that a call stands for; None where it keeps it in a way that is not known here."""
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        inner = equation.params.get(key)
        if inner is not None:
            return inner if hasattr(inner, "consts") else ClosedJaxpr(inner, ())
    return None


def _bind(equation, operands) -> list[Any]:
    results = equation.primitive.bind(*operands, **equation.params)
    return list(results) if equation.primitive.multiple_results else [results]


def _elementwise(equation, operands, bases):
    shape = bases[0].shape
    box = _hull([_spread(operand, shape) for operand in operands if operand.box is not None])
    readers = [_reader(operand, _gathered(box, operand.base.shape, shape)) for operand in operands]
    return [box], lambda changing: _bind(equation, [read(changing) for read in readers])


def _spread(operand, shape) -> Box:
    """The box of a result of this shape that an operand makes change; axes of length one count for all of an axis."""
    whole, own = _everything(shape), operand.base.shape
    if not own:
        return whole
    return tuple(operand.box[axis] if own[axis] == size else whole[axis] for axis, size in enumerate(shape))


def _gathered(box, own, shape) -> Box:
    """The part of an operand that a box of the result takes."""
    return tuple(box[axis] if own[axis] == shape[axis] else np.arange(own[axis]) for axis in range(len(own)))


def _whole(equation, operands, bases):
    """Where nothing is known of an operation, every entry of its results can change."""
    readers = [_reader(operand, _everything(operand.base.shape)) for operand in operands]
    boxes = [_everything(base.shape) for base in bases]
    return boxes, lambda changing: _bind(equation, [read(changing) for read in readers])


def _transpose(equation, operands, bases):
    box = tuple(operands[0].box[axis] for axis in equation.params["permutation"])
    place = operands[0].place
    return [box], lambda changing: _bind(equation, [changing[place]])


def _broadcast(equation, operands, bases):
    operand, axes = operands[0], equation.params["broadcast_dimensions"]
    box = list(_everything(bases[0].shape))
    for own, axis in enumerate(axes):
        if operand.base.shape[own] == bases[0].shape[axis]:
            box[axis] = operand.box[own]
    shape = tuple(map(len, box))
    return [tuple(box)], lambda changing: [jax.lax.broadcast_in_dim(changing[operand.place], shape, axes)]


def _reduce_sum(equation, operands, bases):
    operand, axes = operands[0], equation.params["axes"]
    base, own = operand.base, operand.box
    box = tuple(indices for axis, indices in enumerate(own) if axis not in axes)
    fixed = None
    if any(len(own[axis]) < base.shape[axis] for axis in axes):
        rows = [np.arange(size) if axis in axes else own[axis] for axis, size in enumerate(base.shape)]
        changes = [np.isin(each, indices) for each, indices in zip(rows, own, strict=True)]
        (fixed,) = _bind(equation, [jnp.where(reduce(np.multiply.outer, changes), 0, _take(base, rows))])

    def step(changing):
        (moving,) = _bind(equation, [changing[operand.place]])
        return [moving if fixed is None else fixed + moving]

    return [box], step


def _dot_general(equation, operands, bases):
    contracted, batch = equation.params["dimension_numbers"]
    if len(contracted[0]) != 1:
        return _whole(equation, operands, bases)
    summed = _union([operand.box[axes[0]] for operand, axes in zip(operands, contracted, strict=True) if operand.box])
    axes = [_result_axes(operand.base.ndim, *each) for operand, *each in zip(operands, contracted, batch, strict=True)]
    free = len(axes[0]) - len(batch[0]) - 1
    axes[1] = [axis + free if axis is not None and axis >= len(batch[0]) else axis for axis in axes[1]]
    whole = _everything(bases[0].shape)
    boxes = [
        [operand.box[axes[side].index(axis)] if axis in axes[side] else whole[axis] for axis in range(len(whole))]
        for side, operand in enumerate(operands)
        if operand.box is not None
    ]
    box = _hull(boxes)
    rest = np.setdiff1d(np.arange(operands[0].base.shape[contracted[0][0]]), summed)

    def part(side, indices):
        return tuple(indices if axis is None else box[axis] for axis in axes[side])

    fixed = None
    if len(rest):
        (fixed,) = _bind(equation, [_take(operand.base, part(side, rest)) for side, operand in enumerate(operands)])
    readers = [_reader(operand, part(side, summed)) for side, operand in enumerate(operands)]

    def step(changing):
        (moving,) = _bind(equation, [read(changing) for read in readers])
        return [moving if fixed is None else fixed + moving]

    return [box], step


def _result_axes(rank, contracted, batch):
    """For each axis of an operand that of the product, were this the first operand; None where it is summed over."""
    free = [axis for axis in range(rank) if axis not in contracted and axis not in batch]
    order = [*batch, *free]
    return [None if axis in contracted else order.index(axis) for axis in range(rank)]


def _moving(equation, operands, bases):
    """Rule of all operations that only put entries elsewhere: they are followed by moving their numbers instead."""
    if all(operand.box is None or _size(operand.box) == operand.base.size for operand in operands):
        return _whole(equation, operands, bases)
    starts = np.cumsum([0, *(operand.base.size for operand in operands)])
    numbers = [
        np.arange(start, start + operand.base.size).reshape(operand.base.shape)
        for start, operand in zip(starts, operands, strict=False)
    ]
    with jax.ensure_compile_time_eval():
        origins = [np.asarray(origin) for origin in _bind(equation, [jnp.asarray(each) for each in numbers])]
    changing_places = _places(operands, starts)
    found = [_moved(origin, base, changing_places) for origin, base in zip(origins, bases, strict=True)]
    sources = [operand.place for operand in operands if operand.box is not None]

    def step(changing):
        pool = jnp.concatenate([changing[source].ravel() for source in sources])
        return [each[1](pool) for each in found if each is not None]

    return [None if each is None else each[0] for each in found], step


def _places(operands, starts):
    """For each entry of all operands its place among those that change, one after another; -1 where it does not."""
    places = np.full(starts[-1], -1)
    count = 0
    for start, operand in zip(starts, operands, strict=False):
        if operand.box is not None:
            flat = np.ravel_multi_index(np.ix_(*operand.box), operand.base.shape).ravel()
            places[start + flat] = count + np.arange(len(flat))
            count += len(flat)
    return places


def _moved(origin, base, places):
    """The box of a moved array, and how it is read from the entries that change; None where none does."""
    changes = places[origin] >= 0
    if not changes.any():
        return None
    box = tuple(
        np.flatnonzero(changes.any(axis=tuple(other for other in range(changes.ndim) if other != axis)))
        for axis in range(changes.ndim)
    )
    wanted = places[origin[np.ix_(*box)]]
    fixed = _take(base, box)
    if (wanted >= 0).all():
        return box, lambda pool: pool[wanted]
    return box, lambda pool: jnp.where(wanted >= 0, pool[np.maximum(wanted, 0)], fixed)


_RULES = {
    **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **dict.fromkeys(_MOVING.split(), _moving),
    "broadcast_in_dim": _broadcast,
    "dot_general": _dot_general,
    "reduce_sum": _reduce_sum,
    "transpose": _transpose,
}


def _reader(value: Value, box: Box) -> Reader:
    """Reads a box of an array, whether all of it, a part of it, or nothing of it changes."""
    if value.box is not None and all(map(np.array_equal, value.box, box)):
        return lambda changing: changing[value.place]
    fixed = _take(value.base, box)
    if value.box is None:
        return lambda changing: fixed
    places = tuple(np.searchsorted(whole, part) for whole, part in zip(box, value.box, strict=True))
    return lambda changing: fixed.at[_index(places, fixed.shape)].set(changing[value.place])


def _take(array, box):
    for axis, indices in enumerate(box):
        if len(indices) < array.shape[axis]:
            array = jnp.take(array, indices, axis=axis)
    return array


def _index(box, shape):
    """A NumPy index of the entries in a box; slices where it can be told with them."""
    partial = [axis for axis, indices in enumerate(box) if len(indices) < shape[axis]]
    if len(partial) > 1:
        return np.ix_(*box)
    return tuple(indices if axis in partial else slice(None) for axis, indices in enumerate(box))


def _everything(shape) -> Box:
    return tuple(np.arange(size) for size in shape)


def _hull(boxes) -> Box:
    return tuple(_union(axis) for axis in zip(*boxes, strict=True))


def _union(indices):
    return reduce(np.union1d, indices)


def _size(box) -> int:
    return int(np.prod([len(indices) for indices in box]))
