"""Running a study: train what is missing, analyse, draw, judge, write."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxland._names import lookup
from jaxland.execution import ShardTask, default_shard_fits, plan_shards, run_shards, stop_on_signals
from jaxland.plots import render, style
from jaxland.store import DamagedShard, Manifest, StoreError, StudyStore, commit
from jaxland.studies.configuration import config_hash, from_json, to_json
from jaxland.studies.registry import STUDIES
from jaxland.studies.study import Outcome, Study
from jaxland.studies.summary import summary_text
from jaxland.studies.tables import ensemble_summary, write_table
from jaxland.training import (
    Ensemble,
    Interrupted,
    Trainer,
    available_threads,
    choose_backend,
    device,
    progress_bar,
    status_names,
    train,
    versions,
)


class Prepared(NamedTuple):
    """An ensemble with its backend made ready."""

    ensemble: Ensemble
    trainer: Trainer
    explanation: str


class Plan(NamedTuple):
    """What a run would do, for `--dry-run`.

    Attributes:
        tasks: shards to be trained.
        net_steps: optimizer steps to be taken, all fits together.
        rate: measured net-steps per second of each ensemble, all threads.
        seconds: estimated time of training.
        storage: bytes the shards will take.
    """

    tasks: list[ShardTask]
    net_steps: int
    rate: dict[str, float]
    seconds: float
    storage: int


def study_of(config: Any) -> Study:
    """The study whose configuration this is."""
    for study in STUDIES.values():
        if isinstance(config, study.config):
            return study
    raise TypeError(f"{type(config).__name__} is the configuration of no study.")


def prepare(config: Any, backend: str = "auto", settings: dict[str, Any] | None = None) -> dict[str, Prepared]:
    """Makes the backend of every ensemble ready.

    Args:
        config: of a study.
        backend: `"auto"` or the name of a backend.
        settings: for each ensemble the backend and settings recorded earlier, which then are used again.
    """
    prepared = {}
    for name, ensemble in study_of(config).ensembles(config).items():
        recorded = dict((settings or {}).get(name, {"name": backend}))
        choice = choose_backend(ensemble, recorded.pop("name"), recorded or None)
        reason = choice.explanation if settings is None else f"{choice.trainer.name}: as when the study began."
        prepared[name] = Prepared(ensemble, choice.trainer, reason)
    return prepared


def open_study(path: Path | str) -> tuple[StudyStore, Any]:
    """Opens a study directory; returns the store and its configuration.

    Raises:
        StoreError: it is none, or it is damaged beyond repair.
        ValueError: its study is unknown here.
    """
    store = StudyStore.open(path)
    study = lookup("study", store.manifest.study, STUDIES)
    return store, from_json(study.config, store.manifest.config)


def run(
    config: Any,
    out: Path | str,
    *,
    fits: int | None = None,
    shard_fits: int | None = None,
    threads: int | None = None,
    backend: str = "auto",
    executor: Executor | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Runs a study, or goes on with one: trains the fits that are missing, then analyses them.

    Args:
        config: what decides the fits, such as `SawtoothConfig()`.
        out: the study directory; made if it is not there.
        fits: fits of each ensemble; the study's quick scale by default. A directory can grow.
        shard_fits: fits of a shard.
        threads: groups of fits trained at a time; all processors by default.
        backend: `"auto"` or the name of a backend.
        executor: any `concurrent.futures.Executor` on which shards are done; in this process by default.
        progress: show a progress bar.
        say: receives lines for the user.

    Returns:
        The claims and the files written.

    Raises:
        ValueError, StoreError: bad arguments or directory, before any work starts.
        Interrupted: a signal came; finished shards are kept.
    """
    study = study_of(config)
    fits = study.default_fits if fits is None else fits
    for name, value in (("fits", fits), ("shard_fits", shard_fits), ("threads", threads)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be a positive integer; got {value}.")
    recorded = _recorded_backends(out)
    prepared = prepare(config, backend, recorded if backend == "auto" else None)
    store = StudyStore.create(out, manifest_of(config, fits, prepared))
    for name, each in prepared.items():
        say(f"{name}: {each.explanation}")
    with store.writing():
        while True:
            train_missing(store, config, prepared, shard_fits, threads, executor, progress)
            try:
                return analyse(store, config, say)
            except DamagedShard as damage:
                say(f"{damage.path.name} is damaged; set aside as {store.quarantine(damage.path)} and trained again.")


def plan(
    config: Any,
    out: Path | str,
    *,
    fits: int | None = None,
    shard_fits: int | None = None,
    threads: int | None = None,
    backend: str = "auto",
) -> Plan:
    """What `run` would do with the same arguments; a short measurement gives the time. Nothing is written."""
    study = study_of(config)
    fits = study.default_fits if fits is None else fits
    prepared = prepare(config, backend)
    missing = StudyStore.missing_for(out, manifest_of(config, fits, prepared))
    tasks = plan_shards(missing, shard_fits or default_shard_fits(fits))
    rate = {name: measure_rate(each, threads) for name, each in prepared.items()}
    steps = {name: each.ensemble.steps for name, each in prepared.items()}
    net_steps = sum((task.stop - task.start) * steps[task.ensemble] for task in tasks)
    seconds = sum((task.stop - task.start) * steps[task.ensemble] / rate[task.ensemble] for task in tasks)
    bytes_per_fit = {
        name: each.ensemble.network.size * np.dtype(each.ensemble.dtype).itemsize + 48
        for name, each in prepared.items()
    }
    storage = sum((task.stop - task.start) * bytes_per_fit[task.ensemble] for task in tasks)
    return Plan(tasks, net_steps, rate, seconds, storage)


def measure_rate(prepared: Prepared, threads: int | None = None, seconds: float = 1.0) -> float:
    """Net-steps per second of an ensemble on all threads, from a short run whose results are thrown away."""
    ensemble, trainer = prepared.ensemble, prepared.trainer
    counts: list[float] = []

    def work():
        group = trainer.advance(trainer.begin(ensemble.members(np.arange(trainer.width))), 16)
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            group, done = trainer.advance(group, 64), done + 64
        counts.append(done * trainer.width / (time.perf_counter() - began))

    workers = [threading.Thread(target=work) for _ in range(threads or available_threads())]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts)


def train_missing(
    store: StudyStore,
    config: Any,
    prepared: dict[str, Prepared],
    shard_fits: int | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> None:
    """Trains and commits every fit that is asked for and not there.

    Raises:
        Interrupted: a signal came; finished shards are kept.
    """
    fits, ensembles = store.manifest.fits, store.manifest.ensembles
    tasks = plan_shards({name: store.missing(name) for name in ensembles}, shard_fits or default_shard_fits(fits))
    steps = {name: each.ensemble.steps for name, each in prepared.items()}
    total = fits * sum(steps.values())
    done = total - sum((task.stop - task.start) * steps[task.ensemble] for task in tasks)
    if executor is not None:
        run_shards(tasks, ShardWork(str(store.path), threads), executor)
        return
    with (
        stop_on_signals() as stop,
        progress_bar(total, store.manifest.study, done=done, show=progress) as on_progress,
    ):
        try:
            run_shards(
                tasks,
                lambda task: train_shard(store, prepared[task.ensemble], task, threads, on_progress, stop),
            )
        except Interrupted as interruption:
            interruption.signal_number = stop.signal_number
            raise


def train_shard(
    store: StudyStore,
    prepared: Prepared,
    task: ShardTask,
    threads: int | None = None,
    on_progress: Callable[[int], object] = lambda net_steps: None,
    stop: threading.Event | None = None,
) -> None:
    """Trains one shard and commits it."""
    result, _ = train(
        prepared.trainer,
        prepared.ensemble,
        task.start,
        task.stop - task.start,
        threads=threads,
        on_progress=on_progress,
        stop=stop,
    )
    arrays = {"fit": np.arange(task.start, task.stop), "status": status_names(result.diverged_step)}
    names = ("initial_loss", "loss", "best_loss", "best_step", "diverged_step", "params")
    arrays |= {name: getattr(result, name) for name in names}
    store.commit_shard(task.ensemble, task.start, task.stop, arrays)


@dataclass(frozen=True)
class ShardWork:
    """Trains a shard in whatever process it is called: for executors of processes, here or on other machines.

    Attributes:
        path: the study directory, on a file system every worker sees.
        threads: of each worker.
    """

    path: str
    threads: int | None = None

    def __call__(self, task: ShardTask) -> None:
        """Trains and commits the shard."""
        store, prepared = _prepared_here(self.path)
        train_shard(store, prepared[task.ensemble], task, self.threads)


@lru_cache(maxsize=4)
def _prepared_here(path: str) -> tuple[StudyStore, dict[str, Prepared]]:
    store, config = open_study(path)
    prepared = prepare(config, settings=store.manifest.provenance["backends"])
    store.require_provenance(_provenance(prepared))
    return store, prepared


def analyse(store: StudyStore, config: Any, say: Callable[[str], None] = lambda line: None) -> Outcome:
    """Makes tables, figures, claims and summary from the fits that are there, however many.

    Raises:
        DamagedShard: a shard is not what its name says.
        StoreError: there are no fits, or the results cannot be written.
    """
    study = study_of(config)
    if not any(store.shards(name) for name in store.manifest.ensembles):
        raise StoreError(f"{store.path} has no fits yet; run or resume the study first.")
    say("analysing")
    analysis = study.analyse(config, store)
    claims = study.claims(config, analysis)
    files = [store.path / "table.parquet"]
    write_table(store, files[0])
    contents = {f"analysis/{name}": _csv(table) for name, table in study.tables(analysis).items()}
    contents["claims.csv"] = _csv(pd.DataFrame(claims))
    contents["summary.md"] = summary_text(study, store, ensemble_summary(store), claims).encode()
    with style():
        for stem, figure in study.figures(config, analysis).items():
            for kind in ("png", "svg"):
                contents[f"figures/{stem}.{kind}"] = render(figure, kind)
    for name, content in contents.items():
        commit(store.path / name, content)
        files.append(store.path / name)
    return Outcome(store.path, claims, files)


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, float_format="%.9g").encode()


def manifest_of(config: Any, fits: int, prepared: dict[str, Prepared]) -> Manifest:
    """The manifest of a study directory with this many fits of each ensemble."""
    study = study_of(config)
    return Manifest(
        study=study.name,
        config=to_json(config),
        config_hash=config_hash(study.name, config),
        ensembles=tuple(prepared),
        fits=fits,
        provenance=_provenance(prepared),
    )


def _provenance(prepared: dict[str, Prepared]) -> dict[str, Any]:
    first = next(iter(prepared.values()))
    backends = {name: {"name": each.trainer.name, **each.trainer.settings} for name, each in prepared.items()}
    return {
        "versions": versions(),
        "device": device(),
        "precision": first.ensemble.dtype,
        "backends": backends,
    }


def _recorded_backends(out: Path | str) -> dict[str, Any] | None:
    try:
        return StudyStore.open(out).manifest.provenance["backends"]
    except StoreError:
        return None
