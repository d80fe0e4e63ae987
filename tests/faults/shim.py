"""Faults of a disk without a bad disk: the n-th call that touches a directory fails, or the process dies at it.

Everything that jaxland writes goes through the calls below, so that they can be counted, failed and cut short here. A
death is played in this process: the files that are open are closed, as the kernel would, and from then on nothing
touches the directory any more, whatever handlers still run.
"""

import builtins
import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_BY_PATH = ("open", "mkdir", "unlink", "scandir", "replace")
_BY_DESCRIPTOR = ("write", "fsync", "close", "dup", "flock")
_HOMES = {"flock": fcntl}
# Python's files call the system where nobody sees it.
_FILES = (io, builtins)


class Killed(BaseException):
    """The process is dead."""


class Disk:
    """The calls that touched a directory, and which of them is to fail.

    Attributes:
        root: the directory.
        at: number of the call that fails, from 0; None for none.
        code: its errno; None to die.
        calls: what was called, in order, each with the path it touched.
        dead: whether it died.
    """

    def __init__(self, root: Path, at: int | None = None, code: int | None = None):
        self.root, self.at, self.code = os.fspath(root), at, code
        self.calls: list[tuple[str, str]] = []
        self.dead = False
        self._open: dict[int, str] = {}
        self._close = os.close
        self._file = io.open

    def by_path(self, name, call):
        """The call, counted where its path is in the directory."""

        def counted(*args, **options):
            given = (args[-1] if name == "replace" else args[0]) if args else "."
            # `shutil.rmtree` lists the folders that it has opened.
            place = self._open.get(given) if isinstance(given, int) else os.fspath(given)
            if not isinstance(place, str) or not place.startswith(self.root):
                return call(*args, **options)
            self.touch(name, place)
            found = call(*args, **options)
            if name == "open":
                self._open[found] = place
            return found

        return counted

    def by_descriptor(self, name, call):
        """The call, counted where its file is in the directory."""

        def counted(descriptor, *args):
            place = self._open.get(descriptor)
            if place is None:
                return call(descriptor, *args)
            if name == "close":
                return self._closed(descriptor, place)
            self.touch(name, place)
            found = call(descriptor, *args)
            if name == "dup":
                self._open[found] = place
            return found

        return counted

    def file(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        """As `open`, whose calls are counted where the file is in the directory."""
        place = self._open.get(file) if isinstance(file, int) else os.fspath(file)
        if not isinstance(place, str) or not place.startswith(self.root):
            return self._file(file, mode, buffering, encoding, errors, newline, closefd, opener)
        descriptor = file if isinstance(file, int) else os.open(file, _FLAGS[mode.strip("bt")], 0o666)
        raw = _Raw(self, place, descriptor, mode.replace("t", "").replace("b", "") + "b", closefd)
        if buffering == 0:
            return raw
        binary = io.BufferedReader(raw) if raw.readable() else io.BufferedWriter(raw)
        return binary if "b" in mode else io.TextIOWrapper(binary, encoding, errors, newline)

    def _closed(self, descriptor, place):
        if not self.dead:
            del self._open[descriptor]
            self._close(descriptor)  # it is closed, whatever the call says of it
        self.touch("close", place)

    def touch(self, name, place):
        number = len(self.calls)
        self.calls.append((name, place))
        if not self.dead and number != self.at:
            return
        if self.dead or self.code is None:
            self._die()
        else:
            raise OSError(self.code, os.strerror(self.code), place)

    def _die(self):
        self.dead = True
        for descriptor in list(self._open):
            with suppress(OSError):
                self._close(descriptor)
        raise Killed


_FLAGS = {
    "r": os.O_RDONLY,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}


class _Raw(io.FileIO):
    """What lies under a file of Python, with each of its calls counted."""

    def __init__(self, disk, place, descriptor, mode, closefd):
        super().__init__(descriptor, mode, closefd=False)
        self._disk, self._place, self._descriptor = disk, place, descriptor if closefd else None

    def write(self, content):
        self._disk.touch("write", self._place)
        return super().write(content)

    def readinto(self, buffer):
        self._disk.touch("read", self._place)
        return super().readinto(buffer)

    def readall(self):
        self._disk.touch("read", self._place)
        return super().readall()

    def close(self):
        descriptor, self._descriptor = self._descriptor, None
        super().close()
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def disk(root: Path, at: int | None = None, code: int | None = None) -> Iterator[Disk]:
    """Within it, call number `at` that touches `root` fails with an errno, or kills where there is none."""
    found = Disk(root, at, code)
    with pytest.MonkeyPatch.context() as patch:
        for names, wrap in ((_BY_PATH, found.by_path), (_BY_DESCRIPTOR, found.by_descriptor)):
            for name in names:
                home = _HOMES.get(name, os)
                patch.setattr(home, name, wrap(name, getattr(home, name)))
        for home in _FILES:
            patch.setattr(home, "open", found.file)
        yield found


def content(root: Path, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Every file in a directory, but for folders and files of these names at its top; the lock says nothing."""
    files = (path for path in root.rglob("*") if path.is_file() and path != root / ".lock")
    names = {path.relative_to(root).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in names.items() if name.split("/")[0] not in but}
