"""The size of tiles, chosen by measurement and remembered, and the kernel for it."""

import time
from typing import Any

import numpy as np

from jaxland.training.ensemble import Ensemble
from jaxland.training.lanes import cache, machine
from jaxland.training.lanes.emit import Target
from jaxland.training.lanes.group import new_group, run_kernel
from jaxland.training.lanes.kernel import Programs, layout_of, schedule_programs, write_kernel
from jaxland.training.lanes.trace import UpdateProgram

VERSION = 2
"""Goes up whenever the code generator may give a fit other bits."""

# A gradient of more lines than this leaves the instruction cache (32 KiB), and each line is then slower.
_LINES_IN_CACHE = 3500
_TILES = (1, 2, 4, 8)
# Where not even one point fits, longer tiles at least load each weight less often.
_TILES_OUT_OF_CACHE = (2, 4)
_MEASUREMENTS = 5
_MEASURED_SECONDS = 4e-3


def build_kernel(ensemble: Ensemble, update: UpdateProgram, target: Target, lanes: int, tile: int) -> machine.Kernel:
    """The kernel for tiles of this size, from the cache or compiled."""
    return _kernel_for(ensemble, update, target, lanes, schedule_programs(ensemble, update, tile))


def _kernel_for(ensemble, update, target, lanes, programs: Programs) -> machine.Kernel:
    assembly = write_kernel(ensemble, programs, layout_of(ensemble, update, lanes), target)
    key = _key("kernel", assembly, target)
    code = cache.load(key)
    if code is None:
        code = machine.compile_object(assembly, target)
        cache.store(key, code)
    return machine.load_object(code)


def _key(kind: str, assembly: str, target: Target) -> str:
    return cache.key_of(kind, assembly, repr(target), machine.compiler_version(), str(VERSION))


def choose_tile(ensemble: Ensemble, update: UpdateProgram, target: Target, lanes: int, one: Programs) -> int:
    """Points in a tile: measured the first time, then remembered for this program and processor.

    Args:
        ensemble, update: what is trained.
        target: what for.
        lanes: fits in a group.
        one: the programs for tiles of one point.
    """
    key = _key("tile", write_kernel(ensemble, one, layout_of(ensemble, update, lanes), target), target)
    known = cache.load_choice(key)
    if known is None:
        known = {"tile": _measured_tile(ensemble, update, target, lanes, one)}
        cache.store_choice(key, known)
    return known["tile"]


def _measured_tile(ensemble, update, target, lanes, one: Programs) -> int:
    candidates = candidate_tiles(len(one.tile_lines), one.points)
    if len(candidates) == 1:
        return candidates[0]
    seconds = {}
    for tile in candidates:
        programs = one if tile == 1 else schedule_programs(ensemble, update, tile)
        seconds[tile] = _seconds_per_step(
            ensemble, update, lanes, _kernel_for(ensemble, update, target, lanes, programs)
        )
    return min(seconds, key=lambda tile: seconds[tile])


def candidate_tiles(lines_per_point: int, points: int) -> list[int]:
    """Sizes worth measuring: the largest ones whose code fits the instruction cache."""
    if lines_per_point > _LINES_IN_CACHE:
        return [tile for tile in _TILES_OUT_OF_CACHE if tile <= points] or [1]
    fitting = [tile for tile in _TILES if tile <= points and tile * lines_per_point <= _LINES_IN_CACHE]
    return fitting[-3:]


def _seconds_per_step(ensemble: Ensemble, update: UpdateProgram, lanes: int, kernel: machine.Kernel) -> float:
    """Time of a step of a group, the smallest of several measurements."""
    group: Any = new_group(
        ensemble, layout_of(ensemble, update, lanes), ensemble.members(np.arange(lanes) + ensemble.first)
    )
    kernel.functions["start"](group.buffer.ctypes.data)
    steps, best = 1, float("inf")
    for _ in range(_MEASUREMENTS + 8):
        group.step = 0
        began = time.perf_counter()
        run_kernel(kernel, group, steps)
        elapsed = time.perf_counter() - began
        best = min(best, elapsed / steps)
        if elapsed < _MEASURED_SECONDS:
            steps *= 2
    return best
