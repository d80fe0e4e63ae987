"""The training of one group of fits, in blocks of steps, from their start or from a checkpoint to the end."""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxland.training.checkpoint import JUDGED, SNAPSHOTS, STATE, TRACE, Checkpoint, Keeper, named, part_of
from jaxland.training.ensemble import Ensemble
from jaxland.training.judging import Judge, Judged, Measure
from jaxland.training.trainer import GroupResult, Interrupted

# Long enough that the host costs nothing, short enough that Ctrl-C and the progress bar are prompt.
_BLOCK_SECONDS = 0.3
# When a checkpoint is due it is taken within so many steps: not every one of them has a state that says all.
_WITHIN = 512
# Who is asked to stop keeps what took longer than this.
_WORTH_KEEPING = 5.0


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


class Job(NamedTuple):
    """What all groups of one call have in common, by the arguments of `loop.train_fits`."""

    trainer: Any
    ensemble: Ensemble
    report: Callable[[int], None]
    stop: threading.Event
    on_device: bool
    measure: Measure
    checkpoint: Checkpoint | None
    keep_state: bool
    keeper: Keeper | None


def train_group(job: Job, fits: Int[np.ndarray, "F"], rows: Int[np.ndarray, "W"], device: int) -> Trained:
    """Trains a group.

    Args:
        job: what is to be done.
        fits: the numbers of all that are asked for.
        rows: for each place of the group the row of its fit among these, -1 where there is none.
        device: on which of the trainer's.
    """
    group = _Group(job, fits, rows, device)
    snapshots = job.ensemble.snapshots
    kept_at = job.trainer.resumes_at(job.ensemble.steps) if job.keep_state else -1
    stops = {*snapshots, *group.judged_at, job.ensemble.steps, kept_at}
    for step in sorted(each for each in stops if each >= group.done):
        ended = group.all_stopped()
        if ended:  # nothing of what would follow is kept
            group.pass_over(step)
        else:
            group.advance(step)
        if step == kept_at:
            group.kept = group.checkpoint()
        if step in group.judged_at and not ended:
            group.look()
        if step in snapshots:
            group.take_snapshot(snapshots.index(step))
    return group.finish()


class _Group:
    """The fits of one group while they are trained.

    Attributes:
        done: steps.
        judged_at: steps in which they are judged.
        kept: the checkpoint that is asked for, once it is taken.
    """

    def __init__(self, job: Job, fits: Int[np.ndarray, "F"], rows: Int[np.ndarray, "W"], device: int):
        self._job, self._asked = job, rows >= 0
        self._fits, self._count = fits[rows[self._asked]], int(np.count_nonzero(self._asked))
        trainer, ensemble = job.trainer, job.ensemble
        # Places of no fit are given to one that is asked for: of others nothing may be known.
        members = ensemble.members(fits[np.where(self._asked, rows, rows.max())])
        self._state = trainer.begin(members, device)
        judged = ensemble.validation is not None
        self._judge = Judge(ensemble, trainer, members, job.measure) if judged else None
        self.judged_at = set(ensemble.validation_steps.tolist()) if judged else set()
        self._snapshots = np.empty((len(rows), len(ensemble.snapshots), ensemble.network.size), ensemble.dtype)
        self.done, self._block, self._began = 0, 64, time.monotonic()
        self.kept: Checkpoint | None = None
        self._trace: np.ndarray | None = None
        if job.checkpoint is not None:
            self._resume(job.checkpoint.rows(rows[self._asked]))
        elif job.keeper is not None and (found := job.keeper.load(self._fits)) is not None:
            self._resume(found)
            job.report(self.done * self._count)

    def _resume(self, checkpoint: Checkpoint) -> None:
        self.done, arrays, trainer = checkpoint.step, checkpoint.arrays, self._job.trainer
        self._state = trainer.resume(self._state, part_of(arrays, STATE), self._asked, self.done)
        if self._judge is not None:
            self._judge.resume(self._state, part_of(arrays, JUDGED), self._asked, self.done)
        self._snapshots[self._asked, : arrays[SNAPSHOTS].shape[1]] = arrays[SNAPSHOTS]
        self._trace = arrays[TRACE]

    def all_stopped(self) -> bool:
        """Whether nothing is left to be trained."""
        return self._judge is not None and self._judge.all_stopped(self._asked)

    def pass_over(self, step: int) -> None:
        """Takes the steps up to this one for done."""
        self._job.report((step - self.done) * self._count)
        self.done = step

    def advance(self, step: int) -> None:
        """Trains up to a step.

        Raises:
            Interrupted: this was asked for.
        """
        while self.done < step:
            if self._job.stop.is_set():
                self._keep(after=_WORTH_KEEPING)
                raise Interrupted
            steps = min(self._block, step - self.done, self._until_due())
            began = time.perf_counter()
            self._state = self._job.trainer.advance(self._state, steps)
            self._block = _next_block(steps, time.perf_counter() - began)
            self.done += steps
            self._keep()
            self._job.report(steps * self._count)

    def _until_due(self) -> int:
        """Steps to the next checkpoint that the keeper is given."""
        keeper, trainer = self._job.keeper, self._job.trainer
        if keeper is None or time.monotonic() - self._began < keeper.seconds:
            return self._job.ensemble.steps
        return trainer.resumes_at(self.done + _WITHIN) - self.done

    def _keep(self, after: float = float("inf")) -> None:
        """Gives the keeper a checkpoint, where one is due and this step has one."""
        keeper = self._job.keeper
        if keeper is None or self._job.trainer.resumes_at(self.done) < self.done:
            return
        if time.monotonic() - self._began >= min(keeper.seconds, after):
            keeper.save(self._fits, self.checkpoint().rows(self._asked))
            self._began = time.monotonic()

    def look(self) -> None:
        """Judges the fits."""
        assert self._judge is not None
        self._judge.look(self._state, self.done)

    def take_snapshot(self, place: int) -> None:
        """Keeps the parameters as they are now."""
        params = self._job.trainer.parameters(self._state)
        self._snapshots[:, place] = params if self._judge is None else self._judge.parameters(params)

    def checkpoint(self) -> Checkpoint:
        """All that decides what follows, and what was kept on the way."""
        trainer, ensemble, step = self._job.trainer, self._job.ensemble, self.done
        result = self._settled(trainer.results(self._state))
        judged = {} if self._judge is None else named(JUDGED, self._judge.state(self._state, step))
        kept = {
            TRACE: np.asarray(result.trace)[:, ensemble.trace_steps < step],
            SNAPSHOTS: self._snapshots[:, [each < step for each in ensemble.snapshots]],
        }
        return Checkpoint(step, {**named(STATE, trainer.state(self._state)), **judged, **kept})

    def _settled(self, result: GroupResult) -> GroupResult:
        """Results with what the judge knows, and what was traced before a checkpoint."""
        result = result if self._judge is None else self._judge.settle(result)
        return result if self._trace is None else result._replace(trace=self._with_first(result.trace, self._trace))

    def _with_first(self, trace: Any, columns: np.ndarray) -> Any:
        if isinstance(trace, jax.Array):
            return trace.at[np.flatnonzero(self._asked), : columns.shape[1]].set(columns)
        trace = np.array(trace)
        trace[self._asked, : columns.shape[1]] = columns
        return trace

    def finish(self) -> Trained:
        """What came out."""
        result = self._settled(self._job.trainer.finish(self._state, on_device=self._job.on_device))
        return Trained(result, self._snapshots, None if self._judge is None else self._judge.found, self.kept)


def _next_block(steps: int, seconds: float) -> int:
    return max(1, min(int(steps * _BLOCK_SECONDS / max(seconds, 1e-9)), 8 * steps))
