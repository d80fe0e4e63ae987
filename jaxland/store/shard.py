"""A shard: a contiguous range of fits in one Parquet file whose name holds its range and its checksum.

The name is given by the rename that commits the file, so range, checksum and content become visible together. A
changed bit anywhere, a truncation, an exchange of two files or foreign bytes under a good name all show as a checksum
that does not agree.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxland._short import in_short
from jaxland.store.files import DamagedFile, StoreError, cannot_read, read_file

FORMAT = 1
_METADATA_KEY = b"jaxland"
_NAME = re.compile(r"(\d{10})-(\d{10})-([0-9a-f]{16})\.parquet")
# A folder holds the shards that start within a million fits, so that no directory grows without bound.
_FITS_PER_FOLDER = 1_000_000
_FLOATS = {pa.float32(): "float32", pa.float64(): "float64"}


def _is_parameters(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(kind) and kind.value_type in _FLOATS


COLUMNS: dict[str, Callable[[pa.DataType], bool]] = {
    "fit": pa.types.is_integer,
    "status": pa.types.is_string,
    **dict.fromkeys(("initial_loss", "loss", "best_loss"), _FLOATS.__contains__),
    **dict.fromkeys(("best_step", "diverged_step"), pa.types.is_integer),
    "params": _is_parameters,
}
"""What every shard holds of its fits, and of which kind it must be; a shard may hold more."""
# Whatever Arrow makes of bytes that are no Parquet file of ours.
_UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, AttributeError, MemoryError, RecursionError)


class DamagedShard(StoreError):
    """A shard is not what its name says."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{path}: {reason}. `jaxland resume` sets it aside and trains its fits again.")
        self.path = path


class ShardFile(NamedTuple):
    """A committed shard, known by its name alone."""

    start: int
    stop: int
    checksum: str
    path: Path


class Shard(NamedTuple):
    """A shard's content: arrays with one row a fit, and what its file says of itself."""

    arrays: dict[str, np.ndarray]
    metadata: dict[str, Any]

    __repr__ = in_short


def encode(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> bytes:
    """The bytes of a shard: the same for the same content.

    Args:
        arrays: columns (F,) or, as fixed-size lists, (F, P).
        metadata: JSON-able.
    """
    columns = {name: _column(values) for name, values in arrays.items()}
    note = json.dumps({"format": FORMAT, **metadata}, sort_keys=True).encode()
    table = pa.table(columns).replace_schema_metadata({_METADATA_KEY: note})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=max(len(table), 1), compression="none", use_dictionary=False)
    return sink.getvalue().to_pybytes()


def _column(values):
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def shard_path(folder: Path, start: int, stop: int, content: bytes) -> Path:
    """Where these bytes belong under an ensemble's folder."""
    checksum = hashlib.sha256(content).hexdigest()[:16]
    return folder / f"{start // _FITS_PER_FOLDER:05d}" / f"{start:010d}-{stop:010d}-{checksum}.parquet"


def list_shards(folder: Path) -> list[ShardFile]:
    """The committed shards under an ensemble's folder, by start, none overlapping another.

    Where two writers committed overlapping ranges, the one that starts first counts, and of those the longer.

    Raises:
        StoreError: a folder cannot be read, so that fits would seem to be missing that are there.
    """
    found = []
    for inner in _entries(folder):
        for path in _entries(inner):
            match = _NAME.fullmatch(path.name)
            if match:
                found.append(ShardFile(int(match[1]), int(match[2]), match[3], path))
    kept, covered = [], 0
    for shard in sorted(found, key=lambda shard: (shard.start, -shard.stop, shard.checksum)):
        if shard.start >= covered:
            kept.append(shard)
            covered = shard.stop
    return kept


def _entries(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from (folder / entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise cannot_read(folder, error) from error


def missing_ranges(shards: list[ShardFile], fits: int) -> list[tuple[int, int]]:
    """The ranges of 0 to `fits` that no shard covers."""
    gaps, covered = [], 0
    for shard in shards:
        if shard.start > covered:
            gaps.append((covered, shard.start))
        covered = max(covered, shard.stop)
    if covered < fits:
        gaps.append((covered, fits))
    return [(start, min(stop, fits)) for start, stop in gaps if start < fits]


def read_metadata(shard: ShardFile) -> dict[str, Any]:
    """What a shard says of itself.

    Raises:
        DamagedShard: the file is not what its name says.
        StoreError: it was written by a newer jaxland, or may be sound and cannot be read.
    """
    return _opened(shard)[-1]


def read_shard(shard: ShardFile, columns: list[str] | None = None, *, optional: Sequence[str] = ()) -> Shard:
    """Reads and verifies a shard.

    Args:
        shard: from `list_shards`.
        columns: names to read; all by default.
        optional: as of `read_table`.

    Raises:
        DamagedShard: the file is not what its name says.
        StoreError: it was written by a newer jaxland, or may be sound and cannot be read.
    """
    table, metadata = read_table(shard, columns, optional=optional)
    return Shard({name: _array(table.column(name)) for name in table.column_names}, metadata)


def read_table(
    shard: ShardFile, columns: list[str] | None = None, *, optional: Sequence[str] = ()
) -> tuple[pa.Table, dict[str, Any]]:
    """The same as a table of Arrow, and what the file says of itself; raises as `read_shard` does.

    Args:
        shard, columns: as of `read_shard`.
        optional: names to read besides where they are there, or patterns of such, as `metric.*`.
    """
    file, there, metadata = _opened(shard)
    columns = list(there if columns is None else columns)
    columns += [name for name in there if name not in columns and any(fnmatchcase(name, each) for each in optional)]
    try:
        # Arrow's pools of threads can abort a process that ends soon after (apache/arrow#34314), so none is begun.
        table = file.read([*columns, "fit"], use_threads=False)
        _check_rows(shard, table)
    except _UNREADABLE as error:
        raise _none_of_ours(shard, error) from error
    return table.select([name for name in table.column_names if name in columns]), metadata


def _opened(shard: ShardFile) -> tuple[pq.ParquetFile, list[str], dict[str, Any]]:
    """The file, its columns and what it says of itself, all checked."""
    content = _verified(shard)
    try:
        file = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
        schema = file.schema_arrow  # made anew each time it is asked for
        metadata = _metadata(shard, schema.metadata)
        _check_columns(shard, schema, metadata)
    except _UNREADABLE as error:
        raise _none_of_ours(shard, error) from error
    return file, schema.names, metadata


def _none_of_ours(shard: ShardFile, error: BaseException) -> DamagedShard:
    reason = " ".join(str(error).split())[:200]
    return DamagedShard(shard.path, f"its checksum agrees, but it is no shard ({type(error).__name__}: {reason})")


def _verified(shard: ShardFile) -> bytes:
    try:
        content = read_file(shard.path)
    except DamagedFile as damage:
        raise DamagedShard(shard.path, str(damage)) from damage
    except OSError as error:
        raise cannot_read(shard.path, error) from error
    if hashlib.sha256(content).hexdigest()[:16] != shard.checksum:
        raise DamagedShard(shard.path, "its content does not agree with the checksum in its name")
    return content


def _metadata(shard, schema_metadata) -> dict[str, Any]:
    note = json.loads((schema_metadata or {}).get(_METADATA_KEY, b"{}"))
    if note.get("format", 0) > FORMAT:
        raise StoreError(
            f"{shard.path} has format {note['format']}; this jaxland reads up to {FORMAT}. Install a newer jaxland."
        )
    if (note.get("start"), note.get("stop")) != (shard.start, shard.stop):
        raise DamagedShard(
            shard.path, f"it holds fits {note.get('start')} to {note.get('stop')}, not those of its name"
        )
    return note


def _check_columns(shard: ShardFile, schema: pa.Schema, metadata: dict[str, Any]) -> None:
    """Raises DamagedShard unless what every shard holds is there, of its kind and in the precision of its fits."""
    kinds = {field.name: field.type for field in schema}
    absent = [name for name in COLUMNS if name not in kinds]
    if absent:
        raise DamagedShard(shard.path, f"it has no column {', '.join(absent)}")
    wrong = next((name for name, fits in COLUMNS.items() if not fits(kinds[name])), None)
    if wrong is not None:
        raise DamagedShard(shard.path, f"its column {wrong} holds {kinds[wrong]}, which is of another kind")
    trained = metadata["provenance"]["precision"].split(", ")
    stored = {_FLOATS[kinds["loss"]], _FLOATS[kinds["params"].value_type]}
    if not stored <= {*trained}:
        raise DamagedShard(shard.path, f"it holds {' and '.join(sorted(stored))}, but fits of {' and '.join(trained)}")


def _check_rows(shard: ShardFile, table: pa.Table) -> None:
    """Raises DamagedShard unless there is one row for each of its fits, in order, and nothing is missing."""
    if len(table) != shard.stop - shard.start:
        raise DamagedShard(shard.path, f"it has {len(table):,} rows for {shard.stop - shard.start:,} fits")
    if not np.array_equal(_array(table.column("fit")), np.arange(shard.start, shard.stop)):
        raise DamagedShard(shard.path, "its column fit does not hold the numbers of its fits")
    empty = [name for name in table.column_names if table.column(name).null_count]
    if empty:
        raise DamagedShard(shard.path, f"values are missing in its column {', '.join(empty)}")


def _array(column: pa.ChunkedArray) -> np.ndarray:
    column = column.combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        return _numbers(column.flatten()).reshape(len(column), column.type.list_size)
    return _numbers(column)


def _numbers(values: pa.Array) -> np.ndarray:
    # Arrow's own conversion imports pandas, which takes longer than most commands do otherwise.
    plain = values.null_count == 0 and (pa.types.is_integer(values.type) or pa.types.is_floating(values.type))
    return np.from_dlpack(values) if plain else values.to_numpy(zero_copy_only=False)
