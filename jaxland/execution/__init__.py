"""Planning shards and doing them, here or on an executor; interruption."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.execution.interruption import Stop, Terminated, raise_on_sigterm, stop_on_signals
    from jaxland.execution.plan import ShardTask, default_shard_fits, plan_shards
    from jaxland.execution.run import ShardsFailed, run_shards

__all__ = [
    "ShardTask",
    "ShardsFailed",
    "Stop",
    "Terminated",
    "default_shard_fits",
    "plan_shards",
    "raise_on_sigterm",
    "run_shards",
    "stop_on_signals",
]

__getattr__, __dir__ = attach(__name__, __file__)
