"""Tables of a stored study: one row a fit."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxland.store import StoreError, StudyStore

_COLUMNS = ["fit", "status", "initial_loss", "loss", "best_loss", "best_step", "diverged_step"]
FORMATS = (".csv", ".parquet")


def table_parts(store: StudyStore) -> Iterator[pd.DataFrame]:
    """The table of a study a shard at a time: losses, status and where each fit came from."""
    for ensemble in store.manifest.ensembles:
        for shard in store.stream(ensemble, _COLUMNS):
            frame = pd.DataFrame(shard.arrays)
            frame.insert(0, "study", store.manifest.study)
            frame.insert(1, "ensemble", ensemble)
            note = shard.metadata["provenance"]
            frame["config_hash"] = shard.metadata["config_hash"]
            for name in ("versions", "device", "precision"):
                frame[name] = note[name]
            frame["backend"] = note["backends"][ensemble]["name"]
            yield frame


def study_table(store: StudyStore) -> pd.DataFrame:
    """The whole table in memory; a study without fits gives an empty one."""
    parts = list(table_parts(store))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["study", "ensemble", *_COLUMNS])


def write_table(store: StudyStore, path: Path) -> int:
    """Writes the table as `.csv` or `.parquet`, in memory that does not grow with the number of fits.

    Returns:
        The number of rows.

    Raises:
        ValueError: another ending.
        StoreError: the study has no fits yet, or the file cannot be written.
    """
    if path.suffix not in FORMATS:
        raise ValueError(f"{path}: a table ends in {' or '.join(FORMATS)}.")
    temporary = path.with_name(f".tmp-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = (_write_csv if path.suffix == ".csv" else _write_parquet)(table_parts(store), temporary)
        if not rows:
            raise StoreError(f"{store.path} has no fits yet; run or resume the study first.")
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return rows


def _write_csv(parts, path):
    rows = 0
    for part in parts:
        part.to_csv(path, mode="a" if rows else "w", header=not rows, index=False)
        rows += len(part)
    return rows


def _write_parquet(parts, path):
    rows, writer = 0, None
    try:
        for part in parts:
            table = pa.Table.from_pandas(part, preserve_index=False)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
            rows += len(part)
    finally:
        if writer is not None:
            writer.close()
    return rows


def ensemble_summary(store: StudyStore) -> pd.DataFrame:
    """Counts and quantiles of the losses, one row an ensemble."""
    return pd.DataFrame([_summary_row(store, ensemble) for ensemble in store.manifest.ensembles])


def _summary_row(store, ensemble):
    shards = [shard.arrays for shard in store.stream(ensemble, ["loss", "diverged_step"])]
    if not shards:
        return {"ensemble": ensemble, "fits": 0}
    loss = np.concatenate([arrays["loss"] for arrays in shards])
    good = np.concatenate([arrays["diverged_step"] for arrays in shards]) < 0
    quantiles = np.quantile(loss[good], [0, 0.25, 0.5, 0.75, 1]) if good.any() else np.full(5, np.nan)
    names = ("best loss", "lower quartile", "median loss", "upper quartile", "worst loss")
    row = dict(zip(names, quantiles.tolist(), strict=True))
    return {"ensemble": ensemble, "fits": len(loss), "diverged": int((~good).sum()), **row}
