"""Evaluates a jaxpr with NumPy, primitive by primitive on whole arrays: what a program means, without compiling it.

What is not written here (rare primitives) JAX evaluates itself, one primitive at a time.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy import special
from training.programs import indexing

_CALLS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat2", "custom_jvp_call", "custom_vjp_call")


def evaluate_jaxpr(closed: Any, *arguments: np.ndarray, noise: np.random.Generator | None = None) -> list[np.ndarray]:
    """The outputs of a closed jaxpr.

    Args:
        closed: what `jax.make_jaxpr` returns.
        arguments: its inputs.
        noise: moves each number that was rounded by some units in its last place, so that outputs show how much
            rounding matters. Exact numbers stay, and so do ties between them.
    """
    with np.errstate(all="ignore"):
        return _Plain(noise).run(closed.jaxpr, closed.consts, arguments)


class _Plain:
    def __init__(self, noise):
        self.noise = noise

    def run(self, jaxpr, constants, arguments):
        values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *arguments), strict=True))

        def read(atom):
            return np.asarray(atom.val, atom.aval.dtype) if hasattr(atom, "val") else np.asarray(values[atom])

        for equation in jaxpr.eqns:
            outputs = self.equation(equation, [read(atom) for atom in equation.invars])
            for variable, value in zip(equation.outvars, outputs, strict=True):
                assert np.shape(value) == variable.aval.shape, equation
                values[variable] = value if hasattr(value, "_base_array") else np.asarray(value, variable.aval.dtype)
        return [read(atom) for atom in jaxpr.outvars]

    def closed(self, program, inputs):
        if hasattr(program, "consts"):
            return self.run(program.jaxpr, program.consts, inputs)
        return self.run(program, [], inputs)

    def equation(self, equation, inputs) -> list:
        name, params = equation.primitive.name.replace("-", "_"), equation.params
        if name in _CALLS:
            return self.closed(params.get("jaxpr") or params.get("call_jaxpr"), inputs)
        if name in ("cond", "scan", "while"):
            return getattr(self, name + "_")(*inputs, **params)
        rule = _SIMPLE.get(name) or globals().get(f"_p_{name}")
        if rule is None or any(value.dtype.kind == "c" for value in inputs):
            return _by_jax(equation, inputs)
        parameters = {} if name in _SIMPLE else params
        result = rule(*inputs, **parameters)
        if self.noise is not None and name in _SUMS:
            result = self.moved_sum(result, inputs, rule(*map(_size, inputs), **parameters))
        elif self.noise is not None and (name in _SIMPLE or name in _ROUNDING):
            result = self.moved(result, lambda: rule(*map(_longer, inputs), **parameters))
        return result if isinstance(result, list) else [result]

    def moved(self, result, exact):
        """Moves what is not exact."""
        if np.asarray(result).dtype.kind != "f":
            return result
        try:
            rounded = ~np.asarray(exact() == result)
        except TypeError:
            # SciPy has no long double for some.
            rounded = result != np.rint(result)
        units = self.noise.integers(-4, 5, np.shape(result))
        return np.where(rounded, result + units * np.spacing(result), result)

    def moved_sum(self, result, inputs, largest):
        """Moves a sum by what its terms may lose, unless all numbers are so short that nothing is lost."""
        if result.dtype.kind != "f" or all((np.rint(value * 4096.0) == value * 4096.0).all() for value in inputs):
            return result
        return result + self.noise.integers(-4, 5, result.shape) * np.spacing(largest)

    def cond_(self, index, *operands, branches, **_):
        return self.closed(branches[int(np.clip(int(index), 0, len(branches) - 1))], operands)

    def scan_(self, *inputs, jaxpr, length, reverse, num_consts=0, num_carry=0, ft_in=None, **_):
        if ft_in is None:
            constants, rest = inputs[:num_consts], inputs[num_consts:]
            carry, sequences = list(rest[:num_carry]), rest[num_carry:]
        else:
            constants, carry, sequences = map(list, ft_in.update(inputs).unpack())
            num_carry = len(carry)
        kept = []
        for step in range(length)[:: -1 if reverse else 1]:
            outputs = self.closed(jaxpr, [*constants, *carry, *(sequence[step] for sequence in sequences)])
            carry = outputs[:num_carry]
            kept.append(outputs[num_carry:])
        if not kept:
            return [*carry, *(np.zeros((0, *v.aval.shape), v.aval.dtype) for v in jaxpr.jaxpr.outvars[num_carry:])]
        return [*carry, *(np.stack(column) for column in zip(*kept[:: -1 if reverse else 1], strict=True))]

    def while_(self, *inputs, cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts, **_):
        tests, constants = inputs[:cond_nconsts], inputs[cond_nconsts : cond_nconsts + body_nconsts]
        carry = list(inputs[cond_nconsts + body_nconsts :])
        while self.closed(cond_jaxpr, [*tests, *carry])[0]:
            carry = self.closed(body_jaxpr, [*constants, *carry])
        return carry


def _longer(value):
    return value.astype(np.longdouble) if value.dtype.kind == "f" else value


def _size(value):
    return np.abs(value) if value.dtype.kind == "f" else value


def _by_jax(equation, inputs):
    result = equation.primitive.bind(*map(jnp.asarray, inputs), **equation.params)
    return result if equation.primitive.multiple_results else [result]


def _p_select_n(which, *cases):
    index = np.clip(np.asarray(which, int), 0, len(cases) - 1)
    return np.choose(np.broadcast_to(index, cases[0].shape), cases)


def _p_integer_pow(x, *, y, **_):
    return x**y if y >= 0 else 1 / x**-y


def _p_convert_element_type(x, *, new_dtype, **_):
    dtype = np.dtype(new_dtype)
    if x.dtype.kind == "f" and dtype.kind == "i":
        limits = np.iinfo(dtype)
        inside = np.where(np.isnan(x) | (np.abs(x) >= -float(limits.min)), 0, x).astype(dtype)
        return np.where(x >= limits.max, limits.max, np.where(x <= limits.min, limits.min, inside))
    return x.astype(dtype)


def _p_bitcast_convert_type(x, *, new_dtype, **_):
    return np.ascontiguousarray(x).view(new_dtype).reshape(x.shape)


def _p_round(x, *, rounding_method, **_):
    return np.rint(x) if int(rounding_method) == 1 else np.copysign(np.floor(np.abs(x) + 0.5), x)


def _p_broadcast_in_dim(x, *_, shape, broadcast_dimensions, **__):
    expanded = [1] * len(shape)
    for axis, size in zip(broadcast_dimensions, x.shape, strict=True):
        expanded[axis] = size
    return np.broadcast_to(x.reshape(expanded), shape)


def _p_dot_general(x, y, *, dimension_numbers, **_):
    (x_contract, y_contract), (x_batch, y_batch) = dimension_numbers
    letters = iter("abcdefghijklmnopqrstuvw")
    of_x, of_y = {}, {}
    for ours, others in ((x_batch, y_batch), (x_contract, y_contract)):
        for i, j in zip(ours, others, strict=True):
            of_x[i] = of_y[j] = next(letters)
    batch = [of_x[i] for i in x_batch]
    free = [
        of.setdefault(axis, next(letters))
        for of, a in ((of_x, x), (of_y, y))
        for axis in range(a.ndim)
        if axis not in of
    ]
    first, second = ("".join(of[axis] for axis in range(a.ndim)) for of, a in ((of_x, x), (of_y, y)))
    return np.einsum(f"{first},{second}->{''.join(batch + free)}", x, y)


def _p_pad(x, value, *, padding_config, **_):
    config = [(n + max(n - 1, 0) * gap, *rest, gap) for n, (*rest, gap) in zip(x.shape, padding_config, strict=True)]
    wide = np.full([n + max(low, 0) + max(high, 0) for n, low, high, _ in config], value, x.dtype)
    wide[tuple(slice(max(low, 0), max(low, 0) + n, gap + 1) for n, low, _, gap in config)] = x
    cuts = (
        slice(max(-low, 0), size - max(-high, 0)) for (_, low, high, _), size in zip(config, wide.shape, strict=True)
    )
    return wide[tuple(cuts)]


def _p_slice(x, *, start_indices, limit_indices, strides, **_):
    return x[tuple(map(slice, start_indices, limit_indices, strides or (1,) * x.ndim))]


def _window(shape, starts, sizes):
    begins = [int(np.clip(int(s), 0, n - size)) for s, n, size in zip(starts, shape, sizes, strict=True)]
    return tuple(slice(begin, begin + size) for begin, size in zip(begins, sizes, strict=True))


def _p_dynamic_slice(x, *starts, slice_sizes, **_):
    return x[_window(x.shape, starts, slice_sizes)]


def _p_dynamic_update_slice(x, update, *starts, **_):
    result = x.copy()
    result[_window(x.shape, starts, update.shape)] = update
    return result


def _p_iota(*, dtype, shape, dimension, **_):
    return np.broadcast_to(
        np.arange(shape[dimension], dtype=dtype).reshape([-1 if a == dimension else 1 for a in range(len(shape))]),
        shape,
    )


def _accumulated(function):
    def rule(x, *, axis, reverse, **_):
        return np.flip(function(np.flip(x, axis), axis), axis) if reverse else function(x, axis)

    return rule


def _quotient(a, b):
    if a.dtype.kind == "f":
        return a / b
    # Towards zero; XLA gives -1 for a division by zero.
    safe = np.where(b == 0, 1, b)
    quotient = np.floor_divide(a, safe)
    return np.where(b == 0, -1, quotient + ((quotient < 0) & (quotient * safe != a)))


def _remainder(a, b):
    return np.fmod(a, b) if a.dtype.kind == "f" else a - _quotient(a, b) * b


def _reduction(function):
    return lambda x, *, axes, **_: function(x, tuple(axes))


_p_cumsum, _p_cumprod = _accumulated(np.cumsum), _accumulated(np.cumprod)
_p_cummax, _p_cummin = _accumulated(np.maximum.accumulate), _accumulated(np.minimum.accumulate)
_p_reduce_sum, _p_reduce_prod = _reduction(np.sum), _reduction(np.prod)
_p_reduce_max, _p_reduce_min = _reduction(np.max), _reduction(np.min)
_p_reduce_and, _p_reduce_or = _reduction(np.all), _reduction(np.any)


def _p_gather(x, indices, **params):
    return indexing.gather(x, indices, **params)


def _scatter(join):
    return lambda x, indices, updates, **params: indexing.scatter(x, indices, updates, join, **params)


_p_scatter, _p_scatter_add = _scatter(lambda _, new: new), _scatter(np.add)
_p_scatter_mul, _p_scatter_min, _p_scatter_max = map(_scatter, (np.multiply, np.minimum, np.maximum))


def _p_reshape(x, *_, new_sizes, dimensions=None, **__):
    return (x if dimensions is None else x.transpose(dimensions)).reshape(new_sizes)


def _p_transpose(x, *, permutation, **_):
    return x.transpose(permutation)


def _p_squeeze(x, *, dimensions, **_):
    return np.squeeze(x, tuple(dimensions))


def _p_rev(x, *, dimensions, **_):
    return np.flip(x, tuple(dimensions))


def _p_concatenate(*arrays, dimension, **_):
    return np.concatenate(arrays, dimension)


def _p_stack(*arrays, axis, **_):
    return np.stack(arrays, axis)


def _p_unstack(x, *, axis, **_):
    return list(np.moveaxis(x, axis, 0))


def _p_split(x, *, sizes, axis, **_):
    return list(np.split(x, np.cumsum(sizes)[:-1], axis))


def _p_reduce_precision(x, *, exponent_bits, mantissa_bits, **_):
    assert (exponent_bits, mantissa_bits) == {4: (8, 23), 8: (11, 52)}[x.dtype.itemsize]
    return x


def _p_square(x, **_):
    return x * x


def _p_stop_gradient(x, **_):
    return x


_p_copy = _p_copy_p = _p_stop_gradient


def _p_optimization_barrier(*values, **_):
    return list(values)


def _p_argmax(x, *, axes, **_):
    return np.argmax(x, *axes)


def _p_argmin(x, *, axes, **_):
    return np.argmin(x, *axes)


_SIMPLE = {
    **{
        name: getattr(np, name)
        for name in (
            *("exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "tan", "sinh", "cosh"),
            *("sqrt", "floor", "ceil", "abs", "sign"),
        )
    },
    **{"add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "div": _quotient, "rem": _remainder},
    **{"max": np.maximum, "min": np.minimum, "neg": np.negative, "pow": lambda a, b: np.power(a, b.astype(a.dtype))},
    **{
        "eq": np.equal,
        "ne": np.not_equal,
        "lt": np.less,
        "le": np.less_equal,
        "gt": np.greater,
        "ge": np.greater_equal,
    },
    **{"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert, "is_finite": np.isfinite},
    **{"shift_left": np.left_shift, "shift_right_arithmetic": np.right_shift},
    **{
        "rsqrt": lambda a: 1 / np.sqrt(a),
        "exp2": np.exp2,
        "logistic": special.expit,
        "cbrt": np.cbrt,
        "atan2": np.arctan2,
    },
    **{"asin": np.arcsin, "atan": np.arctan, "asinh": np.arcsinh, "erf": special.erf, "erfc": special.erfc},
    **{"clamp": lambda low, x, high: np.minimum(np.maximum(x, low), high), "erf_inv": special.erfinv},
    **{"nextafter": np.nextafter, "lgamma": special.gammaln},
}
"""Primitives that are a function of NumPy, whatever their parameters."""

_ROUNDING = ("integer_pow", "square", "reduce_prod", "cumprod", "cumlogsumexp")
"""The others whose results are rounded."""

_SUMS = ("dot_general", "reduce_sum", "cumsum", "scatter_add")
"""Those with more than one rounding, which may be 0 where the rounded one is not."""
