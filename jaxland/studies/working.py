"""Workers that share a study directory, on any number of machines, with no scheduler between them."""

import hashlib
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from jaxland.execution import LEASE_SECONDS, Leases, ShardsFailed, ShardTask, ended_after, stop_on_signals
from jaxland.store import MANIFEST, DamagedShard, DirectoryInUse, StoreError, StudyStore, read_if_sound
from jaxland.studies.analyses import make_analyses
from jaxland.studies.commands import noted
from jaxland.studies.fitting import (
    PAUSES,
    Prepared,
    missing_tasks,
    open_study,
    prepared_here,
    reported,
    train_shard,
)
from jaxland.studies.helping import help_with_analyses
from jaxland.studies.study import Outcome, Study
from jaxland.studies.unfinished import Unfinished
from jaxland.studies.worklog import ANALYSIS, LEASES, checked_name, lease_of, worker_log, worker_name
from jaxland.training import Interrupted

# Of a thousand workers that have nothing left to begin each looks after a few of those that are at work.
_WATCHED = 8


class _Worker(NamedTuple):
    """What stays the same while a worker works."""

    path: Path
    study: Study | None
    threads: int | None
    seconds: float | None
    leases: Leases
    name: str
    say: Callable[[str], None]
    stop: threading.Event


def work(
    path: Path | str,
    study: Study | None = None,
    *,
    threads: int | None = None,
    name: str | None = None,
    lease: float = LEASE_SECONDS,
    shard_timeout: float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome | None:
    """Trains shards of a study directory until all are there, beside any number of others that do the same.

    Each shard is claimed by a lease (see `jaxland.execution.Leases`), which is taken over from a worker that was killed
    or stopped. When all shards are there one of the workers makes the analyses, and the others pieces of them, as long
    as there are any. So do workers that are begun while another process analyses.

    Args:
        path: the study directory, which `jaxland run --prepare` makes; on a file system all workers see.
        study: its code, where it is no longer what or where it was.
        threads: groups of fits trained at a time; all processors by default.
        name: of this worker, in leases and logs; `JAXLAND_WORKER`, or machine and process, by default.
        lease: seconds after which a worker that gives no sign of life has lost its shard.
        shard_timeout: seconds after which this process ends if a shard is not done; never by default.
        say: receives lines for the user.

    Returns:
        Claims and files where this worker made the analyses; None where another did or does.

    Raises:
        ValueError: a number is not positive, or the name is none of a file.
        WorkerRefused: this machine would train other bits, or does not see the directory.
        StoreError: the directory cannot be written, or was edited.
        ShardsFailed: of some shards three workers in a row failed or were lost and got nowhere; all others are done.
        Interrupted: a signal came; the lease was given back.
    """
    for what, value in (("lease", lease), ("shard_timeout", shard_timeout)):
        if value is not None and not value > 0:
            raise ValueError(f"{what} must be a positive number of seconds; got {value!r}.")
    path, name = Path(path), checked_name(name or worker_name())
    StudyStore.open(path)
    with noted(path), _told(path):
        (path / LEASES).mkdir(exist_ok=True)
        leases = Leases(path / LEASES, f"{name} {secrets.token_hex(4)}", lease)
        aside: set[Path] = set()
        while True:
            worker = _Worker(path, study, threads, shard_timeout, leases, name, say, threading.Event())
            before, analysis = _summary(path), _until_all_are_there(worker)
            try:
                outcome = None if analysis is None else _analyse(worker, analysis, before)
                # Whoever leads the analyses may be lost meanwhile.
                if outcome is not None or not _helped(worker):
                    return outcome
            except DamagedShard as damage:
                if damage.path in aside:
                    raise  # trained again it is what it was: it would be so for ever
                aside.add(damage.path)
                target = StudyStore.open(path).quarantine(damage.path)
                say(f"{damage.path.name} is damaged; set aside as {target} and trained again.")


def _until_all_are_there(worker: _Worker) -> str | None:
    """Trains; returns the name of the lease of the analyses if they are this worker's."""
    with stop_on_signals() as stop:
        worker = worker._replace(stop=stop)
        try:
            _train_all(worker)
            name = f"{ANALYSIS}{_state(worker.path)}"
            return name if _claimed(worker, name) else None
        except Interrupted as interruption:
            interruption.signal_number = stop.signal_number
            raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """A fault of the disk at a lease, in words."""
    try:
        yield
    except OSError as error:
        if not str(error.filename or "").startswith(str(path / LEASES)):
            raise
        raise StoreError(f"cannot use {path / LEASES}: {error.strerror or error}.") from error


def _train_all(worker: _Worker) -> None:
    told = False
    while True:
        store, prepared = prepared_here(str(worker.path), worker.study)
        store.require_unedited()
        began = time.monotonic()
        # An order of its own, so that a thousand workers neither ask for the same shard nor watch the same one.
        tasks = sorted(missing_tasks(store, prepared), key=lambda task: _digest(worker.leases.worker + lease_of(task)))
        scan = time.monotonic() - began
        if not tasks:
            return
        if not (_train_free(worker, store, prepared, tasks) or _train_lost(worker, store, prepared, tasks)):
            if not told:
                worker.say(
                    f"nothing left to begin: {len(tasks):,} shards are with other workers; one that gives no sign for "
                    f"{worker.leases.seconds:g} s is replaced"
                )
                told = True
            _wait(worker, max(worker.leases.seconds / 12, 10 * scan))


def _train_free(worker: _Worker, store: StudyStore, prepared: dict[str, Prepared], tasks: list[ShardTask]) -> bool:
    """Trains those that nobody has begun; returns whether there were any."""
    trained, leased = False, worker.leases.lost_owners()
    for task in tasks:
        if lease_of(task) in leased or store.holds(*task):
            continue
        if worker.leases.claim(lease_of(task), Unfinished(store, task).state()):
            _train(worker, store, prepared, task)
            trained, leased = True, worker.leases.lost_owners()
    return trained


def _train_lost(worker: _Worker, store: StudyStore, prepared: dict[str, Prepared], tasks: list[ShardTask]) -> bool:
    """Trains one whose worker failed or was lost; returns whether there was any.

    Raises:
        ShardsFailed: there are none left but those that are given up, as worker after worker failed or was lost.
    """
    leases, lost = worker.leases, worker.leases.lost_owners()
    failures: dict[ShardTask, BaseException] = {}
    watched = 0
    for task in tasks:
        before, state = lost.get(lease_of(task), 0), Unfinished(store, task).state()
        if error := leases.failure(lease_of(task), before, state):
            failures[task] = RuntimeError(error)
            continue
        if leases.take_over(lease_of(task), before, state):
            worker.say(f"{task}: its worker failed or was lost; taken over")
            _train(worker, store, prepared, task)
            return True
        watched += 1
        if watched == _WATCHED:
            return False
    if failures and not watched:
        raise ShardsFailed(failures)
    return False


def _wait(worker: _Worker, seconds: float) -> None:
    if worker.stop.wait(seconds):
        raise Interrupted


def _train(worker: _Worker, store: StudyStore, prepared: dict[str, Prepared], task: ShardTask) -> None:
    name, began, log = lease_of(task), time.monotonic(), worker_log(worker.path, worker.name)
    try:
        late = partial(worker.leases.fail, name, f"it took longer than {worker.seconds} s (worker {worker.name})")
        with worker.leases.kept(name), reported(log, task), ended_after(worker.seconds, log, late):
            train_shard(store, prepared[task.ensemble], task, worker.threads, stop=worker.stop, pauses=PAUSES)
    except (Interrupted, StoreError, KeyboardInterrupt):
        worker.leases.give_back(name)  # no fault of the shard
        raise
    except Exception as error:  # of any kind: it may come from the user's code, and another worker tries
        worker.leases.fail(name, f"{type(error).__name__}: {error} (worker {worker.name})")
        worker.say(f"{task} failed: {traceback.format_exception_only(error)[-1].strip()}")
    else:
        worker.leases.clear(name)
        worker.say(f"{task} is there after {time.monotonic() - began:.1f} s")


def _analyse(worker: _Worker, name: str, before: tuple[int, int] | None) -> Outcome | None:
    """Makes the analyses, unless a run holds the directory, which makes them, or has made them since `before`."""
    store, study, config = open_study(worker.path, worker.study)
    try:
        with worker.leases.kept(name), ExitStack() as held:
            try:
                held.enter_context(store.writing())
            except DirectoryInUse as error:
                worker.say(f"all shards are there; {error} It makes the analyses.")
                worker.leases.give_back(name)
                return None
            if _summary(worker.path) != before:
                worker.leases.give_back(name)
                return None
            outcome = make_analyses(store, study, config, None, worker.threads, worker.say, worker.leases)
    except BaseException:
        worker.leases.give_back(name)
        raise
    worker.leases.finish(name)
    return outcome


def _helped(worker: _Worker) -> bool:
    """Helps with the analyses that another makes, until there was nothing to do for the time of a lease.

    Returns:
        Whether it helped, and what was found has not been written yet.
    """
    store, study, config = open_study(worker.path, worker.study)
    leases, since, helped, before = worker.leases, time.monotonic(), False, _summary(worker.path)
    while time.monotonic() - since < leases.seconds:
        name = f"{ANALYSIS}{_state(worker.path)}"
        if "done" in leases.facts(name, leases.lost_owners().get(name, 0)) or _summary(worker.path) != before:
            return False
        if help_with_analyses(store, study, config, leases, worker.threads, say=worker.say):
            since, helped = time.monotonic(), True
        time.sleep(min(leases.seconds / 12, 1))
    return helped


def _summary(path: Path) -> tuple[int, int] | None:
    """Changes when the summary is written again."""
    try:
        found = (path / "summary.md").stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _claimed(worker: _Worker, name: str) -> bool:
    """Whether the analyses are this worker's; where another has them, it waits until it is known whether that lives."""
    leases, first = worker.leases, None
    while not leases.claim(name):
        lost = leases.lost_owners().get(name, 0)
        facts = leases.facts(name, lost)
        if leases.take_over(name, lost):
            return True
        if "done" in facts or (first and facts and facts != first):
            tense = "made" if "done" in facts else "makes"
            worker.say(f"all shards are there, and another worker {tense} the analyses")
            return False
        if leases.failure(name, lost):
            raise StoreError(f"three workers were lost while they analysed; go on with: jaxland analyse {worker.path}")
        first = first or facts
        _wait(worker, leases.seconds / 12)
    return True


def _state(path: Path) -> str:
    """Of the manifest and the analyses that are asked for: when it changes there is something to analyse anew."""
    return _digest(*((read_if_sound(path / name) or b"").decode() for name in (MANIFEST, "analyses.json")))


def _digest(*texts: str) -> str:
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:12]
