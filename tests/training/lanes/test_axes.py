"""Primitives that move numbers or join them along an axis, in cases that were wrong or refused, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from training.lanes.scalar_programs import by_numpy

X = np.array([[0.5, -2.0, 3.0], [1.5, 0.25, -1.0]])


def _assert_equal(function, expected, *arrays):
    np.testing.assert_allclose(by_numpy(function, *arrays), expected, rtol=1e-15)


def test_the_derivative_of_a_product_in_each_row():
    """It reshapes an array whose axes it reads in another order than they stand."""

    def slope(x):
        return jax.grad(lambda x: jnp.sum(jax.vmap(jnp.prod)(x)))(x)

    _assert_equal(slope, X.prod(1, keepdims=True) / X, X)


def test_reshape_in_another_order_of_axes():
    _assert_equal(lambda x: lax.reshape(x, (6,), dimensions=(1, 0)), X.T.ravel(), X)


@pytest.mark.parametrize(
    ("function", "expected"),
    [(lax.cumprod, np.cumprod), (lax.cummax, np.maximum.accumulate), (lax.cummin, np.minimum.accumulate)],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_running_products_and_extremes(function, expected, reverse):
    step = -1 if reverse else 1
    _assert_equal(lambda x: function(x, 1, reverse=reverse), expected(X[:, ::step], 1)[:, ::step], X)


def test_an_index_may_be_there_twice():
    places = np.array([2, 0, 2])
    _assert_equal(lambda x: x.at[:, places].add(x), X[:, [0, 1, 2]] + X @ [[0, 0, 1], [1, 0, 0], [0, 0, 1]], X)
    _assert_equal(lambda x: x.at[:, places].multiply(2.0), X * [2, 1, 4], X)
    _assert_equal(lambda x: x.at[0, places].max(1.0), [np.maximum(X[0], [1.0, -9.0, 1.0]), X[1]], X)
    _assert_equal(lambda x: x.at[0, places].min(1.0), [np.minimum(X[0], [1.0, 9.0, 1.0]), X[1]], X)


def test_updates_outside_are_dropped():
    _assert_equal(lambda x: x.at[0, np.array([1, 7])].add(1.0), X + np.eye(2, 3, 1) * [[1], [0]], X)


def test_negative_padding_takes_away():
    padded = [[9.0, 0.5, 9.0, -2.0, 9.0], [9.0, 1.5, 9.0, 0.25, 9.0]]
    _assert_equal(lambda x: lax.pad(x, 9.0, [(0, 0, 0), (1, -1, 1)]), padded, X)


def test_gaps_between_nothing_are_nothing():
    _assert_equal(lambda x: lax.pad(x[:, :0], 9.0, [(0, 0, 0), (1, 2, 3)]), np.full((2, 3), 9.0), X)


def test_a_loop_over_nothing():
    def looped(x):
        last, kept = lax.scan(lambda carry, row: (carry + row, carry), x[0], x[:0])
        return jnp.concatenate([kept, last[None]])

    _assert_equal(looped, X[:1], X)
