"""Views see what NumPy's do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxland.training.program.views import View, through


def seen(view, numbers):
    """The elements of a flat array that a view sees."""
    grid = np.indices(view.shape).reshape(len(view.shape), -1)
    places = view.offset + np.tensordot(view.strides, grid, 1) if view.shape else np.array([view.offset])
    return numbers[np.asarray(places, int)].reshape(view.shape)


@st.composite
def views(draw):
    """A view of a row of numbers, and the NumPy array it stands for."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    array, view = np.arange(np.prod(shape)).reshape(shape), View.whole(shape)
    for _ in range(draw(st.integers(0, 3))):
        rank = array.ndim
        kind = draw(st.sampled_from(["transposed", "sliced", "flipped", "spread"]))
        if kind == "transposed":
            axes = draw(st.permutations(range(rank)))
            array, view = array.transpose(axes), view.transposed(axes)
        elif kind == "sliced":
            starts = [draw(st.integers(0, n - 1)) for n in array.shape]
            limits = [draw(st.integers(start + 1, n)) for start, n in zip(starts, array.shape, strict=True)]
            steps = [draw(st.integers(1, 3)) for _ in starts]
            array = array[tuple(map(slice, starts, limits, steps))]
            view = view.sliced(starts, limits, steps)
        elif kind == "flipped":
            axes = tuple(draw(st.sets(st.integers(0, rank - 1))))
            array, view = np.flip(array, axes), view.flipped(axes)
        else:
            shape = (draw(st.integers(1, 3)), *array.shape)
            array, view = np.broadcast_to(array, shape), view.spread(shape, range(1, rank + 1))
    return array, view


@settings(max_examples=100, deadline=None)
@given(views())
def test_moves_are_those_of_numpy(pair):
    array, view = pair
    np.testing.assert_array_equal(seen(view, np.arange(10_000)), array)


@settings(max_examples=100, deadline=None)
@given(views(), st.data())
def test_reshapes_are_those_of_numpy_or_none(pair, data):
    array, view = pair
    primes = [p for n in array.shape for p in (2, 2, 3) if n % p == 0]
    size, shape = array.size, []
    for factor in primes:
        if size % factor == 0 and data.draw(st.booleans()):
            shape.append(factor)
            size //= factor
    reshaped = view.reshaped((*shape, size))
    if reshaped is not None:
        np.testing.assert_array_equal(seen(reshaped, np.arange(10_000)), array.reshape(*shape, size))
    elif array.flags.c_contiguous:
        pytest.fail("an array in one piece has every shape")


@settings(max_examples=100, deadline=None)
@given(views(), st.data())
def test_views_of_views(pair, data):
    inner_array, inner = pair
    array, view = np.arange(inner_array.size).reshape(inner_array.shape), View.whole(inner_array.shape)
    axes = data.draw(st.permutations(range(array.ndim)))
    array, view = array.transpose(axes)[::-1], view.transposed(axes).flipped((0,))
    both = through(view, inner.shape, inner)
    assert both is not None
    np.testing.assert_array_equal(seen(both, np.arange(10_000)), inner_array.ravel()[array])
