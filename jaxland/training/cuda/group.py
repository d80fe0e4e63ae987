"""The memory of a group of fits on a GPU, and launches of its kernels."""

import ctypes
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxland.training.cuda.driver import Device, Memory
from jaxland.training.cuda.source import Variant
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.program.layout import Layout
from jaxland.training.program.memory import new_group


class Built(NamedTuple):
    """Kernels on a device, and the layout of the groups they train."""

    device: Device
    kernels: Any
    layout: Layout
    variant: Variant


@dataclass
class CudaGroup:
    """The fits of one launch, on the device of its kernels. Launches change it in place."""

    built: Built
    state: Memory
    x: Memory
    y: Memory
    trace: Memory
    step: int = 0


def begin(built: Built, ensemble: Ensemble, members: Members) -> CudaGroup:
    """The memory of a group before its first step, the optimizer's state included."""
    host = new_group(ensemble, built.layout, members)
    arrays = host.buffer, host.points.x, host.points.y, host.trace
    state, x, y, trace = (built.device.upload(array) for array in arrays)
    group = CudaGroup(built, state, x, y, trace)
    blocks = -(-built.layout.lanes // built.variant.block)
    built.device.launch(built.kernels, "start", blocks, built.variant.block, [group.state])
    return group


def advance(group: CudaGroup, steps: int, *, every: int = 0, closing: bool = False) -> None:
    """Trains a group for `steps` steps, keeping the loss of each `every`-th, or only takes note of its last loss."""
    built = group.built
    numbers = (ctypes.c_longlong(group.step), ctypes.c_longlong(steps), ctypes.c_longlong(every), ctypes.c_int(closing))
    blocks = built.layout.lanes // built.variant.networks
    memory = (group.state, group.x, group.y, group.trace)
    built.device.launch(built.kernels, "train", blocks, built.variant.block, [*memory, *numbers])
    group.step += 0 if closing else steps
