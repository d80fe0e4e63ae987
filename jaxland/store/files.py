"""Writing a file so that a crash, a full disk or a lost power supply leaves the old state or the new, no mixture."""

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

CRASH_POINTS = ("opened", "half-written", "written", "synced", "renamed")
_CRASH_VARIABLE = "JAXLAND_CRASH_AT"
MAX_NAME = 255


class StoreError(Exception):
    """Something is wrong with a study directory; the message says what, where and what to do."""


def commit(path: Path, content: bytes) -> None:
    """Writes `content` to `path` atomically and durably.

    The bytes go to a uniquely named temporary file beside the target, are flushed to the disk, read back, and renamed
    into place; then the directory is flushed. Readers see the whole file or none. A temporary file left by a crash is
    never read and blocks nothing.

    Raises:
        StoreError: the disk is full or read-only, or did not return what was written.
    """
    temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(temporary, content)
        if temporary.read_bytes() != content:
            raise StoreError(f"{path}: the disk did not return what was written; nothing was committed.")
        os.replace(temporary, path)
        _reached("renamed")
        _sync_directory(path.parent)
    except OSError as error:
        raise StoreError(_describe(error, path)) from error
    finally:
        _remove_quietly(temporary)


def _write(path, content):
    with open(path, "xb") as file:
        _reached("opened")
        half = len(content) // 2
        file.write(content[:half])
        _reached("half-written", file)
        file.write(content[half:])
        _reached("written", file)
        file.flush()
        os.fsync(file.fileno())
        _reached("synced")


def _sync_directory(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_quietly(path):
    # A stale temporary file is harmless, and the first error is the one to report.
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _describe(error, path):
    free = ""
    with suppress(OSError, StopIteration):
        nearest = next(folder for folder in path.parents if folder.exists())
        free = f" Free space there: {shutil.disk_usage(nearest).free / 1e6:.0f} MB."
    return f"cannot write {path}: {error.strerror or error}.{free} Finished work is safe; mend the cause and resume."


def _reached(point, file=None):
    # Tests set the variable to die at a chosen point of a commit, as a power failure would.
    if os.environ.get(_CRASH_VARIABLE) == point:
        if file is not None:
            file.flush()
        os._exit(70)


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
