"""The cuda backend: a few threads of a GPU train one fit, thousands of steps a launch."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxland._precision import numerics
from jaxland.training.cuda.driver import Device, Memory, local_gpus
from jaxland.training.cuda.group import CudaGroup, advance, begin
from jaxland.training.cuda.handover import ALIGNMENT, as_jax
from jaxland.training.cuda.source import Variant
from jaxland.training.cuda.tuning import VERSION, build, choose_variant, fitting, group_width
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.plain import PlainProgram
from jaxland.training.probe import require_agreement
from jaxland.training.program.expression import Unlowerable
from jaxland.training.program.layout import memory_type
from jaxland.training.program.memory import RECORD
from jaxland.training.program.trace import check_points_apart, require_all_points_alike, trace_update
from jaxland.training.trainer import GroupResult, check_settings, check_trace

# A thread has 255 registers for gradients and all else; what does not fit is written to memory and read again: by
# benchmarks/registers.py at most 72 bytes a thread with 136 parameters and about 500 with 241, which the first cache
# holds for all 256 threads; 2,000 with 349, which it does not. What that costs has not been measured on a device.
IN_REGISTERS = 241
LARGEST = 600


class CudaTrainer:
    """Trains groups of fits of one ensemble; see `jaxland.training.trainer.Trainer`.

    Args:
        ensemble: what is trained.
        settings: those of an earlier trainer, to repeat its bits; measured or remembered by default.
        devices: where; the GPUs of this process by default.
        largest: refuse networks with more parameters than this.

    Attributes:
        settings: what decides the bits of a fit besides the ensemble, as JSON values: `threads` of a network; `tile`,
            points whose gradient one of them takes at a time; `kernel`, the version of the code generator. The size of
            a `block`, and how many fits are trained side by side, decide nothing.

    Raises:
        CudaMissing: no GPU, or a part of CUDA is not installed.
        Unlowerable: the network, the loss or the optimizer has no scalar form, or the network is too large.
        ValueError: the settings cannot be met by this version.
    """

    name = "cuda"

    def __init__(
        self,
        ensemble: Ensemble,
        settings: Mapping[str, Any] | None = None,
        *,
        devices: Sequence[Device] | None = None,
        largest: int = LARGEST,
    ):
        if ensemble.steps >= 2**31:
            raise Unlowerable("cuda counts steps in 32 bits.")
        require_all_points_alike(ensemble, "cuda")
        if ensemble.network.size > largest:
            raise Unlowerable(f"the network has {ensemble.network.size} parameters; cuda is made for up to {largest}.")
        if settings is not None:
            check_settings(settings, {"kernel": VERSION})
        check_points_apart(ensemble)
        self.ensemble = ensemble
        self._devices = list(devices or local_gpus())
        self.devices = self.workers = len(self._devices)
        self.together = 1
        update = trace_update(ensemble)
        if settings is None:
            variant = choose_variant(ensemble, update, self._devices[0])
        else:
            variant = Variant(settings["threads"], settings["tile"], block=settings.get("block", 256))
            variant = fitting(ensemble, update, self._devices[0], variant)
        self.settings = {"threads": variant.threads, "tile": variant.tile, "block": variant.block, "kernel": VERSION}
        # The groups of all devices are as wide as those of the first, so that shards fit them.
        self.width = group_width(self._devices[0], variant)
        self._built = [build(ensemble, update, device, variant, self.width) for device in self._devices]
        self._layout = self._built[0].layout
        plain = PlainProgram(ensemble, ensemble.number_format)
        require_agreement(self, ensemble, plain, "cuda", self._devices[0].architecture, str(self.settings))

    @classmethod
    def offer(cls, ensemble: Ensemble, settings: Mapping[str, Any] | None = None) -> Self:
        """The trainer, of networks whose gradients have registers."""
        return cls(ensemble, settings, largest=IN_REGISTERS)

    @property
    def sentence(self) -> str:
        """How it trains."""
        return f"{self.settings['threads']} threads of a GPU a fit"

    def begin(self, members: Members, device: int = 0) -> CudaGroup:
        """The state of a group before its first step, on one of the devices."""
        return begin(self._built[device], self.ensemble, members)

    def advance(self, group: CudaGroup, steps: int) -> CudaGroup:
        """The group `steps` steps later."""
        check_trace(self.ensemble, group.step, steps)
        advance(group, steps, every=self.ensemble.trace_every or 0)
        return group

    def parameters(self, group: CudaGroup) -> Float[np.ndarray, "W P"]:
        """The parameters of a group as they stand."""
        return _by_fit(self._entries(group, "param"))

    def entries(self, group: CudaGroup, kind: str) -> np.ndarray | None:
        """All entries of a kind, (W, K). Gradients leave the registers in the update only."""
        return None if kind == "grad" else _by_fit(self._entries(group, kind))

    def finish(self, group: CudaGroup, *, on_device: bool = False) -> GroupResult:
        """The results of a group after its last step; on the device they are read from the group's memory there."""
        advance(group, 1, every=self.ensemble.trace_every or 0, closing=True)
        dtype = self.ensemble.number_format
        shape = len(self.ensemble.trace_steps), self.width
        with numerics(dtype):
            params = _by_fit(self._entries(group, "param", on_device))
            record = {name: self._entries(group, name, on_device)[0] for name in RECORD}
            trace = _by_fit(_array(group.trace, 0, shape, dtype, on_device))
            # The memory may be freed as soon as the group is let go.
            return jax.block_until_ready(GroupResult(params=params, trace=trace, **record))

    def _entries(self, group: CudaGroup, kind: str, on_device: bool = False) -> Any:
        """All entries of a kind whose entries are of one type: (K, W)."""
        types = self._layout.kinds[kind]
        shape = len(types), self.width
        return _array(group.state, self._layout.offset((kind, 0)), shape, memory_type(types[0]), on_device)


def _array(memory: Memory, start: int, shape: tuple[int, int], dtype: np.dtype, on_device: bool) -> Any:
    if not math.prod(shape):
        return (jnp if on_device else np).empty(shape, dtype)
    if on_device and start % ALIGNMENT == 0:
        return as_jax(memory, start, shape, dtype)
    values = memory.read(start, math.prod(shape) * dtype.itemsize).view(dtype).reshape(shape)
    return jnp.asarray(values) if on_device else values


def _by_fit(entries: Any) -> Any:
    """(K, W) as (W, K), what belongs to a fit one after the other."""
    return entries.T if isinstance(entries, jax.Array) else np.ascontiguousarray(entries.T)
