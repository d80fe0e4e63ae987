"""Faults of a disk without a bad disk: the n-th call that touches a directory fails, or the process dies at it.

Everything that jaxland writes goes through the calls below, so that they can be counted, failed and cut short here. A
death is played in this process: the files that are open are closed, as the kernel would, and from then on nothing
touches the directory any more, whatever handlers still run.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_BY_PATH = ("open", "mkdir", "unlink", "scandir", "replace")
_BY_DESCRIPTOR = ("write", "fsync", "close", "dup", "flock")
_HOMES = {"flock": fcntl}


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

    def by_path(self, name, call):
        """The call, counted where its path is in the directory."""

        def counted(*args, **options):
            place = os.fspath(args[-1] if name == "replace" else args[0]) if args else "."
            if not isinstance(place, str) or not place.startswith(self.root):
                return call(*args, **options)
            self._touch(name, place)
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
            self._touch(name, place)
            found = call(descriptor, *args)
            if name == "dup":
                self._open[found] = place
            return found

        return counted

    def _closed(self, descriptor, place):
        if not self.dead:
            del self._open[descriptor]
            self._close(descriptor)  # it is closed, whatever the call says of it
        self._touch("close", place)

    def _touch(self, name, place):
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


@contextmanager
def disk(root: Path, at: int | None = None, code: int | None = None) -> Iterator[Disk]:
    """Within it, call number `at` that touches `root` fails with an errno, or kills where there is none."""
    found = Disk(root, at, code)
    with pytest.MonkeyPatch.context() as patch:
        for names, wrap in ((_BY_PATH, found.by_path), (_BY_DESCRIPTOR, found.by_descriptor)):
            for name in names:
                home = _HOMES.get(name, os)
                patch.setattr(home, name, wrap(name, getattr(home, name)))
        yield found


def content(root: Path, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Every file in a directory, but for folders and files of these names at its top; the lock says nothing."""
    files = (path for path in root.rglob("*") if path.is_file() and path != root / ".lock")
    names = {path.relative_to(root).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in names.items() if name.split("/")[0] not in but}
