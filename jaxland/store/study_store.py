"""A study directory: a manifest and shards, valid at every instant."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jaxland._commit import make_folders, sweep, sync_directory
from jaxland.store.files import DirectoryInUse, StoreError, check_path, commit, listed
from jaxland.store.manifest import MANIFEST, Manifest, is_ensemble_name, read_manifest
from jaxland.store.shard import (
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

_ABOUT = ("title", "source", "origin", "parts")
_FITS = "in the fits"
_LOCK = ".lock"
_LOOKS = 20


class StudyStore:
    """Reads and writes one study directory.

    Attributes:
        path: the directory.
        manifest: what it is about.
        rebuilt: whether the manifest had to be rebuilt from the shards.
        edited: in what study.json differs from the shards, where its checksum or hash says that it was changed by
            another hand; None where it was not.
    """

    def __init__(self, path: Path, manifest: Manifest, rebuilt: bool = False, edited: Sequence[str] | None = None):
        self.path = path
        self.manifest = manifest
        self.rebuilt = rebuilt
        # Of each column of an ensemble what a fit has there, and the shard in which it was seen first.
        self._shapes: dict[tuple[str, str], tuple[tuple[int, ...], Path]] = {}
        self.edited = edited

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
        try:
            make_folders(path)
        except OSError as error:
            raise StoreError(f"cannot write to {path}: {error.strerror}.") from error
        # Of two that begin at the same instant one finds what the other asks for.
        with store.writing():
            if not (path / MANIFEST).exists():
                store._write_manifest()
                return store
        return cls._continue(path, manifest)

    @classmethod
    def _continue(cls, path, manifest):
        store = cls.open(path, rebuild_fits=manifest.fits)
        store.require_unedited()
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
        stated = read_manifest(path)
        if stated is not None and stated.sound:
            return cls(path, stated.manifest)
        manifest = _rebuild_manifest(path, rebuild_fits)
        if stated is None:
            return cls(path, manifest, rebuilt=True)
        said, found = ({**each.facts(), "fits": each.fits} for each in (stated.manifest, manifest))
        return cls(path, manifest, rebuilt=True, edited=_differences(said, found, _FITS))

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
        self.keep(MANIFEST, self.manifest.encoded())

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

    def require_unedited(self) -> None:
        """Raises StoreError where study.json was edited, or where no fits of an ensemble are of what it says."""
        if self.edited is not None:
            title = f"{self.path / MANIFEST} was edited after the study began, or is damaged: its checksum says so."
            remedy = "Put the old values back, or remove the file, which is rebuilt from the fits; for other values "
            raise StoreError("\n".join([title, *self.edited, f"{remedy}give another --out."]))
        for ensemble in self.manifest.ensembles:
            self._require_own_fits(ensemble)

    def _require_own_fits(self, ensemble: str) -> None:
        """Raises StoreError where an ensemble has shards and none is of this study: they are sound, and others."""
        lines: list[str] = []
        for file in self.shards(ensemble):
            with suppress(DamagedShard):
                found = self._foreign(ensemble, read_metadata(file))
                if not found:
                    return
                lines = lines or found
        if lines:
            title = f"the fits of {ensemble!r} in {self.path} are not of the study that {MANIFEST} there tells of:"
            remedy = f"Put the right {MANIFEST} or the right fits back. Nothing was changed."
            raise StoreError("\n".join([title, *lines, remedy]))

    def require_complete(self) -> None:
        """Raises StoreError where fits are missing that were asked for, as after all of them were trained."""
        missing = {name: self.missing(name) for name in self.manifest.ensembles}
        counts = [f"{sum(stop - start for start, stop in gaps):,} of {name}" for name, gaps in missing.items() if gaps]
        if counts:
            raise StoreError(
                f"fits were committed to {self.path} and are gone: {', '.join(counts)}. They were moved or removed "
                f"meanwhile. Train them again with: jaxland resume {self.path}"
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the directory for one writer; the hold ends with the process, however it ends.

        Temporary files that writers left when they died are removed.

        Raises:
            DirectoryInUse: another process is writing.
            StoreError: the directory is read-only, its disk is full, or its file system has no locks.
        """
        try:
            # A pipe of that name would be waited for.
            descriptor = os.open(self.path / _LOCK, os.O_CREAT | os.O_WRONLY | os.O_NONBLOCK, 0o666)
        except OSError as error:
            raise StoreError(f"cannot write to {self.path}: {error.strerror}.") from error
        try:
            self._lock(descriptor)
            with suppress(OSError):  # who writes is told for people alone
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            sweep(self.path)
            yield
        finally:
            with suppress(OSError):
                os.close(descriptor)

    def writer(self) -> str | None:
        """Who holds the directory, as `process 123 on machine`; None where nobody does, or it cannot be known."""
        try:
            # A pipe of that name would be waited for.
            descriptor = os.open(self.path / _LOCK, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            told = ""
            with suppress(OSError):
                told = os.read(descriptor, 300).decode(errors="replace").strip()
            return told if told.isprintable() and told else "one that does not say which it is"
        except OSError:
            return None
        finally:
            with suppress(OSError):
                os.close(descriptor)
        return None

    def _lock(self, descriptor: int) -> None:
        try:
            for _ in range(_LOOKS):
                with suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                # Who looks whether there is a writer shares it for a moment; what a writer holds cannot be shared.
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                time.sleep(0.01)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DirectoryInUse(
                f"another process is training or analysing in {self.path} ({self.writer() or 'it has just ended'}); "
                "wait for it, or stop it first."
            ) from error
        except OSError as error:
            raise StoreError(
                f"cannot lock {self.path}: {error.strerror}. Two writers must not meet there; use a file system with "
                "locks (flock)."
            ) from error

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

    def holds(self, ensemble: str, start: int, stop: int) -> bool:
        """Whether just this shard is there; one folder is listed, however many shards there are."""
        folder = shard_path(self._folder(ensemble), start, stop, b"").parent
        return bool(listed(folder, f"{start:010d}-{stop:010d}-*.parquet"))

    def commit_shard(
        self,
        ensemble: str,
        start: int,
        stop: int,
        arrays: dict[str, np.ndarray],
        alike: Mapping[str, float | str] | None = None,
    ) -> Path:
        """Commits fits `start` to `stop - 1`, and what tables say alike of all of them; returns the file.

        Raises:
            StoreError: it cannot be written.
        """
        told = {"alike": dict(alike)} if alike else {}
        content = encode(arrays, {**self.identity(ensemble), "start": start, "stop": stop, **told})
        path = shard_path(self._folder(ensemble), start, stop, content)
        commit(path, content, self.path)
        return path

    def keep(self, name: str, content: bytes) -> Path:
        """Writes another file of the directory, whole or not at all; returns it.

        Raises:
            StoreError: it cannot be written, or the directory is gone, which is not made again.
        """
        commit(self.path / name, content, self.path)
        return self.path / name

    def identity(self, ensemble: str) -> dict[str, Any]:
        """What a shard of an ensemble says of where it comes from: that, and nothing else, decides its fits."""
        values = asdict(self.manifest)
        # A shard depends neither on how many fits are asked for beside its own, nor on where the study's code lies.
        for name in ("fits", *_ABOUT):
            del values[name]
        return {**values, "ensemble": ensemble}

    def read(
        self, ensemble: str, file: ShardFile, columns: list[str] | None = None, *, optional: Sequence[str] = ()
    ) -> Shard:
        """Reads one shard as `shard.read_shard` does.

        Raises:
            DamagedShard: it is not what its name says, or belongs to another study.
            StoreError: its fits have another shape than those of a shard of the ensemble that was read before.
        """
        shard = read_shard(file, columns, optional=optional)
        self._require_own(ensemble, file, shard.metadata)
        self._require_shapes(ensemble, file, {name: each.shape[1:] for name, each in shard.arrays.items()})
        return shard

    def read_table(
        self, ensemble: str, file: ShardFile, columns: list[str] | None = None, *, optional: Sequence[str] = ()
    ) -> tuple[pa.Table, dict[str, Any]]:
        """Reads one shard as `shard.read_table` does; raises as `read` does."""
        table, metadata = read_table(file, columns, optional=optional)
        self._require_own(ensemble, file, metadata)
        self._require_shapes(ensemble, file, {field.name: _shape(field.type) for field in table.schema})
        return table, metadata

    def _require_own(self, ensemble: str, file: ShardFile, metadata: dict[str, Any]) -> None:
        if self._foreign(ensemble, metadata):
            self._require_own_fits(ensemble)
            raise DamagedShard(file.path, "it belongs to another study or ensemble")

    def _require_shapes(self, ensemble: str, file: ShardFile, shapes: dict[str, tuple[int, ...]]) -> None:
        """Raises StoreError where a fit has another shape than in a shard read before; none of the two is set aside,
        as nothing in them says which is right."""
        for name, shape in shapes.items():
            before, other = self._shapes.setdefault((ensemble, name), (shape, file.path))
            if shape != before:
                raise StoreError(
                    f"{file.path} has {name} of shape {shape} a fit, and {other} of shape {before}: one of them is not "
                    "of this ensemble. Move that away, and train its fits again with jaxland resume."
                )

    def _foreign(self, ensemble: str, metadata: dict[str, Any]) -> list[str]:
        """In what a shard says to be of something else, a line for each field."""
        own = {**self.manifest.facts(), "ensemble": ensemble}
        found = {name: metadata.get(name) for name in own}
        return [] if found == own else _differences(own, found, _FITS)

    def stream(
        self, ensemble: str, columns: list[str] | None = None, *, optional: Sequence[str] = ()
    ) -> Iterator[Shard]:
        """Reads an ensemble a shard at a time, in order; raises as `read` does."""
        for file in self.shards(ensemble):
            yield self.read(ensemble, file, columns, optional=optional)

    def quarantine(self, path: Path) -> Path:
        """Moves a damaged shard aside, so that its fits count as missing; returns where it went.

        Raises:
            StoreError: it cannot be moved.
        """
        folder, name = self.path / "quarantine", f"{path.parent.parent.name}-{path.name}"
        try:
            make_folders(folder, self.path)
            names = chain([name], (f"{name}.{number}" for number in count(2)))
            target = next(folder / each for each in names if not os.path.lexists(folder / each))
            os.replace(path, target)
            sync_directory(folder)
            sync_directory(path.parent)
        except OSError as error:
            raise StoreError(f"cannot set {path} aside: {error.strerror}.") from error
        return target


def _shape(kind: pa.DataType) -> tuple[int, ...]:
    """Of one fit in a column of this kind."""
    return (kind.list_size,) if pa.types.is_fixed_size_list(kind) else ()


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
    # Hidden files, and folders for shards, may be what a crash left behind.
    own = ("fits", "quarantine")
    return path.exists() and any(not entry.name.startswith(".") and entry.name not in own for entry in path.iterdir())


def _folders(path: Path) -> list[Path]:
    """Those that may hold shards, one an ensemble."""
    folders = (path / "fits").glob("*")
    return sorted(folder for folder in folders if is_ensemble_name(folder.name) and folder.is_dir())


def _has_shards(path: Path) -> bool:
    return any(list_shards(folder) for folder in _folders(path))


def _rebuild_manifest(path: Path, fits: int | None) -> Manifest:
    listed = [shards for shards in map(list_shards, _folders(path)) if shards]
    last = max((shards[-1].stop for shards in listed), default=0)
    for file in chain.from_iterable(listed):
        with suppress(DamagedShard, KeyError, TypeError):
            manifest = Manifest.from_json({**read_metadata(file), "fits": max(fits or 0, last)})
            if manifest.is_consistent:
                return manifest
    raise StoreError(
        f"{path} is not a study directory: it has no readable {MANIFEST} and no shards to rebuild it from. "
        f"If a study was begun there, remove what is left of {MANIFEST} and run it again."
    )
