"""Ctrl-C, SIGTERM and what schedulers send before they take a machine away: the first asks training to stop at the
next block of steps, the second ends the process.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that stop a run, with all finished shards kept."""
_ALWAYS = (signal.SIGINT, signal.SIGTERM)


class Stop(threading.Event):
    """Set when a signal came; `signal_number` says which."""

    signal_number: int = 0


class Terminated(BaseException):
    """A signal of `STOPPING` but Ctrl-C came where nothing asks `Stop`, as while results are analysed.

    Like KeyboardInterrupt it is no `Exception`, which whoever goes on after a failure of any kind would take it for.
    """

    def __init__(self, signal_number: int = signal.SIGTERM):
        super().__init__(signal_number)
        self.signal_number = signal_number


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """Within it the signals of `STOPPING` raise `Terminated`, but for Ctrl-C, which raises KeyboardInterrupt already.

    Training inside it still stops by `Stop`. Outside the main thread it does nothing.
    """

    def handle(number, frame):
        raise Terminated(number)

    with _handled([number for number in STOPPING if number != signal.SIGINT], handle):
        yield


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Yields an event that the signals of `STOPPING` set. A second signal ends the process at once.

    Ending at once is safe: a shard is committed by one rename. Outside the main thread, where Python cannot receive
    signals, the event is never set.
    """
    stop = Stop()

    def handle(number, frame):
        if stop.is_set():
            os._exit(128 + number)
        stop.signal_number = number
        stop.set()

    with _handled(STOPPING, handle):
        yield stop


@contextmanager
def _handled(numbers: Any, handle: Callable[[int, Any], None]) -> Iterator[None]:
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            # Whoever has a hangup ignored, as nohup has, means it.
            if number in _ALWAYS or signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
