"""Primitives over zeros of both signs, infinities, NaN, subnormal and huge numbers, against NumPy.

Each is compiled as well as evaluated. What a primitive may differ in is stated in the tables: the error in units in the
last place, and from where on results overflow. Signs of zeros count for nothing.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scipy import special
from training.lanes.scalar_programs import by_llvm, lower

from jaxland.training.program.expression import evaluate

EXACT = 0
DTYPES = (np.float32, np.float64)

UNARY = {
    "neg": (lax.neg, np.negative, EXACT),
    "abs": (lax.abs, np.abs, EXACT),
    "sign": (lax.sign, np.sign, EXACT),
    "floor": (lax.floor, np.floor, EXACT),
    "ceil": (lax.ceil, np.ceil, EXACT),
    "round half to even": (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), np.rint, EXACT),
    "sqrt": (lax.sqrt, np.sqrt, EXACT),
    "rsqrt": (lax.rsqrt, lambda x: 1 / np.sqrt(x), 2),
    "square": (lax.square, np.square, EXACT),
    "cube": (lambda x: lax.integer_pow(x, 3), lambda x: x * x * x, 2),
    "one over the square": (lambda x: lax.integer_pow(x, -2), lambda x: 1 / (x * x), 2),
    "one over x": (lambda x: 1 / x, lambda x: 1 / x, EXACT),
    "is_finite": (lax.is_finite, np.isfinite, EXACT),
    "to truth": (lambda x: x.astype(bool), lambda x: x.astype(bool), EXACT),
    "clamp": (lambda x: lax.clamp(-1.5, x, 2.5), lambda x: np.clip(x, -1.5, 2.5), EXACT),
    "half": (lambda x: x / 2, lambda x: x / 2, EXACT),
    "exp": (lax.exp, np.exp, 3),
    "exp2": (lax.exp2, np.exp2, 3),
    "expm1": (lax.expm1, np.expm1, 4),
    "log": (lax.log, np.log, 3),
    "log1p": (lax.log1p, np.log1p, 3),
    "logistic": (lax.logistic, special.expit, 4),
    "tanh": (lax.tanh, np.tanh, 5),
    "sinh": (lax.sinh, np.sinh, 5),
    "cosh": (lax.cosh, np.cosh, 5),
}
"""JAX, NumPy, and the error in units in the last place of the dtype."""

BINARY = {
    "add": (lax.add, np.add, EXACT),
    "sub": (lax.sub, np.subtract, EXACT),
    "mul": (lax.mul, np.multiply, EXACT),
    "div": (lax.div, np.divide, EXACT),
    "max": (lax.max, np.maximum, EXACT),
    "min": (lax.min, np.minimum, EXACT),
    "eq": (lax.eq, np.equal, EXACT),
    "ne": (lax.ne, np.not_equal, EXACT),
    "lt": (lax.lt, np.less, EXACT),
    "le": (lax.le, np.less_equal, EXACT),
    "gt": (lax.gt, np.greater, EXACT),
    "ge": (lax.ge, np.greater_equal, EXACT),
    "select": (lambda x, y: jnp.where(x < y, x, y), lambda x, y: np.where(x < y, x, y), EXACT),
    "relu": (lambda x, y: jnp.maximum(x, 0) + y, lambda x, y: np.maximum(x, 0) + y, EXACT),
    "pow": (lax.pow, np.power, 4),
}

WITHIN = {
    "exp": (88.37, 709.42),
    "exp2": (127.4, 1023.4),
    "expm1": (88.3, 709.2),
    "sinh": (88.3, 709.2),
    "cosh": (88.3, 709.2),
    "logistic": (87.3, 708.3),
}
"""Arguments of finite size beyond these (float32, float64) give infinity, or 0, somewhat early."""


def special_numbers(dtype):
    info = np.finfo(dtype)
    sizes = [0, info.smallest_subnormal, 3 * info.smallest_subnormal, info.tiny, 1.5 * info.tiny, 1e-20, info.eps]
    sizes += [0.25, 0.49999997, 0.5, 1, 1 + info.eps, 1.5, 2, 2.5, 3, 10, 88, 1 / info.eps, 1e20, info.max, np.inf]
    return np.array([*sizes, *(-np.array(sizes)), np.nan], dtype)


def results(function, *columns):
    """By NumPy, then by LLVM."""
    inputs, outputs, _ = lower(function, *(np.zeros((), column.dtype) for column in columns))
    return evaluate(outputs, {n.value: c for n, c in zip(inputs, columns, strict=True)})[0], by_llvm(outputs, columns)[
        0
    ]


def check(name, function, meaning, units, *columns):
    dtype = columns[0].dtype
    with np.errstate(all="ignore"):
        expected = meaning(*columns)
    kept = np.ones(len(columns[0]), bool)
    if name in WITHIN:
        kept = ~((np.abs(columns[0]) > WITHIN[name][dtype.itemsize // 8]) & np.isfinite(columns[0]))
    for values in results(function, *columns):
        close(name, values[kept], expected[kept], units, dtype, [column[kept] for column in columns])


def close(name, values, expected, units, dtype, columns):
    values = np.asarray(values).astype(expected.dtype)
    if units == EXACT:
        np.testing.assert_array_equal(values, expected, err_msg=name)
        return
    right = near(values, expected, units, dtype, name == "pow")
    # Below the smallest normal number there may be 0.
    tiny = 2 * np.finfo(dtype).tiny
    right |= (np.abs(expected) < tiny) & (np.abs(values) < tiny)
    assert right.all(), (name, [column[~right] for column in columns], values[~right], expected[~right])


def near(values, expected, units, dtype, power):
    """Equal within units in the last place; an error of y log x in float64 is one of the power, which may overflow."""
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        size = np.abs(expected)
        units = units * (1 + np.abs(np.log(size)) if power and dtype == np.float64 else 1)
        same = (values == expected) | (np.isnan(values) & np.isnan(expected))
        large = power & (size > info.max / 2) & (values == np.sign(expected) * np.inf)
        return same | large | np.where(np.isfinite(size), np.abs(values - expected) <= units * info.eps * size, False)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number(name, dtype):
    check(name, *UNARY[name], special_numbers(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_numbers(name, dtype):
    numbers = special_numbers(dtype)
    check(name, *BINARY[name], *(grid.ravel() for grid in np.meshgrid(numbers, numbers)))


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integers(dtype):
    info = np.iinfo(dtype)
    numbers = np.array([0, 1, -1, 2, -3, 7, 12345, info.max, info.min, info.min + 1], dtype)
    a, b = (grid.ravel() for grid in np.meshgrid(numbers, numbers))
    cases = {
        lax.add: np.add,
        lax.sub: np.subtract,
        lax.mul: np.multiply,
        lax.max: np.maximum,
        lax.min: np.minimum,
        lax.bitwise_and: np.bitwise_and,
        lax.bitwise_or: np.bitwise_or,
        lax.bitwise_xor: np.bitwise_xor,
        lax.lt: np.less,
        lax.ge: np.greater_equal,
        jnp.abs: np.abs,
        jnp.sign: np.sign,
        jnp.invert: np.invert,
        jnp.negative: np.negative,
    }
    for function, meaning in cases.items():
        columns = (a, b) if meaning.nin == 2 else (a,)
        with np.errstate(all="ignore"):
            check(str(function), function, meaning, EXACT, *columns)
