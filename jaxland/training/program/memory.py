"""The memory of a group of fits on the host."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxland.training.batches import ORDER, fold_in
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.initial import initial_parameters
from jaxland.training.program.layout import Layout
from jaxland.training.trainer import GroupResult

RECORD = ("initial_loss", "loss", "best_loss", "best_step", "diverged_step")
"""The slots of a layout that are results."""

# What is given to a fit or made anew in each step is not among it.
_STATE = ("param", "state", "order", "differs", "wild", *RECORD)

_ALIGNMENT = 64


class Points(NamedTuple):
    """Points as kernels read them; `w`, their factors, is empty where there are none."""

    x: np.ndarray
    y: np.ndarray
    w: np.ndarray


@dataclass
class Group:
    """The fits of one group while they are trained. Kernels change it in place.

    Attributes:
        buffer: all that is a fit's, see `Layout`.
        points: what they are trained on.
        trace: losses on the way.
        held_out: what they are judged on; None where there is nothing.
        step: steps done.
    """

    buffer: np.ndarray
    points: Points
    trace: Float[np.ndarray, "T W"]
    held_out: Points | None = None
    step: int = 0


def new_group(ensemble: Ensemble, layout: Layout, members: Members, shared: dict | None = None) -> Group:
    """The memory of a group, with everything in it but the optimizer's state.

    Args:
        ensemble: what is trained.
        layout: of the memory.
        members: of the group.
        shared: remembers what all fits have in common from one group to the next.
    """
    dtype = ensemble.number_format
    buffer = aligned(layout.bytes, np.dtype(np.uint8))
    params = initial_parameters(ensemble, members)
    (entry,) = layout.blocks(buffer, "param")
    entry[:] = params.T
    for entry, name in zip(layout.view(buffer, "hyper"), sorted(ensemble.hyperparameters), strict=True):
        entry[:] = members.hyperparameters[name]
    layout.view(buffer, "best_loss")[0][:] = np.inf
    layout.view(buffer, "diverged_step")[0][:] = -1
    if ensemble.batch_size is not None:
        (entry,) = layout.blocks(buffer, "key")
        entry[:] = fold_in(members.keys, ORDER).T.view(np.int32)
    trace = aligned(len(ensemble.trace_steps) * layout.lanes, dtype).reshape(-1, layout.lanes)
    shared = {} if shared is None else shared
    points = _points(dtype, shared, members.x, members.y, members.weights)
    held_out = None if members.held_out is None else _points(dtype, shared, *members.held_out, None)
    return Group(buffer, points, trace, held_out)


def _points(dtype: np.dtype, shared: dict, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> Points:
    weights = np.empty((0, 1), dtype) if weights is None else weights[..., None]
    return Points(*(_by_lanes(values, dtype, shared) for values in (x, y, weights)))


def entries(layout: Layout, buffer: np.ndarray, kind: str) -> np.ndarray:
    """All entries of a kind in a group's buffer, (W, K)."""
    return np.concatenate(layout.blocks(buffer, kind) or [np.empty((0, layout.lanes))]).T.copy()


def state_of(layout: Layout, buffer: np.ndarray) -> dict[str, np.ndarray]:
    """All in a group's buffer that decides the steps to come, and its record: arrays (W, K) by name."""
    return {name: block.T.copy() for name, block in _state_blocks(layout, buffer)}


def put_state(
    layout: Layout, buffer: np.ndarray, state: Mapping[str, np.ndarray], which: Bool[np.ndarray, "W"]
) -> None:
    """Gives some fits of a group what `state_of` had of them, a row each."""
    for name, block in _state_blocks(layout, buffer):
        block[:, which] = state[name].T


def _state_blocks(layout: Layout, buffer: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for kind in _STATE:
        if kind in layout.kinds:
            for number, block in enumerate(layout.blocks(buffer, kind)):
                yield f"{kind}.{number}", block


def result_of(layout: Layout, buffer: np.ndarray, trace: Float[np.ndarray, "T W"]) -> GroupResult:
    """What a group's buffer holds after its last step."""
    record = {name: layout.view(buffer, name)[0].copy() for name in RECORD}
    return GroupResult(params=entries(layout, buffer, "param"), trace=trace.T.copy(), **record)


def _by_lanes(values: np.ndarray, dtype: np.dtype, shared: dict) -> np.ndarray:
    """Shared data (N, D) as it is, each fit's own (W, N, D) with fits on the minor axis."""
    if values.ndim == 3:
        return _aligned_copy(values.transpose(1, 2, 0), dtype)
    if id(values) not in shared:
        shared[id(values)] = values, _aligned_copy(values, dtype)  # kept, so that its number is not another's
    return shared[id(values)][1]


def _aligned_copy(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    result = aligned(values.size, dtype)
    result[:] = values.ravel()
    return result


def aligned(count: int, dtype: np.dtype) -> np.ndarray:
    """Zeros at an address that is a multiple of a vector register."""
    memory = np.zeros(count * dtype.itemsize + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + count * dtype.itemsize].view(dtype)
