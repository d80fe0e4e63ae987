"""The lanes backend: trains one fit in every lane of a vector register."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.initial import initial_parameters
from jaxland.training.lanes import machine
from jaxland.training.lanes.emit import Layout
from jaxland.training.lanes.expression import Unlowerable
from jaxland.training.lanes.kernel import layout_of, schedule_programs
from jaxland.training.lanes.trace import check_points_apart, trace_update
from jaxland.training.lanes.tuning import VERSION, build_kernel, choose_tile
from jaxland.training.precision import get_dtype
from jaxland.training.trainer import GroupResult

_ALIGNMENT = 64
# Straight-line code outgrows the caches: at 15 x 15 units (10,500 lines a point) xla is as fast and compiles sooner.
LARGEST_PROGRAM = 8000


@dataclass
class Group:
    """The fits of one group while they are trained. Calls of the kernel change it in place."""

    buffer: np.ndarray
    x: np.ndarray
    y: np.ndarray
    trace: Float[np.ndarray, "T W"]
    step: int = 0


class LanesTrainer:
    """Trains groups of fits of one ensemble; see `jaxland.training.trainer.Trainer`.

    Args:
        ensemble: what is trained.
        settings: those of an earlier trainer, to repeat its bits; measured or remembered by default.
        largest: refuse programs with more lines a point than this.

    Attributes:
        settings: what decides the bits of a fit besides the ensemble, as JSON values: `lanes`, the width of a group;
            `tile`, points whose gradient is taken at a time; `fused`, whether multiply-adds are rounded once;
            `kernel`, the version of the code generator.

    Raises:
        Unlowerable: the network, the loss or the optimizer has no scalar form; the message names the primitive.
        ValueError: the settings cannot be met on this processor or by this version.
    """

    name = "lanes"

    def __init__(self, ensemble: Ensemble, settings: Mapping[str, Any] | None = None, *, largest: int | None = None):
        if ensemble.steps >= 2**31:
            raise Unlowerable("lanes counts steps in 32 bits.")
        # Three multiply-adds a parameter and point; a program far too large is not even traced.
        _check_size(3 * ensemble.network.size, largest)
        self.ensemble = ensemble
        check_points_apart(ensemble)
        update = trace_update(ensemble)
        one = schedule_programs(ensemble, update, 1)
        _check_size(len(one.tile_lines), largest)
        target = machine.host()
        lanes = target.vector_bytes // get_dtype(ensemble.dtype).itemsize
        if settings is None:
            tile = choose_tile(ensemble, update, target, lanes, one)
        else:
            _check_settings(settings, target)
            tile, lanes = settings["tile"], settings["lanes"]
        self.settings = {"lanes": lanes, "tile": tile, "fused": target.fused, "kernel": VERSION}
        self.width = lanes
        self._layout: Layout = layout_of(ensemble, update, lanes)
        self._kernel = build_kernel(ensemble, update, target, lanes, tile)

    def begin(self, members: Members) -> Group:
        """The state of a group before its first step."""
        group = new_group(self.ensemble, self._layout, members)
        self._kernel.functions["start"](group.buffer.ctypes.data)
        return group

    def advance(self, group: Group, steps: int) -> Group:
        """The group `steps` steps later."""
        run_kernel(self._kernel, group, steps, every=self.ensemble.trace_every or 0)
        return group

    def parameters(self, group: Group) -> Float[np.ndarray, "W P"]:
        """The parameters of a group as they stand."""
        return np.stack(self._layout.view(group.buffer, "param"), axis=1)

    def finish(self, group: Group) -> GroupResult:
        """The results of a group after its last step."""
        run_kernel(self._kernel, group, 1, every=self.ensemble.trace_every or 0, closing=True)
        params = self.parameters(group)
        record = {
            name: self._layout.view(group.buffer, name)[0].copy()
            for name in ("initial_loss", "loss", "best_loss", "best_step", "diverged_step")
        }
        # A weight can become infinite behind a ReLU that never fires again and leave the loss finite.
        unseen = (record["diverged_step"] < 0) & ~np.isfinite(params).all(axis=1)
        record["diverged_step"][unseen] = group.step
        return GroupResult(params=params, trace=group.trace.T.copy(), **record)


def new_group(ensemble: Ensemble, layout: Layout, members: Members) -> Group:
    """The memory of a group, with everything in it but the optimizer's state."""
    dtype = get_dtype(ensemble.dtype)
    buffer = _aligned(layout.bytes, np.dtype(np.uint8))
    params = initial_parameters(ensemble, members)
    for entry, column in zip(layout.view(buffer, "param"), params.T, strict=True):
        entry[:] = column
    for entry, name in zip(layout.view(buffer, "hyper"), sorted(ensemble.hyperparameters), strict=True):
        entry[:] = members.hyperparameters[name]
    layout.view(buffer, "best_loss")[0][:] = np.inf
    layout.view(buffer, "diverged_step")[0][:] = -1
    trace = _aligned(len(ensemble.trace_steps) * layout.lanes, dtype).reshape(-1, layout.lanes)
    return Group(buffer, _by_lanes(members.x, dtype), _by_lanes(members.y, dtype), trace)


def run_kernel(kernel: machine.Kernel, group: Group, steps: int, *, every: int = 0, closing: bool = False) -> None:
    """Trains a group for `steps` steps, or takes note of its last loss if `closing`; traces `every` so-manieth step."""
    arrays = (array.ctypes.data for array in (group.buffer, group.x, group.y, group.trace))
    kernel.functions["train"](*arrays, group.step, steps, every, int(closing))
    group.step += 0 if closing else steps


def _by_lanes(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Shared data (N, D) as it is, each fit's own (W, N, D) with fits on the minor axis."""
    ordered = values.transpose(1, 2, 0) if values.ndim == 3 else values
    result = _aligned(ordered.size, dtype)
    result[:] = ordered.ravel()
    return result


def _aligned(count: int, dtype: np.dtype) -> np.ndarray:
    """Zeros at an address that is a multiple of a vector register."""
    memory = np.zeros(count * dtype.itemsize + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + count * dtype.itemsize].view(dtype)


def _check_size(lines, largest):
    if largest is not None and lines > largest:
        raise Unlowerable(f"about {lines} lines of straight code a point, of which lanes is faster up to {largest}.")


def _check_settings(settings, target):
    if settings.get("kernel") != VERSION:
        raise ValueError(
            f"settings are of kernel version {settings.get('kernel')}, this jaxland has {VERSION}: the same bits need "
            "the version that made them."
        )
    if settings["fused"] != target.fused:
        raise ValueError(
            f"settings say fused={settings['fused']}, this processor has fused={target.fused}: the same bits need a "
            "processor of the same kind."
        )
