"""How fast a study was trained: `logs/NAME.shards.jsonl` in its directory, a line for each shard that it trained.

It is beside what is computed: no hash and no shard knows of it, and what is not noted is said not to be known.
"""

import json
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxland.execution import ShardTask
from jaxland.store import DamagedShard, StudyStore
from jaxland.studies.described import described
from jaxland.studies.worklog import LOGS, worker_name

_ENDING = ".shards.jsonl"


class Rate(NamedTuple):
    """How fast the fits of an ensemble were trained, or of all.

    Attributes:
        fits: of which it is known.
        net_steps: optimizer steps of these fits together, up to where they stopped.
        seconds: in which a machine was at them, of several machines added up.
    """

    fits: int
    net_steps: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Net-steps a second of one machine; NaN where nothing is known."""
        return self.net_steps / self.seconds if self.seconds else float("nan")


class Speed(NamedTuple):
    """How fast a study was trained.

    Attributes:
        ensembles: by name.
        fits: that are stored, of all ensembles.
        machines: that trained those of which it is known.
        whole: of all ensembles together.
    """

    ensembles: dict[str, Rate]
    fits: int
    machines: int
    whole: Rate

    @property
    def told(self) -> str:
        """In a sentence or two, what is not known included."""
        if not self.whole.fits:
            return "How long training took is not known: it was not noted, or fits were gone on with after a stop."
        rate = f"{self.whole.per_second:.3g} net-steps a second"
        if self.machines == 1:
            words = f"Training took {self.whole.seconds:.3g} s, {rate} in all."
        else:
            words = (
                f"{self.machines} machines were at it for {self.whole.seconds:.3g} s, added up: {rate} of a machine. "
                "How long they took together is not known, since their clocks may differ."
            )
        if self.whole.fits < self.fits:
            words += f" That is of {self.whole.fits:,} of {self.fits:,} fits; of the others it is not known."
        return words


class _Line(NamedTuple):
    ensemble: str
    start: int
    stop: int
    began: float
    seconds: float
    machine: str
    whole: bool


def note_shard(directory: Path, task: ShardTask, seconds: float, whole: bool) -> None:
    """Notes that a shard was trained just now; a note that cannot be written stops nothing.

    Args:
        directory: of the study.
        task: the shard.
        seconds: that it took until it was stored.
        whole: whether it was trained from its beginning, not gone on with.
    """
    line = _Line(*task, time.time() - seconds, round(seconds, 6), socket.gethostname(), whole)
    with suppress(OSError, ValueError):  # of a name that is none, the worker itself complains
        (directory / LOGS).mkdir(exist_ok=True)
        with (directory / LOGS / f"{worker_name()}{_ENDING}").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line._asdict()) + "\n")


def read_speed(store: StudyStore) -> Speed:
    """How fast the stored fits were trained, as far as it was noted; damaged shards count as not known."""
    told, noted = described(store.path), _noted(store.path)
    found: dict[str, Rate] = {}
    every: list[_Line] = []
    fits = 0
    for name in store.manifest.ensembles:
        shards = store.shards(name)
        fits += sum(shard.stop - shard.start for shard in shards)
        own: Any = told.get(name)
        own = own if isinstance(own, dict) else {}
        lines, steps = [], 0
        for shard in shards:
            line = noted.get((name, shard.start, shard.stop))
            count = _net_steps(store, name, shard, own) if line is not None and line.whole else None
            if count is not None:
                lines.append(line)
                steps += count
        found[name] = _rate(lines, steps)
        every += lines
    whole = _rate(every, sum(rate.net_steps for rate in found.values()))
    return Speed(found, fits, len({line.machine for line in every}), whole)


def _rate(lines: Sequence[_Line], net_steps: int) -> Rate:
    """Of shards that a machine may have had at the same time: its time counts once."""
    seconds = 0.0
    for machine in {line.machine for line in lines}:
        until = -np.inf
        for line in sorted((line for line in lines if line.machine == machine), key=lambda line: line.began):
            end = line.began + line.seconds
            seconds += max(0.0, end - max(line.began, until))
            until = max(until, end)
    return Rate(sum(line.stop - line.start for line in lines), net_steps, seconds)


def _net_steps(store: StudyStore, name: str, shard: Any, told: Mapping[str, Any]) -> int | None:
    """Steps of the fits of a shard together; None where it is not told how many they take."""
    steps = told.get("steps")
    if not isinstance(steps, int):
        return None
    if "validate_every" not in told:
        return steps * (shard.stop - shard.start)
    try:
        stopped = store.read(name, shard, ["fit"], optional=["stopped_step"]).arrays.get("stopped_step")
    except DamagedShard:
        return None
    return None if stopped is None else int(np.where(stopped < 0, steps, stopped).sum())


def _noted(directory: Path) -> dict[tuple[str, int, int], _Line]:
    """What was noted last of each shard; lines that are none are left out."""
    found: dict[tuple[str, int, int], _Line] = {}
    with suppress(OSError):
        for path in sorted((directory / LOGS).glob(f"*{_ENDING}")):
            for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
                line = _line(text)
                if line is not None:
                    before = found.get(line[:3])
                    found[line[:3]] = line if before is None or before.began <= line.began else before
    return found


def _line(text: str) -> _Line | None:
    try:
        values = json.loads(text)
        line = _Line(**{name: values[name] for name in _Line._fields})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    kinds = (str, int, int, int | float, int | float, str, bool)
    sound = all(isinstance(value, kind) for value, kind in zip(line, kinds, strict=True))
    return line if sound and np.isfinite([line.began, line.seconds]).all() and line.seconds >= 0 else None
