"""The lanes backend: trains one fit in every lane of a vector register."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from jaxtyping import Float

from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.lanes import machine
from jaxland.training.lanes.machine import run_kernel
from jaxland.training.lanes.tuning import VERSION, prepare_kernel
from jaxland.training.plain import PlainProgram
from jaxland.training.probe import require_agreement
from jaxland.training.program.expression import Unlowerable
from jaxland.training.program.layout import Layout
from jaxland.training.program.loop_programs import loop_layout
from jaxland.training.program.memory import Group, entries, new_group, result_of
from jaxland.training.trainer import GroupResult, as_jax_arrays, available_threads, check_settings, check_trace

# What has no loops is straight-line code, which outgrows the caches: at 10,500 lines a point xla is as fast.
LARGEST_PROGRAM = 8000


class LanesTrainer:
    """Trains groups of fits of one ensemble; see `jaxland.training.trainer.Trainer`.

    Args:
        ensemble: what is trained.
        settings: those of an earlier trainer, to repeat its bits; measured or remembered by default.
        largest: refuse straight code of more lines a point than this.

    Attributes:
        settings: what decides the bits of a fit besides the ensemble, as JSON values: `lanes`, the width of a group;
            `form`, straight code or loops over units; `tile`, points whose gradient is taken at a time; `fused`,
            whether multiply-adds are rounded once; `kernel`, the version of the code generator.

    Raises:
        Unlowerable: the network, the loss or the optimizer has no scalar form; the message names the primitive.
        ValueError: the settings cannot be met on this processor or by this version.
    """

    name = "lanes"

    def __init__(self, ensemble: Ensemble, settings: Mapping[str, Any] | None = None, *, largest: int | None = None):
        if ensemble.steps >= 2**31:
            raise Unlowerable("lanes counts steps in 32 bits.")
        self.ensemble = ensemble
        target = machine.host()
        lanes, tile, form = target.vector_bytes // ensemble.number_format.itemsize, None, None
        if settings is not None:
            check_settings(settings, {"kernel": VERSION, "fused": target.fused})
            tile, lanes, form = settings["tile"], settings["lanes"], settings.get("form", "straight")
        plain = PlainProgram(ensemble, ensemble.number_format)
        plan, self._kernel = prepare_kernel(ensemble, plain, target, lanes, tile, largest, form)
        self.settings = {"lanes": lanes, "form": plan.form, "tile": plan.tile, "fused": target.fused, "kernel": VERSION}
        self.width, self.devices, self.workers = lanes, 1, available_threads()
        self._layout: Layout = loop_layout(ensemble, plan, lanes, plan.scratch_bytes)
        require_agreement(self, ensemble, plain, plan.key)

    @classmethod
    def offer(cls, ensemble: Ensemble, settings: Mapping[str, Any] | None = None) -> Self:
        """The trainer, where straight code is not too large for what has no loops."""
        return cls(ensemble, settings, largest=LARGEST_PROGRAM)

    @property
    def sentence(self) -> str:
        """How it trains."""
        return f"one fit in each of {self.width} lanes"

    def begin(self, members: Members, device: int = 0) -> Group:
        """The state of a group before its first step; there is one device."""
        del device
        group = new_group(self.ensemble, self._layout, members)
        self._kernel.functions["start"](group.buffer.ctypes.data)
        return group

    def advance(self, group: Group, steps: int) -> Group:
        """The group `steps` steps later."""
        check_trace(self.ensemble, group.step, steps)
        run_kernel(self._kernel, group, steps, every=self.ensemble.trace_every or 0)
        return group

    def parameters(self, group: Group) -> Float[np.ndarray, "W P"]:
        """The parameters of a group as they stand."""
        return self.entries(group, "param")

    def entries(self, group: Group, kind: str) -> np.ndarray:
        """All entries of a kind, (W, K)."""
        return entries(self._layout, group.buffer, kind)

    def finish(self, group: Group, *, on_device: bool = False) -> GroupResult:
        """The results of a group after its last step."""
        run_kernel(self._kernel, group, 1, every=self.ensemble.trace_every or 0, closing=True)
        result = result_of(self._layout, group.buffer, group.trace)
        return as_jax_arrays(result) if on_device else result
