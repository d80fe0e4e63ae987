"""Executors of Dask clusters: one that runs already, one on this machine, one whose workers are jobs of Slurm.

Slurm is reached by dask-jobqueue: its workers are Dask's, so that what is tested with one is what runs on the other,
and a job that is preempted is a worker that was lost.
"""

import importlib
import re
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_INSTALL = {"distributed": "pip install distributed", "dask_jobqueue": "pip install dask-jobqueue"}
_SECONDS_TO_CONNECT = 30
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

    @contextmanager
    def __call__(self) -> Iterator[Executor]:
        """An executor, within which the client, and a local cluster, live.

        Raises:
            ClusterMissing: distributed is not installed.
            ValueError: no scheduler answers at the address.
        """
        distributed = _imported("distributed")
        if self.address != LOCAL:
            try:
                client = distributed.Client(self.address, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"no scheduler of Dask answers at {self.address}: {str(error).rstrip('.')}. Begin one with "
                    "`dask scheduler`, and workers with `dask worker ADDRESS`."
                ) from error
            with client:
                if not client.ncores():
                    print(
                        f"The scheduler at {self.address} has no workers yet; begin some with: "
                        f"dask worker {self.address}",
                        file=sys.stderr,
                    )
                yield client.get_executor(pure=False)
            return
        from jaxland.training import available_threads

        with (
            # How much memory JAX takes is not Dask's to manage.
            distributed.LocalCluster(
                n_workers=max(1, available_threads() // self.threads),
                threads_per_worker=1,
                processes=True,
                memory_limit=0,
                dashboard_address=None,
            ) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            yield client.get_executor(pure=False)


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

    @contextmanager
    def __call__(self) -> Iterator[Executor]:
        """An executor, within which the scheduler of Dask lives, in this process, and its jobs.

        Raises:
            ClusterMissing: dask-jobqueue is not installed.
            ValueError: a job has no cores or memory.
        """
        distributed = _imported("distributed")
        with self.cluster() as cluster, distributed.Client(cluster, set_as_default=False) as client:
            cluster.scale(jobs=self.jobs)
            yield client.get_executor(pure=False)

    def cluster(self) -> Any:
        """The `dask_jobqueue.SLURMCluster`, with no job yet; its `job_script()` shows what is submitted."""
        jobqueue = _imported("dask_jobqueue")
        log = {} if self.logs is None else {"log_directory": str(self.logs.absolute())}
        try:
            return jobqueue.SLURMCluster(job_name="jaxland", dashboard_address=None, **log)
        except ValueError as error:
            raise ValueError(
                f"dask-jobqueue makes no job: {error} Say what a job has, in ~/.config/dask/jobqueue.yaml or as "
                "DASK_JOBQUEUE__SLURM__CORES=32 DASK_JOBQUEUE__SLURM__MEMORY=64GB; see docs/clusters.md."
            ) from error


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ClusterMissing(f"{name.replace('_', '-')} is not installed; {_INSTALL[name]}.") from error
