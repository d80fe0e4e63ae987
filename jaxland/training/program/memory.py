"""The memory of a group of fits on the host."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.initial import initial_parameters
from jaxland.training.program.layout import Layout
from jaxland.training.trainer import GroupResult

RECORD = ("initial_loss", "loss", "best_loss", "best_step", "diverged_step")
"""The slots of a layout that are results."""

_ALIGNMENT = 64


@dataclass
class Group:
    """The fits of one group while they are trained. Kernels change it in place."""

    buffer: np.ndarray
    x: np.ndarray
    y: np.ndarray
    trace: Float[np.ndarray, "T W"]
    step: int = 0


def new_group(ensemble: Ensemble, layout: Layout, members: Members) -> Group:
    """The memory of a group, with everything in it but the optimizer's state."""
    dtype = ensemble.number_format
    buffer = aligned(layout.bytes, np.dtype(np.uint8))
    params = initial_parameters(ensemble, members)
    (entry,) = layout.blocks(buffer, "param")
    entry[:] = params.T
    for entry, name in zip(layout.view(buffer, "hyper"), sorted(ensemble.hyperparameters), strict=True):
        entry[:] = members.hyperparameters[name]
    layout.view(buffer, "best_loss")[0][:] = np.inf
    layout.view(buffer, "diverged_step")[0][:] = -1
    trace = aligned(len(ensemble.trace_steps) * layout.lanes, dtype).reshape(-1, layout.lanes)
    return Group(buffer, _by_lanes(members.x, dtype), _by_lanes(members.y, dtype), trace)


def entries(layout: Layout, buffer: np.ndarray, kind: str) -> np.ndarray:
    """All entries of a kind in a group's buffer, (W, K)."""
    return np.concatenate(layout.blocks(buffer, kind) or [np.empty((0, layout.lanes))]).T.copy()


def result_of(layout: Layout, buffer: np.ndarray, trace: Float[np.ndarray, "T W"]) -> GroupResult:
    """What a group's buffer holds after its last step."""
    record = {name: layout.view(buffer, name)[0].copy() for name in RECORD}
    return GroupResult(params=entries(layout, buffer, "param"), trace=trace.T.copy(), **record)


def _by_lanes(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Shared data (N, D) as it is, each fit's own (W, N, D) with fits on the minor axis."""
    ordered = values.transpose(1, 2, 0) if values.ndim == 3 else values
    result = aligned(ordered.size, dtype)
    result[:] = ordered.ravel()
    return result


def aligned(count: int, dtype: np.dtype) -> np.ndarray:
    """Zeros at an address that is a multiple of a vector register."""
    memory = np.zeros(count * dtype.itemsize + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + count * dtype.itemsize].view(dtype)
