"""The tpu backend: 1,024 fits side by side in the registers of a TPU, thousands of steps a launch.

It is tested in interpret mode and lowered to the TPU compiler's language; it has not run on a TPU.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import jax
import numpy as np
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Bool, Float

from jaxland._precision import numerics
from jaxland.training.devices import local_devices
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.plain import PlainProgram
from jaxland.training.probe import require_agreement
from jaxland.training.program.expression import Unlowerable
from jaxland.training.program.memory import entries, new_group, put_state, result_of, state_of
from jaxland.training.program.programs import layout_of, schedule_programs
from jaxland.training.program.trace import check_points_apart, require_all_points_alike, trace_update
from jaxland.training.tpu.kernel import make_kernel, memory_needed
from jaxland.training.tpu.tiles import FITS, TILE, check_types
from jaxland.training.trainer import GroupResult, as_jax_arrays, check_settings, check_trace

VERSION = 2
"""Goes up whenever the kernel may give a fit other bits."""

# As with lanes; what so many instructions cost to fetch on a TPU is not known.
LARGEST_PROGRAM = 8000
INTERPRETED = "interpreted"

# Two points share each read of a weight; to share it among more saves little and takes registers.
_TILE = 2
# Where there is no TPU to ask: a core of the fourth generation.
_VECTOR_MEMORY, _SCALAR_MEMORY = 16 * 2**20, 2**20
# XLA takes (x + c) - c for x, which takes away the rounding that approximations are built on. The rest saves time: a
# kernel of thousands of lines takes XLA long to fuse and to optimise.
_INTERPRETER = {"xla_disable_hlo_passes": "algsimp,fusion", "xla_backend_optimization_level": 0}
# What is left to the compiler, for registers that are put aside and for its own scalars.
_SPARE_VECTOR, _SPARE_SCALAR = 2 * 2**20, 4 * 2**10


@dataclass
class TpuGroup:
    """The fits of one launch, on the device.

    Attributes:
        device: the number of the device.
        kept: state (slots, blocks, 8, 128), and trace (T, blocks, 8, 128) where one is asked for.
        x, y: (N D,) shared, or (N D, blocks, 8, 128).
        step: steps done.
    """

    device: int
    kept: list[Any]
    x: Any
    y: Any
    step: int = 0


class TpuTrainer:
    """Trains groups of fits of one ensemble; see `jaxland.training.trainer.Trainer`.

    Args:
        ensemble: what is trained.
        settings: those of an earlier trainer, to repeat its bits; chosen by default.
        blocks: blocks of 1,024 fits in a group; by default one for each core of the TPU.
        largest: refuse programs with more lines a point than this.

    Attributes:
        settings: what decides the bits of a fit besides the ensemble, as JSON values: `tile`, points whose gradient is
            taken at a time; `kernel`, the version of the kernel; `device`, the kind of TPU, or "interpreted" where
            the process has none and XLA evaluates the kernel, which is right and slow.

    Raises:
        Unlowerable: the network, the loss or the optimizer has no scalar form, or the program needs what a TPU lacks:
            float64, or more memory than a core has.
        ValueError: the settings cannot be met on this device or by this version.
    """

    name = "tpu"

    def __init__(
        self,
        ensemble: Ensemble,
        settings: Mapping[str, Any] | None = None,
        *,
        blocks: int | None = None,
        largest: int = LARGEST_PROGRAM,
    ):
        if ensemble.steps >= 2**31:
            raise Unlowerable("tpu counts steps in 32 bits.")
        require_all_points_alike(ensemble, "tpu")
        if ensemble.dtype != "float32":
            raise Unlowerable("a TPU has no float64; train in float32, or with backend='xla'.")
        if ensemble.subnormal:
            raise Unlowerable(f"a TPU takes subnormal numbers for zero, and {ensemble.subnormal} has some.")
        # Three multiply-adds a parameter and point; a program far too large is not even traced.
        _check_size(3 * ensemble.network.size, largest)
        self.ensemble = ensemble
        self._devices = local_devices()
        interpret = _interpreted(self._devices[0])
        if interpret:
            self._devices = self._devices[:1]
        self.devices = self.workers = len(self._devices)
        self.together = 1
        here = {"kernel": VERSION, "device": INTERPRETED if interpret else self._devices[0].device_kind}
        if settings is not None:
            check_settings(settings, here)
        self.settings = {"tile": int((settings or {}).get("tile", min(_TILE, ensemble.x_shape[0]))), **here}
        check_points_apart(ensemble)
        update = trace_update(ensemble, float64=False)
        programs = schedule_programs(ensemble, update, self.settings["tile"], float64=False)
        _check_size(len(programs.tile_lines) // programs.tile, largest)
        check_types([*programs.tile_lines, *programs.rest_lines, *programs.update_lines, *programs.start_lines])
        self.width = FITS * (blocks or (1 if interpret else _cores(self._devices[0])))
        self._layout = layout_of(ensemble, update, self.width)
        memory = _memory_of_a_core(interpret)
        _check_memory(ensemble, self._layout, memory)
        kernel = make_kernel(ensemble, programs, self._layout, vector_memory=memory[0], interpret=interpret)
        group = self._host_group(ensemble.members(np.full(self.width, ensemble.first)))
        shapes = [jax.ShapeDtypeStruct((3,), np.int32)]
        shapes += [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in (group.x, group.y, *group.kept)]
        jitted = jax.jit(kernel, donate_argnums=tuple(range(3, len(shapes))))
        options = _INTERPRETER if interpret else {}
        self._train = []
        for index in range(self.devices):
            with self._on(index):
                self._train.append(_compiled(jitted, shapes, options))
        plain = PlainProgram(ensemble, ensemble.number_format)
        require_agreement(self, ensemble, plain, str(self.settings))

    @classmethod
    def offer(cls, ensemble: Ensemble, settings: Mapping[str, Any] | None = None) -> Self:
        """The trainer."""
        return cls(ensemble, settings)

    @property
    def sentence(self) -> str:
        """How it trains."""
        return "one fit in each of 1,024 places of a register"

    @contextmanager
    def _on(self, device: int) -> Iterator[None]:
        with jax.default_device(self._devices[device]), numerics(self.ensemble.number_format):
            yield

    def _host_group(self, members: Members) -> TpuGroup:
        """A group in the host's memory, in which lanes and this backend agree but for the shape."""
        host = new_group(self.ensemble, self._layout, members)
        kept = [host.buffer.view(np.float32), *([host.trace] if self.ensemble.trace_every else [])]
        own = self.ensemble.inputs is not None, self.ensemble.targets is not None
        x, y = (self._tiles(data) if given else data for data, given in zip(host.points[:2], own, strict=True))
        return TpuGroup(0, [self._tiles(array) for array in kept], x, y)

    def _tiles(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(-1, self.width // FITS, *TILE)

    def begin(self, members: Members, device: int = 0) -> TpuGroup:
        """The state of a group before its first step, on one of the devices."""
        host = self._host_group(members)
        with self._on(device):
            kept, x, y = jax.device_put((host.kept, host.x, host.y), self._devices[device])
        return TpuGroup(device, kept, x, y)

    def advance(self, group: TpuGroup, steps: int) -> TpuGroup:
        """The group `steps` steps later; returns when the work is done."""
        check_trace(self.ensemble, group.step, steps)
        self._launch(group, steps, closing=False)
        group.step += steps
        return group

    def _launch(self, group: TpuGroup, steps: int, *, closing: bool) -> None:
        numbers = np.array([group.step, steps, closing], np.int32)
        with self._on(group.device):
            program = self._train[group.device]
            group.kept = jax.block_until_ready(program(numbers, group.x, group.y, *group.kept))

    def parameters(self, group: TpuGroup) -> Float[np.ndarray, "W P"]:
        """The parameters of a group as they stand."""
        return self.entries(group, "param")

    def entries(self, group: TpuGroup, kind: str) -> np.ndarray:
        """All entries of a kind, (W, K)."""
        return entries(self._layout, self._buffer(group), kind)

    def _buffer(self, group: TpuGroup) -> np.ndarray:
        return np.asarray(group.kept[0]).reshape(-1).view(np.uint8)

    def resumes_at(self, step: int) -> int:
        """Every step has a state that says all that follows."""
        return step

    def state(self, group: TpuGroup) -> dict[str, np.ndarray]:
        """What decides the steps to come, and the record, with a row for each member."""
        return state_of(self._layout, self._buffer(group))

    def resume(
        self, group: TpuGroup, state: Mapping[str, np.ndarray], which: Bool[np.ndarray, "W"], step: int
    ) -> TpuGroup:
        """The group that has just begun with some of its members as they were after so many steps."""
        buffer = self._buffer(group).copy()
        put_state(self._layout, buffer, state, which)
        with self._on(group.device):
            group.kept[0] = jax.device_put(self._tiles(buffer.view(np.float32)), self._devices[group.device])
        group.step = step
        return group

    def finish(self, group: TpuGroup, *, on_device: bool = False) -> GroupResult:
        """The results of a group after its last step."""
        self._launch(group, 1, closing=True)
        result = self.results(group)
        return as_jax_arrays(result) if on_device else result

    def results(self, group: TpuGroup) -> GroupResult:
        """The results as they stand, but for the loss, which is that of the last step."""
        trace = group.kept[1] if self.ensemble.trace_every else np.empty((0, self.width), np.float32)
        return result_of(self._layout, self._buffer(group), np.asarray(trace).reshape(-1, self.width))


def _check_size(lines: int, largest: int) -> None:
    if lines > largest:
        raise Unlowerable(f"about {lines} lines of straight code a point, of which tpu compiles up to {largest}.")


def _interpreted(device) -> bool:
    return device.platform != "tpu"


def _cores(device) -> int:
    return device.num_cores


def _compiled(function, shapes, options):
    return function.lower(*shapes).compile(options)


def _memory_of_a_core(interpret: bool) -> tuple[int, int]:
    """Bytes of vector memory and of scalar memory."""
    if interpret:
        return _VECTOR_MEMORY, _SCALAR_MEMORY
    info = pltpu.get_tpu_info()
    return info.vmem_capacity_bytes, info.smem_capacity_bytes


def _check_memory(ensemble, layout, memory) -> None:
    vector, scalar = memory
    vectors, scalars = memory_needed(ensemble, layout)
    if vectors > vector - _SPARE_VECTOR:
        raise Unlowerable(
            f"1,024 fits take {vectors / 2**20:.1f} MiB of a core's vector memory for parameters, gradients, state and "
            f"data of their own; there are {(vector - _SPARE_VECTOR) / 2**20:.0f} MiB."
        )
    if scalars > scalar - _SPARE_SCALAR:
        raise Unlowerable(
            f"the shared data takes {scalars / 2**10:.0f} KiB of a core's scalar memory; there are "
            f"{(scalar - _SPARE_SCALAR) / 2**10:.0f} KiB."
        )
