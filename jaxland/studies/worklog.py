"""What workers write down of themselves: `logs/NAME.log` in the study directory, a line a shard."""

import faulthandler
import os
import re
import socket
import time
from contextlib import suppress
from pathlib import Path

_VARIABLE = "JAXLAND_WORKER"
LOGS = "logs"


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
