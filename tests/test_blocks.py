"""Programs of a fixed width over any number of rows."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxland._blocks import blocks, in_blocks

WIDTH = 4


def _scaled(rows, own, factor):
    assert len(rows) == len(own) == WIDTH
    return {"product": jnp.asarray(rows) * factor[1], "sum": jnp.sum(rows, axis=1) + own}


@pytest.mark.parametrize("count", [0, 1, WIDTH - 1, WIDTH, 3 * WIDTH, 3 * WIDTH + 1])
def test_every_row_is_computed_once_and_padding_is_cut(count):
    rows, factor = np.random.default_rng(0).normal(size=(count, 3)), np.array([2.0, 5.0])
    own = np.arange(count, dtype=np.float64)
    found = in_blocks(_scaled, WIDTH, "float64", shared=(2,))(rows, own, factor)
    np.testing.assert_array_equal(found["product"], 5 * rows)
    np.testing.assert_allclose(found["sum"], rows.sum(axis=1) + own, rtol=1e-15)
    assert found["product"].dtype == np.float64


def test_a_short_block_is_filled_up_with_rows_that_it_has():
    seen = []

    def program(rows):
        seen.append(rows)
        return rows

    (whole, rest) = blocks(program, WIDTH, "float32")(np.arange(1, 7, dtype=np.float32))
    np.testing.assert_array_equal(whole, [1, 2, 3, 4])
    np.testing.assert_array_equal(rest, [5, 6])
    np.testing.assert_array_equal(seen[1], [5, 6, 5, 6])
