"""What of a stored study is done."""

from pathlib import Path
from typing import Any

from jaxland.store import StudyStore


def study_status(path: Path | str, *, verify: bool = False) -> dict[str, Any]:
    """Done, missing and diverged fits of each ensemble.

    Args:
        path: a study directory.
        verify: read every shard and compare it with its checksum; otherwise only the diverged column is read.

    Returns:
        JSON-able: study, path, fits, damaged shards, and for each ensemble done, shards, diverged and the missing
        ranges as pairs (start, stop).

    Raises:
        StoreError: there is no study.
    """
    store = StudyStore.open(path)
    damaged = store.damaged() if verify else []
    ensembles = {}
    for name in store.manifest.ensembles:
        shards = store.shards(name)
        ensembles[name] = {
            "done": sum(shard.stop - shard.start for shard in shards),
            "shards": len(shards),
            "diverged": None if damaged else _diverged(store, name),
            "missing": [list(gap) for gap in store.missing(name)],
        }
    return {
        "study": store.manifest.study,
        "path": str(path),
        "config_hash": store.manifest.config_hash,
        "fits": store.manifest.fits,
        "ensembles": ensembles,
        "damaged": [str(path) for path in damaged],
    }


def _diverged(store: StudyStore, name: str) -> int:
    return sum(int((shard.arrays["diverged_step"] >= 0).sum()) for shard in store.stream(name, ["diverged_step"]))
