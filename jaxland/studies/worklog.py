"""What workers write down of themselves: `logs/NAME.log` in the study directory, a line a shard; names of leases."""

import faulthandler
import os
import re
import socket
import time
from contextlib import suppress
from pathlib import Path

from jaxland.execution import ShardTask

_VARIABLE = "JAXLAND_WORKER"
LOGS = "logs"
LEASES = "leases"
ANALYSIS, PIECE, LEAD = "analysis-", "piece-", "lead-"
"""Before the hexadecimal digits of the lease of all analyses, before the name of the analysis of a piece, and before
the hexadecimal digits of the lease of a process that has others help it.
"""


def worker_name() -> str:
    """Of this process: the variable `JAXLAND_WORKER`, or machine and process.

    Raises:
        ValueError: the variable holds none.
    """
    return checked_name(os.environ.get(_VARIABLE) or f"{socket.gethostname()}-{os.getpid()}")


def checked_name(name: str) -> str:
    """The name of a worker, which names its log.

    Raises:
        ValueError: it cannot name a file in the folder of logs.
    """
    if len(name) > 200 or not re.fullmatch(r"[\w.@:+-]+", name) or name.startswith("."):
        raise ValueError(f"{name!r} cannot name a worker: use letters, digits, '-', '_' and '.', 200 at most.")
    return name


def worker_log(directory: Path, name: str) -> Path:
    """The log of a worker, which also takes what Python says when its process crashes."""
    log = directory / LOGS / f"{name}.log"
    with suppress(OSError):
        log.parent.mkdir(exist_ok=True)
        if not faulthandler.is_enabled():
            faulthandler.enable(log.open("a"))  # open as long as the process
    return log


def write_line(log: Path | None, text: str) -> None:
    """With the time; a log that cannot be written stops nothing."""
    with suppress(OSError):
        if log is not None:
            with log.open("a") as file:
                print(time.strftime("%Y-%m-%d %H:%M:%S"), text, file=file)


def lease_of(task: ShardTask) -> str:
    """The name of the lease of a shard."""
    return str(task).replace(" ", "-")


def leased_shard(name: str) -> ShardTask | None:
    """The shard that a lease is of; None where it is of something else."""
    found = re.fullmatch(r"(.+)-(\d+)-(\d+)", name)
    return None if found is None else ShardTask(found[1], int(found[2]), int(found[3]) + 1)


def leased(name: str) -> str:
    """What a lease is of, in words."""
    if name.startswith((ANALYSIS, LEAD)):
        return "the analyses"
    if name.startswith(PIECE):
        return f"a piece of the analysis {name.removeprefix(PIECE).rpartition('-')[0]}"
    return str(leased_shard(name) or name)
