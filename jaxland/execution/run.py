"""Doing shards, here or on any `concurrent.futures.Executor`."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

from jaxland.execution.plan import ShardTask

Work = Callable[[ShardTask], object]
# Enough to keep workers busy without holding a future for each of a hundred thousand shards.
_IN_FLIGHT = 256
_ATTEMPTS = 3


class ShardsFailed(Exception):
    """Some shards failed on every attempt; all others were done.

    Attributes:
        failures: the last error of each failed shard.
    """

    def __init__(self, failures: dict[ShardTask, BaseException]):
        lines = [f"  {task.ensemble} {task.start}-{task.stop - 1}: {error!r}" for task, error in failures.items()]
        super().__init__("\n".join([f"{len(failures)} shards failed {_ATTEMPTS} times:", *lines[:20]]))
        self.failures = failures


def run_shards(tasks: Iterable[ShardTask], work: Work, executor: Executor | None = None) -> None:
    """Does every task once.

    Args:
        tasks: what is to be done, in order.
        work: does and commits one shard; doing one twice must do no harm. On an executor of processes it must be
            picklable.
        executor: where; in this thread by default.

    Raises:
        ShardsFailed: on an executor, after every other shard was done.
        Exception: in this thread, whatever `work` raises, at once.
    """
    if executor is None:
        for task in tasks:
            work(task)
    else:
        _run_on(executor, deque(tasks), work)


def _run_on(executor: Executor, waiting: deque[ShardTask], work: Work) -> None:
    running: dict[Future, ShardTask] = {}
    attempts: dict[ShardTask, int] = {}
    failures: dict[ShardTask, BaseException] = {}
    try:
        while waiting or running:
            while waiting and len(running) < _IN_FLIGHT:
                task = waiting.popleft()
                running[executor.submit(work, task)] = task
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, error = running.pop(future), future.exception()
                attempts[task] = attempts.get(task, 0) + 1
                if error is not None and attempts[task] < _ATTEMPTS:
                    waiting.append(task)
                elif error is not None:
                    failures[task] = error
    finally:
        for future in running:
            future.cancel()
    if failures:
        raise ShardsFailed(failures)
