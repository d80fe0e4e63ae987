"""Ctrl-C and SIGTERM: the first asks training to stop at the next block of steps, the second ends the process."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stop(threading.Event):
    """Set when a signal came; `signal_number` says which."""

    signal_number: int = 0


class Terminated(BaseException):
    """SIGTERM came where nothing asks `Stop`, as while results are analysed.

    Like KeyboardInterrupt it is no `Exception`, which whoever goes on after a failure of any kind would take it for.
    """

    signal_number: int = signal.SIGTERM


@contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """Within it SIGTERM raises `Terminated`, as Ctrl-C raises KeyboardInterrupt.

    Training inside it still stops by `Stop`. Outside the main thread it does nothing.
    """

    def handle(number, frame):
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Yields an event that SIGINT and SIGTERM set. A second signal ends the process at once.

    Ending at once is safe: a shard is committed by one rename. Outside the main thread, where Python cannot receive
    signals, the event is never set.
    """
    stop = Stop()

    def handle(number, frame):
        if stop.is_set():
            os._exit(128 + number)
        stop.signal_number = number
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
