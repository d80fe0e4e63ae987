"""Files of a study directory: written whole or not at all, and read without waiting for what is no file."""

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from jaxland import _commit

MAX_NAME = 255
# What a disk says of bytes that it has lost; anything else, as a lack of permission, is no damage of the file.
_LOST = {errno.EIO, errno.EBADMSG, errno.EUCLEAN}
_NO_FILE = {errno.ELOOP: "it is a link", errno.ENXIO: "it is a pipe or a socket"}


class StoreError(Exception):
    """Something is wrong with a study directory; the message says what, where and what to do."""


class DirectoryInUse(StoreError):
    """Another process writes to the directory, which is no fault of it; it is not waited for."""


class DamagedFile(Exception):
    """What has a file's name is none, or the disk has lost its bytes; the message says which."""


def commit(path: Path, content: bytes | _commit.Write, within: Path | None = None) -> None:
    """Writes a file atomically and durably, with the directories above it; see `jaxland._commit.commit`.

    Args:
        path: of the file.
        content: its bytes, or a function that writes them to an open file, for what is too large for the memory.
        within: a directory above it that is there, as that of a study; it is not made again where it is gone.

    Raises:
        StoreError: the disk is full or read-only, or did not return what was written; the file is as it was.
    """
    try:
        _commit.make_folders(path.parent, within)
        _commit.commit(path, content)
    except OSError as error:
        if within is not None and not within.exists():
            raise StoreError(
                f"{within} is gone: it was moved or removed while it was written to. Nothing was made in its place."
            ) from error
        raise StoreError(_describe(error, path)) from error


def _describe(error: OSError, path: Path) -> str:
    free = ""
    with suppress(OSError, StopIteration):
        nearest = next(folder for folder in path.parents if folder.exists())
        free = f" Free space there: {shutil.disk_usage(nearest).free / 1e6:.0f} MB."
    return f"cannot write {path}: {error.strerror or error}.{free} Finished work is safe; mend the cause and resume."


def require_writable(path: Path | str) -> None:
    """Raises StoreError where nothing can be written at a path: before work that would be for nothing."""
    with suppress(OSError):  # whatever else is wrong is told by whoever writes
        place = next(each for each in (Path(path), *Path(path).absolute().parents) if each.exists())
        reason = _why_not(place)
        if reason is not None:
            raise StoreError(
                f"cannot write to {path}: {os.strerror(reason)}. Nothing was begun; give another place, or mend it."
            )


def _why_not(place: Path) -> int | None:
    """The errno with which writing would fail, None where nothing speaks against it."""
    facts = os.statvfs(place)
    if not os.access(place, os.W_OK):
        return errno.EROFS if facts.f_flag & os.ST_RDONLY else errno.EACCES
    # Some file systems do not tell their size, or have no fixed number of files. What is kept for root is root's.
    blocks, files = (facts.f_bfree, facts.f_ffree) if os.geteuid() == 0 else (facts.f_bavail, facts.f_favail)
    return errno.ENOSPC if (facts.f_blocks and not blocks) or (facts.f_files and not files) else None


def read_file(path: Path) -> bytes:
    """The bytes of a file: a regular one, so that no pipe is waited for and no link is followed.

    Raises:
        DamagedFile: it is something else, or the disk has lost its bytes.
        OSError: it is not there, or cannot be read.
    """
    try:
        return _read_regular(path)
    except OSError as error:
        if error.errno in _LOST or error.errno in _NO_FILE:
            raise DamagedFile(_NO_FILE.get(error.errno, f"cannot be read ({error.strerror})")) from error
        raise


def _read_regular(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DamagedFile("it is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def read_if_sound(path: Path) -> bytes | None:
    """The bytes of a file; None where it is not there, or is damaged as `read_file` tells.

    Raises:
        StoreError: it may be sound and cannot be read.
    """
    try:
        return read_file(path)
    except (FileNotFoundError, NotADirectoryError, DamagedFile):
        return None
    except OSError as error:
        raise cannot_read(path, error) from error


def cannot_read(path: Path, error: OSError) -> StoreError:
    """What to raise where something is there and cannot be read."""
    return StoreError(f"cannot read {path}: {error.strerror or error}. Nothing was changed; mend the cause and go on.")


def listed(folder: Path, pattern: str) -> list[Path]:
    """What has such a name in a folder, in order; nothing where there is no folder.

    Raises:
        StoreError: it cannot be listed.
    """
    try:
        return sorted(folder.glob(pattern))
    except OSError as error:
        raise cannot_read(folder, error) from error


def check_path(path: Path | str) -> Path:
    """Returns `path` as a Path.

    Raises:
        ValueError: it is empty, climbs with `..`, holds a NUL or has a component over 255 bytes.
    """
    text = os.fspath(path)
    if not text or "\0" in text:
        raise ValueError(f"{text!r} is not the name of a directory.")
    if ".." in Path(text).parts:
        raise ValueError(f"{text!r} climbs with '..'; give the place itself, as an absolute or a plain relative path.")
    if any(len(os.fsencode(part)) > MAX_NAME for part in Path(text).parts):
        raise ValueError(f"a component of {text[:40]!r}... is longer than {MAX_NAME} bytes.")
    return Path(text)
