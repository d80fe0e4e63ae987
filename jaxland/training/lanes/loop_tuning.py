"""Kernels made of loops: the assembly for each size of tiles, and the sizes worth measuring."""

from functools import cached_property

from jaxland.training.ensemble import Ensemble
from jaxland.training.lanes.emit import Target
from jaxland.training.lanes.loops import write_loop_kernel
from jaxland.training.program.layout import Layout
from jaxland.training.program.loop_programs import LoopPrograms, loop_layout, loop_programs, update_loops

# At these a block of weights is used often enough, and the activations of a tile still lie in the nearest caches.
_TILES = (16, 8, 32)
_ONE_TILE = 32
# Operations of a step of a group, some six a parameter, point and lane, beyond which measuring takes too long.
_MEASURED_WORK = 1.2e8


class LoopAssemblies:
    """The assembly of an ensemble's kernel as loops by the points of its tiles, each written when first asked for.

    Args:
        ensemble: what is trained.
        target: what for.
        lanes: fits in a group.
        tile: the only size of tiles, if it is known.

    Raises:
        Unlowerable: something in it has no loops; the message names the primitive.
    """

    form = "loops"

    def __init__(self, ensemble: Ensemble, target: Target, lanes: int, tile: int | None = None):
        self.ensemble, self.target, self.lanes = ensemble, target, lanes
        self.update = update_loops(ensemble)
        self.tiles = loop_tiles(ensemble.points_a_step, self._work) if tile is None else [tile]
        self._written: dict[int, str] = {}
        self._programs: dict[int, LoopPrograms] = {}
        self.programs(self.tiles[0])

    @property
    def _work(self) -> float:
        return 6.0 * self.ensemble.network.size * self.ensemble.points_a_step * self.lanes

    def programs(self, tile: int) -> LoopPrograms:
        """The programs for tiles of so many points."""
        if tile not in self._programs:
            self._programs[tile] = loop_programs(self.ensemble, self.update, tile)
        return self._programs[tile]

    @cached_property
    def layout(self) -> Layout:
        """Memory in which each of these kernels has enough: they differ in the length of what comes last."""
        scratch = max(self.programs(tile).scratch_bytes for tile in self.tiles)
        return loop_layout(self.ensemble, self.update, self.lanes, scratch)

    def of(self, tile: int) -> str:
        """The assembly for tiles of so many points."""
        if tile not in self._written:
            self._written[tile] = write_loop_kernel(self.ensemble, self.programs(tile), self.layout, self.target)
        return self._written[tile]


def loop_tiles(points: int, work: float) -> list[int]:
    """Sizes of tiles worth measuring: one where a step takes long, for they differ by some per cent only."""
    if points <= _ONE_TILE:
        return [points]
    even = [tile for tile in range(_TILES[0], _ONE_TILE + 1, 4) if points % tile == 0]
    tiles = list(dict.fromkeys([*even[:1], *_TILES]))
    return tiles[: 3 if work <= _MEASURED_WORK else 1]
