"""Executors of Dask clusters: one that runs already, one on this machine, one whose workers are jobs of Slurm.

Slurm is reached by dask-jobqueue: its workers are Dask's, so that what is tested with one is what runs on the other,
and a job that is preempted is a worker that was lost.
"""

import asyncio
import importlib
import logging
import re
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from jaxland.execution.interruption import STOPPING
from jaxland.execution.run import Executors, require_no_fork

_SECONDS_TO_CONNECT = 10
_ANY_PORT = ":0"
"""Of the pages that a scheduler serves: the usual one may be taken, by another scheduler of this machine."""
LOCAL = "local"


class ClusterMissing(ImportError):
    """A library that reaches clusters is not installed; the message says how to install it."""


@dataclass(frozen=True)
class DaskCluster:
    """What makes executors of a Dask cluster; to be given as `executor`.

    Attributes:
        address: of its scheduler, such as `tcp://10.0.0.1:8786`; `"local"` for a cluster on this machine, with a worker
            a processor, which is made for the run.
        threads: of a shard. Dask hands a worker as many shards at a time as it has threads.

    Raises:
        ValueError: it is no address.
    """

    address: str = LOCAL
    threads: int = 1

    def __post_init__(self):
        # Dask itself tries a minute before it says so.
        if self.address != LOCAL and not re.fullmatch(r"((?!http)\w+://)?[^/]+:\d+", self.address):
            raise ValueError(
                f"{self.address!r} is no address of a scheduler of Dask; give one like tcp://10.0.0.1:8786, as "
                f"`dask scheduler` prints it, or {LOCAL!r}."
            )

    def check(self, say: Callable[[str], object] = lambda line: None) -> None:
        """Raises what making an executor would; before anything is written.

        Args:
            say: receives a line where it may take seconds.

        Raises:
            ClusterMissing: distributed is not installed.
            ValueError: no scheduler answers at the address.
        """
        _imported("distributed")
        if self.address == LOCAL:
            return
        say(f"connecting to the scheduler of Dask at {self.address} (gives up after {_SECONDS_TO_CONNECT} s)")
        # In a thread that nobody waits for longer: this one may have a loop, as those of notebooks, or get a signal.
        found: Future[str] = Future()
        threading.Thread(target=_settle, args=(found, self.address), name="jaxland-dask", daemon=True).start()
        try:
            kind = found.result()
        except Exception as error:  # of any kind: what answers may be anything
            told = str(error).rstrip(".") if isinstance(error, OSError | ValueError) else ""
            reason = told or "what is there does not speak as Dask does"
            raise ValueError(
                f"no scheduler of Dask answers at {self.address}: {reason}. Begin one with `dask scheduler`, and "
                "workers with `dask worker ADDRESS`."
            ) from error
        if kind != "Scheduler":
            raise ValueError(
                f"no scheduler of Dask answers at {self.address}, but a {kind.lower()}; give the address that "
                "`dask scheduler` prints."
            )

    @contextmanager
    def __call__(self) -> Iterator[Executor]:
        """An executor, within which the client, and a local cluster, live.

        Raises:
            ClusterMissing: distributed is not installed.
            ValueError: no scheduler answers at the address.
        """
        self.check()
        distributed = _imported("distributed")
        if self.address != LOCAL:
            with distributed.Client(self.address, timeout=_SECONDS_TO_CONNECT, set_as_default=False) as client:
                if not client.ncores():
                    print(
                        f"The scheduler at {self.address} has no workers yet; begin some with: "
                        f"dask worker {self.address}",
                        file=sys.stderr,
                    )
                with _executor(client) as executor:
                    yield executor
            return
        from jaxland.training import available_threads

        with _signals_kept_from_children():
            # How much memory JAX takes is not Dask's to manage. What of its workers concerns the user is told by
            # whoever runs shards.
            cluster = distributed.LocalCluster(
                n_workers=max(1, available_threads() // self.threads),
                threads_per_worker=1,
                processes=True,
                memory_limit=0,
                dashboard_address=_ANY_PORT,
                silence_logs=logging.CRITICAL,
            )
        with (
            cluster,
            distributed.Client(cluster, set_as_default=False) as client,
            _executor(client) as executor,
        ):
            yield executor


@dataclass(frozen=True)
class SlurmCluster:
    """What makes executors whose workers are jobs of Slurm; to be given as `executor`.

    Cores, memory, time limit, partition and account of a job are those of the configuration of dask-jobqueue
    (`~/.config/dask/jobqueue.yaml`, or variables such as `DASK_JOBQUEUE__SLURM__QUEUE`).

    Attributes:
        jobs: how many.
        threads: of a shard. Dask hands a worker as many shards at a time as it has threads.
        logs: where the output of jobs goes; a folder that all see.
    """

    jobs: int
    threads: int = 1
    logs: Path | None = None

    def check(self, say: Callable[[str], object] = lambda line: None) -> None:
        """Raises what making an executor would; before anything is written, and with no job submitted.

        Raises:
            ClusterMissing: dask-jobqueue is not installed.
            ValueError: a job has no cores or memory.
        """
        with replace(self, logs=None).cluster():
            pass

    @contextmanager
    def __call__(self) -> Iterator[Executor]:
        """An executor, within which the scheduler of Dask lives, in this process, and its jobs.

        Raises:
            ClusterMissing: dask-jobqueue is not installed.
            ValueError: a job has no cores or memory.
        """
        distributed = _imported("distributed")
        with self.cluster() as cluster, distributed.Client(cluster, set_as_default=False) as client:
            # A job that was preempted, or has used up its time, is submitted again, which `scale` does not.
            cluster.adapt(minimum_jobs=self.jobs, maximum_jobs=self.jobs)
            where = "" if self.logs is None else f"; what they print goes to {self.logs}"
            print(f"{self.jobs} jobs are submitted{where}. Work begins when the first has joined.", file=sys.stderr)
            with _executor(client) as executor:
                yield executor

    def cluster(self) -> Any:
        """The `dask_jobqueue.SLURMCluster`, with no job yet; its `job_script()` shows what is submitted."""
        jobqueue = _imported("dask_jobqueue")
        log = {} if self.logs is None else {"log_directory": str(self.logs.absolute())}
        configured = _imported("dask.config").get("jobqueue.slurm.scheduler-options", None) or {}
        options = {"dashboard_address": _ANY_PORT, **configured}
        try:
            return jobqueue.SLURMCluster(job_name="jaxland", scheduler_options=options, **log)
        except ValueError as error:
            raise ValueError(
                f"dask-jobqueue makes no job: {error} Say what a job has, in ~/.config/dask/jobqueue.yaml or as "
                "DASK_JOBQUEUE__SLURM__CORES=32 DASK_JOBQUEUE__SLURM__MEMORY=64GB; see docs/clusters.md."
            ) from error


def check_executor(executor: Executors | None, say: Callable[[str], object] = lambda line: None) -> None:
    """Raises, before anything is written, what an executor that is to be used will raise.

    Args:
        executor: as of `jaxland.run`.
        say: receives a line where it may take seconds.

    Raises:
        ClusterMissing, ValueError: as of `DaskCluster.check` and `SlurmCluster.check`.
        ValueError: its processes would be forked.
    """
    require_no_fork(executor)
    if isinstance(executor, DaskCluster | SlurmCluster):
        executor.check(say)


def _settle(found: Future, address: str) -> None:
    try:
        found.set_result(asyncio.run(asyncio.wait_for(_kind(address), _SECONDS_TO_CONNECT + 1)))
    except BaseException as error:  # it is raised again where it is waited for
        found.set_exception(error)


async def _kind(address: str) -> str:
    """Of what answers there: `Scheduler`, `Worker`, `Nanny`."""
    comm_module, security = _imported("distributed.comm"), _imported("distributed.security").Security()
    options = security.get_connection_args("client")
    comm = await comm_module.connect(address, timeout=_SECONDS_TO_CONNECT, **options)
    try:
        await comm.write({"op": "identity", "reply": True})
        return str((await comm.read())["type"])
    finally:
        comm.abort()


@contextmanager
def _signals_kept_from_children() -> Iterator[None]:
    """Threads that are begun within it, and processes that these begin, at any time, never see what stops a run.

    A terminal sends Ctrl-C to all its processes; this one decides, and the others would only print tracebacks. Threads
    and processes inherit which signals are blocked; here they are so for the moment.
    """
    # Whoever starts it unblocks Ctrl-C in its own thread.
    resource_tracker.ensure_running()
    # Children are ended by SIGTERM.
    numbers = [number for number in STOPPING if number != signal.SIGTERM]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _executor(client: Any) -> Iterator[Executor]:
    """One of Dask's, whose `on_loss` is called with what a lost worker was given, and its address.

    Dask tries it elsewhere and says nothing of it. `on_loss` is called in a thread of Dask's.
    """
    calls: dict[str, Any] = {}

    class ToldExecutor(_imported("distributed.cfexecutor").ClientExecutor):
        def __init__(self):
            super().__init__(client, pure=False)
            self.on_loss: Callable[[Any, str], object] = lambda call, worker: None

        def submit(self, fn, *args, **kwargs):
            key = f"{type(fn).__name__}-{secrets.token_hex(16)}"
            calls[key] = args[0] if args else None
            future = super().submit(fn, *args, key=key, **kwargs)
            future.add_done_callback(lambda _: calls.pop(key, None))
            return future

    executor = ToldExecutor()

    def tell(event: tuple[float, dict[str, Any]]) -> None:
        _, facts = event
        if facts.get("action") == "remove-worker" and not facts.get("expected"):
            for key in sorted(calls.keys() & set(facts.get("processing-tasks", ()))):
                executor.on_loss(calls.get(key), str(facts.get("worker")))

    client.subscribe_topic("all", tell)
    try:
        yield executor
    finally:
        client.unsubscribe_topic("all")


def _imported(name: str) -> Any:
    before = signal.getsignal(signal.SIGINT)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        library = name.partition(".")[0].replace("_", "-")
        raise ClusterMissing(f"{library} is not installed; pip install {library}.") from error
    finally:
        # dask-jobqueue takes Ctrl-C for itself, and would end with exit code 0 what was not done.
        if signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)
