"""Training the fits of a study: its backends made ready, its missing shards trained, here or elsewhere."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxland._names import lookup
from jaxland.execution import ShardTask, default_shard_fits, plan_shards, run_shards, stop_on_signals
from jaxland.store import Manifest, StudyStore
from jaxland.studies.configuration import config_hash, from_json, require_unedited, to_json
from jaxland.studies.registry import STUDIES, study_of
from jaxland.training import (
    Ensemble,
    Interrupted,
    Trainer,
    choose_backend,
    device,
    fingerprint,
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
        StoreError: it is none, it is damaged beyond repair, or its manifest was edited.
        ValueError: its study is unknown here.
    """
    store = StudyStore.open(path)
    study = lookup("study", store.manifest.study, STUDIES)
    require_unedited(store)
    return store, from_json(study.config, store.manifest.config)


def manifest_of(config: Any, fits: int, prepared: dict[str, Prepared], shard_fits: int | None = None) -> Manifest:
    """The manifest of a study directory with this many fits of each ensemble."""
    study = study_of(config)
    return Manifest(
        study=study.name,
        config=to_json(config),
        config_hash=config_hash(study.name, config),
        ensembles=tuple(prepared),
        fits=fits,
        provenance=_provenance(prepared),
        shard_fits=shard_fits,
    )


def _provenance(prepared: dict[str, Prepared]) -> dict[str, Any]:
    first = next(iter(prepared.values()))
    backends = {name: {"name": each.trainer.name, **each.trainer.settings} for name, each in prepared.items()}
    return {
        "versions": versions(),
        "device": device(),
        "precision": first.ensemble.dtype,
        "backends": backends,
        # Networks, losses and data are code, which no configuration tells.
        "programs": {name: fingerprint(each.ensemble) for name, each in prepared.items()},
    }


def shard_size(fits: int, prepared: dict[str, Prepared]) -> int:
    """Fits of a shard by default: of each device of the trainer, whole groups."""
    return default_shard_fits(fits, max(each.trainer.width * each.trainer.devices for each in prepared.values()))


def train_missing(
    store: StudyStore,
    config: Any,
    prepared: dict[str, Prepared],
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> None:
    """Trains and commits every fit that is asked for and not there.

    Raises:
        StoreError: the manifest was edited since the study began.
        Interrupted: a signal came; finished shards are kept.
    """
    require_unedited(store)
    fits, ensembles = store.manifest.fits, store.manifest.ensembles
    shard_fits = store.manifest.shard_fits or shard_size(fits, prepared)
    tasks = plan_shards({name: store.missing(name) for name in ensembles}, shard_fits)
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
    """Trains one shard and commits it, with the losses on the way where the ensemble keeps them."""
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
    if prepared.ensemble.trace_every is not None:
        names = (*names, "trace")
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
