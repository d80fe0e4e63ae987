"""Evaluates a jaxpr on NumPy object arrays of scalar expressions.

Everything that only moves numbers (`reshape`, `transpose`, `broadcast_in_dim`, `concatenate`, the indices of
`dot_general` and `reduce_sum`) happens here, while the program is written; what is left is arithmetic on scalars.
Inner programs (`jit`, `custom_jvp_call`, `cond`, `scan`, ...) are inlined, loops of known length are unrolled and
both branches of a `cond` are computed.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax

from jaxland.training.program import approximations
from jaxland.training.program.expression import (
    COMPARISONS,
    FLOATS,
    INTEGERS,
    NAMES,
    TYPES,
    Builder,
    Expression,
    Unlowerable,
)
from jaxland.training.program.interpreter import Interpreter, parts_of_scan

Scalars = np.ndarray
"""An object array whose elements are expressions."""

"""Repetitions of a loop that is unrolled."""


def scalarize(build: Builder, closed_jaxpr: Any, arguments: Sequence[Scalars]) -> list[Scalars]:
    """The outputs of a jaxpr as expressions of those of its arguments.

    Args:
        build: makes the expressions.
        closed_jaxpr: what `jax.make_jaxpr` returns.
        arguments: one object array for each input, of its shape.

    Raises:
        Unlowerable: a primitive or a type has no scalar form; the message names it.
    """
    return _Evaluator(build).closed(closed_jaxpr, arguments)


def constants_of(build: Builder, values: Any, dtype: Any = None) -> Scalars:
    """An array of numbers as an object array of constants, of the type `dtype` or, by default, of their own.

    Raises:
        Unlowerable: their type is none of `TYPES`, such as that of random keys.
    """
    if dtype is None:
        dtype = values.dtype if hasattr(values, "dtype") else np.result_type(values)
    type = type_name(dtype)
    return map_scalars(lambda value: build.constant(value, type), np.asarray(values))


def apply_scalar(equation: Any, build: Builder, *scalars: Expression) -> Expression:
    """The one output of an elementwise equation, of one element of each input.

    Raises:
        Unlowerable: it has no scalar form.
    """
    (result,) = _Evaluator(build).equation(equation, [np.array(scalar, dtype=object) for scalar in scalars])
    return result.item()


def extreme(build: Builder, comparison: str, a: Expression, b: Expression) -> Expression:
    """The larger ("gt") or the smaller ("lt") of two scalars; NaN where one is."""
    # A comparison with NaN is false, so a NaN in b is chosen; one in a needs the second select.
    if a.op == "constant":
        a, b = b, a
    if a.type in FLOATS and b.op == "constant":
        if np.isnan(b.value):
            return b
        reverse = {"gt": "lt", "lt": "gt"}[comparison]
        return build("select", build(reverse, a, b), b, a)
    chosen = build("select", build(comparison, a, b), a, b)
    if a.type not in FLOATS:
        return chosen
    return build("select", build("ne", a, a), a, chosen)


def type_name(dtype: Any) -> str:
    """The name in `TYPES` of a NumPy or JAX dtype."""
    name = NAMES.get(dtype)
    if name is None:
        raise Unlowerable(f"numbers of type {dtype} have no scalar form.")
    return name


def map_scalars(function: Callable[..., Expression], *arrays: np.ndarray) -> Scalars:
    """Applies a function of scalars elementwise, with broadcasting."""
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    result = np.empty(shape, dtype=object)
    flat = [np.broadcast_to(array, shape).ravel() for array in arrays]
    result.ravel()[:] = [function(*scalars) for scalars in zip(*flat, strict=True)] if result.size else []
    return result


class _Evaluator(Interpreter[Scalars]):
    def __init__(self, build: Builder):
        self.build = build

    def constant(self, value, dtype=None) -> Scalars:
        return constants_of(self.build, value, dtype)

    def apply(self, equation, inputs) -> Scalars | list[Scalars]:
        name = equation.primitive.name
        if name in _INDEXED:
            return self.indexed(equation, inputs)
        if name in approximations.FUNCTIONS:
            function = approximations.FUNCTIONS[name]
            return map_scalars(lambda x: function(self.build, x), *inputs)
        if name in ELEMENTWISE:
            return map_scalars(lambda *scalars: self.build(ELEMENTWISE[name], *scalars), *inputs)
        rule = getattr(self, f"p_{name}", None)
        if rule is None:
            raise Unlowerable(f"the primitive `{name}` has no scalar form.")
        return rule(*inputs, **equation.params)

    def each(self, function, *arrays):
        return map_scalars(function, *arrays)

    # Control flow.

    def p_cond(self, index, *operands, branches, **_):
        outputs = [self.closed(branch, operands) for branch in branches]
        result = outputs[-1]
        for number in range(len(branches) - 2, -1, -1):
            chosen = self.each(lambda i, n=number: self._is_branch(i, n), index)
            result = [self._select(chosen, one, other) for one, other in zip(outputs[number], result, strict=True)]
        return result

    def _is_branch(self, index, number):
        if index.type == "i1":
            return index if number else self.build("not", index)
        return self.build("le", index, self.build.constant(number, index.type))

    def _select(self, chosen, one, other):
        return self.each(lambda c, a, b: self.build("select", c, a, b), chosen, one, other)

    def p_scan(self, *inputs, jaxpr, length, reverse, num_consts=0, num_carry=0, ft_in=None, **_):
        constants, carry, sequences = parts_of_scan(inputs, length, num_consts, num_carry, ft_in)
        num_carry = len(carry)
        stacked = []
        for step in range(length)[:: -1 if reverse else 1]:
            outputs = self.closed(jaxpr, [*constants, *carry, *(sequence[step, ...] for sequence in sequences)])
            carry = outputs[:num_carry]
            stacked.append(outputs[num_carry:])
        if not length:
            return [*carry, *(np.empty((0, *v.aval.shape), dtype=object) for v in jaxpr.jaxpr.outvars[num_carry:])]
        columns = zip(*(stacked[::-1] if reverse else stacked), strict=True)
        return [*carry, *(np.stack(column) for column in columns)]

    # Arithmetic.

    def p_integer_pow(self, x, *, y, **_):
        return self.each(lambda scalar: self._integer_power(scalar, y), x)

    def _integer_power(self, x, y):
        if y < 0:
            return self.build("div", self.build.constant(1, x.type), self._integer_power(x, -y))
        result = self.build.constant(1, x.type)
        while y:
            result = self.build("mul", result, x) if y % 2 else result
            x, y = self.build("mul", x, x), y // 2
        return result

    def p_square(self, x, **_):
        return self.p_integer_pow(x, y=2)

    def p_one_minus_square(self, x, **_):
        """Of JAX from 0.11 on, in the derivative of tanh: (1 + x) (1 - x), which keeps all digits near 1."""
        return self.each(self._one_minus_square, x)

    def _one_minus_square(self, x):
        one = self.build.constant(1, x.type)
        return self.build("mul", self.build("add", one, x), self.build("sub", one, x))

    def p_pow(self, x, y, **_):
        return self.each(self._power, x, y)

    def _power(self, x, y):
        if y.op == "constant" and float(y.value).is_integer() and abs(y.value) <= 16:
            return self._integer_power(x, int(y.value))
        return approximations.power(self.build, x, y)

    def p_rsqrt(self, x, **_):
        return self.each(lambda a: self.build("div", self.build.constant(1, a.type), self.build("sqrt", a)), x)

    def p_max(self, x, y, **_):
        return self.each(lambda a, b: self._extreme("gt", a, b), x, y)

    def p_min(self, x, y, **_):
        return self.each(lambda a, b: self._extreme("lt", a, b), x, y)

    def _extreme(self, comparison, a, b):
        return extreme(self.build, comparison, a, b)

    def p_clamp(self, low, x, high, **_):
        return self.p_min(self.p_max(x, low), high)

    def p_sign(self, x, **_):
        return self.each(self._sign, x)

    def _sign(self, x):
        zero, one = self.build.constant(0, x.type), self.build.constant(1, x.type)
        result = self.build("select", self.build("lt", x, zero), self.build.constant(-1, x.type), x)
        return self.build("select", self.build("gt", x, zero), one, result)

    def p_abs(self, x, **_):
        def absolute(a):
            if a.type in FLOATS:
                return self.build("abs", a)
            return self.build("select", self.build("lt", a, self.build.constant(0, a.type)), self.build("neg", a), a)

        return self.each(absolute, x)

    def p_is_finite(self, x, **_):
        def finite(a):
            return self.build("lt", self.build("abs", a), self.build.constant(np.inf, a.type))

        return self.each(finite, x)

    def p_round(self, x, *, rounding_method, **_):
        nearest_even = int(rounding_method) == 1
        return self.each(lambda a: self.build("nearest", a) if nearest_even else self._round_half_away(a), x)

    def _round_half_away(self, x):
        half, one, zero = (self.build.constant(value, x.type) for value in (0.5, 1, 0))
        size = self.build("abs", x)
        whole = self.build("floor", size)
        up = self.build("ge", self.build("sub", size, whole), half)
        size = self.build("add", whole, self.build("select", up, one, zero))
        return self.build("select", self.build("lt", x, zero), self.build("neg", size), size)

    def p_div(self, x, y, **_):
        return self.each(self._divide, x, y)

    def _divide(self, a, b):
        """Integers as XLA divides them: a / 0 is -1, and the smallest number divided by -1 is itself."""
        if a.type in FLOATS or (b.op == "constant" and b.value not in (0, -1)):
            return self.build("div", a, b)
        # Processors stop the process at these divisions, also where a select does not take the quotient.
        zero, one, minus = (self.build.constant(value, a.type) for value in (0, 1, -1))
        by_zero, by_minus = self.build("eq", b, zero), self.build("eq", b, minus)
        safe = self.build("select", self.build("or", by_zero, by_minus), one, b)
        quotient = self.build("select", by_minus, self.build("neg", a), self.build("div", a, safe))
        return self.build("select", by_zero, minus, quotient)

    def p_rem(self, x, y, **_):
        def remainder(a, b):
            if a.type in FLOATS:
                raise Unlowerable("the primitive `rem` on floating-point numbers has no scalar form.")
            return self.build("sub", a, self.build("mul", self._divide(a, b), b))

        return self.each(remainder, x, y)

    def p_select_n(self, which, *cases):
        result = cases[0]
        for number, case in enumerate(cases[1:], 1):
            chosen = self.each(lambda i, n=number: self._is_case(i, n), which)
            result = self._select(chosen, case, result)
        return result

    def _is_case(self, index, number):
        """Whether it is this case or a later one, of which the last is taken; two cases may have an integer too."""
        return index if index.type == "i1" else self.build("ge", index, self.build.constant(number, index.type))

    def p_not(self, x, **_):
        def invert(a):
            return self.build("not", a) if a.type == "i1" else self.build("xor", a, self.build.constant(-1, a.type))

        return self.each(invert, x)

    def p_convert_element_type(self, x, *, new_dtype, **_):
        type = type_name(np.dtype(new_dtype))
        return self.each(lambda a: self._convert(a, type), x)

    def _convert(self, x, type):
        if x.type not in FLOATS or type not in INTEGERS:
            return self.build.cast(x, type)
        # XLA gives the nearest integer there is, and 0 for NaN; a processor's own conversion anything.
        limits = np.iinfo(TYPES[type])
        low, high = self.build.constant(limits.min, x.type), self.build.constant(-float(limits.min), x.type)
        below, above = self.build("lt", x, low), self.build("ge", x, high)
        inside = self.build("and", self.build("ge", x, low), self.build("lt", x, high))
        result = self.build.cast(self.build("select", inside, x, self.build.constant(0, x.type)), type)
        result = self.build("select", above, self.build.constant(limits.max, type), result)
        return self.build("select", below, self.build.constant(limits.min, type), result)

    def p_bitcast_convert_type(self, x, *, new_dtype, **_):
        type = type_name(np.dtype(new_dtype))

        def reread(a):
            if TYPES[a.type].itemsize != TYPES[type].itemsize:
                raise Unlowerable("the primitive `bitcast_convert_type` between sizes has no scalar form.")
            return self.build.bits(a, type)

        return self.each(reread, x)

    def p_reduce_precision(self, x, *, exponent_bits, mantissa_bits, **_):
        if any((exponent_bits, mantissa_bits) != _PRECISION.get(a.type) for a in x.ravel()[:1]):
            raise Unlowerable("the primitive `reduce_precision` has no scalar form.")
        return x

    def p_shift_left(self, x, amount, **_):
        return self.each(lambda a, n: self._shift("shl", a, n), x, amount)

    def p_shift_right_arithmetic(self, x, amount, **_):
        return self.each(lambda a, n: self._shift("shr", a, n), x, amount)

    def _shift(self, op, x, amount):
        if amount.op != "constant" or not 0 <= amount.value < 8 * TYPES[x.type].itemsize:
            raise Unlowerable("a shift by a computed number of bits has no scalar form.")
        return self.build(op, x, amount)

    # Sums and products over axes.

    def p_reduce_sum(self, x, *, axes, **_):
        return self._reduce(self.build.sum, x, axes)

    def p_reduce_max(self, x, *, axes, **_):
        return self._reduce(self._chain(lambda a, b: self._extreme("gt", a, b)), x, axes)

    def p_reduce_min(self, x, *, axes, **_):
        return self._reduce(self._chain(lambda a, b: self._extreme("lt", a, b)), x, axes)

    def p_reduce_prod(self, x, *, axes, **_):
        return self._reduce(self._chain(lambda a, b: self.build("mul", a, b)), x, axes)

    def p_reduce_and(self, x, *, axes, **_):
        return self._reduce(self._chain(lambda a, b: self.build("and", a, b)), x, axes)

    def p_reduce_or(self, x, *, axes, **_):
        return self._reduce(self._chain(lambda a, b: self.build("or", a, b)), x, axes)

    def p_argmax(self, x, *, axes, index_dtype, **_):
        return self._reduce(lambda terms: self._place_of("gt", terms, index_dtype), x, axes)

    def p_argmin(self, x, *, axes, index_dtype, **_):
        return self._reduce(lambda terms: self._place_of("lt", terms, index_dtype), x, axes)

    def _place_of(self, comparison, terms, dtype):
        """The place of the first of the most extreme terms, or of the first NaN."""
        best, place = terms[0], self.build.constant(0, type_name(np.dtype(dtype)))
        for number, term in enumerate(terms[1:], 1):
            better = self.build(comparison, term, best)
            if term.type in FLOATS:
                better = self.build("or", better, self.build("ne", term, term))
                better = self.build("and", better, self.build("eq", best, best))
            best = self.build("select", better, term, best)
            place = self.build("select", better, self.build.constant(number, place.type), place)
        return place

    def _chain(self, join):
        def joined(terms):
            total = terms[0]
            for term in terms[1:]:
                total = join(total, term)
            return total

        return joined

    def _reduce(self, join, x, axes):
        axes = tuple(axes)
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        length = math.prod(x.shape[axis] for axis in axes)
        rows = x.transpose(*kept, *sorted(axes)).reshape((*(x.shape[axis] for axis in kept), length))
        if not length:
            raise Unlowerable("a reduction over no elements has no scalar form.")
        result = np.empty(rows.shape[:-1], dtype=object)
        for index in np.ndindex(*result.shape):
            result[index] = join(list(rows[index]))
        return result

    def p_cumsum(self, x, *, axis, reverse, **_):
        return self._running(lambda a, b: self.build("add", a, b), x, axis, reverse)

    def p_cumprod(self, x, *, axis, reverse, **_):
        return self._running(lambda a, b: self.build("mul", a, b), x, axis, reverse)

    def p_cummax(self, x, *, axis, reverse, **_):
        return self._running(lambda a, b: self._extreme("gt", a, b), x, axis, reverse)

    def p_cummin(self, x, *, axis, reverse, **_):
        return self._running(lambda a, b: self._extreme("lt", a, b), x, axis, reverse)

    def _running(self, join, x, axis, reverse):
        """What comes of joining each entry to what came of those before it."""
        moved = np.moveaxis(x, axis, -1)
        moved = moved[..., ::-1] if reverse else moved
        result = np.empty(moved.shape, dtype=object)
        for index in np.ndindex(*moved.shape[:-1]):
            result[index] = list(itertools.accumulate(moved[index], join))
        return np.moveaxis(result[..., ::-1] if reverse else result, -1, axis)

    def p_dot_general(self, x, y, *, dimension_numbers, preferred_element_type=None, **_):
        if preferred_element_type is not None:
            x, y = (self.p_convert_element_type(array, new_dtype=preferred_element_type) for array in (x, y))
        (x_contract, y_contract), (x_batch, y_batch) = dimension_numbers
        x_free = [axis for axis in range(x.ndim) if axis not in (*x_contract, *x_batch)]
        y_free = [axis for axis in range(y.ndim) if axis not in (*y_contract, *y_batch)]
        batch = [x.shape[axis] for axis in x_batch]
        x_shape, y_shape = [x.shape[axis] for axis in x_free], [y.shape[axis] for axis in y_free]
        length = int(np.prod([x.shape[axis] for axis in x_contract], dtype=int))
        if not length:
            raise Unlowerable("the primitive `dot_general` over no elements has no scalar form.")
        groups = math.prod(batch)
        rows = x.transpose(*x_batch, *x_free, *x_contract).reshape(groups, math.prod(x_shape), length)
        columns = y.transpose(*y_batch, *y_free, *y_contract).reshape(groups, math.prod(y_shape), length)
        result = np.empty((len(rows), rows.shape[1], columns.shape[1]), dtype=object)
        for group, row, column in np.ndindex(*result.shape):
            result[group, row, column] = self._dot(rows[group, row], columns[group, column])
        return result.reshape((*batch, *x_shape, *y_shape))

    def _dot(self, a, b):
        return self.build.sum([self.build("mul", one, other) for one, other in zip(a, b, strict=True)])

    # Moving numbers.

    def p_broadcast_in_dim(self, x, *_, shape, broadcast_dimensions, **__):
        expanded = np.ones(len(shape), dtype=int)
        expanded[list(broadcast_dimensions)] = x.shape
        return np.broadcast_to(x.reshape(tuple(expanded)), shape)

    def p_reshape(self, x, *_, new_sizes, dimensions=None, **__):
        # The derivative of a product reads the axes in another order than they stand.
        return (x if dimensions is None else x.transpose(*dimensions)).reshape(tuple(new_sizes))

    def p_transpose(self, x, *, permutation, **_):
        return x.transpose(*permutation)

    def p_squeeze(self, x, *, dimensions, **_):
        return x.reshape(tuple(size for axis, size in enumerate(x.shape) if axis not in dimensions))

    def p_expand_dims(self, x, *, dimensions, **_):
        return np.expand_dims(x, tuple(dimensions))

    def p_rev(self, x, *, dimensions, **_):
        return np.flip(x, dimensions)

    def p_concatenate(self, *arrays, dimension, **_):
        return np.concatenate(arrays, axis=dimension)

    def p_stack(self, *arrays, axis, **_):
        return np.stack(arrays, axis=axis)

    def p_unstack(self, x, *, axis, **_):
        return [piece.squeeze(axis) for piece in np.split(x, x.shape[axis], axis=axis)]

    def p_slice(self, x, *, start_indices, limit_indices, strides, **_):
        strides = strides or (1,) * x.ndim
        return x[tuple(map(slice, start_indices, limit_indices, strides))]

    def p_dynamic_slice(self, x, *starts, slice_sizes, **_):
        return x[self._window(x.shape, starts, slice_sizes, "dynamic_slice")]

    def p_dynamic_update_slice(self, x, update, *starts, **_):
        result = x.copy()
        result[self._window(x.shape, starts, update.shape, "dynamic_update_slice")] = update
        return result

    def _window(self, shape, starts, sizes, name):
        scalars = [start.item() for start in starts]
        if any(start.op != "constant" for start in scalars):
            raise Unlowerable(f"the primitive `{name}` with a computed position has no scalar form.")
        # JAX moves a window that would stick out back inside.
        begins = [int(np.clip(s.value, 0, n - size)) for s, n, size in zip(scalars, shape, sizes, strict=True)]
        return tuple(slice(begin, begin + size) for begin, size in zip(begins, sizes, strict=True))

    def indexed(self, equation, inputs):
        """gather and scatter at fixed places, found by letting the primitive move the numbers of elements."""
        operand, indices, *updates = inputs
        name, params = equation.primitive.name, dict(equation.params)
        if any(index.op != "constant" for index in indices.ravel()):
            raise Unlowerable(f"the primitive `{name}` with computed indices has no scalar form.")
        if not operand.size or not indices.size or not all(update.size for update in updates):
            raise Unlowerable(f"the primitive `{name}` of no elements has no scalar form.")
        limits = np.iinfo(np.int32)
        places = [np.clip(index.value, limits.min, limits.max) for index in indices.ravel()]
        places = np.array(places, np.int32).reshape(indices.shape)
        numbers = np.arange(1, operand.size + 1, dtype=np.int32).reshape(operand.shape)
        if not updates:
            chosen = equation.primitive.bind(numbers, places, **{**params, "fill_value": 0})
            scalars = [self._fill_value(params.get("fill_value"), operand.ravel()[0].type), *operand.ravel()]
            return map_scalars(lambda number: scalars[int(number)], np.asarray(chosen).astype(object))
        return self._scattered(name, operand, updates[0], _targets(operand, places, updates[0], params))

    def _scattered(self, name, operand, update, targets):
        """The operand with each scalar of the update joined to its target, in their order."""
        if name == "scatter" and len({place for _, place in targets}) < len(targets):
            raise Unlowerable("the primitive `scatter` with repeated indices has no scalar form.")
        result, scalars = operand.copy(), update.ravel()
        for number, place in targets:
            result[place] = self._join(name, result[place], scalars[number])
        return result

    def _join(self, name, old, new):
        if name == "scatter":
            return new
        if name in ("scatter-min", "scatter-max"):
            return self._extreme("gt" if name == "scatter-max" else "lt", old, new)
        return self.build("mul" if name == "scatter-mul" else "add", old, new)

    def _fill_value(self, value, type):
        """What a gather gives for places outside."""
        if value is None:
            value = np.nan if type in FLOATS else True if type == "i1" else np.iinfo(TYPES[type]).min
        return self.build.constant(value, type)

    def p_pad(self, x, value, *, padding_config, **_):
        # Negative padding takes away what lies beyond, gaps included.
        config = [
            (n + max(n - 1, 0) * gap, *rest, gap) for n, (*rest, gap) in zip(x.shape, padding_config, strict=True)
        ]
        wide = np.full([n + max(low, 0) + max(high, 0) for n, low, high, _ in config], value.item(), dtype=object)
        wide[tuple(slice(max(low, 0), max(low, 0) + n, gap + 1) for n, low, _, gap in config)] = x
        ends = (size - max(-high, 0) for size, (_, _, high, _) in zip(wide.shape, config, strict=True))
        return wide[tuple(slice(max(-low, 0), end) for (_, low, _, _), end in zip(config, ends, strict=True))]

    def p_iota(self, *, dtype, shape, dimension, **_):
        sizes = [-1 if axis == dimension else 1 for axis in range(len(shape))]
        numbers = np.arange(shape[dimension]).reshape(sizes).astype(dtype)
        return constants_of(self.build, np.broadcast_to(numbers, shape))

    def p_split(self, x, *, sizes, axis, **_):
        return np.split(x, np.cumsum(sizes)[:-1], axis=axis)

    def p_copy(self, x, **_):
        return x

    def p_tile(self, x, *, reps, **_):
        return np.tile(x, reps)

    p_copy_p = p_stop_gradient = p_optimization_barrier = p_copy


ELEMENTWISE = {
    "add": "add",
    "add_any": "add",
    "sub": "sub",
    "mul": "mul",
    "neg": "neg",
    "sqrt": "sqrt",
    "floor": "floor",
    "ceil": "ceil",
    "and": "and",
    "or": "or",
    "xor": "xor",
    **{name: name for name in COMPARISONS},
}
"""Primitives that are one operation of the scalar program."""


_INDEXED = {"gather", "scatter", "scatter-add", "scatter_add", "scatter-mul", "scatter-min", "scatter-max"}


def _targets(operand, indices, update, params) -> list[tuple[int, tuple]]:
    """For each scalar of an update, by its number, the place in the operand; those that fall outside are left out."""
    zeros, ones = np.zeros(operand.shape, np.int32), np.ones(update.shape, np.int32)
    if np.max(scatter_add(zeros, indices, ones, params)) <= 1:
        order = np.arange(1, update.size + 1, dtype=np.int32).reshape(update.shape)
        chosen = np.asarray(scatter_add(zeros, indices, order, params))
        return [(int(chosen[tuple(place)]) - 1, tuple(place)) for place in np.argwhere(chosen)]
    each = np.eye(update.size, dtype=np.int32).reshape(update.size, *update.shape)
    reached = jax.vmap(lambda one: scatter_add(zeros, indices, one, params))(each)
    return [(int(number), tuple(place)) for number, *place in np.argwhere(np.asarray(reached))]


def scatter_add(operand: np.ndarray, indices: np.ndarray, updates: np.ndarray, params: dict[str, Any]) -> Any:
    """Adds updates to an array at the places that an equation of one of the scatters means."""
    return lax.scatter_add(
        operand, indices, updates, params["dimension_numbers"], mode=params["mode"], indices_are_sorted=False
    )


_PRECISION = {"f32": (8, 23), "f64": (11, 52)}
"""Bits of exponent and mantissa."""
