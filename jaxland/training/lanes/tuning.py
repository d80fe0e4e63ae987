"""The form of a kernel and the size of its tiles, chosen by measurement and remembered, and the kernel itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from jaxland.training.ensemble import Ensemble
from jaxland.training.lanes import machine
from jaxland.training.lanes.emit import Target
from jaxland.training.lanes.kernel import write_kernel
from jaxland.training.lanes.loop_tuning import LoopAssemblies
from jaxland.training.lanes.machine import run_kernel
from jaxland.training.plain import PlainProgram, code_version, exact_program
from jaxland.training.program import cache
from jaxland.training.program.expression import Unlowerable
from jaxland.training.program.memory import Group, new_group
from jaxland.training.program.programs import layout_of, schedule_programs
from jaxland.training.program.trace import Coupled, check_points_apart, trace_update

VERSION = 3
"""Goes up whenever the code generator may give a fit other bits."""

# Straight code of so few lines a point is faster than loops over its few units, of so many it is slower, unless most of
# them are an activation's: of exponentials and logarithms loops keep every step in memory, straight code in registers.
_LINES_FOR_STRAIGHT, _LINES_FOR_LOOPS, _LINES_OF_ACTIVATIONS = 450, 1800, 12
# A dense network has three multiply-adds a parameter and point.
_LINES_A_PARAMETER = 3
# A gradient of more lines than this leaves the instruction cache (32 KiB), and each line is then slower.
_LINES_IN_CACHE = 3500
_TILES = (1, 2, 4, 8)
# Where not even one point fits, longer tiles at least load each weight less often.
_TILES_OUT_OF_CACHE = (2, 4)
# Many are joined into a line, folded or needed by nobody.
_SCALARS_A_LINE = 10
_MEASUREMENTS = 5
_MEASURED_SECONDS = 4e-3
# A trained state is that of some thousand steps, or of what can be had in this time.
_TRAINED_STEPS, _TRAINED_SECONDS = 2048, 0.1


class Plan(NamedTuple):
    """What is known of an ensemble's kernel once it was made: enough to load it without tracing anything.

    Attributes:
        form: `"straight"` code, or `"loops"` over units.
        tile: points in a tile.
        state_types: of the entries of the optimizer's state.
        scratch_bytes: of a lane, which loops need besides.
        key: of the kernel in the cache.
    """

    form: str
    tile: int
    state_types: list[str]
    scratch_bytes: int
    key: str


def prepare_kernel(
    ensemble: Ensemble,
    plain: PlainProgram,
    target: Target,
    lanes: int,
    tile: int | None,
    largest: int | None,
    form: str | None = None,
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
        largest: refuse straight code of more lines a point than this.
        form: `"straight"` or `"loops"`, chosen or remembered by default.

    Raises:
        Unlowerable: it has no kernel; this is remembered, too.
    """
    own = ensemble.inputs is not None, ensemble.targets is not None
    own = *own, ensemble.weights is not None, ensemble.problem.weights is not None
    chosen = f"{bool(ensemble.subnormal)} {lanes} {tile} {largest} {form}"
    if ensemble.batch_size is not None:
        chosen += f" {ensemble.x_shape} {ensemble.replacement}"
    if ensemble.validation is not None:
        chosen += " judged"
    key = kernel_key("plan", f"{plain.key} {own} {chosen} {code_version()}", target)
    known = recalled(key)
    if known is not None:
        return Plan(**known[0]), machine.load_object(known[1])
    # XLA and LLVM compile side by side; what this compiles is needed as soon as the kernel is there.
    exact_program(ensemble, plain).compile_aside()
    with remembering(key, plain) as choice:
        plan, kernel = _made(ensemble, target, lanes, tile, largest, form)
        choice |= plan._asdict()
    return plan, kernel


def recalled(key: str) -> tuple[dict[str, Any], bytes] | None:
    """What is known of a kernel, with its machine code, which is named by its `key`; None where it has to be made.

    Raises:
        Unlowerable: it is known that there is none.
    """
    known = cache.load_choice(key) or {}
    if "refused" in known:
        raise Unlowerable(known["refused"])
    code = cache.load(known["key"]) if known else None
    return None if code is None else (known, code)


@contextmanager
def remembering(key: str, plain: PlainProgram) -> Iterator[dict[str, Any]]:
    """Keeps what is put into a dictionary, or that there is no kernel, unless the functions changed meanwhile."""
    choice: dict[str, Any] = {}
    try:
        yield choice
    except Unlowerable as reason:
        if plain.unchanged():
            cache.store_choice(key, {"refused": str(reason)})
        raise
    if plain.unchanged():
        cache.store_choice(key, choice)


def _made(ensemble, target, lanes, tile, largest, form) -> tuple[Plan, machine.Kernel]:
    if form == "straight":
        return _planned(_straight(ensemble, target, lanes, largest), tile)
    large = _LINES_A_PARAMETER * ensemble.network.size > _LINES_FOR_LOOPS
    if form == "loops" or large:
        # Straight code of so many lines is not even traced.
        try:
            return _planned(LoopAssemblies(ensemble, target, lanes, tile), tile)
        except Unlowerable as reason:
            if form == "loops":
                raise
            return _planned(_straight(ensemble, target, lanes, largest, str(reason)), tile)
    return _planned_of_both(ensemble, target, lanes, tile, largest)


def _planned_of_both(ensemble, target, lanes, tile, largest) -> tuple[Plan, machine.Kernel]:
    """The faster form of a small network: which one is, is measured where it is not clear."""
    straight, reason = None, None
    try:
        straight = _straight(ensemble, target, lanes, largest)
    except Coupled:
        raise
    except Unlowerable as refusal:
        reason = refusal
    if straight is not None and len(straight.one.tile_lines) <= _LINES_FOR_STRAIGHT:
        return _planned(straight, tile)
    try:
        loops = LoopAssemblies(ensemble, target, lanes, tile)
    except Unlowerable:
        if straight is None:
            assert reason is not None
            raise reason from None
        return _planned(straight, tile)
    # A dense network has a few lines a parameter.
    dense = _LINES_OF_ACTIVATIONS * ensemble.network.size
    if straight is None or _LINES_FOR_LOOPS < len(straight.one.tile_lines) <= dense:
        return _planned(loops, tile)
    return _planned(choose_form(straight, loops), tile)


def _straight(ensemble, target, lanes, largest, no_loops: str = "") -> "_Assemblies":
    # What is far too large is given up within a second.
    most = None if largest is None else _SCALARS_A_LINE * largest
    try:
        check_size(_LINES_A_PARAMETER * ensemble.network.size, largest)
        check_points_apart(ensemble, most)
        assemblies = _Assemblies(ensemble, target, lanes, most)
        check_size(len(assemblies.one.tile_lines), largest)
    except Coupled:
        raise
    except Unlowerable as reason:
        text = str(reason)
        raise Unlowerable(f"{no_loops} {text[0].upper()}{text[1:]}" if no_loops else text) from None
    return assemblies


def _planned(assemblies: "_Assemblies | LoopAssemblies", tile: int | None) -> tuple[Plan, machine.Kernel]:
    tile = choose_tile(assemblies) if tile is None else tile
    assembly = assemblies.of(tile)
    scratch = assemblies.programs(tile).scratch_bytes if isinstance(assemblies, LoopAssemblies) else 0
    key = kernel_key("kernel", assembly, assemblies.target)
    plan = Plan(assemblies.form, tile, assemblies.update.state_types, scratch, key)
    return plan, kernel_of(assembly, assemblies.target)


class _Assemblies:
    """The assembly of an ensemble's kernel by the points of its tiles, each written when it is first asked for."""

    form = "straight"

    def __init__(self, ensemble: Ensemble, target: Target, lanes: int, most: int | None):
        self.ensemble, self.target, self.lanes = ensemble, target, lanes
        self.update = trace_update(ensemble)
        self.one = schedule_programs(ensemble, self.update, 1, most=most)
        self.layout = layout_of(ensemble, self.update, lanes)
        self._written: dict[int, str] = {}

    @property
    def tiles(self) -> list[int]:
        return candidate_tiles(len(self.one.tile_lines), self.one.points)

    def of(self, tile: int) -> str:
        if tile not in self._written:
            programs = self.one if tile == 1 else schedule_programs(self.ensemble, self.update, tile)
            self._written[tile] = write_kernel(self.ensemble, programs, self.layout, self.target)
        return self._written[tile]


def check_size(lines: int, largest: int | None) -> None:
    """Raises Unlowerable where a program is too large."""
    if largest is not None and lines > largest:
        raise Unlowerable(f"about {lines} lines of straight code a point, of which lanes is faster up to {largest}.")


def kernel_of(assembly: str, target: Target, signatures: dict[str, list] = machine.TRAINING) -> machine.Kernel:
    """The kernel of an assembly, compiled or from the cache."""
    key = kernel_key("kernel", assembly, target)
    code = cache.load(key)
    if code is None:
        code = machine.compile_object(assembly, target)
        cache.store(key, code)
    return machine.load_object(code, signatures)


def kernel_key(kind: str, text: str, target: Target) -> str:
    """Names what a text and the compiler determine."""
    return cache.key_of(kind, text, repr(target), machine.compiler_version(), str(VERSION))


def choose_form(straight: _Assemblies, loops: LoopAssemblies) -> _Assemblies | LoopAssemblies:
    """The faster form: measured the first time, then remembered for this program and processor."""
    forms = {assemblies.form: assemblies for assemblies in (straight, loops)}
    key = kernel_key("form", straight.of(1) + loops.of(loops.tiles[0]), straight.target)
    known = cache.load_choice(key)
    if known is None:
        kernels = {form: kernel_of(each.of(choose_tile(each)), each.target) for form, each in forms.items()}
        # The memory of loops begins with that of straight code.
        group = _trained(loops, kernels[loops.form])
        seconds = {form: _seconds_per_step(kernel, group) for form, kernel in kernels.items()}
        known = {"form": min(seconds, key=lambda form: seconds[form])}
        cache.store_choice(key, known)
    return forms[known["form"]]


def choose_tile(assemblies: _Assemblies | LoopAssemblies) -> int:
    """Points in a tile: measured the first time, then remembered for this program and processor."""
    first = 1 if isinstance(assemblies, _Assemblies) else assemblies.tiles[0]
    key = kernel_key("tile", assemblies.of(first), assemblies.target)
    known = cache.load_choice(key)
    if known is None:
        known = {"tile": _measured_tile(assemblies)}
        cache.store_choice(key, known)
    return known["tile"]


def _measured_tile(assemblies: _Assemblies | LoopAssemblies) -> int:
    candidates = assemblies.tiles
    if len(candidates) == 1:
        return candidates[0]
    kernels = {tile: kernel_of(assemblies.of(tile), assemblies.target) for tile in candidates}
    group = _trained(assemblies, kernels[candidates[0]])
    seconds = {tile: _seconds_per_step(kernel, group) for tile, kernel in kernels.items()}
    return min(seconds, key=lambda tile: seconds[tile])


def candidate_tiles(lines_per_point: int, points: int) -> list[int]:
    """Sizes worth measuring: the largest ones whose code fits the instruction cache."""
    if lines_per_point > _LINES_IN_CACHE:
        return [tile for tile in _TILES_OUT_OF_CACHE if tile <= points] or [1]
    fitting = [tile for tile in _TILES if tile <= points and tile * lines_per_point <= _LINES_IN_CACHE]
    return fitting[-3:]


def _trained(assemblies: _Assemblies | LoopAssemblies, kernel: machine.Kernel) -> Group:
    """A group some way into its training, which may take longer a step than the first ones."""
    members = assemblies.ensemble.members(np.arange(assemblies.lanes) + assemblies.ensemble.first)
    group = new_group(assemblies.ensemble, assemblies.layout, members)
    kernel.functions["start"](group.buffer.ctypes.data)
    began = time.perf_counter()
    while group.step < _TRAINED_STEPS and time.perf_counter() - began < _TRAINED_SECONDS:
        run_kernel(kernel, group, 64)
    return group


def _seconds_per_step(kernel: machine.Kernel, group: Group) -> float:
    """Time of a step of a group, whatever tiles it was trained with so far; the smallest of several measurements."""
    steps, best = 1, float("inf")
    for _ in range(_MEASUREMENTS + 8):
        began = time.perf_counter()
        run_kernel(kernel, group, steps)
        elapsed = time.perf_counter() - began
        best = min(best, elapsed / steps)
        if elapsed < _MEASURED_SECONDS:
            steps *= 2
    return best
