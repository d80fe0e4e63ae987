"""Leases in a shared directory: which of many workers, on any machines, does what, with no scheduler between them.

A lease is a file `NAME.N` that can be made once. Its owner changes its content again and again; a lease whose content
stays the same for a while, by the clock of whoever looks, has lost its owner, and whoever makes `NAME.N+1` takes over.
So N counts the owners that were lost. Each writes down how far what it does had come when it began; after three in a
row that began at the same state, and so got nowhere, it is given up: where machines come and go, no number of lost
owners is too many as long as there is progress. Clocks of machines are never compared, and nothing is locked: exclusive
creation and reading what another closed are all that a network file system must get right. A worker that was taken for
dead, and is not, does its work a second time; that must do no harm.
"""

import itertools
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

LEASE_SECONDS = 60.0
OWNERS = 3
"""After so many in a row that were lost or failed, and none of which got any further, nobody takes over."""

_BEATS = 6
"""Signs that an owner gives in the time after which it is lost."""


class Lease(NamedTuple):
    """What is seen of a lease from outside.

    Attributes:
        name: of what is leased.
        worker: who has it, or had it last.
        lost: how many owners were lost before.
        held: seconds, about, since it got it.
        silent: seconds since its last sign.
        is_lost: whether that is longer than a lease lasts.
        error: at which it failed, None where it did not.
    """

    name: str
    worker: str
    lost: int
    held: float
    silent: float
    is_lost: bool
    error: str | None


def _number(found: Any, default: float) -> float:
    return default if isinstance(found, bool) or not isinstance(found, int | float) else float(found)


class Leases:
    """The leases of one worker, and what it sees of others'.

    Attributes:
        folder: shared by all workers; made with the first lease, in a directory that is there.
        worker: names this one; no two are alike.
        seconds: after which a lease that does not change has lost its owner.

    Its methods raise OSError, with the path, where the folder cannot be used.
    """

    def __init__(self, folder: Path, worker: str, seconds: float = LEASE_SECONDS):
        self.folder = folder
        self.worker = worker
        self.seconds = seconds
        self._seen: dict[tuple[str, int], tuple[str, float]] = {}
        self._held: dict[str, tuple[int, str]] = {}

    def lost_owners(self) -> dict[str, int]:
        """Of each name under which there is a lease how many owners it had before the last; files are not read."""
        found: dict[str, int] = {}
        with suppress(FileNotFoundError):
            for entry in os.scandir(self.folder):
                name, _, number = entry.name.rpartition(".")
                if number.isdecimal():
                    found[name] = max(found.get(name, 0), int(number))
        return found

    def claim(self, name: str, state: str = "") -> bool:
        """Makes the first lease of a name; False where there is one. `state` says how far what is leased has come."""
        return self._make(name, 0, state)

    def take_over(self, name: str, lost: int, state: str = "") -> bool:
        """Makes the next lease of a name if the last, after so many lost owners, has lost its own.

        Not where `OWNERS` in a row began at this state.
        """
        return not self._in_vain(name, lost, state) and self._is_lost(name, lost) and self._make(name, lost + 1, state)

    def failure(self, name: str, lost: int, state: str = "") -> str | None:
        """What the last owner came to, where nobody takes over any more; else None."""
        if not (self._in_vain(name, lost, state) and self._is_lost(name, lost)):
            return None
        facts = self.facts(name, lost)
        return str(facts.get("error") or f"the worker {facts.get('worker')} was lost while it did it")

    def _in_vain(self, name: str, lost: int, state: str) -> bool:
        # What cannot be read says of no progress.
        last = range(lost, lost - OWNERS, -1)
        return lost + 1 >= OWNERS and all(self.facts(name, each).get("state", state) == state for each in last)

    def facts(self, name: str, lost: int) -> dict[str, Any]:
        """What the owner of a lease says: `worker`, `seconds` after which it is lost, how many times it gave a sign
        (`beat`, six in that time), and `error` or `done` where it came to an end.
        """
        try:
            found = json.loads(self._content(name, lost))
        except ValueError:  # it is gone, or being written
            return {}
        return found if isinstance(found, dict) else {}

    def is_held(self, name: str) -> bool:
        """Whether the first lease of a name is there, and its owner is not lost."""
        return self._path(name, 0).exists() and not self._is_lost(name, 0)

    def held(self) -> list["Lease"]:
        """All leases, for whoever looks on: who has what, and since when it has given no sign.

        That is told by the times of files, which the clock of the machine that looks may be off; nothing but what
        people read depends on it.
        """
        found = []
        for name, lost in sorted(self.lost_owners().items()):
            with suppress(OSError):
                silent = max(0.0, time.time() - self._path(name, lost).stat().st_mtime)
                facts = self.facts(name, lost)
                if "done" not in facts:
                    seconds = _number(facts.get("seconds"), LEASE_SECONDS)
                    held = _number(facts.get("beat"), 0) * seconds / _BEATS + silent
                    worker = str(facts.get("worker", "")).rpartition(" ")[0] or "a worker"
                    error = str(facts["error"]) if "error" in facts else None
                    found.append(Lease(name, worker, lost, held, silent, silent > seconds, error))
        return found

    def _content(self, name: str, lost: int) -> str:
        path = self._path(name, lost)
        try:
            return path.read_text()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise _placed(error, path) from error

    def _path(self, name: str, lost: int) -> Path:
        return self.folder / f"{name}.{lost}"

    def _is_lost(self, name: str, lost: int) -> bool:
        facts = self.facts(name, lost)
        if {"error", "done"} & facts.keys():
            return "error" in facts
        now, content = time.monotonic(), self._content(name, lost)
        before, since = self._seen.get((name, lost), (None, now))
        if content != before:
            self._seen[name, lost] = (content, now)
            return False
        return now - since > self.seconds

    def _make(self, name: str, lost: int, state: str) -> bool:
        flags, path = os.O_CREAT | os.O_EXCL | os.O_WRONLY, self._path(name, lost)
        try:
            try:
                descriptor = os.open(path, flags, 0o666)
            except FileNotFoundError:  # the folder is made with the first lease, and may be removed with the last
                self.folder.mkdir(exist_ok=True)
                descriptor = os.open(path, flags, 0o666)
        except FileExistsError:
            return False
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(self._text(state, beat=0))
        except OSError as error:
            with suppress(OSError):  # nobody has it, and others would wait for its owner
                path.unlink()
            raise _placed(error, path) from error
        self._held[name] = (lost, state)
        return True

    def _text(self, state: str, **facts: object) -> str:
        known = {"worker": self.worker, "seconds": self.seconds, **({"state": state} if state else {})}
        return json.dumps({**known, **facts})

    @contextmanager
    def kept(self, name: str) -> Iterator[None]:
        """Within it a lease that was claimed or taken over is kept alive by a thread. It is not given back."""
        ended = threading.Event()

        def beat():
            count = 0
            while not ended.wait(self.seconds / _BEATS):
                count += 1
                self._write(name, beat=count)

        thread = threading.Thread(target=beat, name="jaxland-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def fail(self, name: str, error: str) -> None:
        """Leaves word that this worker failed, so that another, or it again, tries at once."""
        self._write(name, error=error)

    def finish(self, name: str) -> None:
        """Leaves word that what was to be done is done, for good."""
        self._write(name, done=True)

    def give_back(self, name: str) -> None:
        """As if this worker had never had the lease."""
        if self._is_own(name):
            self._path(name, self._held[name][0]).unlink(missing_ok=True)

    def clear(self, name: str) -> None:
        """Removes all leases of a name: what they are of is done."""
        own, _ = self._held.get(name, (0, ""))
        for lost in itertools.count():
            try:
                self._path(name, lost).unlink()
            except FileNotFoundError:
                if lost >= own:  # they are numbered without gaps, but for what another clears at the same time
                    return

    def _is_own(self, name: str) -> bool:
        """Whether the file is as this worker left it: after it was taken for dead another may have made it anew."""
        return name in self._held and self.facts(name, self._held[name][0]).get("worker") == self.worker

    def _write(self, name: str, **facts: object) -> None:
        # A fault of the disk costs the lease, not the work. A file that was cleared is not made again.
        with suppress(OSError):
            if self._is_own(name):
                lost, state = self._held[name]
                descriptor = os.open(self._path(name, lost), os.O_WRONLY | os.O_TRUNC)
                with os.fdopen(descriptor, "w") as file:
                    file.write(self._text(state, **facts))


def _placed(error: OSError, path: Path) -> OSError:
    """The same error with its path, which reads and writes of an open file do not tell."""
    return OSError(error.errno, error.strerror or str(error), str(path))
