"""Cutting the fits that are missing into shards."""

from collections.abc import Iterable
from typing import NamedTuple


class ShardTask(NamedTuple):
    """A shard to be trained: fits `start` to `stop - 1` of an ensemble."""

    ensemble: str
    start: int
    stop: int

    def __str__(self) -> str:
        """As messages, logs and leases name it, by its first and its last fit: `adam 64-127`."""
        return f"{self.ensemble} {self.start}-{self.stop - 1}"


def plan_shards(missing: dict[str, list[tuple[int, int]]], shard_fits: int) -> list[ShardTask]:
    """Covers the missing ranges with shards that end at multiples of `shard_fits`.

    Ensembles take turns, so that an interrupted study has about as many fits of each.

    Args:
        missing: ranges (start, stop) of each ensemble.
        shard_fits: fits of a whole shard.
    """
    queues = [
        [task for start, stop in ranges for task in _cut(ensemble, start, stop, shard_fits)]
        for ensemble, ranges in missing.items()
    ]
    return list(_in_turn(queues))


def _cut(ensemble, start, stop, shard_fits):
    while start < stop:
        end = min(stop, (start // shard_fits + 1) * shard_fits)
        yield ShardTask(ensemble, start, end)
        start = end


def _in_turn(queues: list[list[ShardTask]]) -> Iterable[ShardTask]:
    for index in range(max(map(len, queues), default=0)):
        yield from (queue[index] for queue in queues if index < len(queue))


def default_shard_fits(fits: int, together: int = 1) -> int:
    """Fits of a shard: about 64 shards an ensemble, each of 64 to 6,144 fits and a multiple of 64.

    Args:
        fits: of an ensemble.
        together: fits that are trained side by side. Where they are more than 64, as on an accelerator, a shard is a
            multiple of them: it takes as long to train one of them as all.
    """
    unit = max(64, together)
    return min(6144 // unit or 1, -(-fits // (64 * unit))) * unit
