"""Helping with analyses that another process leads, here or on another machine.

Whoever helps goes through the same analysis, makes the pieces that nobody else makes, and writes nothing else. It
repeats what is not cut into pieces, and so takes no analysis before its leader has come to a piece.
"""

import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from jaxland._by_value import ByValue
from jaxland.execution import LEASE_SECONDS, Executors, Leases, WorkersCannotStart, opened, require_no_fork
from jaxland.plots import style
from jaxland.store import StudyStore
from jaxland.studies.fitting import WAY_OUT, open_study, prepared_here
from jaxland.studies.request import requested
from jaxland.studies.shared_parts import analyses_in_pieces, context_of
from jaxland.studies.study import Study
from jaxland.studies.worklog import LEAD, LEASES, worker_log, worker_name, write_line
from jaxland.training import Interrupted


def help_with_analyses(
    store: StudyStore,
    study: Study,
    config: Any,
    leases: Leases,
    threads: int | None = None,
    wanted: Callable[[], bool] = lambda: True,
    say: Callable[[str], None] = lambda line: None,
) -> bool:
    """Makes pieces of analyses that are being made; returns whether there were any.

    Args:
        store, study, config: of the directory.
        leases: of this worker.
        threads: how many to use; all processors by default.
        wanted: asked from time to time; help ends when it says no.
        say: receives lines for the user.
    """
    helped: set[str] = set()
    ensembles = cache(lambda: study.ensembles(config))
    while wanted():
        asked = requested(store, study)
        open_ones = analyses_in_pieces(leases) & asked.keys() - helped
        if not open_ones:
            break
        name = next(name for name in study.analyses if name in open_ones)
        helped.add(name)
        say(f"helping with {study.analyses[name].title}")
        context = context_of(
            store, config, name, asked[name], leases, threads, say, ensembles, leads=False, wanted=wanted
        )
        try:
            with style():
                study.analyses[name].find(context)
        except Interrupted:
            break
        except Exception as error:  # of any kind: it may come from the user's code, and its leader will meet it too
            say(f"  {traceback.format_exception_only(error)[-1].strip()}")
    return bool(helped)


@dataclass(frozen=True)
class Help:
    """Helps in whatever process it is called, as long as whoever leads gives signs of life: on a cluster nothing else
    ends it when that was killed, and it would keep its place from all that is asked of the cluster later.

    Attributes:
        path: the study directory.
        lead: the lease of whoever leads.
        threads: of each worker.
        study: its code where workers cannot import it.
        seconds: without a sign after which it is over.
    """

    path: str
    lead: str
    threads: int | None = None
    study: Study | None = None
    seconds: float = LEASE_SECONDS

    def __call__(self) -> None:
        """Returns when it is no longer wanted.

        Raises:
            WorkerRefused: this machine is of another kind, or does not see the directory.
        """
        prepared_here(self.path, self.study)
        store, study, config = open_study(self.path, self.study)
        log = worker_log(store.path, worker_name())
        leases = Leases(store.path / LEASES, f"{worker_name()} {secrets.token_hex(4)}", self.seconds)

        def say(line: str) -> None:
            write_line(log, line)

        def wanted() -> bool:
            return leases.is_held(self.lead)

        while wanted():
            help_with_analyses(store, study, config, leases, self.threads, wanted, say)
            time.sleep(0.5)


@contextmanager
def helpers(
    store: StudyStore,
    study: Study,
    executor: Executors | None,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Callable[[], object]]:
    """Gives what makes an executor's workers help with the analyses of this process, once there is something to do."""
    with ExitStack() as stack:

        @cache
        def call() -> None:
            if executor is None or isinstance(executor, ThreadPoolExecutor):
                return  # pieces use all threads
            try:
                stack.enter_context(_helping(store, study, executor, threads, say))
            except (BrokenExecutor, WorkersCannotStart, TypeError, ValueError, RuntimeError, OSError) as error:
                say(f"nobody helps with the analyses: {error}")

        yield call


@contextmanager
def _helping(
    store: StudyStore, study: Study, executor: Executors, threads: int | None, say: Callable[[str], None]
) -> Iterator[None]:
    def tell(future: Future) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None and not over.is_set():
            say(f"a worker does not help with the analyses: {error}")

    over, lead = threading.Event(), f"{LEAD}{secrets.token_hex(6)}"
    leases = Leases(store.path / LEASES, f"{worker_name()} {secrets.token_hex(4)}")
    with nullcontext(executor) if isinstance(executor, Executor) else opened(executor) as workers:
        require_no_fork(workers)
        code = study if store.manifest.origin is None else None
        threads = threads or getattr(executor, "threads", None)
        work = Help(str(store.path.absolute()), lead, threads, code)
        call = ByValue(work, f"the study {study.name!r} cannot be sent to other processes", WAY_OUT)
        leases.claim(lead)
        try:
            with leases.kept(lead):
                for _ in range(_width(executor, workers)):
                    workers.submit(_called, call).add_done_callback(tell)
                yield
        finally:
            over.set()
            with suppress(OSError):
                leases.clear(lead)


def _called(work: Any) -> None:
    # An executor that sends nothing anywhere hands over what stands for it.
    (work.value if isinstance(work, ByValue) else work)()


def _width(executor: Executors, workers: Any) -> int:
    """How many workers may help: of a pool on this machine all but one, as this process works too."""
    client = getattr(workers, "_client", None)  # of Dask's executor
    if client is not None:
        return max(len(client.ncores()), getattr(executor, "jobs", 1))
    return max(0, (getattr(workers, "_max_workers", None) or 1) - 1)
