"""Groups of fits that are trained one after the other by the same thread, and may change places."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jaxtyping import Bool

from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.program.layout import Layout
from jaxland.training.program.memory import entries, new_group, put_state, result_of, state_of
from jaxland.training.trainer import GroupResult


def split(members: Members, lanes: int) -> list[Members]:
    """The members of each group of so many lanes."""
    starts = range(0, len(members.fits), lanes)
    return [members.rows(slice(start, start + lanes)) for start in starts]


def exchange(parts: Sequence[np.ndarray], order: np.ndarray) -> None:
    """Puts the columns of some arrays (K, lanes), taken as one, into another order."""
    lanes = parts[0].shape[1]
    columns = np.concatenate(parts, axis=1)[:, order]
    for number, part in enumerate(parts):
        part[:] = columns[:, number * lanes : (number + 1) * lanes]


class LanesGroup:
    """Some groups of as many fits as there are lanes.

    Attributes:
        layout: of the memory of each.
        parts: the groups.
        lists: the memory of their runs, see `runs`; empty where there are none.
        order: for each lane of all parts the place of its fit among the members.
    """

    def __init__(self, ensemble: Ensemble, layout: Layout, members: Members):
        self.layout, self.lists = layout, []
        shared: dict = {}
        self.parts = [new_group(ensemble, layout, part, shared) for part in split(members, layout.lanes)]
        self.order = np.arange(len(members.fits))
        self._every, self._traced = ensemble.trace_every, 0

    @property
    def step(self) -> int:
        """Steps done."""
        return self.parts[0].step

    def rearrange(self, order: np.ndarray) -> None:
        """Puts fits into another order, with all that is theirs but their data."""
        self._settle_trace()
        for kind in self.layout.kinds.keys() - {"scratch"}:
            for blocks in zip(*(self.layout.blocks(part.buffer, kind) for part in self.parts), strict=True):
                exchange(blocks, order)
        self.order = self.order[order]

    def restore(self) -> None:
        """Puts fits where they were at first."""
        if not np.array_equal(self.order, np.arange(len(self.order))):
            self.rearrange(np.argsort(self.order))

    def _settle_trace(self) -> None:
        """Rows of the trace are written in the order that holds at the time."""
        rows = -(-self.step // self._every) if self._every else 0
        back = np.argsort(self.order)
        if rows > self._traced:
            exchange([part.trace[self._traced : rows] for part in self.parts], back)
            self._traced = rows

    def entries(self, kind: str) -> np.ndarray:
        """All entries of a kind, (W, K), in the order of the members."""
        found = np.concatenate([entries(self.layout, part.buffer, kind) for part in self.parts])
        return found[np.argsort(self.order)]

    def state(self) -> dict[str, np.ndarray]:
        """See `memory.state_of`, in the order of the members."""
        parts = [state_of(self.layout, part.buffer) for part in self.parts]
        back = np.argsort(self.order)
        return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}

    def put(self, state: Mapping[str, np.ndarray], which: Bool[np.ndarray, "W"], step: int) -> None:
        """Gives some members of a group that has just begun a state from after so many steps, a row each."""
        ends = np.cumsum([np.count_nonzero(mine) for mine in np.split(which, len(self.parts))])
        for part, mine, end in zip(self.parts, np.split(which, len(self.parts)), ends, strict=True):
            rows = slice(end - np.count_nonzero(mine), end)
            put_state(self.layout, part.buffer, {name: values[rows] for name, values in state.items()}, mine)
            part.step = step
        self._traced = -(-step // self._every) if self._every else 0

    def result(self) -> GroupResult:
        """What the groups hold, in the order of the members; fits stay where they are."""
        self._settle_trace()
        parts = [result_of(self.layout, part.buffer, part.trace) for part in self.parts]
        joined: GroupResult = jax.tree.map(lambda *values: np.concatenate(values), *parts)
        back = np.argsort(self.order)
        ordered: GroupResult = jax.tree.map(lambda values: values[back], joined)
        return ordered._replace(trace=joined.trace)
