"""What a backend offers, and the loop that drives it: groups of fits on threads, in blocks of steps."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxland._precision import numerics
from jaxland.training.checkpoint import JUDGED, SNAPSHOTS, STATE, TRACE, Checkpoint, named, part_of
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.judging import Judge, Judged, Measure, metrics_of

# Long enough that the host costs nothing, short enough that Ctrl-C and the progress bar are prompt.
_BLOCK_SECONDS = 0.3
# Each worker has so many turns at least, so that none is idle for long while another is at its last.
_ROUNDS = 4


if TYPE_CHECKING:
    Values = np.ndarray
else:
    # Of JAX only where asked for by `on_device`: to all other code, and its type checker, results are NumPy's.
    Values = np.ndarray | jax.Array


class GroupResult(NamedTuple):
    """What a backend, and then `train`, returns; W is the width of the group or the number of fits."""

    params: Float[Values, "W P"]
    initial_loss: Float[Values, "W"]
    loss: Float[Values, "W"]
    best_loss: Float[Values, "W"]
    """Smallest finite loss over steps 0 to S; infinite where no loss was finite."""
    best_step: Int[Values, "W"]
    diverged_step: Int[Values, "W"]
    """First step with a non-finite loss, -1 where there is none; in `train`, S where only parameters are not finite."""
    trace: Float[Values, "W T"]


@runtime_checkable
class Trainer(Protocol):
    """A backend made ready for one ensemble. All methods may be called from several threads."""

    name: str
    width: int
    """Fits in a group. Groups start at multiples of it."""
    settings: dict[str, Any]
    """Everything chosen for this machine that decides bits, JSON-able; a trainer made with it computes the same."""
    devices: int
    """How many devices groups can be put on. A fit's bits do not depend on which of them trains it."""
    workers: int
    """Groups worth training at a time: one a device, or one a processor."""
    together: int
    """Groups that one worker best trains as one."""

    def begin(self, members: Members, device: int = 0) -> Any:
        """The state of a group, or of up to `together` of them, before its first step, on one of the devices."""
        ...

    def advance(self, group: Any, steps: int) -> Any:
        """The state `steps` steps later."""
        ...

    def parameters(self, group: Any) -> Float[np.ndarray, "W P"]:
        """The parameters of a group as they stand."""
        ...

    def finish(self, group: Any, *, on_device: bool = False) -> GroupResult:
        """The results of a group after its last step, of NumPy or, on the device where they are, of JAX."""
        ...


class Judges(Trainer, Protocol):
    """A trainer that can take ensembles with a validation."""

    def judge(self, group: Any) -> Float[np.ndarray, "W"]:
        """The loss of each member on the points of the ensemble's validation."""
        ...

    def evaluate(self, group: Any) -> Float[np.ndarray, "W"]:
        """The loss of each member over all its points, penalties included."""
        ...

    def results(self, group: Any) -> GroupResult:
        """The results of a group as it stands, but for `loss`."""
        ...


@runtime_checkable
class Resumes(Trainer, Protocol):
    """A trainer whose groups can be put aside between two steps, and gone on with."""

    def resumes_at(self, step: int) -> int:
        """The last step up to this one whose state says all that follows."""
        ...

    def state(self, group: Any) -> dict[str, np.ndarray]:
        """What decides the steps to come, and the record, with a row for each member."""
        ...

    def resume(self, group: Any, state: Mapping[str, np.ndarray], which: Bool[np.ndarray, "W"], step: int) -> Any:
        """The group that has just begun with some of its members as they were after so many steps."""
        ...


def require_resumes(trainer: Trainer) -> None:
    """Raises TypeError for a trainer whose groups cannot be put aside."""
    if not isinstance(trainer, Resumes):
        raise TypeError(f"fits of backend {trainer.name!r} cannot be trained on later; give backend='xla'.")


class Offered(Trainer, Protocol):
    """A trainer of fused kernels, which `auto` asks for an offer before it takes xla."""

    @property
    def sentence(self) -> str:
        """How it trains, to follow its name in an explanation."""
        ...

    @classmethod
    def offer(cls, ensemble: Ensemble, settings: Mapping[str, Any] | None = None) -> "Offered":
        """The trainer, where it is faster than xla.

        Raises:
            Unlowerable: it is not, or cannot train this ensemble; the message says why.
        """
        ...


_NEEDED = {"kernel": "kernel version {}", "fused": "a processor where it is {}", "device": "a device of kind {!r}"}
"""What the same bits need besides the settings themselves, which are a trainer's to meet."""


def check_settings(settings: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Makes sure that settings were made by kernels and machines like those here.

    Args:
        settings: of an earlier trainer.
        here: what this version and this machine decide of them, by names of `_NEEDED`.

    Raises:
        ValueError: they were not.
    """
    for name, value in here.items():
        asked = settings.get(name)
        if asked != value:
            needed = _NEEDED[name].format(asked)
            raise ValueError(f"settings say {name}={asked!r}, here it is {value!r}: the same bits need {needed}.")


def as_jax_arrays(result: GroupResult) -> GroupResult:
    """The same results as arrays of JAX, for backends whose results are in the host's memory."""
    with numerics(result.params.dtype):
        arrays: list[Any] = [jnp.asarray(values) for values in result]
        return GroupResult(*arrays)


def check_trace(ensemble: Ensemble, done: int, steps: int) -> None:
    """Kernels write a trace where they are told to, so no step may lie beyond the ensemble's.

    Raises:
        ValueError: losses are traced and the steps are too many.
    """
    if ensemble.trace_every and done + steps > ensemble.steps:
        raise ValueError(f"the trace ends at step {ensemble.steps}; {steps} more after {done} are too many.")


class Interrupted(Exception):
    """Training was asked to stop before it was done; nothing of this call is kept.

    Attributes:
        signal_number: the signal that asked, 2 (SIGINT) where it is not known.
    """

    signal_number: int = 2


def available_threads() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train(
    trainer: Trainer, ensemble: Ensemble, first: int, count: int, **options: Any
) -> tuple[GroupResult, Float[np.ndarray, "F S P"]]:
    """Trains fits `first` to `first + count - 1`; as `train_fits` does, without what was found by judging.

    Args:
        trainer, ensemble, options: of `train_fits`.
        first: number of the first fit.
        count: F, how many.

    Returns:
        The results of the F fits, and their parameters at the S steps of `ensemble.snapshots`.
    """
    trained = train_fits(trainer, ensemble, first + np.arange(count), **options)
    return trained.result, trained.snapshots


class Trained(NamedTuple):
    """Some trained fits.

    Attributes:
        result: of the F fits.
        snapshots: their parameters at the S steps of `ensemble.snapshots`.
        judged: what the ensemble's validation found; None where it has none.
        checkpoint: from which they can be trained on; None where it was not asked for.
    """

    result: GroupResult
    snapshots: Float[np.ndarray, "F S P"]
    judged: Judged | None
    checkpoint: Checkpoint | None = None


def train_fits(
    trainer: Trainer,
    ensemble: Ensemble,
    fits: Int[np.ndarray, "F"],
    *,
    checkpoint: Checkpoint | None = None,
    keep_state: bool = False,
    threads: int | None = None,
    on_progress: Callable[[int], object] = lambda net_steps: None,
    stop: threading.Event | None = None,
    on_device: bool = False,
) -> Trained:
    """Trains some fits, and judges them where the ensemble has a validation.

    Args:
        trainer: the backend, made ready for `ensemble`.
        ensemble: what is trained.
        fits: their numbers, each once.
        checkpoint: of these fits, to go on from; they begin by default.
        keep_state: return a checkpoint.
        threads: how many groups are trained at a time, spread over the trainer's devices; as many as the trainer has
            `workers` by default.
        on_progress: called, one call at a time, with the net-steps done since the last call.
        stop: when set, training ends at the next block of steps.
        on_device: return results as arrays of JAX, on the first of the trainer's devices.

    Raises:
        TypeError: a checkpoint is taken or returned, and the trainer has none.
        Interrupted: `stop` was set.
    """
    if checkpoint or keep_state:
        require_resumes(trainer)
    stop = stop or threading.Event()
    lock = threading.Lock()

    def report(net_steps):
        with lock:
            on_progress(net_steps)

    places = _places(trainer, fits, threads or trainer.workers)
    workers = min(threads or trainer.workers, len(places))
    job = _Job(trainer, ensemble, report, stop, on_device, metrics_of(ensemble, trainer.width), checkpoint, keep_state)
    idle: SimpleQueue[int] = SimpleQueue()
    for worker in range(workers):
        idle.put(worker % trainer.devices)

    def train_group(rows):
        # As many devices, counted as often as they are used, as there are workers: this never waits.
        device = idle.get()
        try:
            return _train_group(job, fits, rows, device)
        finally:
            idle.put(device)

    with ThreadPoolExecutor(workers) as pool:
        groups = [pool.submit(train_group, rows) for rows in places]
        try:
            wait(groups, return_when=FIRST_EXCEPTION)
            for group in groups:
                if group.done():
                    group.result()
        except BaseException:
            stop.set()
            for group in groups:
                group.cancel()
            raise
    return _joined(job, [group.result() for group in groups], np.concatenate(places))


def _places(trainer: Trainer, fits: Int[np.ndarray, "F"], workers: int) -> list[Int[np.ndarray, "W"]]:
    """Which fits are trained side by side: of each group, its rows in `fits`, -1 where there is none.

    Fit i stands at place i modulo the trainer's width, whatever stands beside it. Several groups are taken together
    where there are enough for all workers.
    """
    width = trainer.width
    order = np.lexsort((fits, fits % width))
    place = fits[order] % width
    groups = np.arange(len(fits)) - np.searchsorted(place, place)
    rows = np.full((groups.max() + 1, width), -1)
    rows[groups, place] = order
    together = max(1, min(trainer.together, len(rows) // (_ROUNDS * workers)))
    return [rows[start : start + together].ravel() for start in range(0, len(rows), together)]


def _joined(job: "_Job", parts: list[Trained], rows: Int[np.ndarray, "W"]) -> Trained:
    """The results of all groups, in the order in which they were asked for."""
    places = np.empty(np.count_nonzero(rows >= 0), int)
    places[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
    first = int(places[0])
    # A view, where they stand as they were asked for.
    inside: Any = slice(first, first + len(places)) if (np.diff(places) == 1).all() else places

    def join(*arrays):
        return np.concatenate(arrays)[inside]

    with numerics(job.ensemble.number_format):
        fields = zip(*(part.result for part in parts), strict=True)
        joined = GroupResult(*(_join_on_device(each)[inside] if job.on_device else join(*each) for each in fields))
        joined = _with_unseen(joined, job.ensemble.steps)
    judged = jax.tree.map(join, *(part.judged for part in parts))
    kept = [part.checkpoint for part in parts if part.checkpoint]
    whole = Checkpoint.joined(kept, inside) if kept else None
    return Trained(joined, join(*(part.snapshots for part in parts)), judged, whole)


def _with_unseen(result: GroupResult, steps: int) -> GroupResult:
    """A weight can become infinite behind a ReLU that never fires again and leave the loss finite."""
    xp: Any = jnp if isinstance(result.params, jax.Array) else np
    unseen = (result.diverged_step < 0) & ~xp.isfinite(result.params).all(axis=1)
    return result._replace(diverged_step=xp.where(unseen, xp.int32(steps), result.diverged_step))


def _join_on_device(parts) -> Any:
    (device,) = parts[0].devices()
    return parts[0] if len(parts) == 1 else jnp.concatenate([jax.device_put(part, device) for part in parts])


class _Job(NamedTuple):
    """What all groups of one call have in common, by the arguments of `train_fits`."""

    trainer: Any
    ensemble: Ensemble
    report: Callable[[int], None]
    stop: threading.Event
    on_device: bool
    measure: Measure
    checkpoint: Checkpoint | None
    keep_state: bool


def _train_group(job: _Job, fits: Int[np.ndarray, "F"], rows: Int[np.ndarray, "W"], device: int) -> Trained:
    trainer, ensemble, asked = job.trainer, job.ensemble, rows >= 0
    # Places of no fit are given to one that is asked for: of others nothing may be known.
    members = ensemble.members(fits[np.where(asked, rows, rows.max())])
    group = trainer.begin(members, device)
    judge = None if ensemble.validation is None else Judge(ensemble, trainer, members, job.measure)
    judged_at = set() if judge is None else set(ensemble.validation_steps.tolist())
    snapshots = np.empty((len(rows), len(ensemble.snapshots), ensemble.network.size), ensemble.dtype)
    done, block, mine, checkpoint = 0, 64, int(np.count_nonzero(asked)), None
    if job.checkpoint is not None:
        done = job.checkpoint.step
        state = {name: values[rows[asked]] for name, values in job.checkpoint.arrays.items()}
        group = trainer.resume(group, part_of(state, STATE), asked, done)
        if judge is not None:
            judge.resume(group, part_of(state, JUDGED), asked, done)
        snapshots[asked, : state[SNAPSHOTS].shape[1]] = state[SNAPSHOTS]
    kept_at = trainer.resumes_at(ensemble.steps) if job.keep_state else -1
    stops = {*ensemble.snapshots, *judged_at, ensemble.steps, kept_at}
    for stop_at in sorted(step for step in stops if step >= done):
        ended = judge is not None and judge.all_stopped(asked)
        if ended:  # nothing of what would follow is kept
            job.report((stop_at - done) * mine)
            done = stop_at
        while done < stop_at:
            if job.stop.is_set():
                raise Interrupted
            steps = min(block, stop_at - done)
            began = time.perf_counter()
            group = trainer.advance(group, steps)
            block = _next_block(steps, time.perf_counter() - began)
            done += steps
            job.report(steps * mine)
        if stop_at == kept_at:
            checkpoint = _checkpoint(job, group, judge, snapshots, stop_at)
        if judge is not None and stop_at in judged_at and not ended:
            judge.look(group, stop_at)
        if stop_at in ensemble.snapshots:
            params = trainer.parameters(group)
            snapshots[:, ensemble.snapshots.index(stop_at)] = params if judge is None else judge.parameters(params)
    result = trainer.finish(group, on_device=job.on_device)
    result = result if judge is None else judge.settle(result)
    if job.checkpoint is not None:
        result = result._replace(trace=_with_first(result.trace, state[TRACE], asked))
    if checkpoint is not None:
        seen = int(np.count_nonzero(ensemble.trace_steps < checkpoint.step))
        checkpoint = checkpoint.with_arrays({TRACE: np.asarray(result.trace)[:, :seen]})
    return Trained(result, snapshots, None if judge is None else judge.found, checkpoint)


def _checkpoint(job: _Job, group: Any, judge: Judge | None, snapshots: np.ndarray, step: int) -> Checkpoint:
    """All that decides what follows a step, and what was kept on the way, but for the trace."""
    taken = sum(each < step for each in job.ensemble.snapshots)
    judged = {} if judge is None else named(JUDGED, judge.state(group, step))
    return Checkpoint(
        step, {**named(STATE, job.trainer.state(group)), **judged, SNAPSHOTS: snapshots[:, :taken].copy()}
    )


def _with_first(trace: Any, columns: np.ndarray, which: Bool[np.ndarray, "W"]) -> Any:
    """A trace whose first columns are known for some members."""
    if isinstance(trace, jax.Array):
        return trace.at[np.flatnonzero(which), : columns.shape[1]].set(columns)
    trace = np.array(trace)
    trace[which, : columns.shape[1]] = columns
    return trace


def _next_block(steps: int, seconds: float) -> int:
    return max(1, min(int(steps * _BLOCK_SECONDS / max(seconds, 1e-9)), 8 * steps))
