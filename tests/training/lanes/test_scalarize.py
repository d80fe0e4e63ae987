"""What primitives mean, in cases that were once wrong: scalar programs against answers known by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from training.lanes.scalar_programs import by_llvm, by_numpy, lower

from jaxland.training import Unlowerable

LARGEST, SMALLEST = np.iinfo(np.int32).max, np.iinfo(np.int32).min


def floats(*values):
    return np.array(values, np.float32)


def integers(*values):
    return np.array(values, np.int32)


def compiled(function, *columns):
    """An elementwise function of scalars, by LLVM."""
    _, outputs, _ = lower(function, *(np.zeros((), column.dtype) for column in columns))
    return by_llvm(outputs, columns)[0]


def both(function, *columns):
    """An elementwise function: what NumPy and LLVM say, which must be the same."""
    result = compiled(function, *columns)
    np.testing.assert_array_equal(by_numpy(function, *columns), result)
    return result


@pytest.mark.parametrize("cases", [2, 3])
def test_select_n_takes_integers(cases):
    """As a branch for each point gives, `vmap(lax.cond)`."""

    def function(i, a, b):
        return lax.select_n(i, *(a, b, 2 * a)[:cases])

    index = integers(*range(cases))
    result = both(function, index, floats(1, 2, 3)[:cases], floats(4, 5, 6)[:cases])
    np.testing.assert_array_equal(result, [1, 5, 6][:cases])


def test_a_branch_for_each_point():
    def function(x):
        return jax.vmap(lambda a: lax.cond(a > 0, lambda a: 2 * a, lambda a: -a, a))(x)

    np.testing.assert_array_equal(by_numpy(function, floats(-1, 0, 3)), [1, 0, 6])


def test_switches_take_the_nearest_branch():
    def function(i, a):
        return lax.switch(i, [lambda a: a, lambda a: 2 * a, lambda a: 3 * a], a)

    for index, factor in ((-5, 1), (0, 1), (1, 2), (2, 3), (9, 3)):
        assert by_numpy(function, np.int32(index), np.float32(7)) == 7 * factor


def test_scans_over_scalars():
    def function(x):
        return lax.scan(lambda c, u: (0.5 * c + u, c * u), jnp.float32(1), x)[1]

    np.testing.assert_array_equal(by_numpy(function, floats(1, 2, 4)), [1, 3, 2.75 * 4])


def test_integers_divided_by_zero_and_by_minus_one():
    a = integers(7, -7, 0, SMALLEST, SMALLEST, 7, -7, LARGEST)
    b = integers(0, 0, 0, -1, 0, 2, 2, -1)
    quotient = both(lax.div, a, b)
    np.testing.assert_array_equal(quotient, [-1, -1, -1, SMALLEST, -1, 3, -3, -LARGEST])
    np.testing.assert_array_equal(both(lax.rem, a, b), [7, -7, 0, 0, SMALLEST, 1, -1, 0])


def test_quotients_of_long_integers_are_exact():
    a = np.array([2**62 + 1, -(2**62) - 1], np.int64)
    np.testing.assert_array_equal(both(lambda a: lax.div(a, jnp.int64(3)), a), [(2**62 + 1) // 3, -((2**62 + 1) // 3)])
    assert by_numpy(lambda a: a + lax.div(np.int64(2**62 + 1), np.int64(3)), a[:1])[0] == 2**62 + 1 + (2**62 + 1) // 3


def test_casts_to_integers_keep_within_their_range():
    x = floats(np.nan, np.inf, -np.inf, 1e10, -1e10, 2.0**31, -(2.0**31), 2.9, -2.9, -0.0)
    expected = [0, LARGEST, SMALLEST, LARGEST, SMALLEST, LARGEST, SMALLEST, 2, -2, 0]
    np.testing.assert_array_equal(both(lambda a: a.astype(jnp.int32), x), expected)


def test_truth_values_are_ordered():
    p, q = np.array([False, False, True, True]), np.array([False, True, False, True])
    expected = {
        lax.gt: p & ~q,
        lax.ge: p | ~q,
        lax.lt: ~p & q,
        lax.le: ~p | q,
        lax.max: p | q,
        lax.min: p & q,
    }
    for function, values in expected.items():
        np.testing.assert_array_equal(both(function, p, q), values, err_msg=str(function))


def test_a_constant_nan_is_the_extreme():
    for function in (jnp.maximum, jnp.minimum):
        assert np.isnan(both(lambda a, f=function: f(a, np.nan), floats(1))).all()
        assert np.isnan(both(lambda a, f=function: f(np.nan, a), floats(1))).all()


def test_numbers_outside_are_filled_in():
    def taken(x, **kwargs):
        return jnp.take(x, np.array([1, 5]), mode="fill", **kwargs)

    np.testing.assert_array_equal(by_numpy(lambda x: taken(x, fill_value=0.75), floats(1, 2)), [2, 0.75])
    np.testing.assert_array_equal(by_numpy(taken, floats(1, 2)), [2, np.nan])
    np.testing.assert_array_equal(by_numpy(taken, integers(1, 2)), [2, SMALLEST])
    np.testing.assert_array_equal(by_numpy(taken, np.array([True, False])), [False, True])


def test_products_in_a_wider_type():
    def function(a, b):
        return lax.dot(a, b, preferred_element_type=jnp.float64) + np.float64(0)

    a = floats(1 + 2**-23, 1)
    wide = lower(lambda a, b, c: function(a, b) + c, a, a, np.float64(0))[1][0]
    assert wide.type == "f64"
    result = by_numpy(lambda a, b, c: function(a, b) + c, a, a, np.float64(0))
    assert result == np.float64(a[0]) ** 2 + 1


def test_bits_read_as_their_own_type_are_the_number():
    assert by_numpy(lambda a: lax.bitcast_convert_type(a, jnp.float32) + 1, np.float32(2)) == 3


def test_the_place_of_the_first_extreme():
    for x, largest, smallest in (
        (floats(1, 3, 3, 1), 1, 0),
        (floats(-0.0, 0.0), 0, 0),
        (floats(1, np.nan, 5, np.nan), 1, 1),
        (integers(2, -1, 2, -1), 0, 1),
    ):
        assert by_numpy(jnp.argmax, x) == largest
        assert by_numpy(jnp.argmin, x) == smallest


def test_halves_are_rounded_away_from_zero():
    x = floats(0.5, -0.5, 1.5, 2.5, -2.5, 0.49999997, 8388609, np.inf, np.nan)
    expected = [1, -1, 2, 3, -3, 0, 8388609, np.inf, np.nan]
    np.testing.assert_array_equal(both(lambda a: lax.round(a, lax.RoundingMethod.AWAY_FROM_ZERO), x), expected)


def test_shifts_by_fixed_numbers_of_bits():
    i = integers(5, -5, SMALLEST)
    np.testing.assert_array_equal(both(lambda i: i << 2, i), [20, -20, 0])
    np.testing.assert_array_equal(both(lambda i: i >> 1, i), [2, -3, SMALLEST // 2])
    for shift in (lambda i: i << i, lambda i: lax.shift_left(i, jnp.int32(32))):
        with pytest.raises(Unlowerable, match="shift"):
            by_numpy(shift, i)


def test_copies_side_by_side():
    np.testing.assert_array_equal(by_numpy(lambda x: jnp.tile(x, (2, 2)), floats(1, 2)), [[1, 2, 1, 2]] * 2)


def test_a_program_inside_a_primitive_is_not_taken_for_a_call():
    def function(x):
        return lax.reduce(x, np.float32(0), lambda a, b: a + b - a * b, (0,))

    with pytest.raises(Unlowerable, match="`reduce`"):
        by_numpy(function, floats(1, 2))


@pytest.mark.parametrize("function", [lambda x: x[:0].sum(), lambda x: (x[None, :0] @ x[:0, None])[0, 0]])
def test_what_is_of_no_elements_is_refused(function):
    with pytest.raises(Unlowerable, match="no elements"):
        by_numpy(lambda x: x + function(x), floats(1, 2))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8", "int16", "uint8", "uint32", "complex64"])
def test_types_without_a_register_are_refused(dtype):
    with pytest.raises(Unlowerable, match=f"numbers of type {dtype}"):
        by_numpy(lambda x: x.astype(dtype), floats(1))
