"""Training the fits of a study: its backends made ready, its missing shards trained, here or elsewhere."""

import os
import pickle
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxland._by_value import pickled
from jaxland._names import OWN
from jaxland.execution import (
    Executors,
    ShardTask,
    default_shard_fits,
    ended_after,
    plan_shards,
    run_shards,
    stop_on_signals,
)
from jaxland.store import MANIFEST, Manifest, StoreError, StudyStore
from jaxland.studies.configuration import config_hash, from_json, to_json
from jaxland.studies.finding import from_origin, origin_of, place_of
from jaxland.studies.registry import STUDIES
from jaxland.studies.speed import note_shard
from jaxland.studies.study import Study
from jaxland.studies.tables import AT_BEST
from jaxland.studies.unfinished import Unfinished
from jaxland.studies.worklog import worker_log, worker_name, write_line
from jaxland.training import (
    Ensemble,
    Interrupted,
    Trainer,
    choose_backend,
    columns_of,
    device,
    fingerprint,
    fingerprint_parts,
    progress_bar,
    status_names,
    train_fits,
    versions,
)
from jaxland.training.judgements import judgements

_RUNNING = ".running-"
WAY_OUT = "Put it at the top level of a file or a package, where workers find it themselves"
"""Of a study that cannot be sent to other processes."""
_SECONDS_BETWEEN_QUESTIONS = 1.0
PAUSES = (1.0, 5.0, 20.0)
"""Seconds after which a worker writes a shard again that could not be written."""


class Prepared(NamedTuple):
    """An ensemble with its backend made ready."""

    ensemble: Ensemble
    trainer: Trainer
    explanation: str


def ensembles_of(study: Study, config: Any) -> dict[str, Ensemble]:
    """The ensembles of a study.

    Raises:
        TypeError: what its function returns is no dictionary of ensembles, or there is none.
    """
    where = f"ensembles of the study {study.name!r}"
    try:
        found = study.ensembles(config)
    except (Exception, SystemExit) as error:  # of any kind: it comes from the user's function, and is named
        raise ValueError(f"{where} fail{place_of(error)}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Mapping) or not found:
        raise TypeError(
            f"{where} must be returned by name, as {{'adam': jaxland.Ensemble(...)}}; got {type(found).__name__}."
        )
    for name, ensemble in found.items():
        if not isinstance(name, str) or not isinstance(ensemble, Ensemble):
            raise TypeError(f"{where} must be jaxland.Ensemble by name; {name!r} is {type(ensemble).__name__}.")
        if ensemble.snapshots or ensemble.first:
            raise ValueError(
                f"{where}: {name!r} asks for snapshots or begins at another fit than 0, which no study directory "
                "keeps; leave `snapshots` and `first` out, and take snapshots of some fits with jaxland.fit."
            )
    _require_one_kind(where, found)
    return dict(found)


def _require_one_kind(where: str, ensembles: Mapping[str, Ensemble]) -> None:
    """Raises ValueError where a column of the table would hold numbers of one ensemble and text of another."""
    kinds: dict[str, tuple[str, str]] = {}
    for name, ensemble in ensembles.items():
        for column, values in ensemble.own_columns(np.array([0])).items():
            kind = {"b": "true or false", "U": "text"}.get(np.asarray(values).dtype.kind, "numbers")
            other, before = kinds.setdefault(column, (name, kind))
            if kind != before:
                raise ValueError(
                    f"{where}: columns[{column!r}] has {before} of {other!r} and {kind} of {name!r}; give one kind, or "
                    "two names."
                )


def _check_counts(prepared: Mapping[str, "Prepared"], fits: int) -> None:
    """Raises ValueError where arrays with a row for each fit have fewer rows than fits are asked for."""
    for name, each in prepared.items():
        count = each.ensemble.per_fit_count()
        if count is not None and count < fits:
            raise ValueError(
                f"per-fit arrays of the ensemble {name!r} describe {count:,} fits but {fits:,} are asked for. Give "
                "fewer fits, more rows, or functions of the fits' numbers, which serve any number of them."
            )


def require_reproducible(study: Study, config: Any, prepared: Mapping[str, "Prepared"]) -> None:
    """Makes the ensembles once more, as every worker and whoever resumes will, and compares.

    Raises:
        ValueError: they differ, so that no two shards would be of one ensemble; the message says in what.
    """
    again = ensembles_of(study, config)
    if list(again) != list(prepared):
        raise ValueError(
            f"ensembles of the study {study.name!r} are not the same each time: {', '.join(prepared)} at first, then "
            f"{', '.join(again)}. They must depend on the configuration alone."
        )
    for name, each in prepared.items():
        if fingerprint(again[name]) != fingerprint(each.ensemble):
            raise ValueError(
                f"the ensemble {name!r} of the study {study.name!r} is not the same when it is made again: its "
                "network, data or numbers change with time or chance. Draw what is random from a seed in the "
                "configuration, as in numpy.random.default_rng(config.seed)."
            )


def prepare(
    study: Study,
    config: Any,
    backend: str = "auto",
    settings: dict[str, Any] | None = None,
    compress: bool | None = None,
) -> dict[str, Prepared]:
    """Makes the backend of every ensemble ready.

    Args:
        study: whose ensembles.
        config: its configuration.
        backend: `"auto"` or the name of a backend.
        settings: for each ensemble the backend and settings recorded earlier, which then are used again.
        compress: as in `jaxland.fit`.
    """
    prepared = {}
    for name, ensemble in ensembles_of(study, config).items():
        recorded = dict((settings or {}).get(name, {"name": backend}))
        choice = choose_backend(ensemble, recorded.pop("name"), recorded or None, compress=compress)
        reason = choice.explanation if settings is None else f"{choice.trainer.name}: as when the study began."
        prepared[name] = Prepared(ensemble, choice.trainer, reason)
    return prepared


def open_study(path: Path | str, study: Study | None = None) -> tuple[StudyStore, Study, Any]:
    """Opens a study directory to go on with it; returns the store, its study and its configuration.

    Args:
        path: the directory.
        study: its code; found by the manifest by default.

    Raises:
        StoreError: it is none, it is damaged beyond repair, its manifest was edited, or the code of its study is gone.
    """
    store = StudyStore.open(path)
    store.require_unedited()
    study = study or _code_of(store)
    if study.name != store.manifest.study:
        raise StoreError(f"{store.path} holds the study {store.manifest.study!r}, not {study.name!r}.")
    try:
        return store, study, from_json(study.config, store.manifest.config)
    except (StoreError, TypeError, ValueError) as error:
        raise StoreError(
            f"the configuration in {store.path} is none of the study {study.name!r} as its code is now: {error} Use "
            "the code that wrote it, or give another --out."
        ) from error


def _code_of(store: StudyStore) -> Study:
    name, origin = store.manifest.study, store.manifest.origin
    reading = "To read it needs none (jaxland status, table and report, jaxland.open)"
    if store.rebuilt and name not in STUDIES:
        raise StoreError(
            f"{store.path / MANIFEST} cannot be read, and shards do not tell where the code of the study {name!r} is. "
            f"Name it: jaxland resume {store.path} --study my_study.py"
        )
    if origin is None and name not in STUDIES:
        raise StoreError(
            f"the study {name!r} of {store.path} was given as a value in Python, which holds its code: make the same "
            f"call there again (jaxland.run, jaxland.placebo_test), with the same directory. {reading}."
        )
    try:
        return STUDIES[name] if origin is None else from_origin(origin, store.path)
    except (StoreError, ValueError) as error:
        raise StoreError(
            f"the code of the study {name!r} of {store.path} is not to be had: {error} {reading}; to go on, give it: "
            f"jaxland resume {store.path} --study my_study.py"
        ) from error


def manifest_of(
    study: Study,
    config: Any,
    fits: int,
    prepared: dict[str, Prepared],
    shard_fits: int | None = None,
    recorded: Manifest | None = None,
) -> Manifest:
    """The manifest of a study directory with this many fits of each ensemble, where `recorded` may stand already."""
    _check_counts(prepared, fits)
    origin, provenance = origin_of(study), _provenance(prepared)
    # What programs are made of takes longer to say than whether they are as they were; a manifest that was lost,
    # and made again from the shards, does not tell.
    same = recorded is not None and recorded.provenance.get("programs") == provenance["programs"]
    parts = recorded.parts if recorded is not None and same else None
    if parts is None:
        parts = {name: fingerprint_parts(each.ensemble) for name, each in prepared.items()}
    return Manifest(
        study=study.name,
        config=to_json(config),
        config_hash=config_hash(study.name, config),
        ensembles=tuple(prepared),
        fits=fits,
        provenance=provenance,
        shard_fits=shard_fits,
        title=study.title,
        source=study.source,
        origin=None if origin is None else origin.to_json(),
        parts=parts,
    )


def _provenance(prepared: dict[str, Prepared]) -> dict[str, Any]:
    formats = dict.fromkeys(each.ensemble.dtype for each in prepared.values())
    backends = {name: {"name": each.trainer.name, **each.trainer.settings} for name, each in prepared.items()}
    return {
        "versions": versions(),
        "device": device(),
        "precision": ", ".join(formats),
        "backends": backends,
        # Networks, losses and data are code, which no configuration tells.
        "programs": {name: fingerprint(each.ensemble) for name, each in prepared.items()},
    }


def shard_size(fits: int, prepared: Mapping[str, Prepared]) -> int:
    """Fits of a shard by default: of each device of the trainer, whole groups."""
    return default_shard_fits(fits, max(each.trainer.width * each.trainer.devices for each in prepared.values()))


def missing_tasks(store: StudyStore, prepared: Mapping[str, Prepared]) -> list[ShardTask]:
    """The shards that are asked for and not there, in order; the same wherever they are cut."""
    shard_fits = store.manifest.shard_fits or shard_size(store.manifest.fits, prepared)
    return plan_shards({name: store.missing(name) for name in store.manifest.ensembles}, shard_fits)


def train_missing(
    store: StudyStore,
    study: Study,
    prepared: dict[str, Prepared],
    threads: int | None = None,
    executor: Executors | None = None,
    progress: bool = False,
    shard_timeout: float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Trains and commits every fit that is asked for and not there.

    Raises:
        StoreError: the manifest was edited since the study began, or workers cannot write.
        WorkerRefused: a worker would train other bits, or does not see the directory.
        TypeError: the study cannot travel to the executor's workers.
        ShardsFailed: shards failed three times; all others are done.
        Interrupted: a signal came; finished shards are kept.
    """
    store.require_unedited()
    tasks = missing_tasks(store, prepared)
    steps = {name: each.ensemble.steps for name, each in prepared.items()}
    total = store.manifest.fits * sum(steps.values())
    done = total - sum((task.stop - task.start) * steps[task.ensemble] for task in tasks)
    with (
        stop_on_signals() as stop,
        progress_bar(total, store.manifest.study, done=done, show=progress) as on_progress,
    ):
        try:
            if executor is None:
                with suppress(OSError):  # they would be beside this run, and do no harm
                    _end_runs_of_the_dead(store.path)
                run_shards(
                    tasks,
                    lambda task: train_shard(store, prepared[task.ensemble], task, threads, on_progress, stop),
                )
                return
            with running_file(store.path) as running:
                run_shards(
                    tasks,
                    shard_work(store, study, executor, threads, shard_timeout, running),
                    executor,
                    stop=stop,
                    on_done=lambda task: on_progress((task.stop - task.start) * steps[task.ensemble]),
                    on_stop=lambda: running.unlink(missing_ok=True),
                    fatal=(StoreError,),
                    say=say,
                )
        except Interrupted as interruption:
            interruption.signal_number = stop.signal_number
            raise


def _end_runs_of_the_dead(directory: Path) -> None:
    for path in directory.glob(f"{_RUNNING}*"):
        path.unlink(missing_ok=True)


@contextmanager
def running_file(directory: Path) -> Iterator[Path]:
    """A file that is there while a run is; workers, wherever they are, end their shards when it is gone.

    Those of runs that were killed are removed, as whoever calls holds the directory: their workers may still be at it.
    """
    path = directory / f"{_RUNNING}{secrets.token_hex(8)}"
    try:
        _end_runs_of_the_dead(directory)
        path.touch()
    except OSError as error:
        raise StoreError(f"cannot write to {directory}: {error.strerror}.") from error
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def train_shard(
    store: StudyStore,
    prepared: Prepared,
    task: ShardTask,
    threads: int | None = None,
    on_progress: Callable[[int], object] = lambda net_steps: None,
    stop: threading.Event | None = None,
    pauses: Sequence[float] = (),
) -> None:
    """Trains one shard and commits it, with losses on the way and what validation found where the ensemble has them.

    One that is there already, made by another worker meanwhile, is left as it is.
    """
    if store.holds(*task):
        on_progress((task.stop - task.start) * prepared.ensemble.steps)
        return
    keeper, began = Unfinished(store, task), time.monotonic()
    whole = not keeper.state()
    try:
        columns, alike = _columns(prepared, task, keeper, threads, on_progress, stop)
        patiently(lambda: store.commit_shard(*task, columns, alike), pauses)
    except (OSError, StoreError):
        # Another worker may have made it meanwhile, and have cleared up what was kept on the way.
        if not store.holds(*task):
            raise
    else:
        note_shard(store.path, task, time.monotonic() - began, whole)
    keeper.forget()


def patiently(write: Callable[[], object], pauses: Sequence[float] = ()) -> None:
    """Writes, and again after a fault of the disk, which may pass: what is to be written took long."""
    for pause in pauses:
        try:
            write()
            return
        except StoreError:
            time.sleep(pause)
    write()


def _columns(
    prepared: Prepared,
    task: ShardTask,
    keeper: Unfinished,
    threads: int | None,
    on_progress: Callable[[int], object],
    stop: threading.Event | None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What a shard holds, and what it says alike of all its fits."""
    fits = np.arange(task.start, task.stop)
    trained = train_fits(
        prepared.trainer,
        prepared.ensemble,
        fits,
        keeper=keeper,
        threads=threads,
        on_progress=on_progress,
        stop=stop,
    )
    result = trained.result
    arrays = {"fit": fits, "status": status_names(result.diverged_step)}
    names = ("initial_loss", "loss", "best_loss", "best_step", "diverged_step", "params")
    if prepared.ensemble.trace_every is not None:
        names = (*names, "trace")
    arrays |= {name: getattr(result, name) for name in names} | columns_of(trained.judged)
    found = judgements(columns_of(trained.judged))
    arrays |= {f"{AT_BEST}{name}": values for name, values in found.items() if name not in arrays}
    own = {name: np.asarray(values) for name, values in prepared.ensemble.own_columns(fits).items()}
    arrays |= {f"{OWN}{name}": values for name, values in own.items() if values.ndim}
    return arrays, {name: values.item() for name, values in own.items() if not values.ndim}


class WorkerRefused(StoreError):
    """A worker cannot train what this study is made of, or would give it other bits; no other attempt mends that."""


@dataclass(frozen=True)
class ShardWork:
    """Trains a shard in whatever process it is called: for executors of processes, here or on other machines.

    Attributes:
        path: the study directory, on a file system every worker sees.
        threads: of each worker.
        study: its code where workers cannot import it; by default they find it by the manifest.
        seconds: after which the process of a shard that is not done is ended; never by default.
        running: a file that is there as long as shards are wanted.
        apart: whether it is called in processes of its own, which keep logs.
    """

    path: str
    threads: int | None = None
    study: Study | None = None
    seconds: float | None = None
    running: str | None = None
    apart: bool = True

    def __call__(self, task: ShardTask) -> None:
        """Trains and commits the shard.

        Raises:
            WorkerRefused: this machine is of another kind, or does not see the directory.
            StoreError: the shard cannot be written.
            Interrupted: it is no longer wanted.
        """
        log = worker_log(Path(self.path), worker_name()) if self.apart else None
        with reported(log, task), ended_after(self.seconds, log):
            store, prepared = prepared_here(self.path, self.study)
            stop = threading.Event()
            train_shard(store, prepared[task.ensemble], task, self.threads, self._asking(stop), stop, PAUSES)

    def _asking(self, stop: threading.Event) -> Callable[[int], None]:
        """To be called often: sets `stop` when the run is over."""
        asked = time.monotonic()

        def ask(net_steps: int) -> None:
            nonlocal asked
            if self.running is None or time.monotonic() - asked < _SECONDS_BETWEEN_QUESTIONS:
                return
            asked = time.monotonic()
            try:
                os.stat(self.running)
            except FileNotFoundError:
                stop.set()
            except OSError:  # a file system that is away for a moment says nothing
                return

        return ask


@contextmanager
def reported(log: Path | None, task: ShardTask) -> Iterator[None]:
    """Writes down what became of a shard, and how long it took."""
    began = time.monotonic()
    write_line(log, f"{task} begins")
    try:
        yield
    except Interrupted:
        write_line(log, f"{task} was stopped")
        raise
    except BaseException:
        write_line(log, f"{task} failed:\n{traceback.format_exc()}")
        raise
    write_line(log, f"{task} is there after {time.monotonic() - began:.1f} s")


def _manifest_text(path: str) -> bytes:
    """By which a worker knows whether a directory is still that of the last shard."""
    try:
        return (Path(path) / MANIFEST).read_bytes()
    except OSError:
        return b""


def prepared_here(path: str, study: Study | None = None) -> tuple[StudyStore, dict[str, Prepared]]:
    """A study directory opened by a worker, with backends made ready as they were when the study began.

    Raises:
        WorkerRefused: this machine would train other bits, or does not see the directory or the study's code.
    """
    try:
        return _prepared_here(path, study, _manifest_text(path))
    except (ImportError, StoreError, TypeError, ValueError) as error:
        raise WorkerRefused(f"the worker {worker_name()} cannot go on with this study. {error}") from error


@lru_cache(maxsize=4)
def _prepared_here(path: str, study: Study | None, manifest: bytes) -> tuple[StudyStore, dict[str, Prepared]]:
    store, study, config = open_study(path, study)
    prepared = prepare(study, config, settings=store.manifest.provenance["backends"])
    store.require_provenance(_provenance(prepared))
    return store, prepared


@dataclass(frozen=True)
class _ByValue:
    """Work whose code travels with it, for executors that pickle by reference."""

    pickled: bytes

    def __call__(self, task: ShardTask) -> None:
        _unpickled(self.pickled)(task)


@lru_cache(maxsize=4)
def _unpickled(content: bytes) -> ShardWork:
    return pickle.loads(content)


def shard_work(
    store: StudyStore,
    study: Study,
    executor: Executors,
    threads: int | None = None,
    seconds: float | None = None,
    running: Path | None = None,
) -> Callable[[ShardTask], None]:
    """Work that an executor can take to its workers: by the name or the file of the study, or by value.

    Args:
        store, study: whose shards.
        executor: what it is for; it may have a number of `threads` of its own.
        threads: of each worker.
        seconds: that a shard may take; see `ShardWork`.
        running: a file that is there as long as shards are wanted.

    Raises:
        TypeError: its study is neither in a module or file, nor can it be pickled.
        ValueError: a time limit is asked for where no process can be ended.
    """
    here = isinstance(executor, ThreadPoolExecutor)
    if here and seconds is not None:
        raise ValueError("shard_timeout ends the process of a shard, and threads have none of their own.")
    work = ShardWork(
        str(store.path.absolute()),
        threads or getattr(executor, "threads", None),
        study if store.manifest.origin is None else None,
        seconds,
        None if running is None else str(running.absolute()),
        apart=not here,
    )
    return work if here or work.study is None else _ByValue(_pickled(work, study.name))


def _pickled(work: ShardWork, name: str) -> bytes:
    return pickled(
        work,
        f"the study {name!r} cannot be sent to other processes",
        WAY_OUT,
        session=False,
    )
