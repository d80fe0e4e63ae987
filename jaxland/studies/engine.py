"""Running a study: train what is missing, analyse, draw, judge, write."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxland.execution import ShardTask, plan_shards
from jaxland.store import DamagedShard, Manifest, StoreError, StudyStore
from jaxland.studies.analyses import Wanted, analyse, check_wanted, request
from jaxland.studies.configuration import require_unedited
from jaxland.studies.fitting import Prepared, manifest_of, prepare, shard_size, train_missing
from jaxland.studies.registry import study_of
from jaxland.studies.study import Outcome
from jaxland.training import Ensemble, available_threads


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


def run(
    config: Any,
    out: Path | str,
    *,
    fits: int | None = None,
    shard_fits: int | None = None,
    threads: int | None = None,
    backend: str = "auto",
    executor: Executor | None = None,
    analyses: Wanted | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Runs a study, or goes on with one: trains the fits that are missing, then analyses them.

    Args:
        config: what decides the fits, such as `SawtoothConfig()`.
        out: the study directory; made if it is not there.
        fits: fits of each ensemble; the study's quick scale by default. A directory can grow.
        shard_fits: fits of a shard; by default as asked for here before, or as many as suit the machine.
        threads: groups of fits trained at a time; all processors by default.
        backend: `"auto"` or the name of a backend.
        executor: any `concurrent.futures.Executor` on which shards are done; in this process by default.
        analyses: which to make, with their settings, besides those asked for before; see `wanted`.
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
    check_wanted(analyses)
    recorded = _recorded(out)
    prepared = prepare(config, backend, recorded.provenance["backends"] if recorded and backend == "auto" else None)
    store = StudyStore.create(out, manifest_of(config, fits, prepared, shard_fits))
    for name, each in prepared.items():
        say(f"{name}: {each.explanation}")
    with store.writing():
        # Before the training, which may be interrupted: whoever resumes gets the analyses that were asked for.
        analyses = request(store, study, analyses)
        while True:
            train_missing(store, config, prepared, threads, executor, progress)
            try:
                return analyse(store, config, analyses, threads=threads, say=say)
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
    recorded = _recorded(out)
    prepared = prepare(config, backend, recorded.provenance["backends"] if recorded and backend == "auto" else None)
    missing = StudyStore.missing_for(out, manifest_of(config, fits, prepared))
    tasks = plan_shards(missing, shard_fits or (recorded and recorded.shard_fits) or shard_size(fits, prepared))
    rate = {name: measure_rate(each, threads) for name, each in prepared.items()}
    steps = {name: each.ensemble.steps for name, each in prepared.items()}
    net_steps = sum((task.stop - task.start) * steps[task.ensemble] for task in tasks)
    seconds = sum((task.stop - task.start) * steps[task.ensemble] / rate[task.ensemble] for task in tasks)
    storage = sum((task.stop - task.start) * _bytes_per_fit(prepared[task.ensemble].ensemble) for task in tasks)
    return Plan(tasks, net_steps, rate, seconds, storage)


def _bytes_per_fit(ensemble: Ensemble) -> int:
    numbers = ensemble.network.size + len(ensemble.trace_steps)
    return numbers * np.dtype(ensemble.dtype).itemsize + 48


def measure_rate(prepared: Prepared, threads: int | None = None, seconds: float = 1.0) -> float:
    """Net-steps per second of an ensemble on all threads, from a short run whose results are thrown away."""
    ensemble, trainer = prepared.ensemble, prepared.trainer
    members = ensemble.members(np.arange(trainer.width))
    piece = min(64, ensemble.steps)

    def work() -> float:
        group, left = trainer.advance(trainer.begin(members), piece), ensemble.steps - piece
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            if left < piece:
                group, left = trainer.begin(members), ensemble.steps
            group, left, done = trainer.advance(group, piece), left - piece, done + piece
        return done * trainer.width / (time.perf_counter() - began)

    count = threads or available_threads()
    with ThreadPoolExecutor(count) as pool:
        return sum(future.result() for future in [pool.submit(work) for _ in range(count)])


def _recorded(out: Path | str) -> Manifest | None:
    """What is known of the directory, None where there is no study.

    Raises:
        StoreError: its manifest was edited.
    """
    try:
        store = StudyStore.open(out)
    except StoreError:
        return None
    require_unedited(store)
    return store.manifest
