"""The size of tiles, chosen by measurement and remembered, and the kernel for it."""

import time
from typing import Any, NamedTuple

import numpy as np

from jaxland.training.ensemble import Ensemble
from jaxland.training.lanes import machine
from jaxland.training.lanes.emit import Target
from jaxland.training.lanes.kernel import write_kernel
from jaxland.training.lanes.machine import run_kernel
from jaxland.training.plain import PlainProgram, code_version, exact_program
from jaxland.training.program import cache
from jaxland.training.program.expression import Unlowerable
from jaxland.training.program.memory import new_group
from jaxland.training.program.programs import layout_of, schedule_programs
from jaxland.training.program.trace import check_points_apart, trace_update

VERSION = 2
"""Goes up whenever the code generator may give a fit other bits."""

# A gradient of more lines than this leaves the instruction cache (32 KiB), and each line is then slower.
_LINES_IN_CACHE = 3500
_TILES = (1, 2, 4, 8)
# Where not even one point fits, longer tiles at least load each weight less often.
_TILES_OUT_OF_CACHE = (2, 4)
# Many are joined into a line, folded or needed by nobody.
_SCALARS_A_LINE = 10
_MEASUREMENTS = 5
_MEASURED_SECONDS = 4e-3


class Plan(NamedTuple):
    """What is known of an ensemble's kernel once it was made: enough to load it without tracing anything.

    Attributes:
        tile: points in a tile.
        state_types: of the entries of the optimizer's state.
        key: of the kernel in the cache.
    """

    tile: int
    state_types: list[str]
    key: str


def prepare_kernel(
    ensemble: Ensemble, plain: PlainProgram, target: Target, lanes: int, tile: int | None, largest: int | None
) -> tuple[Plan, machine.Kernel]:
    """The kernel of an ensemble, remembered or made.

    Ensembles of the same plain program have the same kernel, for a kernel is held against that program before it is
    used; so where the program is known, nothing else need be.

    Args:
        ensemble: what is trained.
        plain: its plain program.
        target: what for.
        lanes: fits in a group.
        tile: points in a tile, measured or remembered by default.
        largest: refuse programs with more lines a point than this.

    Raises:
        Unlowerable: it has no kernel; this is remembered, too.
    """
    own = ensemble.inputs is not None, ensemble.targets is not None
    key = _key("plan", f"{plain.key} {own} {lanes} {tile} {largest} {code_version()}", target)
    known = cache.load_choice(key) or {}
    if "refused" in known:
        raise Unlowerable(known["refused"])
    code = cache.load(known["key"]) if known else None
    if code is not None:
        return Plan(**known), machine.load_object(code)
    # XLA and LLVM compile side by side; what this compiles is needed as soon as the kernel is there.
    exact_program(ensemble, plain).compile_aside()
    try:
        plan, kernel = _made(ensemble, target, lanes, tile, largest)
    except Unlowerable as reason:
        if plain.unchanged():
            cache.store_choice(key, {"refused": str(reason)})
        raise
    if plain.unchanged():
        cache.store_choice(key, plan._asdict())
    return plan, kernel


def _made(ensemble, target, lanes, tile, largest) -> tuple[Plan, machine.Kernel]:
    # What is far too large is given up within a second.
    most = None if largest is None else _SCALARS_A_LINE * largest
    check_points_apart(ensemble, most)
    assemblies = _Assemblies(ensemble, target, lanes, most)
    check_size(len(assemblies.one.tile_lines), largest)
    tile = choose_tile(assemblies) if tile is None else tile
    assembly = assemblies.of(tile)
    return Plan(tile, assemblies.update.state_types, _key("kernel", assembly, target)), _kernel_of(assembly, target)


class _Assemblies:
    """The assembly of an ensemble's kernel by the points of its tiles, each written when it is first asked for."""

    def __init__(self, ensemble: Ensemble, target: Target, lanes: int, most: int | None):
        self.ensemble, self.target, self.lanes = ensemble, target, lanes
        self.update = trace_update(ensemble)
        self.one = schedule_programs(ensemble, self.update, 1, most=most)
        self.layout = layout_of(ensemble, self.update, lanes)
        self._written: dict[int, str] = {}

    def of(self, tile: int) -> str:
        if tile not in self._written:
            programs = self.one if tile == 1 else schedule_programs(self.ensemble, self.update, tile)
            self._written[tile] = write_kernel(self.ensemble, programs, self.layout, self.target)
        return self._written[tile]


def check_size(lines: int, largest: int | None) -> None:
    """Raises Unlowerable where a program is too large."""
    if largest is not None and lines > largest:
        raise Unlowerable(f"about {lines} lines of straight code a point, of which lanes is faster up to {largest}.")


def _kernel_of(assembly: str, target: Target) -> machine.Kernel:
    key = _key("kernel", assembly, target)
    code = cache.load(key)
    if code is None:
        code = machine.compile_object(assembly, target)
        cache.store(key, code)
    return machine.load_object(code)


def _key(kind: str, text: str, target: Target) -> str:
    return cache.key_of(kind, text, repr(target), machine.compiler_version(), str(VERSION))


def choose_tile(assemblies: _Assemblies) -> int:
    """Points in a tile: measured the first time, then remembered for this program and processor."""
    key = _key("tile", assemblies.of(1), assemblies.target)
    known = cache.load_choice(key)
    if known is None:
        known = {"tile": _measured_tile(assemblies)}
        cache.store_choice(key, known)
    return known["tile"]


def _measured_tile(assemblies: _Assemblies) -> int:
    candidates = candidate_tiles(len(assemblies.one.tile_lines), assemblies.one.points)
    if len(candidates) == 1:
        return candidates[0]
    seconds = {tile: _seconds_per_step(assemblies, tile) for tile in candidates}
    return min(seconds, key=lambda tile: seconds[tile])


def candidate_tiles(lines_per_point: int, points: int) -> list[int]:
    """Sizes worth measuring: the largest ones whose code fits the instruction cache."""
    if lines_per_point > _LINES_IN_CACHE:
        return [tile for tile in _TILES_OUT_OF_CACHE if tile <= points] or [1]
    fitting = [tile for tile in _TILES if tile <= points and tile * lines_per_point <= _LINES_IN_CACHE]
    return fitting[-3:]


def _seconds_per_step(assemblies: _Assemblies, tile: int) -> float:
    """Time of a step of a group, the smallest of several measurements."""
    ensemble, kernel = assemblies.ensemble, _kernel_of(assemblies.of(tile), assemblies.target)
    members = ensemble.members(np.arange(assemblies.lanes) + ensemble.first)
    group: Any = new_group(ensemble, assemblies.layout, members)
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
