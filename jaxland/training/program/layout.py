"""The memory of a group of fits, all in one buffer at constant offsets: slot k holds scalar k of all lanes."""

import bisect
import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from jaxland.training.program.expression import TYPES


class _Run(NamedTuple):
    """Entries of one type that stand one after the other: `count`, of which `first` is the first, from `start` on."""

    first: int
    count: int
    start: int
    size: int
    dtype: np.dtype


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
    def _runs(self) -> dict[str, list[_Run]]:
        runs: dict[str, list[_Run]] = {}
        end = 0
        for kind, types in self.kinds.items():
            runs[kind], first = [], 0
            for type, group in itertools.groupby(types):
                size, count = self.slot(type), sum(1 for _ in group)
                # Each entry starts at a multiple of its own size.
                start = -(-end // size) * size
                runs[kind].append(_Run(first, count, start, size, memory_type(type)))
                first, end = first + count, start + count * size
        return runs

    @cached_property
    def bytes(self) -> int:
        """Of the buffer."""
        return max((run.start + run.count * run.size for runs in self._runs.values() for run in runs), default=0)

    def offset(self, target: tuple) -> int:
        """Bytes from the start of the buffer to entry `(kind, index)`."""
        kind, index = target
        runs = self._runs[kind]
        run = runs[bisect.bisect(runs, index, key=lambda run: run.first) - 1]
        return run.start + (index - run.first) * run.size

    def slot(self, type: str) -> int:
        """Bytes of an entry of all lanes."""
        return self.lanes * memory_type(type).itemsize

    def distance(self, first: tuple, second: tuple) -> int | None:
        """Bytes between two entries of a group's buffer, None where one is not there."""
        if not all(kind in self.kinds and index < len(self.kinds[kind]) for kind, index in (first, second)):
            return None
        return self.offset(second) - self.offset(first)

    def blocks(self, buffer: np.ndarray, kind: str) -> list[np.ndarray]:
        """The entries of a kind in a buffer of bytes: a view (entries, lanes) for each run of them of one type."""
        return [
            buffer[run.start : run.start + run.count * run.size].view(run.dtype).reshape(run.count, self.lanes)
            for run in self._runs[kind]
        ]

    def view(self, buffer: np.ndarray, kind: str) -> list[np.ndarray]:
        """The entries of a kind in a buffer of bytes, each a view of shape (lanes,)."""
        return [entry for block in self.blocks(buffer, kind) for entry in block]


def memory_type(type: str) -> np.dtype:
    """How a scalar is kept in memory: truth values as 32-bit integers."""
    return TYPES["i32" if type == "i1" else type]
