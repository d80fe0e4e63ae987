"""Study directories: shards in Parquet, a manifest, atomic commits, streaming readers."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.store.files import (
        DirectoryInUse,
        StoreError,
        check_path,
        commit,
        read_if_sound,
        require_writable,
    )
    from jaxland.store.manifest import MANIFEST, Manifest, configuration_hash
    from jaxland.store.parts import Parts
    from jaxland.store.shard import DamagedShard, Shard, ShardFile, missing_ranges, read_metadata
    from jaxland.store.study_store import StudyStore

__all__ = [
    "MANIFEST",
    "DamagedShard",
    "DirectoryInUse",
    "Manifest",
    "Parts",
    "Shard",
    "ShardFile",
    "StoreError",
    "StudyStore",
    "check_path",
    "commit",
    "configuration_hash",
    "missing_ranges",
    "read_if_sound",
    "read_metadata",
    "require_writable",
]

__getattr__, __dir__ = attach(__name__, __file__)
