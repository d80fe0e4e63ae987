"""Writing a file so that a crash, a full disk or a lost power supply leaves the old state or the new, no mixture."""

import errno
import fcntl
import hashlib
import io
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

CRASH_POINTS = ("opened", "half-written", "written", "synced", "renamed")
_CRASH_VARIABLE = "JAXLAND_CRASH_AT"
_TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{16}")

Write = Callable[[io.RawIOBase], object]


def commit(path: Path, content: bytes | Write) -> None:
    """Writes a file atomically and durably.

    The bytes go to a uniquely named temporary file beside the target, are flushed to the disk, read back, and renamed
    into place; then the directory is flushed. Readers see the whole file or none. A temporary file left by a crash is
    never read, blocks nothing, and is known by `sweep`, as its writer held a lock on it.

    Args:
        path: of the file; its directory is there.
        content: its bytes, or a function that writes them to a file that is open and cannot seek.

    Raises:
        OSError: it cannot be written, or the disk did not return what was written; the file is as it was.
        Exception: whatever the function raises; the file is as it was.
    """
    temporary, descriptor = _begin(path.parent)
    held = -1
    try:
        try:
            held = os.dup(descriptor)  # keeps the lock until the file is renamed, before which closing it may fail
            _reached("opened")
            written = _fill(descriptor, content)
            _reached("written")
            os.fsync(descriptor)
            _reached("synced")
        finally:
            os.close(descriptor)
        if _checksum(held) != written:
            raise OSError(errno.EIO, "the disk did not return what was written; nothing was committed", str(path))
        os.replace(temporary, path)
    except BaseException:
        # A stale temporary file is harmless, and the first error is the one to report.
        with suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        with suppress(OSError):
            os.close(held)
    _reached("renamed")
    sync_directory(path.parent)


def _begin(folder: Path) -> tuple[Path, int]:
    while True:
        temporary = folder / f".tmp-{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        with suppress(OSError):  # where there are no locks, none can be taken to sweep
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)  # swept in the instant before it was locked


class _Witness(io.RawIOBase):
    """A file to write to, which keeps the checksum of what it was given."""

    def __init__(self, descriptor: int):
        self._descriptor, self.checksum = descriptor, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, content) -> int:
        left = view = memoryview(content).cast("B")
        while left:
            left = left[os.write(self._descriptor, left) :]
        self.checksum.update(view)
        return len(view)


def _fill(descriptor: int, content: bytes | Write) -> bytes:
    """Writes the content; returns its checksum."""
    file = _Witness(descriptor)
    if isinstance(content, bytes):
        half = len(content) // 2
        file.write(content[:half])
        _reached("half-written")
        file.write(content[half:])
    else:
        content(file)
    return file.checksum.digest()


def _checksum(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").digest()


def sync_directory(path: Path) -> None:
    """Flushes the names in a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(path: Path, within: Path | None = None) -> None:
    """Makes a directory and those above it that are not there, each flushed to the disk in the one above it.

    Args:
        path: of the directory.
        within: a directory above it, or itself, that is not made: where it is gone nothing may take its place.

    Raises:
        OSError: one cannot be made.
    """
    folders = (path, *path.parents)
    if within is not None:
        folders = folders[: folders.index(within)]
    for folder in reversed([each for each in folders if not each.exists()]):
        folder.mkdir(exist_ok=True)
        sync_directory(folder.parent)


def sweep(folder: Path) -> None:
    """Removes temporary files of dead writers anywhere in a directory; those of the living stay, as they are locked."""
    for place, _, names in os.walk(folder):
        for name in filter(_TEMPORARY.fullmatch, names):
            with suppress(OSError):  # it blocks nothing where it is
                _remove_if_dead(os.path.join(place, name))


def _remove_if_dead(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(descriptor)


def _reached(point: str) -> None:
    # Tests set the variable to die at a chosen point of a commit, as a power failure would.
    if os.environ.get(_CRASH_VARIABLE) == point:
        os._exit(70)
