"""Groups of fits that are trained one after the other by the same thread, and may change places."""

from collections.abc import Sequence

import numpy as np

from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.program.layout import Layout
from jaxland.training.program.memory import entries, new_group, result_of
from jaxland.training.trainer import GroupResult


def split(members: Members, lanes: int) -> list[Members]:
    """The members of each group of so many lanes."""
    starts = range(0, len(members.fits), lanes)
    return [_rows(members, slice(start, start + lanes)) for start in starts]


def _rows(members: Members, rows: slice) -> Members:
    return Members(
        fits=members.fits[rows],
        seeds=members.seeds[rows],
        hyperparameters={name: values[rows] for name, values in members.hyperparameters.items()},
        init_scale=members.init_scale[rows],
        start=None if members.start is None else members.start[rows],
        x=members.x[rows] if members.x.ndim == 3 else members.x,
        y=members.y[rows] if members.y.ndim == 3 else members.y,
    )


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
        self.parts = [new_group(ensemble, layout, part) for part in split(members, layout.lanes)]
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

    def result(self) -> GroupResult:
        """What the groups hold after their last step."""
        self.restore()
        results = [result_of(self.layout, part.buffer, part.trace) for part in self.parts]
        return GroupResult(*(np.concatenate(parts) for parts in zip(*results, strict=True)))
