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
from jaxtyping import Float, Int

from jaxland._precision import numerics
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.judging import Judge, Judged, metrics_of

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
    """Trains fits `first` to `first + count - 1`; as `train_judged` does, without what was found by judging.

    Args:
        trainer, ensemble, first, count, options: of `train_judged`.

    Returns:
        The results of the F fits, and their parameters at the S steps of `ensemble.snapshots`.
    """
    trained = train_judged(trainer, ensemble, first, count, **options)
    return trained.result, trained.snapshots


class Trained(NamedTuple):
    """Some trained fits.

    Attributes:
        result: of the F fits.
        snapshots: their parameters at the S steps of `ensemble.snapshots`.
        judged: what the ensemble's validation found; None where it has none.
    """

    result: GroupResult
    snapshots: Float[np.ndarray, "F S P"]
    judged: Judged | None


def train_judged(
    trainer: Trainer,
    ensemble: Ensemble,
    first: int,
    count: int,
    *,
    threads: int | None = None,
    on_progress: Callable[[int], object] = lambda net_steps: None,
    stop: threading.Event | None = None,
    on_device: bool = False,
) -> Trained:
    """Trains fits `first` to `first + count - 1`, and judges them where the ensemble has a validation.

    Args:
        trainer: the backend, made ready for `ensemble`.
        ensemble: what is trained.
        first: number of the first fit.
        count: F, how many.
        threads: how many groups are trained at a time, spread over the trainer's devices; as many as the trainer has
            `workers` by default.
        on_progress: called, one call at a time, with the net-steps done since the last call.
        stop: when set, training ends at the next block of steps.
        on_device: return results as arrays of JAX, on the first of the trainer's devices.

    Raises:
        Interrupted: `stop` was set.
    """
    stop = stop or threading.Event()
    lock = threading.Lock()

    def report(net_steps):
        with lock:
            on_progress(net_steps)

    starts = _starts(trainer, first, count, threads or trainer.workers)
    workers = min(threads or trainer.workers, len(starts))
    measure = metrics_of(ensemble, trainer.width)
    idle: SimpleQueue[int] = SimpleQueue()
    for worker in range(workers):
        idle.put(worker % trainer.devices)

    def train_group(start):
        # As many devices, counted as often as they are used, as there are workers: this never waits.
        device = idle.get()
        try:
            fits = np.arange(start, start + starts.step)
            asked = (fits >= first) & (fits < first + count)
            return _train_group(trainer, ensemble, fits, device, asked, report, stop, on_device, measure)
        finally:
            idle.put(device)

    with ThreadPoolExecutor(workers) as pool:
        groups = [pool.submit(train_group, start) for start in starts]
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
    results = [group.result() for group in groups]
    inside = slice(first - starts[0], first - starts[0] + count)
    join = _join_on_device if on_device else np.concatenate
    with numerics(ensemble.number_format):
        fields = zip(*(each.result for each in results), strict=True)
        joined = GroupResult(*(join(parts)[inside] for parts in fields))
        joined = _with_unseen(joined, ensemble.steps)
    judged = None
    if ensemble.validation is not None:
        judged = jax.tree.map(lambda *parts: np.concatenate(parts)[inside], *(each.judged for each in results))
    return Trained(joined, np.concatenate([each.snapshots for each in results])[inside], judged)


def _starts(trainer: Trainer, first: int, count: int, workers: int) -> range:
    """Where groups begin, several of them together where there are enough for all workers."""
    begin, end = first // trainer.width * trainer.width, first + count
    groups = -(-(end - begin) // trainer.width)
    return range(begin, end, trainer.width * max(1, min(trainer.together, groups // (_ROUNDS * workers))))


def _with_unseen(result: GroupResult, steps: int) -> GroupResult:
    """A weight can become infinite behind a ReLU that never fires again and leave the loss finite."""
    xp: Any = jnp if isinstance(result.params, jax.Array) else np
    unseen = (result.diverged_step < 0) & ~xp.isfinite(result.params).all(axis=1)
    return result._replace(diverged_step=xp.where(unseen, xp.int32(steps), result.diverged_step))


def _join_on_device(parts) -> Any:
    (device,) = parts[0].devices()
    return parts[0] if len(parts) == 1 else jnp.concatenate([jax.device_put(part, device) for part in parts])


def _train_group(trainer, ensemble, fits, device, asked, report, stop, on_device, measure) -> Trained:
    members = ensemble.members(fits)
    group = trainer.begin(members, device)
    judge = None if ensemble.validation is None else Judge(ensemble, trainer, members, measure)
    judged_at = set() if judge is None else set(ensemble.validation_steps.tolist())
    snapshots = np.empty((len(fits), len(ensemble.snapshots), ensemble.network.size), ensemble.dtype)
    done, block, mine = 0, 64, np.count_nonzero(asked)
    for stop_at in sorted({*ensemble.snapshots, *judged_at, ensemble.steps}):
        ended = judge is not None and judge.all_stopped(asked)
        if ended:  # nothing of what would follow is kept
            report((stop_at - done) * mine)
            done = stop_at
        while done < stop_at:
            if stop.is_set():
                raise Interrupted
            steps = min(block, stop_at - done)
            began = time.perf_counter()
            group = trainer.advance(group, steps)
            block = _next_block(steps, time.perf_counter() - began)
            done += steps
            report(steps * mine)
        if judge is not None and stop_at in judged_at and not ended:
            judge.look(group, stop_at)
        if stop_at in ensemble.snapshots:
            params = trainer.parameters(group)
            snapshots[:, ensemble.snapshots.index(stop_at)] = params if judge is None else judge.parameters(params)
    result = trainer.finish(group, on_device=on_device)
    return Trained(result, snapshots, None) if judge is None else Trained(judge.settle(result), snapshots, judge.found)


def _next_block(steps: int, seconds: float) -> int:
    return max(1, min(int(steps * _BLOCK_SECONDS / max(seconds, 1e-9)), 8 * steps))
