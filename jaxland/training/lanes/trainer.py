"""The lanes backend: trains one fit in every lane of a vector register."""

from collections.abc import Mapping
from copy import copy
from functools import partial
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float

from jaxland._processors import available_threads
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.evaluation import of_all_points, of_held_out
from jaxland.training.lanes import machine
from jaxland.training.lanes.emit import Target
from jaxland.training.lanes.evaluation import Evaluation, prepare_evaluation
from jaxland.training.lanes.group import LanesGroup
from jaxland.training.lanes.machine import run_evaluation, run_kernel
from jaxland.training.lanes.runs import (
    PLAIN_STEPS,
    TOGETHER,
    advance_runs,
    begin_runs,
    may_be_worthwhile,
    prepare_runs,
    put_waits,
    require_runs_possible,
    resumes_at,
    waits_of,
    with_runs,
    worthwhile,
)
from jaxland.training.lanes.tuning import VERSION, Plan, prepare_kernel
from jaxland.training.plain import PlainProgram
from jaxland.training.probe import require_agreement, require_losses
from jaxland.training.program.expression import Unlowerable
from jaxland.training.program.layout import Layout
from jaxland.training.program.loop_programs import loop_layout
from jaxland.training.trainer import GroupResult, as_jax_arrays, check_settings, check_trace

# What has no loops is straight-line code, which outgrows the caches: at 10,500 lines a point xla is as fast.
LARGEST_PROGRAM = 8000
_WAITS = "waits"


class LanesTrainer:
    """Trains groups of fits of one ensemble; see `jaxland.training.trainer.Trainer`.

    Args:
        ensemble: what is trained.
        settings: those of an earlier trainer, to repeat its bits; measured or remembered by default.
        largest: refuse straight code of more lines a point than this.
        compress: whether points between kinks are taken together (see `program.piecewise`); by default where it is
            expected to be faster. Settings decide it, where they are given.

    Attributes:
        settings: what decides the bits of a fit besides the ensemble, as JSON values: `lanes`, the width of a group;
            `form`, straight code or loops over units; `tile`, points whose gradient is taken at a time; `compress`,
            the first step in which points are taken together, or None; `fused`, whether multiply-adds are rounded
            once; `kernel`, the version of the code generator.
        together: groups that are best trained as one.

    Raises:
        Unlowerable: the network, the loss or the optimizer has no scalar form, or no compressed one where that is asked
            for; the message says why.
        ValueError: the settings cannot be met on this processor or by this version.
    """

    name = "lanes"

    def __init__(
        self,
        ensemble: Ensemble,
        settings: Mapping[str, Any] | None = None,
        *,
        largest: int | None = None,
        compress: bool | None = None,
    ):
        if ensemble.steps >= 2**31:
            raise Unlowerable("lanes counts steps in 32 bits.")
        self.ensemble = ensemble
        target = machine.host()
        lanes, tile, form = target.vector_bytes // ensemble.number_format.itemsize, None, None
        self._first = PLAIN_STEPS
        if settings is not None:
            check_settings(settings, {"kernel": VERSION, "fused": target.fused})
            tile, lanes, compress = settings["tile"], settings["lanes"], settings.get("compress") is not None
            form, self._first = settings.get("form", "straight"), settings.get("compress") or 0
        plain = PlainProgram(ensemble, ensemble.number_format)
        plan, self._kernel = prepare_kernel(ensemble, plain, target, lanes, tile, largest, form)
        self.width, self.devices, self.workers = lanes, 1, available_threads()
        self.together, self._runs = TOGETHER if ensemble.validation else 1, None
        self._evaluations: dict[str, Evaluation] = {}
        self._layout: Layout = loop_layout(ensemble, plan, lanes, plan.scratch_bytes)
        if ensemble.sampled or ensemble.validation:
            self._prepare_evaluations(target, plan)
        require_agreement(self, ensemble, plain, plan.key)
        # The program of runs is straight code, so for a large network it is asked first whether it can pay.
        if compress or (compress is None and (plan.form == "straight" or may_be_worthwhile(ensemble))):
            self._compress(plain, target, insist=compress is True)
        self.settings = {"lanes": lanes, "form": plan.form, "tile": plan.tile, "fused": target.fused, "kernel": VERSION}
        self.settings["compress"] = None if self._runs is None else self._first

    def _prepare_evaluations(self, target: Target, plan: Plan) -> None:
        evaluated = {"all": of_all_points(self.ensemble)}
        if self.ensemble.validation:
            evaluated["held out"] = of_held_out(self.ensemble)
        plain = {name: PlainProgram(each, each.number_format) for name, each in evaluated.items()}
        for name, each in evaluated.items():
            self._evaluations[name] = prepare_evaluation(each, plain[name], self._layout, target, plan.form)
        # What is scratch comes last, so everything else stays where the kernels have it.
        scratch = max(plan.scratch_bytes, *(made.scratch_bytes for made in self._evaluations.values()))
        self._layout = loop_layout(self.ensemble, plan, self.width, scratch)
        for name, each in evaluated.items():
            losses, made = partial(self._first_losses, name), self._evaluations[name]
            require_losses(losses, each, plain[name], self.width, made.key)

    def _first_losses(self, name: str, start: Float[np.ndarray, "W P"]) -> Float[np.ndarray, "W"]:
        """Losses of the first members, from other starts."""
        members = self.ensemble.members(np.arange(self.width) + self.ensemble.first)
        members = members._replace(start=start, init_scale=np.ones(self.width, start.dtype))
        return self._evaluated(LanesGroup(self.ensemble, self._layout, members), name)

    def _compress(self, plain: PlainProgram, target: Target, *, insist: bool) -> None:
        layout = with_runs(self._layout, self.ensemble.scalar_type)
        try:
            # Known kernels are found by the plain program, which does not tell these from others.
            require_runs_possible(self.ensemble)
            runs = prepare_runs(self.ensemble, plain, layout, target)
            if insist or worthwhile(self.ensemble, runs):
                compressed = copy(self)
                # It is probed from the first step on.
                compressed._layout, compressed._runs, compressed._first = layout, runs, 0
                require_agreement(compressed, self.ensemble, plain, runs.key)
                self._layout, self._runs, self.together = layout, runs, TOGETHER
        except Unlowerable:
            if insist:
                raise

    @classmethod
    def offer(
        cls, ensemble: Ensemble, settings: Mapping[str, Any] | None = None, *, compress: bool | None = None
    ) -> Self:
        """The trainer, where straight code is not too large for what has no loops."""
        return cls(ensemble, settings, largest=LARGEST_PROGRAM, compress=compress)

    @property
    def sentence(self) -> str:
        """How it trains."""
        runs = "" if self._runs is None else f", points between kinks taken together from step {self._first:,} on"
        return f"one fit in each of {self.width} lanes{runs}"

    def begin(self, members: Members, device: int = 0) -> LanesGroup:
        """The state of as many groups as there are members for, before their first step; there is one device."""
        del device
        group = LanesGroup(self.ensemble, self._layout, members)
        for part in group.parts:
            self._kernel.functions["start"](part.buffer.ctypes.data)
        if self._runs is not None:
            begin_runs(self.ensemble, self._layout, group, members)
        if self.ensemble.sampled:
            self._take_all_points(group, "initial_loss")
        return group

    def evaluate(self, group: LanesGroup) -> Float[np.ndarray, "W"]:
        """The loss of each member over all its points."""
        return self._evaluated(group, "all")

    def judge(self, group: LanesGroup) -> Float[np.ndarray, "W"]:
        """The loss of each member on the points of the validation."""
        return self._evaluated(group, "held out")

    def _evaluated(self, group: LanesGroup, name: str) -> Float[np.ndarray, "W"]:
        self._evaluate(group, name)
        return group.entries("judged")[:, 0]

    def _evaluate(self, group: LanesGroup, name: str) -> None:
        for part in group.parts:
            points = part.points if name == "all" else part.held_out
            assert points is not None
            run_evaluation(self._evaluations[name].kernel, part, points)

    def _take_all_points(self, group: LanesGroup, slot: str) -> None:
        """Puts the loss over all points where it belongs in the record."""
        self._evaluate(group, "all")
        for part in group.parts:
            view = self._layout.view
            view(part.buffer, slot)[0][:] = view(part.buffer, "judged")[0]

    def advance(self, group: LanesGroup, steps: int) -> LanesGroup:
        """The group `steps` steps later."""
        check_trace(self.ensemble, group.step, steps)
        plain = steps if self._runs is None else min(max(0, self._first - group.step), steps)
        for part in group.parts:
            run_kernel(self._kernel, part, plain, every=self.ensemble.trace_every or 0)
        if self._runs is not None:
            advance_runs(self.ensemble, self._runs, group, steps - plain, self._first)
        return group

    def parameters(self, group: LanesGroup) -> Float[np.ndarray, "W P"]:
        """The parameters of a group as they stand."""
        return group.entries("param")

    def entries(self, group: LanesGroup, kind: str) -> np.ndarray:
        """All entries of a kind, (W, K)."""
        return group.entries(kind)

    def resumes_at(self, step: int) -> int:
        """The last step up to this one whose state says all that follows."""
        return step if self._runs is None else resumes_at(step, self._first)

    def state(self, group: LanesGroup) -> dict[str, np.ndarray]:
        """What decides the steps to come, and the record, with a row for each member."""
        found = group.state()
        return found if self._runs is None else {**found, _WAITS: waits_of(self.ensemble, group)}

    def resume(
        self, group: LanesGroup, state: Mapping[str, np.ndarray], which: Bool[np.ndarray, "W"], step: int
    ) -> LanesGroup:
        """The group that has just begun with some of its members as they were after so many steps."""
        group.put(state, which, step)
        if self._runs is not None:
            put_waits(self.ensemble, group, state[_WAITS], which)
        return group

    def finish(self, group: LanesGroup, *, on_device: bool = False) -> GroupResult:
        """The results of a group after its last step."""
        group.restore()
        if self.ensemble.sampled:
            self._close(group)
        else:
            for part in group.parts:
                run_kernel(self._kernel, part, 1, every=self.ensemble.trace_every or 0, closing=True)
        return as_jax_arrays(group.result()) if on_device else group.result()

    def results(self, group: LanesGroup) -> GroupResult:
        """The results as they stand, but for the loss, which is that of the last step."""
        return group.result()

    def _close(self, group: LanesGroup) -> None:
        """Takes note of the loss over all points after the last step, which is not set beside those of batches."""
        self._take_all_points(group, "loss")
        every = self.ensemble.trace_every
        for part in group.parts:
            loss, diverged = (self._layout.view(part.buffer, name)[0] for name in ("loss", "diverged_step"))
            diverged[(diverged < 0) & ~np.isfinite(loss)] = part.step
            if every and part.step % every == 0:
                part.trace[part.step // every] = loss
