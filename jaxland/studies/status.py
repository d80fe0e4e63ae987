"""What of a stored study is done, and who is at work on it."""

from pathlib import Path
from typing import Any

from jaxland.execution import Leases
from jaxland.store import DamagedShard, ShardFile, StoreError, StudyStore, missing_ranges
from jaxland.studies.worklog import LEASES, leased, leased_shard


def study_status(path: Path | str, *, quick: bool = False) -> dict[str, Any]:
    """Done, missing and diverged fits of each ensemble.

    Args:
        path: a study directory.
        quick: look at names only; otherwise every shard is read and compared with its checksum.

    Returns:
        JSON-able: study, path, fits, damaged shards, whether study.json cannot be believed and was rebuilt, in what an
        edited one differs from the fits (lines), and for each ensemble done, shards, diverged (None if quick) and the
        missing ranges as pairs (start, stop). The fits of damaged shards count as missing. Beside them who is at work:
        `writer`, the process that trains or analyses by itself or with workers of its own, or None; and `workers`, a
        dictionary for each lease of those that share the directory (see `jaxland.execution.Lease`).

    Raises:
        StoreError: there is no study, the fits of an ensemble are of another, or who is at work cannot be read.
    """
    store = StudyStore.open(path)
    ensembles, damaged = {}, []
    for name in store.manifest.ensembles:
        shards = store.shards(name)
        diverged = None
        if not quick:
            counts = {shard: _diverged(store, name, shard) for shard in shards}
            damaged += [str(shard.path) for shard, count in counts.items() if count is None]
            shards = [shard for shard in shards if counts[shard] is not None]
            diverged = sum(count for count in counts.values() if count is not None)
        ensembles[name] = {
            "done": sum(shard.stop - shard.start for shard in shards),
            "shards": len(shards),
            "diverged": diverged,
            "missing": [list(gap) for gap in missing_ranges(shards, store.manifest.fits)],
        }
    return {
        "study": store.manifest.study,
        "path": str(path),
        "config_hash": store.manifest.config_hash,
        "fits": store.manifest.fits,
        "ensembles": ensembles,
        "damaged": damaged,
        "rebuilt": store.rebuilt,
        "edited": list(store.edited or ()),
        "analysed": (store.path / "summary.md").exists(),
        "writer": store.writer(),
        "workers": _workers(store, {name: each["missing"] for name, each in ensembles.items()}),
    }


def _workers(store: StudyStore, missing: dict[str, list[list[int]]]) -> list[dict[str, Any]]:
    """Leases but for those of shards that are there, whose owners had no time to remove them."""
    try:
        held = Leases(store.path / LEASES, "").held()
    except OSError as error:
        raise StoreError(f"cannot read {store.path / LEASES}: {error.strerror or error}.") from error
    found = []
    for lease in held:
        task = leased_shard(lease.name)
        if task is None or any(start < task.stop and task.start < stop for start, stop in missing.get(task[0], ())):
            found.append({**lease._asdict(), "what": leased(lease.name)})
    return found


def _diverged(store: StudyStore, name: str, shard: ShardFile) -> int | None:
    """How many fits of a shard diverged, None if it is damaged."""
    try:
        return int((store.read(name, shard, ["diverged_step"]).arrays["diverged_step"] >= 0).sum())
    except DamagedShard:
        return None
