"""The loop that drives a backend: groups of fits on threads."""

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxland._precision import numerics
from jaxland.training.checkpoint import Checkpoint, Keeper
from jaxland.training.ensemble import Ensemble
from jaxland.training.group import Job, Trained, train_group
from jaxland.training.judging import Measure, metrics_of
from jaxland.training.trainer import GroupResult, Resumes, Trainer, require_resumes

# A trainer that trains shard after shard of a study has compiled network and loss once; so it has what measures them.
_MEASURES: WeakKeyDictionary[Trainer, tuple[Ensemble, Measure]] = WeakKeyDictionary()


def _measure(trainer: Trainer, ensemble: Ensemble) -> Measure:
    known = _MEASURES.get(trainer)
    if known is None or known[0] is not ensemble:
        known = _MEASURES[trainer] = ensemble, metrics_of(ensemble, trainer.width)
    return known[1]


# Each worker has so many turns at least, so that none is idle for long while another is at its last.
_ROUNDS = 4


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


def train_fits(
    trainer: Trainer,
    ensemble: Ensemble,
    fits: Int[np.ndarray, "F"],
    *,
    checkpoint: Checkpoint | None = None,
    keep_state: bool = False,
    keeper: Keeper | None = None,
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
        keeper: keeps checkpoints of groups that take long, of backends that have them.
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
    if not isinstance(trainer, Resumes):
        keeper = None
    stop = stop or threading.Event()
    lock = threading.Lock()

    def report(net_steps):
        with lock:
            on_progress(net_steps)

    places = _places(trainer, fits, threads or trainer.workers)
    workers = min(threads or trainer.workers, len(places))
    measure = _measure(trainer, ensemble)
    job = Job(trainer, ensemble, report, stop, on_device, measure, checkpoint, keep_state, keeper)
    idle: SimpleQueue[int] = SimpleQueue()
    for worker in range(workers):
        idle.put(worker % trainer.devices)

    def train_rows(rows):
        # As many devices, counted as often as they are used, as there are workers: this never waits.
        device = idle.get()
        try:
            return train_group(job, fits, rows, device)
        finally:
            idle.put(device)

    with ThreadPoolExecutor(workers) as pool:
        groups = [pool.submit(train_rows, rows) for rows in places]
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


def _joined(job: Job, parts: list[Trained], rows: Int[np.ndarray, "W"]) -> Trained:
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
