"""Calls of jax.numpy, lax and jax.nn that move, join and count numbers: the scalar program against JAX itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from training.lanes.scalar_programs import by_numpy

pytestmark = pytest.mark.sampled

VECTOR = np.array([0.13, -0.25, 1.5, -0.0, 0.75], np.float32)
MATRIX = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
CUBE = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
INTEGERS = np.array([3, -1, 0, 2, -7], np.int32)

CALLS = {
    "places from the end": (lambda x: x[jnp.array([-1, 0, -5])], VECTOR),
    "a mask": (lambda x: x[np.array([True, False, True, False, True])], VECTOR),
    "set within bounds": (lambda x: x.at[jnp.array([7, 1])].set(3.0, mode="clip"), VECTOR),
    "add from the end": (lambda x: x.at[jnp.array([-1, 1])].add(jnp.array([1.0, 2.0])), VECTOR),
    "set a window": (lambda x: x.at[1:4].set(x[:3]), VECTOR),
    "add to every other": (lambda x: x.at[::2].add(x[:3]), VECTOR),
    "set in a row": (lambda x: x.at[1, jnp.array([0, 3])].set(9.0), MATRIX),
    "add to columns": (lambda x: x.at[:, jnp.array([3, 0])].add(x[:, :2]), MATRIX),
    "update a window that sticks out": (lambda x: lax.dynamic_update_slice(x, x[:2, :2] * 2, (2, 3)), MATRIX),
    "take a window that sticks out": (lambda x: lax.dynamic_slice(x, (5, -9), (2, 2)), MATRIX),
    "rows, then columns": (lambda x: x[jnp.array([0, 2])][:, jnp.array([1, 3])], MATRIX),
    "a table of rows": (lambda x: x[jnp.array([[0, 1], [2, 0]])], MATRIX),
    "pairs of places": (lambda x: x[jnp.array([0, 2]), jnp.array([1, 3])], MATRIX),
    "along an axis": (lambda x: jnp.take_along_axis(x, jnp.array([[0], [3], [1]]), 1), MATRIX),
    "columns, filled": (lambda x: jnp.take(x, jnp.array([1, 9]), axis=1, mode="fill", fill_value=-2.0), MATRIX),
    "two axes contracted": (lambda x: jnp.tensordot(x, x, ((0, 2), (0, 2))), CUBE),
    "a batch of products": (lambda x: jnp.einsum("abc,adc->bda", x, x), CUBE),
    "another batch": (lambda x: jnp.einsum("abc,abd->acd", x, x), CUBE),
    "all contracted": (lambda x: jnp.einsum("abc,abc->", x, x), CUBE),
    "columns first": (lambda x: x.reshape(4, 6, order="F"), CUBE),
    "sums down an axis": (lambda x: jnp.cumsum(x, 0), CUBE),
    "sums from the end": (lambda x: lax.cumsum(x, 1, reverse=True), CUBE),
    "place of the largest": (lambda x: jnp.argmax(x, 0), CUBE),
    "place of the smallest": (lambda x: jnp.argmin(x, 1), CUBE),
    "place of the largest of all": (jnp.argmax, CUBE),
    "sum over outer axes": (lambda x: x.sum((2, 0)), CUBE),
    "three axes turned": (lambda x: x.transpose(2, 0, 1), CUBE),
    "flipped twice": (lambda x: x[::-1, :, ::-1], CUBE),
    "uneven pieces": (lambda x: jnp.split(x, [1, 3], 1)[1], MATRIX),
    "one choice for all": (lambda x: lax.select_n(x[0] > 0, x, x * 2), VECTOR),
    "computed bounds": (lambda x: lax.clamp(x[0], x, x[1] + 3), VECTOR),
    "gaps": (lambda x: lax.pad(x, jnp.float32(7), [(1, 0, 2), (0, 2, 0)]), MATRIX),
    "padded by its edge": (lambda x: jnp.pad(x, ((1, 1), (2, 0)), mode="edge"), MATRIX),
    "padded by reflection": (lambda x: jnp.pad(x, ((1, 1), (2, 0)), mode="reflect"), MATRIX),
    "a loop in a loop": (
        lambda x: lax.scan(
            lambda c, row: (c * 0.5 + row, lax.scan(lambda d, u: (d + u * c[0], d), 0.0, row)[1]), x[0], x, reverse=True
        )[1],
        MATRIX,
    ),
    "a carried pair": (
        lambda x: lax.scan(lambda c, row: ((c[0] + row.sum(), c[1] * 2), (row, c[1])), (0.0, 1), x)[1][1],
        MATRIX,
    ),
    "a branch in a branch": (
        lambda x: lax.cond(x.sum() > 0, lambda a: lax.cond(a[1] > 0, jnp.sin, jnp.cos, a), jnp.tan, x),
        VECTOR,
    ),
    "set in a loop": (lambda x: lax.fori_loop(0, 4, lambda k, c: c.at[k].set(c[k] * 2), x), VECTOR),
    "a triangle": (lambda x: jnp.tril(x[:, :3]), MATRIX),
    "a diagonal matrix": (jnp.diag, VECTOR),
    "a trace": (jnp.trace, MATRIX),
    "a Kronecker product": (lambda x: jnp.kron(x[:2], x[:2]), MATRIX),
    "rolled both ways": (lambda x: jnp.roll(x, (1, 2), (0, 1)), MATRIX),
    "blocks": (lambda x: jnp.block([[x, x], [x, x]]), MATRIX),
    "differences twice": (lambda x: jnp.diff(x, 2), VECTOR),
    "a mean without NaN": (lambda x: jnp.nanmean(jnp.where(x > 0, x, jnp.nan)), VECTOR),
    "covariances": (jnp.cov, MATRIX),
    "quotients": (lambda i: jnp.floor_divide(i, -3), INTEGERS),
    "remainders": (lambda i: i % 4, INTEGERS),
    "one place of four": (lambda i: jax.nn.one_hot(jnp.abs(i), 4), INTEGERS),
    "a derivative at ties": (lambda x: jax.grad(lambda y: jnp.max(jnp.stack([y, y])).sum())(x), VECTOR),
    "second derivatives": (lambda x: jax.hessian(lambda y: (y**3).sum() + y[0] * y[1])(x), VECTOR),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_gives_what_jax_gives(name):
    function, x = CALLS[name]
    expected = np.asarray(function(jnp.asarray(x)))
    result = by_numpy(function, x)
    assert result.shape == expected.shape
    np.testing.assert_allclose(np.asarray(result, expected.dtype), expected, rtol=2e-5, atol=1e-6)
