"""Tables of a stored study, one row a fit. Files are written without pandas, whose import takes longer than they do."""

import io
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from jaxland._names import OWN
from jaxland.store import ShardFile, StoreError, StudyStore, commit
from jaxland.training.judgements import COLUMNS, NUMBERS, VALIDATION, judgements

if TYPE_CHECKING:
    import pandas as pd

FIT_COLUMNS = ("fit", "status", "initial_loss", "loss", "best_loss", "best_step", "diverged_step")
"""What a shard holds of each fit, one number a fit."""
AT_BEST = "at_best."
"""Before the names that tables have for metrics where validation was best, as `OWN` is before what
`Ensemble.own_columns` has."""
_SHOWN = (*NUMBERS, f"{AT_BEST}*", f"{OWN}*")
FORMATS = (".csv", ".parquet")
_TABLES = 32
"""So many shards are written as one group of rows."""
_FORMATS = {"float": "float32", "double": "float64"}


def arrow_parts(store: StudyStore) -> Iterator[pa.Table]:
    """The table of a study a shard at a time: losses, status and where each fit came from."""
    files = {ensemble: store.shards(ensemble) for ensemble in store.manifest.ensembles}
    first = [arrow_table(store, ensemble, each[0]).schema for ensemble, each in files.items() if each]
    # Ensembles may have other number formats; a column has one.
    schema = pa.unify_schemas(first, promote_options="permissive") if first else None
    for ensemble, each in files.items():
        yield from (_in_schema(arrow_table(store, ensemble, file), schema) for file in each)


def _in_schema(table: pa.Table, schema: pa.Schema | None) -> pa.Table:
    """A table with the columns of all: those that it has none of are empty."""
    assert schema is not None
    if table.schema == schema:
        return table
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def arrow_table(store: StudyStore, ensemble: str, file: ShardFile) -> pa.Table:
    """The rows of a shard; text that they share is kept once."""
    table, metadata = store.read_table(ensemble, file, list(FIT_COLUMNS), optional=_SHOWN)
    note = metadata["provenance"]
    before = {"study": metadata["study"], "ensemble": ensemble}
    after = {"config_hash": metadata["config_hash"]}
    after |= {name: note[name] for name in ("versions", "device")}
    after["precision"] = _FORMATS[str(table.schema.field("loss").type)]
    after["backend"] = note["backends"][ensemble]["name"]
    columns: dict[str, Any] = {name: _same(value, len(table)) for name, value in before.items()}
    columns |= {_name_of(name): _told(table.column(name)) for name in table.column_names}
    columns |= {name: _same(value, len(table)) for name, value in metadata.get("alike", {}).items()}
    columns |= {name: _same(value, len(table)) for name, value in after.items()}
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def _told(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.dictionary_encode() if pa.types.is_string(column.type) else column


def _name_of(column: str) -> str:
    """The name that a column of a shard has in tables."""
    return column.removeprefix(AT_BEST).removeprefix(OWN)


@lru_cache(maxsize=64, typed=True)  # one shard says what the one before it said
def _same(value: str | float, count: int) -> pa.Array:
    if not isinstance(value, str):
        return pa.array(np.full(count, value))
    # From bytes, since Arrow imports pandas to look at Python's values.
    text = value.encode()
    ends = pa.py_buffer(np.array([0, len(text)], np.int32).tobytes())
    places = pa.Array.from_buffers(pa.int32(), count, [None, pa.py_buffer(bytes(4 * count))])
    return pa.DictionaryArray.from_arrays(places, pa.StringArray.from_buffers(1, ends, pa.py_buffer(text)))


def joined(parts: list[pa.Table]) -> "pd.DataFrame":
    """Tables under each other, in pandas, without a second copy of them; `parts` is emptied."""
    if not parts:
        import pandas as pd

        return pd.DataFrame(columns=["study", "ensemble", *FIT_COLUMNS])
    table = pa.concat_tables(parts, promote_options="permissive").unify_dictionaries()
    parts.clear()
    return table.to_pandas(split_blocks=True, self_destruct=True)


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
    write, rows = (_write_csv if path.suffix == ".csv" else _write_parquet), 0

    def write_rows(file: io.RawIOBase) -> None:
        nonlocal rows
        rows = write(arrow_parts(store), file)
        if not rows:
            raise StoreError(f"{store.path} has no fits yet; run or resume the study first.")

    commit(path, write_rows, store.path if path.is_relative_to(store.path) else None)
    return rows


def _write_csv(parts: Iterator[pa.Table], file: io.RawIOBase) -> int:
    rows = 0
    for part in parts:
        options = pyarrow.csv.WriteOptions(include_header=not rows, quoting_style="needed")
        pyarrow.csv.write_csv(part, file, options)
        rows += len(part)
    return rows


def _joined(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Tables under each other, some at a time: each that is written costs time and room of its own."""
    while kept := list(islice(parts, _TABLES)):
        yield pa.concat_tables(kept).unify_dictionaries()


def _write_parquet(parts: Iterator[pa.Table], file: io.RawIOBase) -> int:
    rows, writer = 0, None
    try:
        for part in _joined(parts):
            writer = writer or pq.ParquetWriter(file, part.schema, compression="zstd")
            writer.write_table(part)
            rows += len(part)
    finally:
        if writer is not None:
            writer.close()
    return rows


def ensemble_summary(store: StudyStore) -> "pd.DataFrame":
    """Counts and quantiles of the losses, one row an ensemble."""
    import pandas as pd

    return pd.DataFrame([_summary_row(store, ensemble) for ensemble in store.manifest.ensembles])


def judged_summary(store: StudyStore) -> "pd.DataFrame":
    """Quantiles of what validation found, a row for its loss and for each metric of each ensemble that was judged, and
    what the fit of the smallest validation loss has of it; no row where none was. Diverged fits are left out.
    """
    import pandas as pd

    return pd.DataFrame([row for name in store.manifest.ensembles for row in _judged_rows(store, name)])


def _judged_rows(store: StudyStore, ensemble: str) -> list[dict[str, Any]]:
    parts = []
    for shard in store.stream(ensemble, ["fit", "diverged_step"], optional=COLUMNS):
        if found := judgements(shard.arrays):
            good = shard.arrays["diverged_step"] < 0
            parts.append({name: values[good] for name, values in {"fit": shard.arrays["fit"], **found}.items()})
    if not parts:
        return []
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    losses = columns[VALIDATION]
    best = int(np.argmin(losses)) if np.isfinite(losses).any() else None
    rows = []
    for name in (VALIDATION, *(name for name in columns if name not in ("fit", *NUMBERS))):
        values = columns[name][np.isfinite(columns[name])]
        quantiles = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]) if len(values) else np.full(5, np.nan)
        levels = dict(zip(("least", "lower quartile", "median", "upper quartile", "largest"), quantiles, strict=True))
        of_best = (
            {} if best is None else {"of the best fit": columns[name][best], "which is": int(columns["fit"][best])}
        )
        what = "smallest validation loss" if name == VALIDATION else f"{name.removeprefix('best_')} in its step"
        rows.append({"ensemble": ensemble, "what": what, **levels, **of_best})
    return [
        {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()} for row in rows
    ]


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
