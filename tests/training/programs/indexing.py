"""What gather and scatter mean, number by number (XLA's operation semantics), apart from how JAX computes them."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def gather(operand: np.ndarray, indices: np.ndarray, *, dimension_numbers, slice_sizes, mode, fill_value, **_):
    """Windows of the operand at the places that the last axis of `indices` names."""
    d = dimension_numbers
    batch = list(indices.shape[:-1])
    gone = (*d.collapsed_slice_dims, *d.operand_batching_dims)
    window = [size for axis, size in enumerate(slice_sizes) if axis not in gone]
    result = np.empty((*batch, *window), operand.dtype)
    outside = _fill(operand.dtype) if fill_value is None else fill_value
    for place, start in _starts(indices, d.start_index_map, d.operand_batching_dims, d.start_indices_batching_dims):
        begin = _inside(start, operand.shape, slice_sizes, str(mode))
        if begin is None:
            result[place] = outside
        else:
            result[place] = operand[_box(begin, slice_sizes)].reshape(window)
    order = [axis for axis in range(result.ndim) if axis not in d.offset_dims]
    return np.moveaxis(result, range(result.ndim), [*order, *d.offset_dims])


def scatter(operand: np.ndarray, indices: np.ndarray, updates: np.ndarray, join, *, dimension_numbers, mode, **_):
    """The operand, with each update joined to the window it names; those that would stick out are left out."""
    d = dimension_numbers
    gone = (*d.inserted_window_dims, *d.operand_batching_dims)
    kept = [axis for axis in range(operand.ndim) if axis not in gone]
    sizes = [1] * operand.ndim
    for axis, there in zip(kept, d.update_window_dims, strict=True):
        sizes[axis] = updates.shape[there]
    outer = [axis for axis in range(updates.ndim) if axis not in d.update_window_dims]
    moved = updates.transpose(*outer, *d.update_window_dims)
    result = operand.copy()
    batching = d.operand_batching_dims, d.scatter_indices_batching_dims
    for place, start in _starts(indices, d.scatter_dims_to_operand_dims, *batching):
        begin = _inside(start, operand.shape, sizes, str(mode))
        if begin is not None:
            box = _box(begin, sizes)
            result[box] = join(result[box], moved[place].reshape(result[box].shape))
    return result


def _starts(indices, axes, operand_axes, index_axes) -> Iterator[tuple[tuple, dict[int, int]]]:
    """For each place among the indices where in the operand its window begins, by axis."""
    for place in np.ndindex(*indices.shape[:-1]):
        start = {axis: int(value) for axis, value in zip(axes, indices[place], strict=True)}
        yield place, start | {axis: place[there] for axis, there in zip(operand_axes, index_axes, strict=True)}


def _inside(start, shape, sizes, mode) -> list[int] | None:
    begin = [start.get(axis, 0) for axis in range(len(shape))]
    last = [length - size for length, size in zip(shape, sizes, strict=True)]
    if "CLIP" in mode:
        return [min(max(b, 0), most) for b, most in zip(begin, last, strict=True)]
    return begin if all(0 <= b <= most for b, most in zip(begin, last, strict=True)) else None


def _box(begin, sizes):
    return tuple(slice(b, b + size) for b, size in zip(begin, sizes, strict=True))


def _fill(dtype) -> Any:
    """What JAX puts where an index is out of bounds: NaN, the smallest integer, the largest without sign, True."""
    if dtype.kind == "f":
        return np.nan
    return {"b": lambda: True, "i": lambda: np.iinfo(dtype).min, "u": lambda: np.iinfo(dtype).max}[dtype.kind]()
