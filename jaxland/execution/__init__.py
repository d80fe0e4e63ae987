"""Planning shards and doing them: here, on executors, or by workers that share a directory; interruption."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.execution.clusters import ClusterMissing, DaskCluster, SlurmCluster, check_executor
    from jaxland.execution.interruption import STOPPING, Stop, Terminated, raise_on_signals, stop_on_signals
    from jaxland.execution.leases import LEASE_SECONDS, OWNERS, Lease, Leases
    from jaxland.execution.plan import ShardTask, default_shard_fits, plan_shards
    from jaxland.execution.processes import (
        WorkerDied,
        WorkerPool,
        Workers,
        WorkersCannotStart,
        ended_after,
        portable,
        workers,
    )
    from jaxland.execution.run import Executors, ShardsFailed, kept_open, opened, require_no_fork, run_shards

__all__ = [
    "LEASE_SECONDS",
    "OWNERS",
    "STOPPING",
    "ClusterMissing",
    "DaskCluster",
    "Executors",
    "Lease",
    "Leases",
    "ShardTask",
    "ShardsFailed",
    "SlurmCluster",
    "Stop",
    "Terminated",
    "WorkerDied",
    "WorkerPool",
    "Workers",
    "WorkersCannotStart",
    "check_executor",
    "default_shard_fits",
    "ended_after",
    "kept_open",
    "opened",
    "plan_shards",
    "portable",
    "raise_on_signals",
    "require_no_fork",
    "run_shards",
    "stop_on_signals",
    "workers",
]

__getattr__, __dir__ = attach(__name__, __file__)
