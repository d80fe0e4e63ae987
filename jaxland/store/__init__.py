"""Study directories: shards in Parquet, a manifest, atomic commits, streaming readers."""

from jaxland.store.files import StoreError, check_path, commit
from jaxland.store.parts import Parts
from jaxland.store.shard import DamagedShard, Shard, ShardFile, missing_ranges
from jaxland.store.study_store import Manifest, StudyStore

__all__ = [
    "DamagedShard",
    "Manifest",
    "Parts",
    "Shard",
    "ShardFile",
    "StoreError",
    "StudyStore",
    "check_path",
    "commit",
    "missing_ranges",
]
