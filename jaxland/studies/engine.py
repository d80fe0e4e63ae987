"""Running a study: train what is missing, analyse, draw, judge, write."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxland.execution import Executors, ShardTask, check_executor, kept_open, plan_shards
from jaxland.store import DamagedShard, Manifest, StoreError, StudyStore, check_path
from jaxland.studies.analyses import make_analyses
from jaxland.studies.commands import noted
from jaxland.studies.configuration import require_rebuildable
from jaxland.studies.described import describe
from jaxland.studies.finding import being_read, find_study, require_own_name
from jaxland.studies.fitting import Prepared, manifest_of, prepare, require_reproducible, shard_size, train_missing
from jaxland.studies.helping import helpers
from jaxland.studies.options import RunOptions
from jaxland.studies.request import Wanted, check_wanted, remember
from jaxland.studies.study import Outcome, Study, study_of_values
from jaxland.training import Ensemble, Interrupted, one_call, train_fits


class Plan(NamedTuple):
    """What a run would do, for `--dry-run`.

    Attributes:
        tasks: shards to be trained.
        net_steps: optimizer steps to be taken, all fits together.
        rate: measured net-steps per second of each ensemble, all threads, with all that a fit costs besides.
        seconds: estimated time of training.
        storage: bytes the shards will take.
        once: seconds of `seconds` that each ensemble takes however many fits there are.
    """

    tasks: list[ShardTask]
    net_steps: int
    rate: dict[str, float]
    seconds: float
    storage: int
    once: dict[str, float]


class Request(NamedTuple):
    """What `run` and `plan` were asked for, made good: every name resolved, nothing begun."""

    study: Study
    config: Any
    out: Path


def run(
    study: Study | Mapping[str, Ensemble] | str | Path,
    config: Any = None,
    out: Path | str | None = None,
    *,
    fits: int | None = None,
    shard_fits: int | None = None,
    threads: int | None = None,
    backend: str = "auto",
    compress: bool | None = None,
    executor: Executors | None = None,
    shard_timeout: float | None = None,
    analyses: Wanted | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Runs a study, or goes on with one: trains the fits that are missing, then analyses them.

        jl.run(STUDY, MyConfig(steps=5_000), "runs/mine", fits=100_000)
        jl.run({"adam": ensemble}, "runs/adam", fits=100_000)

    Args:
        study: a `Study`, the name or file of one, or ensembles by name, for which there is no configuration to give.
        config: an instance of the study's configuration; all its defaults by default.
        out: the study directory; made if it is not there. By default runs/NAME, NAME being the study's.
        fits: fits of each ensemble; the study's quick scale by default. A directory can grow.
        shard_fits: fits of a shard; by default as asked for here before, or as many as suit the machine.
        threads: groups of fits trained at a time; all processors by default.
        backend: `"auto"` or the name of a backend.
        compress: as in `jaxland.fit`.
        executor: where shards are done: any `concurrent.futures.Executor`, or what makes one, as
            `jaxland.workers(4)`, which then is asked for another when one breaks; in this process by default.
        shard_timeout: seconds after which an executor's process that is at a shard is ended, and the shard tried again;
            by default a shard may take for ever.
        analyses: which to make, with their settings, besides those asked for before; see `wanted`.
        progress: show a progress bar.
        say: receives lines for the user.

    Returns:
        The claims and the files written.

    Raises:
        ValueError, TypeError, StoreError: bad arguments, study or directory, before any work starts.
        ShardsFailed: shards failed three times, or killed their workers, on an executor; all others are done.
        BrokenExecutor: an executor that was given as it is broke; finished shards are kept.
        Interrupted: a signal came; finished shards are kept.
    """
    options = RunOptions(fits, shard_fits, threads, backend, compress, shard_timeout)
    return run_with(make_request(study, config, out), options, executor, analyses, progress, say)


def run_with(
    request: Request,
    options: RunOptions,
    executor: Executors | None = None,
    analyses: Wanted | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """`run`, with what was asked for and how it is done as one value each."""
    if options.shard_timeout is not None and executor is None:
        raise ValueError("shard_timeout ends processes of an executor; give one, as --workers 2 or jaxland.workers(2).")
    study, config, _ = request
    check_executor(executor, say)
    store, prepared = _begun(request, options, analyses)
    for explanation in dict.fromkeys(each.explanation for each in prepared.values()):
        names = [name for name, each in prepared.items() if each.explanation == explanation]
        say(f"{', '.join(names)}: {explanation}")
    with store.writing(), noted(store.path), kept_open(executor) as executor:
        # Before the training, which may be interrupted: whoever resumes gets the analyses that were asked for.
        analyses = remember(store, study, analyses)
        _describe(store, prepared)
        aside: set[Path] = set()
        while True:
            train_missing(store, study, prepared, options.threads, executor, progress, options.shard_timeout, say)
            store.require_complete()
            try:
                with helpers(store, study, executor, options.threads, say) as call_help:
                    return make_analyses(store, study, config, analyses, options.threads, say, call_help=call_help)
            except DamagedShard as damage:
                if damage.path in aside:
                    raise  # trained again it is what it was: it would be so for ever
                aside.add(damage.path)
                say(f"{damage.path.name} is damaged; set aside as {store.quarantine(damage.path)} and trained again.")


def prepare_with(request: Request, options: RunOptions, analyses: Wanted | None = None) -> StudyStore:
    """Makes the study directory that `run_with` would, and trains nothing: for workers that share it, see `work`."""
    store, prepared = _begun(request, options, analyses, pinned=True)
    with store.writing(), noted(store.path):
        remember(store, request.study, analyses)
        _describe(store, prepared)
    return store


def _describe(store: StudyStore, prepared: Mapping[str, Prepared]) -> None:
    describe(store.path, {name: each.ensemble for name, each in prepared.items()})


def _begun(
    request: Request, options: RunOptions, analyses: Wanted | None, pinned: bool = False
) -> tuple[StudyStore, dict[str, Prepared]]:
    """The study directory, made or opened, and the backends.

    Args:
        request, options, analyses: of a run.
        pinned: write down how fits are cut into shards where that depends on the machine.
    """
    study, config, out = request
    check_wanted(study, analyses)
    recorded = _recorded(out)
    with one_call():
        prepared = _prepare(study, config, options, recorded)
        if recorded is None:
            require_reproducible(study, config, prepared)
        if pinned and recorded is None and any(each.trainer.devices > 1 for each in prepared.values()):
            own = options.shard_fits or shard_size(options.fits or study.default_fits, prepared)
            options = replace(options, shard_fits=own)
        manifest = _manifest(request, options, prepared, recorded)
    return StudyStore.create(out, manifest), prepared


def plan(
    study: Study | Mapping[str, Ensemble] | str | Path,
    config: Any = None,
    out: Path | str | None = None,
    *,
    fits: int | None = None,
    shard_fits: int | None = None,
    threads: int | None = None,
    backend: str = "auto",
    compress: bool | None = None,
) -> Plan:
    """What `run` would do with the same arguments; a short measurement gives the time. Nothing is written."""
    return plan_with(make_request(study, config, out), RunOptions(fits, shard_fits, threads, backend, compress))


def plan_with(request: Request, options: RunOptions) -> Plan:
    """`plan`, with what was asked for and how it is done as one value each."""
    study, config, out = request
    recorded = _recorded(out)
    with one_call():
        prepared = _prepare(study, config, options, recorded)
        manifest = _manifest(request, options, prepared, recorded)
    shard_fits = options.shard_fits or (recorded and recorded.shard_fits) or shard_size(manifest.fits, prepared)
    tasks = plan_shards(StudyStore.missing_for(out, manifest), shard_fits)
    asked = {task.ensemble for task in tasks}
    pace = {
        name: measure_pace(each, min(shard_fits, manifest.fits), options.threads) for name, each in prepared.items()
    }
    rate, once = {name: each.rate for name, each in pace.items()}, {name: each.once for name, each in pace.items()}
    steps = {name: each.ensemble.steps for name, each in prepared.items()}
    net_steps = sum((task.stop - task.start) * steps[task.ensemble] for task in tasks)
    seconds = sum((task.stop - task.start) * steps[task.ensemble] / rate[task.ensemble] for task in tasks)
    seconds += sum(once[name] for name in asked)
    storage = sum((task.stop - task.start) * _bytes_per_fit(prepared[task.ensemble].ensemble) for task in tasks)
    return Plan(tasks, net_steps, rate, seconds, storage, once)


def make_request(study: Any, config: Any, out: Path | str | None) -> Request:
    """Resolves the first arguments of `run`; a path may stand second where there is no configuration to give.

    Raises:
        TypeError, ValueError: they do not go together.
    """
    if being_read() is not None:
        raise ValueError(
            f"{being_read()} runs a study while it is read to find its study. Put the call under "
            "`if __name__ == '__main__':`."
        )
    if out is None and isinstance(config, str | Path):
        config, out = None, config
    study = _study(study)
    config = _configuration(study, config)
    require_rebuildable(config)
    return Request(study, config, check_path(Path("runs") / study.name if out is None else out))


def _study(given: Any) -> Study:
    if isinstance(given, Study):
        require_own_name(given)
        return given
    if isinstance(given, str | Path):
        return find_study(given)
    if isinstance(given, Mapping):
        return study_of_values(given)
    example = ""
    if is_dataclass(given):
        example = f" The study comes first, its configuration second: run(STUDY, {type(given).__name__}(...), out)."
    raise TypeError(
        f"a study is a jaxland.Study, the name or file of one, or ensembles by name; got {_short(given)}.{example}"
    )


def _short(given: Any) -> str:
    text = repr(given)
    return text if len(text) < 80 else type(given).__name__


def _configuration(study: Study, config: Any) -> Any:
    if isinstance(config, study.config):
        return config
    if config is not None:
        raise TypeError(
            f"the study {study.name!r} is configured by {study.config.__name__}; got {config!r}. Give one, such as "
            f"{study.config.__name__}()."
        )
    try:
        return study.config()
    except TypeError as error:
        raise TypeError(f"the study {study.name!r} needs a configuration: {error}.") from error


def _prepare(study: Study, config: Any, options: RunOptions, recorded: Manifest | None) -> dict[str, Prepared]:
    chosen = options.backend != "auto" or options.compress is not None
    settings = recorded.provenance["backends"] if recorded and not chosen else None
    return prepare(study, config, options.backend, settings, options.compress)


def _manifest(
    request: Request, options: RunOptions, prepared: dict[str, Prepared], recorded: Manifest | None
) -> Manifest:
    fits = options.fits or request.study.default_fits
    return manifest_of(request.study, request.config, fits, prepared, options.shard_fits, recorded)


def _bytes_per_fit(ensemble: Ensemble) -> int:
    numbers = ensemble.network.size + len(ensemble.trace_steps)
    return numbers * np.dtype(ensemble.dtype).itemsize + 48


_LONG = 5
"""Fits that take so many times what is measured for are not trained to their end."""


class Pace(NamedTuple):
    """How fast fits of an ensemble are trained here.

    Attributes:
        rate: net-steps per second on all threads, with all that fits and shards cost besides: start, validation, end.
        once: seconds that the first of them take longer, as programs are compiled then.
    """

    rate: float
    once: float


def measure_pace(prepared: Prepared, shard: int, threads: int | None = None, seconds: float = 0.25) -> Pace:
    """Trains a shard as a run would, and throws it away: time and again where it is short, else some of its steps.

    Args:
        prepared: the ensemble and its backend.
        shard: how many fits a shard has, with each of which some work begins anew.
        threads: of the run.
        seconds: to be measured for, about.
    """
    first = _timed(prepared, shard, threads, seconds)
    if first.left:
        return Pace(first.rate, 0.0)
    again: list[float] = []
    while sum(again) < seconds:
        again.append(_timed(prepared, shard, threads).whole)
    each = sum(again) / len(again)
    return Pace(shard * prepared.ensemble.steps / each, max(first.whole - each, 0.0))


class _Timed(NamedTuple):
    """Seconds that some fits took; net-steps a second after the first of them, where not all were taken."""

    whole: float
    rate: float
    left: bool


def _timed(prepared: Prepared, fits: int, threads: int | None, seconds: float | None = None) -> _Timed:
    """Trains fits; where `seconds` are given, no longer than some times that after their first steps."""
    stop, times, done = threading.Event(), [time.perf_counter()], [0]

    def look(net_steps: int) -> None:
        times.append(time.perf_counter())
        done.append(done[-1] + net_steps)
        if seconds is not None and times[-1] - times[1] > _LONG * seconds:
            stop.set()

    try:
        train_fits(prepared.trainer, prepared.ensemble, np.arange(fits), threads=threads, on_progress=look, stop=stop)
    except Interrupted:
        # The first steps may take longer than those that follow, of which there are more.
        from_here = next(place for place, each in enumerate(times) if place and each - times[1] >= (seconds or 0))
        from_here = min(from_here, len(times) - 2)
        return _Timed(0.0, (done[-1] - done[from_here]) / (times[-1] - times[from_here]), True)
    return _Timed(time.perf_counter() - times[0], 0.0, False)


def _recorded(out: Path | str) -> Manifest | None:
    """What is known of the directory, None where there is no study.

    Raises:
        StoreError: its manifest was edited.
    """
    try:
        store = StudyStore.open(out)
    except StoreError:
        return None
    store.require_unedited()
    return store.manifest
