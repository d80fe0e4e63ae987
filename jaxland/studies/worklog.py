"""What workers write down of themselves: `logs/NAME.log` in the study directory, a line a shard."""

import faulthandler
import os
import socket
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TextIO

_VARIABLE = "JAXLAND_WORKER"
LOGS = "logs"


def worker_name() -> str:
    """Of this process: the variable `JAXLAND_WORKER`, or machine and process."""
    return os.environ.get(_VARIABLE) or f"{socket.gethostname()}-{os.getpid()}"


@lru_cache(maxsize=4)
def worker_log(directory: Path, name: str) -> TextIO | None:
    """The log of a worker, which also takes what Python says in a crash; None where it cannot be written."""
    with suppress(OSError):
        (directory / LOGS).mkdir(exist_ok=True)
        log = open(directory / LOGS / f"{name}.log", "a", buffering=1)  # noqa: SIM115  (as long as the process)
        if not faulthandler.is_enabled():
            faulthandler.enable(log)
        return log
    return None


def write_line(log: TextIO | None, text: str) -> None:
    """With the time; a log that cannot be written stops nothing."""
    if log is not None:
        with suppress(OSError):
            print(time.strftime("%Y-%m-%d %H:%M:%S"), text, file=log, flush=True)
