"""Views: which elements of an array a program reads, by an offset and a stride for each axis."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np


class View(NamedTuple):
    """Some elements of an array in an order of their own: element i is at `offset + sum(strides * i)`.

    Attributes:
        shape: of what is seen.
        strides: elements from one entry of an axis to the next; 0 along an axis that repeats them.
        offset: place of the first.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Self:
        """All elements of an array, in their order."""
        return cls(tuple(shape), _of_long(shape, row_strides(shape)))

    @property
    def size(self) -> int:
        """Elements of the shape."""
        return math.prod(self.shape)

    @property
    def in_order(self) -> bool:
        """Whether it sees neighbours one after the other."""
        long = [(n, stride) for n, stride in zip(self.shape, self.strides, strict=True) if n > 1]
        return tuple(stride for _, stride in long) == row_strides([n for n, _ in long])

    def entries(self) -> np.ndarray:
        """The places it sees, in its order."""
        places = np.array([self.offset])
        for size, stride in zip(self.shape, self.strides, strict=True):
            places = (places[:, None] + stride * np.arange(size)).ravel()
        return places

    def transposed(self, axes: Sequence[int]) -> "View":
        """Axes in another order."""
        return View(tuple(self.shape[a] for a in axes), tuple(self.strides[a] for a in axes), self.offset)

    def spread(self, shape: Sequence[int], axes: Sequence[int]) -> "View":
        """Its axes as `axes` of a larger shape, repeated along all others and where it has one entry only."""
        strides = [0] * len(shape)
        for axis, size, stride in zip(axes, self.shape, self.strides, strict=True):
            strides[axis] = stride if size > 1 else 0
        return View(tuple(shape), tuple(strides), self.offset)

    def sliced(self, starts: Sequence[int], limits: Sequence[int], steps: Sequence[int] | None = None) -> "View":
        """A part of each axis."""
        steps = steps or (1,) * len(self.shape)
        offset = self.offset + sum(start * stride for start, stride in zip(starts, self.strides, strict=True))
        shape = tuple(len(range(*part)) for part in zip(starts, limits, steps, strict=True))
        strides = [n * stride for n, stride in zip(steps, self.strides, strict=True)]
        return View(shape, _of_long(shape, strides), offset)

    def flipped(self, axes: Sequence[int]) -> "View":
        """Some axes from their end to their start."""
        strides = tuple(-stride if axis in axes else stride for axis, stride in enumerate(self.strides))
        offset = self.offset + sum((self.shape[axis] - 1) * self.strides[axis] for axis in axes)
        return View(self.shape, strides, offset)

    def reshaped(self, shape: Sequence[int]) -> "View | None":
        """The same elements in another shape, None where its strides cannot say that."""
        runs = _runs(self.shape, self.strides)
        strides: list[int] = []
        for size in reversed(shape):
            if size == 1:
                strides.append(0)
                continue
            while runs and runs[-1][0] == 1:
                runs.pop()
            if not runs or runs[-1][0] % size:
                return None
            length, stride = runs.pop()
            strides.append(stride)
            runs.append((length // size, stride * size))
        return View(tuple(shape), tuple(reversed(strides)), self.offset)


def row_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of an array whose elements lie one after the other, the last axis first."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _of_long(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    """Strides of axes of one entry are nothing, so that equal views are equal."""
    return tuple(stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True))


def _runs(shape, strides) -> list[tuple[int, int]]:
    """Axes that are one run of evenly spaced elements are joined."""
    runs: list[tuple[int, int]] = []
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if runs and runs[-1][1] == size * stride:
            runs[-1] = (runs[-1][0] * size, stride)
        else:
            runs.append((size, stride))
    return runs


def through(view: View, shape: Sequence[int], inner: View) -> View | None:
    """The elements that `inner`, a view of this shape, has at the places `view` sees of it.

    Args:
        view: places, as numbers of the entries of `shape` in their order.
        shape: of `inner`.
        inner: of another array.

    Returns:
        A view of that array, None where the places go along no axis.
    """
    steps = row_strides(shape)
    place, rest = [], view.offset
    for size, step in zip(shape, steps, strict=True):
        place.append(rest // step if size > 1 else 0)
        rest -= place[-1] * step
    low, high, strides = list(place), list(place), []
    for count, stride in zip(view.shape, view.strides, strict=True):
        if count == 1 or stride == 0:
            strides.append(0)
            continue
        axis = next((a for a, step in enumerate(steps) if shape[a] > 1 and abs(stride) % step == 0), None)
        if axis is None:
            return None
        reach = (count - 1) * (stride // steps[axis])
        low[axis], high[axis] = low[axis] + min(reach, 0), high[axis] + max(reach, 0)
        strides.append(stride // steps[axis] * inner.strides[axis])
    if any(first < 0 or last >= size for first, last, size in zip(low, high, shape, strict=True)):
        return None
    offset = inner.offset + sum(at * stride for at, stride in zip(place, inner.strides, strict=True))
    return View(view.shape, tuple(strides), offset)
