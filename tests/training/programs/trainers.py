"""Trains the fits of a lowered program by compiled kernels, below the trainers, which may notice a fault and refuse."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from training.cuda.emulation import Emulated
from training.programs.check import STEPS, Lowered, Training
from training.programs.generator import FITS

from jaxland.training import Ensemble
from jaxland.training.cuda import Variant
from jaxland.training.cuda import group as cuda_group
from jaxland.training.cuda.tuning import build, fitting
from jaxland.training.lanes import machine
from jaxland.training.lanes.emit import Target
from jaxland.training.lanes.kernel import write_kernel
from jaxland.training.lanes.loops import write_loop_kernel
from jaxland.training.lanes.machine import run_kernel
from jaxland.training.program.layout import Layout
from jaxland.training.program.loop_programs import loop_layout, loop_programs, update_loops
from jaxland.training.program.memory import new_group
from jaxland.training.program.programs import layout_of
from jaxland.training.tpu import TpuTrainer
from jaxland.training.tpu import trainer as tpu_trainer


def compiled(lowered: Lowered) -> Training:
    """By the kernel of lanes."""
    ensemble, update, programs = lowered
    target = machine.host()
    lanes = target.vector_bytes // ensemble.number_format.itemsize
    layout = layout_of(ensemble, update, lanes)
    return _run(ensemble, write_kernel(ensemble, programs, layout, target), layout, target)


def looped(lowered: Lowered) -> Training:
    """By the kernel of lanes that is made of loops.

    Raises:
        Unlowerable: it has no loops.
    """
    ensemble, _, programs = lowered
    target = machine.host()
    lanes = target.vector_bytes // ensemble.number_format.itemsize
    loops = loop_programs(ensemble, update_loops(ensemble), programs.tile)
    layout = loop_layout(ensemble, loops, lanes, loops.scratch_bytes)
    return _run(ensemble, write_loop_kernel(ensemble, loops, layout, target), layout, target)


def _run(ensemble: Ensemble, text: str, layout: Layout, target: Target) -> Training:
    lanes = layout.lanes
    kernel = machine.load_object(machine.compile_object(text, target))
    group = new_group(ensemble, layout, ensemble.members(np.arange(lanes) % FITS))
    kernel.functions["start"](group.buffer.ctypes.data)

    def entries(kind):
        return _alike(np.stack(layout.view(group.buffer, kind), 1))

    return _trained(entries, lambda closing: run_kernel(kernel, group, 1, closing=closing))


def emulated(folder: Path, threads: int) -> Callable[[Lowered], Training]:
    """By the kernel of cuda, compiled by g++ and run on emulated warps; `threads` train a network together."""
    device = Emulated(folder)

    def train(lowered: Lowered) -> Training:
        ensemble, update, programs = lowered
        variant = fitting(ensemble, update, device, Variant(threads, programs.tile, block=32))
        built = build(ensemble, update, device, variant, variant.networks * -(-FITS // variant.networks))
        group = cuda_group.begin(built, ensemble, ensemble.members(np.arange(built.layout.lanes) % FITS))

        def entries(kind):
            return _alike(np.stack(built.layout.view(group.state.array, kind), 1).copy())

        return _trained(entries, lambda closing: cuda_group.advance(group, 1, closing=closing))

    return train


def on_tpu(lowered: Lowered) -> Training:
    """By the kernel of tpu, interpreted by XLA.

    Raises:
        Unlowerable: a TPU has not what it needs.
    """
    ensemble = lowered.ensemble
    tile = {"tile": lowered.programs.tile, "kernel": tpu_trainer.VERSION, "device": tpu_trainer.INTERPRETED}
    trainer = TpuTrainer(ensemble, tile)
    group = trainer.begin(ensemble.members(np.arange(trainer.width) % FITS))

    def entries(kind):
        return _alike(np.stack(trainer._layout.view(trainer._buffer(group), kind), 1).copy())

    def run(closing):
        trainer._launch(group, 1, closing=closing)
        group.step += not closing

    return _trained(entries, run)


def _trained(entries, run) -> Training:
    losses, first = [], None
    for _ in range(STEPS):
        run(closing=True)
        losses.append(entries("loss")[:, 0])
        first = entries("grad") if first is None else first
        run(closing=False)
    return Training(np.stack(losses, 1), first, entries("param"))


def _alike(values):
    """The first fits; the others repeat them, to the bit."""
    for fit in range(FITS):
        same = values[fit::FITS]
        assert all(row.tobytes() == values[fit].tobytes() for row in same), "lanes differ"
    return values[:FITS].copy()
