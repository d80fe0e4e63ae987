"""Planning shards and doing them, here or on an executor; interruption."""

from jaxland.execution.interruption import Stop, stop_on_signals
from jaxland.execution.plan import ShardTask, default_shard_fits, plan_shards
from jaxland.execution.run import ShardsFailed, run_shards

__all__ = [
    "ShardTask",
    "ShardsFailed",
    "Stop",
    "default_shard_fits",
    "plan_shards",
    "run_shards",
    "stop_on_signals",
]
