"""The memory of a group of fits, all in one buffer at constant offsets: slot k holds scalar k of all lanes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jaxland.training.program.expression import TYPES


@dataclass(frozen=True)
class Layout:
    """Where each scalar of a fit lives in the buffer of its group: the contract of compiler and kernels.

    Attributes:
        lanes: fits in a group.
        kinds: for each kind of slot, the type of each of its entries.
    """

    lanes: int
    kinds: dict[str, list[str]]

    @cached_property
    def _offsets(self) -> dict[tuple, int]:
        """Each entry starts at a multiple of its own size."""
        offsets, end = {}, 0
        for kind, types in self.kinds.items():
            for index, type in enumerate(types):
                size = self.slot(type)
                offsets[kind, index] = -(-end // size) * size
                end = offsets[kind, index] + size
        return offsets

    @cached_property
    def bytes(self) -> int:
        """Of the buffer."""
        ends = (start + self.slot(self.kinds[kind][index]) for (kind, index), start in self._offsets.items())
        return max(ends, default=0)

    def offset(self, target: tuple) -> int:
        """Bytes from the start of the buffer to entry `(kind, index)`."""
        return self._offsets[target]

    def slot(self, type: str) -> int:
        """Bytes of an entry of all lanes."""
        return self.lanes * memory_type(type).itemsize

    def distance(self, first: tuple, second: tuple) -> int | None:
        """Bytes between two entries of a group's buffer, None where one is not there."""
        if first not in self._offsets or second not in self._offsets:
            return None
        return self.offset(second) - self.offset(first)

    def view(self, buffer: np.ndarray, kind: str) -> list[np.ndarray]:
        """The entries of a kind in a buffer of bytes, each a view of shape (lanes,)."""
        starts = [self.offset((kind, index)) for index in range(len(self.kinds[kind]))]
        slots = zip(starts, self.kinds[kind], strict=True)
        return [buffer[start : start + self.slot(type)].view(memory_type(type)) for start, type in slots]


def memory_type(type: str) -> np.dtype:
    """How a scalar is kept in memory: truth values as 32-bit integers."""
    return TYPES["i32" if type == "i1" else type]
