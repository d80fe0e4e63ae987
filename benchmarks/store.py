"""What a directory of very many shards costs to look at: names, checksums, the table, means; time and peak memory.

    python benchmarks/store.py [SHARDS]

The shards are a store's own, with the columns and names of the sawtooth study, but of two fits each, which nobody
trained: files are what is counted, and a thousand million fits are 162,761 of them, which is the default. Each step is
a process of its own. The bytes of whole shards (3.6 MB each) are not read here; a disk's speed tells what they add.
"""

import os
from pathlib import Path

import numpy as np
from steps import measure

FITS, PARAMETERS = 2, 136


def _columns(start: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    loss = rng.uniform(1e-3, 1e-2, FITS).astype(np.float32)
    never = np.full(FITS, -1, np.int32)
    return {
        "fit": np.arange(start, start + FITS),
        "status": np.full(FITS, "ok"),
        "initial_loss": loss + 1,
        "loss": loss,
        "best_loss": loss,
        "best_step": never + 50_000,
        "diverged_step": never,
        "params": rng.normal(size=(FITS, PARAMETERS)).astype(np.float32),
    }


def make(path: Path, shards: int) -> str:
    """Commits all but the last ten shards; nothing waits for the disk, as no power is lost here."""
    from jaxland.cli import main as jaxland
    from jaxland.store import StudyStore

    sizes = ["--fits", str(FITS * shards), "--shard-fits", str(FITS)]
    assert jaxland(["run", "sawtooth", "--optimizers", "momentum", *sizes, "--out", str(path), "--prepare"]) == 0
    os.fsync = lambda descriptor: None
    store, rng = StudyStore.open(path), np.random.default_rng(0)
    for number in range(shards - 10):
        store.commit_shard("momentum", FITS * number, FITS * (number + 1), _columns(FITS * number, rng))
    return f"{shards - 10:,} shards"


def open_and_list(path: Path, shards: int) -> str:
    """What `jaxland resume` does before it trains: opens the study and finds what is missing."""
    from jaxland.store import StudyStore

    store = StudyStore.open(path)
    store.require_unedited()
    (gap,) = store.missing("momentum")
    assert gap == (FITS * (shards - 10), FITS * shards)
    return "ten shards missing"


def status_of_names(path: Path, shards: int) -> str:
    """`jaxland status --quick`."""
    from jaxland.studies import study_status

    return f"{study_status(path, quick=True)['ensembles']['momentum']['shards']:,} shards"


def status_of_files(path: Path, shards: int) -> str:
    """`jaxland status`, which compares every shard with its checksum."""
    from jaxland.studies import study_status

    found = study_status(path)
    assert not found["damaged"]
    return f"{found['ensembles']['momentum']['shards']:,} shards"


def table_parquet(path: Path, shards: int) -> str:
    """`jaxland table --out t.parquet`."""
    from jaxland.store import StudyStore
    from jaxland.studies import write_table

    return f"{write_table(StudyStore.open(path), path.parent / 't.parquet'):,} rows"


def table_csv(path: Path, shards: int) -> str:
    """`jaxland table --out t.csv`."""
    from jaxland.store import StudyStore
    from jaxland.studies import write_table

    return f"{write_table(StudyStore.open(path), path.parent / 't.csv'):,} rows"


def means(path: Path, shards: int) -> str:
    """The mean of each parameter, a shard at a time."""
    import jaxland as jl

    total, count = np.zeros(PARAMETERS), 0
    for part in jl.open(path).stream("momentum", ["params"]):
        total, count = total + part["params"].sum(axis=0, dtype=float), count + len(part["params"])
    return f"of {count:,} fits"


STEPS = (make, open_and_list, status_of_names, status_of_files, table_parquet, table_csv, means)

if __name__ == "__main__":
    measure(STEPS, 162_761)
