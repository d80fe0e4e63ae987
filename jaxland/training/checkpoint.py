"""The state of fits between two steps: all that decides the steps to come, and what was kept on the way."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Int

from jaxland._short import in_short

STATE, JUDGED = "state.", "judged."
"""Before the names of a trainer's arrays, and of a judge's."""
TRACE, SNAPSHOTS = "trace", "snapshots"


class Checkpoint(NamedTuple):
    """Some fits as they were before a step.

    Attributes:
        step: steps done.
        arrays: by name, each with a row for each fit. Those of the state are the backend's own, to be used by a trainer
            with the same settings; the trace and the snapshots have what was kept before the step.
    """

    step: int
    arrays: dict[str, np.ndarray]

    __repr__ = in_short

    def rows(self, rows: Any) -> "Checkpoint":
        """That of some of the fits, by a slice or places."""
        return self._replace(arrays={name: values[rows] for name, values in self.arrays.items()})

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> "Checkpoint":
        """With further ones."""
        return self._replace(arrays={**self.arrays, **arrays})

    @classmethod
    def joined(cls, parts: Sequence["Checkpoint"], rows: Any) -> "Checkpoint":
        """Of some rows of several, one after the other."""
        names = parts[0].arrays
        return cls(parts[0].step, {name: np.concatenate([part.arrays[name] for part in parts])[rows] for name in names})


class Keeper(Protocol):
    """Keeps checkpoints of groups that take long, for whoever trains the same fits after an interruption."""

    @property
    def seconds(self) -> float:
        """From one checkpoint of a group to the next."""
        ...

    def load(self, fits: Int[np.ndarray, "W"]) -> Checkpoint | None:
        """The last one of exactly these fits."""
        ...

    def save(self, fits: Int[np.ndarray, "W"], checkpoint: Checkpoint) -> None:
        """Keeps one, in place of what there was."""
        ...


def named(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays with a word before their names."""
    return {f"{prefix}{name}": values for name, values in arrays.items()}


def part_of(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Those whose names begin with a word, without it."""
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
