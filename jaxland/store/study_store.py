"""A study directory: a manifest and shards, valid at every instant."""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jaxland.store.files import StoreError, check_path, commit
from jaxland.store.shard import (
    FORMAT,
    DamagedShard,
    Shard,
    ShardFile,
    encode,
    list_shards,
    missing_ranges,
    read_metadata,
    read_shard,
    read_table,
    shard_path,
)

MANIFEST = "study.json"
_ABOUT = ("title", "source", "origin", "parts")
_ENSEMBLE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def is_ensemble_name(name: str) -> bool:
    """Whether it can name an ensemble, and a folder."""
    return bool(_ENSEMBLE_NAME.fullmatch(name)) and not name.startswith(".")


@dataclass(frozen=True)
class Manifest:
    """What a study directory is about.

    Attributes:
        study: name of the study.
        config: its configuration, as JSON.
        config_hash: identifies study and configuration.
        ensembles: names of its ensembles.
        fits: how many fits of each ensemble are asked for; may grow.
        provenance: versions, device, precision, backend and its settings, and the fingerprint of the program that was
            trained, which every shard must share.
        shard_fits: fits of a shard where it was asked for, so that whoever goes on makes the same files.
        title, source: of the study, for whoever reads the directory without its code.
        origin: where that code was found, None where it was given as a value; see `studies.Origin`.
        parts: of each ensemble's program and numbers, short hashes by what they are of, to name what was changed.
        format: version of the layout.
    """

    study: str
    config: dict[str, Any]
    config_hash: str
    ensembles: tuple[str, ...]
    fits: int
    provenance: dict[str, Any]
    shard_fits: int | None = None
    title: str = ""
    source: str = ""
    origin: dict[str, str] | None = None
    parts: dict[str, dict[str, str]] | None = None
    format: int = FORMAT

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Manifest":
        """The manifest whose fields these are; those of a later version are left out.

        Raises:
            KeyError, TypeError: a field is missing, or is of another kind.
        """
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        manifest = cls(**{**known, "ensembles": tuple(values["ensembles"])})
        manifest._check()
        return manifest

    def _check(self) -> None:
        for name, kind in (("study", str), ("config", dict), ("config_hash", str), ("fits", int), ("provenance", dict)):
            if not isinstance(getattr(self, name), kind) or isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is no {kind.__name__}")
        if self.fits < 0 or not all(isinstance(name, str) and is_ensemble_name(name) for name in self.ensembles):
            raise TypeError("fits or ensembles are none")


class StudyStore:
    """Reads and writes one study directory.

    Attributes:
        path: the directory.
        manifest: what it is about.
        rebuilt: whether the manifest had to be rebuilt from the shards.
    """

    def __init__(self, path: Path, manifest: Manifest, rebuilt: bool = False):
        self.path = path
        self.manifest = manifest
        self.rebuilt = rebuilt

    @classmethod
    def create(cls, path: Path | str, manifest: Manifest) -> "StudyStore":
        """Makes a study directory, or opens the one that is there to go on with it.

        Raises:
            ValueError: the path or an ensemble's name is unusable.
            StoreError: it cannot be written, or holds another configuration; the message lists the differences.
        """
        path = check_path(path)
        for name in manifest.ensembles:
            if not is_ensemble_name(name):
                raise ValueError(f"{name!r} cannot name an ensemble: use letters, digits, '-', '_' and '.'.")
        if path.exists() and not path.is_dir():
            raise StoreError(f"{path} is a file; give the name of a directory.")
        if not (path / MANIFEST).exists() and _is_occupied(path) and not _has_shards(path):
            raise StoreError(f"{path} is not empty and not a study directory; give another --out.")
        if (path / MANIFEST).exists() or _has_shards(path):
            return cls._continue(path, manifest)
        store = cls(path, manifest)
        store._write_manifest()
        return store

    @classmethod
    def _continue(cls, path, manifest):
        store = cls.open(path, rebuild_fits=manifest.fits)
        store._check_configuration(manifest)
        store.require_provenance(manifest.provenance, manifest.parts)
        if manifest.fits < store.manifest.fits:
            raise StoreError(
                f"{path} asks for {store.manifest.fits} fits already; give --fits {store.manifest.fits} or more, "
                "or another --out."
            )
        shard_fits = manifest.shard_fits or store.manifest.shard_fits
        about = {name: getattr(manifest, name) or getattr(store.manifest, name) for name in _ABOUT}
        asked = replace(store.manifest, fits=manifest.fits, shard_fits=shard_fits, **about)
        if asked != store.manifest or store.rebuilt:
            store.manifest = asked
            store._write_manifest()
        return store

    @classmethod
    def open(cls, path: Path | str, *, rebuild_fits: int | None = None) -> "StudyStore":
        """Opens a study directory for reading; a damaged manifest is rebuilt, in memory, from the shards.

        Args:
            path: the directory.
            rebuild_fits: how many fits were asked for, should the manifest be lost; by default those that are there.

        Raises:
            StoreError: there is none, or it was made by a newer jaxland.
        """
        path = check_path(path)
        if not path.is_dir():
            found = "it is a file" if path.exists() else "there is no such directory"
            raise StoreError(f"{path} is not a study directory: {found}.")
        try:
            values = json.loads((path / MANIFEST).read_text())
            if values["format"] > FORMAT:
                raise StoreError(
                    f"{path} has format {values['format']}; this jaxland reads up to {FORMAT}. Install a newer jaxland."
                )
            manifest = Manifest.from_json(values)
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path, _rebuild_manifest(path, rebuild_fits), rebuilt=True)
        return cls(path, manifest)

    @classmethod
    def missing_for(cls, path: Path | str, manifest: Manifest) -> dict[str, list[tuple[int, int]]]:
        """The ranges of fits that `create` would find missing in each ensemble; nothing is written.

        Raises:
            StoreError: the directory holds another configuration.
        """
        path = check_path(path)
        if not (path / MANIFEST).exists() and not (path.is_dir() and _has_shards(path)):
            return {name: [(0, manifest.fits)] for name in manifest.ensembles}
        store = cls.open(path, rebuild_fits=manifest.fits)
        store._check_configuration(manifest)
        fits = max(manifest.fits, store.manifest.fits)
        return {name: missing_ranges(store.shards(name), fits) for name in manifest.ensembles}

    def _write_manifest(self):
        commit(
            self.path / MANIFEST,
            (json.dumps(asdict(self.manifest), indent=1, sort_keys=True) + "\n").encode(),
        )

    def _check_configuration(self, other: Manifest):
        mine, asked = (
            {"study": each.study, "configuration": each.config, "ensembles": ", ".join(each.ensembles)}
            for each in (self.manifest, other)
        )
        lines = _differences(mine, asked, "asked")
        if lines:
            title = f"{self.path} holds another configuration:"
            raise StoreError("\n".join([title, *lines, "Give another --out, or the same values."]))

    def require_provenance(self, provenance: dict[str, Any], parts: dict[str, dict[str, str]] | None = None) -> None:
        """Raises StoreError unless fits trained now would have the bits of those that are here.

        Args:
            provenance: of fits trained now.
            parts: of their programs, see `Manifest`.
        """
        lines = _differences(self.manifest.provenance, provenance, "here")
        if not lines:
            return
        lines += _parts_that_differ(self.manifest.parts, parts)
        if any(self.shards(ensemble) for ensemble in self.manifest.ensembles):
            title = f"{self.path} was trained differently, and its fits must not be mixed with others:"
            remedy = "Install the versions named, use the same device, backend and code, or give another --out."
            raise StoreError("\n".join([title, *lines, remedy]))
        self.manifest = replace(self.manifest, provenance=provenance)
        self._write_manifest()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the directory for one writer; the hold ends with the process, however it ends.

        Raises:
            StoreError: another process is writing, or the directory is read-only.
        """
        try:
            descriptor = os.open(self.path / ".lock", os.O_CREAT | os.O_WRONLY)
        except OSError as error:
            raise StoreError(f"cannot write to {self.path}: {error.strerror}.") from error
        with os.fdopen(descriptor, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(
                    f"another process is training in {self.path}; wait for it, or stop it first."
                ) from error
            yield

    def _folder(self, ensemble: str) -> Path:
        if ensemble not in self.manifest.ensembles:
            known = ", ".join(self.manifest.ensembles)
            raise ValueError(f"{self.path} has no ensemble {ensemble!r}; it has {known}.")
        return self.path / "fits" / ensemble

    def shards(self, ensemble: str) -> list[ShardFile]:
        """The committed shards of an ensemble, in order; names are read, not files."""
        return list_shards(self._folder(ensemble))

    def missing(self, ensemble: str) -> list[tuple[int, int]]:
        """The ranges (start, stop) of fits asked for and not yet committed."""
        return missing_ranges(self.shards(ensemble), self.manifest.fits)

    def commit_shard(self, ensemble: str, start: int, stop: int, arrays: dict[str, np.ndarray]) -> Path:
        """Commits fits `start` to `stop - 1`; returns the file.

        Raises:
            StoreError: it cannot be written.
        """
        content = encode(arrays, {**self.identity(ensemble), "start": start, "stop": stop})
        path = shard_path(self._folder(ensemble), start, stop, content)
        commit(path, content)
        return path

    def identity(self, ensemble: str) -> dict[str, Any]:
        """What a shard of an ensemble says of where it comes from: that, and nothing else, decides its fits."""
        values = asdict(self.manifest)
        # A shard depends neither on how many fits are asked for beside its own, nor on where the study's code lies.
        for name in ("fits", *_ABOUT):
            del values[name]
        return {**values, "ensemble": ensemble}

    def read(self, ensemble: str, file: ShardFile, columns: list[str] | None = None) -> Shard:
        """Reads one shard.

        Raises:
            DamagedShard: it is not what its name says, or belongs to another study.
        """
        shard = read_shard(file, columns)
        self._require_own(ensemble, file, shard.metadata)
        return shard

    def read_table(
        self, ensemble: str, file: ShardFile, columns: list[str] | None = None, *, optional: Sequence[str] = ()
    ) -> tuple[pa.Table, dict[str, Any]]:
        """Reads one shard as `shard.read_table` does; raises as `read` does."""
        table, metadata = read_table(file, columns, optional=optional)
        self._require_own(ensemble, file, metadata)
        return table, metadata

    def _require_own(self, ensemble: str, file: ShardFile, metadata: dict[str, Any]) -> None:
        if (metadata["config_hash"], metadata["ensemble"]) != (self.manifest.config_hash, ensemble):
            raise DamagedShard(file.path, "it belongs to another study or ensemble")

    def stream(self, ensemble: str, columns: list[str] | None = None) -> Iterator[Shard]:
        """Reads an ensemble a shard at a time, in order; raises as `read` does."""
        for file in self.shards(ensemble):
            yield self.read(ensemble, file, columns)

    def quarantine(self, path: Path) -> Path:
        """Moves a damaged shard aside, so that its fits count as missing; returns where it went."""
        target = self.path / "quarantine" / f"{path.parent.parent.name}-{path.name}"
        try:
            target.parent.mkdir(exist_ok=True)
            os.replace(path, target)
        except OSError as error:
            raise StoreError(f"cannot set {path} aside: {error.strerror}.") from error
        return target


def _differences(mine: dict[str, Any], other: dict[str, Any], where: str) -> list[str]:
    """One line for each field in which two JSON-able dictionaries differ."""
    mine, other = _fields(json.loads(json.dumps(mine))), _fields(json.loads(json.dumps(other)))
    absent = object()

    def told(values: dict[str, Any], name: str) -> str:
        return repr(values[name]) if name in values else "nothing"

    return [
        f"  {name}: {told(mine, name)} there, {told(other, name)} {where}"
        for name in sorted({*mine, *other})
        if mine.get(name, absent) != other.get(name, absent)
    ]


def _parts_that_differ(mine: dict[str, dict[str, str]] | None, other: dict[str, dict[str, str]] | None) -> list[str]:
    """One line for each ensemble of which something is not as it was."""
    lines = []
    for name, parts in (other or {}).items():
        before = (mine or {}).get(name, parts)
        changed = [what for what in {**before, **parts} if before.get(what) != parts.get(what)]
        lines += [f"  of {name} there changed: {', '.join(changed)}"] if changed else []
    return lines


def _fields(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        flat |= _fields(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _is_occupied(path: Path) -> bool:
    # Hidden files may be what a crash left behind.
    return path.exists() and any(not entry.name.startswith(".") for entry in path.iterdir())


def _has_shards(path: Path) -> bool:
    return any((path / "fits").glob("*/*/*.parquet"))


def _rebuild_manifest(path: Path, fits: int | None) -> Manifest:
    folders = sorted(folder for folder in (path / "fits").glob("*") if folder.is_dir())
    for folder in folders:
        for file in list_shards(folder):
            try:
                metadata = read_metadata(file)
            except DamagedShard:
                continue
            last = max(shard.stop for each in folders for shard in list_shards(each)[-1:])
            return Manifest.from_json({**metadata, "fits": max(fits or 0, last)})
    raise StoreError(
        f"{path} is not a study directory: it has no readable {MANIFEST} and no shards to rebuild it from."
    )
