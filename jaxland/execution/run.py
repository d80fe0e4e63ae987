"""Doing shards, here or on executors, whose workers may fail, hang and die."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from queue import Empty, SimpleQueue
from typing import Any

from jaxland.execution.plan import ShardTask
from jaxland.execution.processes import WorkerDied, WorkersCannotStart

Work = Callable[[ShardTask], object]
Executors = Executor | Callable[[], AbstractContextManager[Executor]]
"""Where shards are done: an executor, or what makes one, which is called again when one breaks."""

# Enough to keep thousands of workers busy without holding a future for each of a hundred thousand shards.
_IN_FLIGHT = 4096
_ATTEMPTS = 3
_BREAKS = 16
"""Executors that break one after another without one shard done; then the cause is no shard."""
_POLL = 0.2
_GRACE = 20.0
"""Seconds that shards in flight have to stop at the end of their block of steps."""


class ShardsFailed(Exception):
    """Some shards failed on every attempt; all others were done.

    Attributes:
        failures: the last error of each failed shard.
    """

    def __init__(self, failures: dict[ShardTask, BaseException]):
        lines = [f"  {task}: {error!r}" for task, error in failures.items()]
        super().__init__("\n".join([f"{len(failures)} shards failed {_ATTEMPTS} times:", *lines[:20]]))
        self.failures = failures


def run_shards(
    tasks: Iterable[ShardTask],
    work: Work,
    executor: Executors | None = None,
    *,
    stop: threading.Event | None = None,
    on_done: Callable[[ShardTask], object] = lambda task: None,
    on_stop: Callable[[], object] = lambda: None,
    fatal: tuple[type[BaseException], ...] = (),
    say: Callable[[str], object] = lambda line: None,
) -> None:
    """Does every task once.

    A shard that fails is tried three times. Where the workers of an executor die with it, as those of a pool of
    processes do, another is made and goes on; shards that were in flight at two deaths are then done alone, and one
    that is in flight at a third has failed.

    Args:
        tasks: what is to be done, in order.
        work: does and commits one shard; doing one twice must do no harm. On an executor of processes it must be
            picklable.
        executor: where, or what makes one; in this thread by default.
        stop: when set, no shard is begun any more, on an executor; in this thread `work` asks for itself.
        on_done: called in this thread after each shard, on an executor.
        on_stop: called when `stop` was set; it asks shards in flight to end.
        fatal: errors of a shard after which no other is tried.
        say: receives a line where a shard is tried again, on an executor.

    Raises:
        ShardsFailed: on an executor, after every other shard was done.
        BrokenExecutor: it broke, and there is nothing to make another, or all that are made break.
        ValueError: its processes would be forked.
        WorkersCannotStart: workers end before they are given anything.
        Interrupted: `stop` was set, on an executor.
        Exception: in this thread, whatever `work` raises, at once; on an executor one of `fatal`.
    """
    if executor is None:
        for task in tasks:
            work(task)
        return
    run = _Run(tasks, work, stop or threading.Event(), on_done, on_stop, fatal, say)
    single = isinstance(executor, Executor)
    breaks, error = 0, None
    while run.waiting:
        done, error = run.done, None
        try:
            with nullcontext(executor) if single else opened(executor) as pool:
                require_no_fork(pool)
                run.until_it_breaks(pool)
        except _Broke as broke:
            error = broke.error
        breaks = breaks + 1 if run.done == done else 1
        if error is not None and (single or breaks > _BREAKS):
            raise BrokenExecutor(_broken(error, single)) from error
        if error is not None and run.waiting:
            say(f"the executor broke, and another is made: {_in_a_line(error)}; what was in flight is tried again")
    if run.failures:
        raise ShardsFailed(run.failures)


def _broken(error: BaseException, single: bool) -> str:
    if single:
        remedy = (
            "Give what makes executors, so that another can take its place: executor=jaxland.workers(4), or a function "
            "that returns one."
        )
    else:
        remedy = f"So did {_BREAKS} before it, without one shard done: workers die for another reason."
    return f"the executor broke: {error!r}. Finished shards are kept. {remedy}"


def require_no_fork(executor: Any) -> None:
    """Raises ValueError where processes of an executor would be forked: JAX has threads, whose locks they would hold
    for ever.
    """
    context = getattr(executor, "_mp_context", None)
    if isinstance(executor, ProcessPoolExecutor) and context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "this ProcessPoolExecutor forks, and a process forked while JAX runs hangs for ever. Use "
            "executor=jaxland.workers(4), which also goes on when a worker dies, or "
            'ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")).'
        )


@contextmanager
def opened(make: Callable[[], AbstractContextManager[Executor]]) -> Iterator[Executor]:
    """An executor of ours to end: what it still does when an error comes is given up."""
    with make() as executor:
        try:
            yield executor
        except BaseException:
            _abandon(executor)
            raise


@contextmanager
def kept_open(executor: Executors | None) -> Iterator[Executors | None]:
    """Within it what makes executors hands out one and the same: made when it is first asked for, and ended at the
    end, so that jobs of a cluster are asked for once. After an error in its use another takes its place.

    Args:
        executor: as of `jaxland.run`; None, and an executor that is there already, are handed out as they are.
    """
    if executor is None or isinstance(executor, Executor):
        yield executor
        return
    kept = _Kept(executor)
    with kept.held:
        yield kept


class _Kept:
    """Stands for what makes executors, with what else is asked of that."""

    def __init__(self, make: Callable[[], AbstractContextManager[Executor]]):
        self.held = ExitStack()
        self.threads, self.jobs = getattr(make, "threads", None), getattr(make, "jobs", 1)
        self._make = make
        self._executor: Executor | None = None

    @contextmanager
    def __call__(self) -> Iterator[Executor]:
        if self._executor is None:
            self._executor = self.held.enter_context(opened(self._make))
        try:
            yield self._executor
        except BaseException:
            self._executor = None
            with self.held.pop_all():
                raise


def _abandon(executor: Any) -> None:
    executor.shutdown(wait=False)
    # Of the pools of the standard library, of loky and our own; the wait for them would last as long as their shards.
    for process in list((getattr(executor, "_processes", None) or {}).values()):
        with suppress(OSError, ValueError):
            process.terminate()


class _Broke(Exception):
    """An executor did; `error` says how."""

    def __init__(self, error: BaseException):
        super().__init__(repr(error))
        self.error = error


class _Run:
    """What is waiting, in flight and given up.

    Attributes:
        waiting: tasks, in order; those that may have killed workers stand last.
        failures: the last error of each task that failed for good.
        done: how many are done.
    """

    def __init__(
        self,
        tasks: Iterable[ShardTask],
        work: Work,
        stop: threading.Event,
        on_done: Callable[[ShardTask], object],
        on_stop: Callable[[], object],
        fatal: tuple[type[BaseException], ...],
        say: Callable[[str], object],
    ):
        self.waiting = deque(tasks)
        self.failures: dict[ShardTask, BaseException] = {}
        self.done = 0
        self._work, self._stop, self._on_done, self._on_stop, self._fatal = work, stop, on_done, on_stop, fatal
        self._say = say
        self._running: dict[Future, ShardTask] = {}
        self._attempts: Counter[ShardTask] = Counter()
        self._deaths: Counter[ShardTask] = Counter()
        self._alone = False

    def until_it_breaks(self, executor: Any) -> None:
        """Does what is waiting.

        Raises:
            _Broke: the executor did.
        """
        finished: SimpleQueue[Future] = SimpleQueue()
        if hasattr(executor, "on_loss"):  # of Dask, which tries again by itself
            executor.on_loss = lambda task, worker: self._say(f"{task}: its worker {worker} was lost; tried again")
        try:
            while self.waiting or self._running:
                try:
                    self._submit(executor, finished)
                    self._settle(self._next(finished))
                except (BrokenExecutor, CancelledError) as error:
                    self._take_back(error, getattr(executor, "_max_workers", None) or 1)
                    raise _Broke(error) from error
        finally:
            for future in list(self._running):
                future.cancel()
            self._running.clear()

    def _submit(self, executor: Executor, finished: SimpleQueue) -> None:
        while self.waiting and len(self._running) < _IN_FLIGHT:
            alone = self._deaths[self.waiting[0]] >= _ATTEMPTS - 1
            if self._running and (alone or self._alone):
                return
            try:
                future = executor.submit(self._work, self.waiting[0])
            except RuntimeError as error:  # it was shut down, or its process ends
                raise BrokenExecutor(str(error)) from error
            self._running[future] = self.waiting.popleft()
            self._alone = alone
            future.add_done_callback(finished.put)

    def _next(self, finished: SimpleQueue) -> Future:
        while True:
            if self._stop.is_set():
                self._give_up()
            with suppress(Empty):
                return finished.get(timeout=_POLL)

    def _give_up(self) -> None:
        from jaxland.training import Interrupted

        # In this order: a worker whose shard ends at once would begin what waits.
        for future in self._running:
            future.cancel()
        self._on_stop()
        wait(self._running, timeout=_GRACE)
        raise Interrupted

    def _settle(self, future: Future) -> None:
        """Counts what a future came to; raises what concerns more than its shard."""
        task = self._running[future]
        error = CancelledError("a shard was cancelled") if future.cancelled() else future.exception()
        if isinstance(error, BrokenExecutor | CancelledError):
            raise error
        del self._running[future]
        if error is None:
            self.done += 1
            self._on_done(task)
        elif isinstance(error, (WorkersCannotStart, *self._fatal)):
            raise error
        else:
            self._attempts[task] += 1
            # Dask has tried elsewhere before it says that a shard killed its workers.
            if self._attempts[task] == _ATTEMPTS or type(error).__name__ == "KilledWorker":
                self.failures[task] = error
            else:
                self.waiting.append(task)
                self._say(f"{task}: {_in_a_line(error)}; tried again")

    def _take_back(self, error: BaseException, width: int) -> None:
        """After a break: what was done in time is, those that were being done may be the cause, others only waited."""
        wait(self._running, timeout=1)
        lost = deque()
        for future, task in self._running.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                self.done += 1
                self._on_done(task)
            else:
                lost.append(task)
        self._running.clear()
        # A pool hands shards out in order, and one more than it has workers waits in its queue.
        suspects = [lost.popleft() for _ in range(min(len(lost), 2 * width + 1))]
        self.waiting.extendleft(reversed(lost))
        for task in suspects:
            self._deaths[task] += 1
            if self._alone and self._deaths[task] >= _ATTEMPTS:
                self.failures[task] = error
            else:
                self.waiting.append(task)


def _in_a_line(error: BaseException) -> str:
    line = (str(error).splitlines() or [""])[0].rstrip(".")
    return f"{'its worker process died' if isinstance(error, WorkerDied) else type(error).__name__}: {line}"
