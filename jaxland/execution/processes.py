"""Worker processes on this machine, each with one shard at a time: one that dies takes nothing else with it."""

import faulthandler
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from jaxland.execution.interruption import STOPPING

# A fork of a process in which JAX runs hangs for ever.
_SPAWN = multiprocessing.get_context("spawn")
TIMED_OUT = 124
"""Exit code of a worker whose shard took too long, as that of timeout(1)."""
_SECONDS_TO_END = 5.0
_SAFE_PATH = "PYTHONSAFEPATH"
_STARTING = threading.Lock()


class WorkerDied(Exception):
    """A worker process ended while it did something; the message says how."""


class WorkersCannotStart(Exception):
    """A worker process ended before it was given anything."""


@dataclass(frozen=True)
class Workers:
    """What makes pools of worker processes on this machine; to be given as `executor`.

    Attributes:
        count: processes.
        threads: of each, for a shard.
    """

    count: int
    threads: int

    def __call__(self) -> "WorkerPool":
        """A pool, whose processes are started when they are needed."""
        return WorkerPool(self.count)


def workers(count: int | None = None, threads: int | None = None) -> Workers:
    """Worker processes on this machine, for `jaxland.run(..., executor=jaxland.workers(4))`.

    They are spawned, never forked. One that dies, or is killed, is replaced, and its shard is tried again; none other
    is disturbed.

    Args:
        count: processes; one a processor by default.
        threads: of each; by default as many as keep all processors busy.

    Raises:
        ValueError: a number is not a positive integer.
    """
    from jaxland.training import available_threads

    processors = available_threads()
    count = processors if count is None else count
    threads = max(1, processors // max(count, 1)) if threads is None else threads
    for name, value in (("count", count), ("threads", threads)):
        if isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} of workers must be a positive integer; got {value!r}.")
    return Workers(count, threads)


class WorkerPool(Executor):
    """Processes that are spawned when they are first needed, and again after one died.

    A call whose process dies raises `WorkerDied`, so that it is known which one killed it.
    """

    def __init__(self, count: int):
        self._max_workers = count
        # A thread each, which waits for its process.
        self._driving = ThreadPoolExecutor(count, "jaxland-worker")
        self._own = threading.local()
        self._processes: dict[int, Any] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """As of any executor; what is called, and its arguments, must be picklable."""
        return self._driving.submit(self._do, pickle.dumps(partial(fn, *args, **kwargs)))

    def _do(self, call: bytes) -> Any:
        connection = self._connection()
        try:
            connection.send_bytes(call)
            succeeded, value = connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerDied(_how(self._buried())) from error
        if not succeeded:
            raise value
        return value

    def _connection(self) -> Connection:
        """To the process of this thread, started if there is none."""
        if getattr(self._own, "process", None) is None:
            here, there = _SPAWN.Pipe()
            with _safe_path() as before:
                process = _SPAWN.Process(target=_serve, args=(there, before), daemon=True)
                process.start()
            there.close()
            self._own.process, self._own.connection = process, here
            self._processes[process.pid or 0] = process
            try:
                here.recv()
            except (EOFError, OSError) as error:
                raise WorkersCannotStart(
                    f"a worker process ended at its start: {_how(self._buried())} A script that is run must have its "
                    "calls under `if __name__ == '__main__':`, since workers read it again."
                ) from error
        return self._own.connection

    def _buried(self) -> int:
        """The exit code of the process of this thread, which is dead."""
        process = self._own.process
        process.join(_SECONDS_TO_END)
        if process.exitcode is None:
            process.kill()
            process.join()
        del self._processes[process.pid]
        self._own.connection.close()
        self._own.process = None
        return process.exitcode or 0

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of any executor. Idle processes end; those at work end after it."""
        self._driving.shutdown(wait=wait, cancel_futures=cancel_futures or not wait)
        if wait:
            for process in list(self._processes.values()):
                process.terminate()  # it waits for what no longer comes
                process.join()


def _how(code: int) -> str:
    if code == TIMED_OUT:
        return "it was ended because its shard took longer than a shard may."
    if code < 0:
        name = signal.Signals(-code).name
        more = ", as the system does when memory runs out" if code == -signal.SIGKILL else ""
        return f"it was killed by {name}{more}."
    return f"it ended with exit code {code}."


@contextmanager
def _safe_path() -> Iterator[str | None]:
    """Within it Python begins without the current directory on its path, where a file pickle.py would stand for the
    library; workers are then given the path of their parent. Yields what the variable was before.
    """
    with _STARTING:
        before = os.environ.get(_SAFE_PATH)
        os.environ[_SAFE_PATH] = "1"
        try:
            yield before
        finally:
            _restore_safe_path(before)


def _restore_safe_path(before: str | None) -> None:
    if before is None:
        os.environ.pop(_SAFE_PATH, None)
    else:
        os.environ[_SAFE_PATH] = before


def _serve(connection: Connection, safe_path: str | None) -> None:
    """What a worker process does, until its parent is gone or lets go of it."""
    _restore_safe_path(safe_path)
    threading.Thread(target=_end_with_the_parent, name="jaxland-parent", daemon=True).start()
    for number in STOPPING:
        # They come to all processes of a terminal or job; the parent decides.
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    connection.send(True)
    while True:
        try:
            connection.send_bytes(_answer(connection.recv_bytes()))
        except (EOFError, ConnectionError):
            return


def _end_with_the_parent() -> None:
    """Ends this process when its parent is gone, however that ended: nobody wants what it does, which may take long."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _answer(call: bytes) -> bytes:
    try:
        return pickle.dumps((True, pickle.loads(call)()))
    except Exception as error:  # of any kind: it is raised again where the call came from
        return pickle.dumps((False, portable(error)))


def portable(error: Exception) -> Exception:
    """An error that can be sent to another process: itself, or its words where its class cannot be made again."""
    try:
        again = pickle.loads(pickle.dumps(error))
    except Exception:  # of any kind: classes refuse as they like
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error if str(again) == str(error) else RuntimeError(f"{type(error).__name__}: {error}")


@contextmanager
def ended_after(
    seconds: float | None, log: Path | None = None, before: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Within it the process ends with `TIMED_OUT` when that many seconds have passed; what its threads did is logged.

    Nothing gentler ends what hangs in compiled code.

    Args:
        seconds: None for ever.
        log: a file.
        before: called at last.
    """
    if seconds is None:
        yield
        return

    def end():
        with suppress(OSError):
            if log is not None:
                with log.open("a") as file:
                    print(f"a shard took longer than {seconds:g} s; the process was here:", file=file, flush=True)
                    faulthandler.dump_traceback(file)
            before()
        os._exit(TIMED_OUT)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
