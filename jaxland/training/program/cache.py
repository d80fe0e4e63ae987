"""Compiled kernels on disk.

A cached kernel is code that will be run, so an entry is read only if it and its directory belong to this user and
nobody else may write to them; what is half-written, damaged or someone else's is treated as absent and built again.
Entries are written to a temporary name, flushed and renamed. Nothing is unpickled.
"""

import hashlib
import json
import os
import stat
import tempfile
import warnings
from pathlib import Path
from typing import Any

_MAGIC = b"jaxland kernel 1\n"
_DIGEST = hashlib.sha256().digest_size


def key_of(*parts: str) -> str:
    """The name of what these texts determine."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part.encode()).to_bytes(8, "little") + part.encode())
    return digest.hexdigest()


def cache_directory() -> Path | None:
    """Where kernels are kept: `JAXLAND_CACHE_DIR`, else `jaxland` in the user's cache directory.

    Returns:
        The directory, made if need be, or None (with a warning) where it cannot be made or others may write to it.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(os.environ.get("JAXLAND_CACHE_DIR") or Path(home) / "jaxland")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        warnings.warn(f"compiled kernels are not kept: {directory}: {error.strerror}.", RuntimeWarning, stacklevel=2)
        return None
    if not _private(status):
        warnings.warn(
            f"compiled kernels are not kept: {directory} must belong to you and be writable by nobody else "
            f"(chmod 700), or name another directory in JAXLAND_CACHE_DIR.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return directory


def load(key: str) -> bytes | None:
    """The contents of an entry, or None if there is none that can be trusted."""
    directory = cache_directory()
    if directory is None:
        return None
    try:
        descriptor = os.open(directory / key, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not _private(status):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            entry = file.read()
    finally:
        os.close(descriptor)
    start = len(_MAGIC) + _DIGEST
    if entry[: len(_MAGIC)] != _MAGIC or entry[len(_MAGIC) : start] != _checksum(key, entry[start:]):
        return None
    return entry[start:]


def store(key: str, contents: bytes) -> None:
    """Writes an entry. Where that fails, the kernel is simply compiled again next time."""
    directory = cache_directory()
    if directory is None:
        return
    try:
        descriptor, temporary = tempfile.mkstemp(dir=directory, prefix="new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAGIC + _checksum(key, contents) + contents)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, directory / key)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        warnings.warn(f"a compiled kernel was not kept: {directory}: {error.strerror}.", RuntimeWarning, stacklevel=2)


def load_choice(key: str) -> dict[str, Any] | None:
    """A small dictionary stored by `store_choice`."""
    contents = load(key)
    return None if contents is None else json.loads(contents)


def store_choice(key: str, choice: dict[str, Any]) -> None:
    """Remembers a small dictionary."""
    store(key, json.dumps(choice, sort_keys=True).encode())


def _private(status: os.stat_result) -> bool:
    owned = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    return owned and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _checksum(key: str, contents: bytes) -> bytes:
    # The key is part of it, so that entries cannot change places.
    return hashlib.sha256(key.encode() + contents).digest()
