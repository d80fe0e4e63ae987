"""The training loop of blocks of 1,024 fits as one Pallas kernel.

    train(numbers = [first, count, closing], x, y, state, trace)
        for each block of 1,024 fits, on the cores of the TPU:
            copy its state, and its own data, from the TPU's memory (HBM) into the core's (VMEM)
            set the optimizer's state where first is 0
            for step in first ... first + count - 1:
                set gradients and loss to zero
                for each tile of points: add its loss and its gradients
                the points left over: likewise
                take note of the loss: initial, best and its step, first that is not finite, trace
                update parameters and optimizer state, unless closing
            copy its state back

The state is that of `program.memory`: slot k holds scalar k of all fits side by side, here as (slots, blocks, 8, 128).
Shared data is read as scalars (SMEM), data of each fit's own as tiles.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from jaxland.training.ensemble import Ensemble
from jaxland.training.program.expression import Expression
from jaxland.training.program.layout import Layout
from jaxland.training.program.programs import Programs
from jaxland.training.program.roll import roll
from jaxland.training.tpu.tiles import FITS, TILE, Memory, Straight, number

_TILE_BYTES = 4 * FITS


def memory_needed(ensemble: Ensemble, layout: Layout) -> tuple[int, int]:
    """Bytes of a core's vector memory (VMEM) and scalar memory (SMEM) that a block of fits takes."""
    own = {True: 0, False: 0}
    for given, (points, components) in _data(ensemble).values():
        own[given] += points * components
    return (layout.bytes // layout.slot("f32") + own[True]) * _TILE_BYTES, 4 * own[False]


def _data(ensemble: Ensemble) -> dict[str, tuple[bool, tuple[int, ...]]]:
    """For x and y, whether each fit has its own, and their shape."""
    return {
        "x": (ensemble.inputs is not None, ensemble.x_shape),
        "y": (ensemble.targets is not None, ensemble.y_shape),
    }


def make_kernel(
    ensemble: Ensemble, programs: Programs, layout: Layout, *, vector_memory: int, interpret: bool
) -> Callable[..., Any]:
    """The function `train` of the arrays above, to be compiled by `jax.jit`: it returns state and trace.

    Args:
        ensemble: what is trained.
        programs: scheduled without float64.
        layout: of the group; its lanes are 1,024 fits a block.
        vector_memory: bytes of VMEM that the kernel may use.
        interpret: evaluate the kernel with XLA on whatever device there is, instead of compiling it for a TPU.
    """
    blocks = layout.lanes // FITS
    state = jax.ShapeDtypeStruct((layout.bytes // layout.slot("f32"), blocks, *TILE), np.float32)
    trace = [jax.ShapeDtypeStruct((len(ensemble.trace_steps), blocks, *TILE), np.float32)] * bool(ensemble.trace_every)
    scalars, far = pl.BlockSpec(memory_space=pltpu.SMEM), pl.BlockSpec(memory_space=pl.ANY)
    data = _data(ensemble).values()
    kept = [state, *trace]
    return pl.pallas_call(
        partial(_kernel, ensemble, programs, layout),
        grid=(blocks,),
        in_specs=[scalars, *(far if own else scalars for own, _ in data), *(far for _ in kept)],
        out_specs=[far for _ in kept],
        out_shape=kept,
        input_output_aliases={3 + number: number for number in range(len(kept))},
        scratch_shapes=[
            pltpu.VMEM((state.shape[0], *TILE), jnp.float32),
            *(pltpu.VMEM((points * components, *TILE), jnp.float32) for own, (points, components) in data if own),
        ],
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel",), vmem_limit_bytes=vector_memory),
        interpret=interpret,
        name="train",
    )


def _kernel(ensemble, programs, layout, numbers, x, y, *refs):
    kept = 2 if ensemble.trace_every else 1
    (state, *_), (state_out, *trace_out), (near, *own) = refs[:kept], refs[kept : 2 * kept], refs[2 * kept :]
    block = pl.program_id(0)
    pltpu.sync_copy(state.at[:, block], near)
    data, spare = {}, iter(own)
    for (name, (given, _)), ref in zip(_data(ensemble).items(), (x, y), strict=True):
        data[name] = next(spare) if given else ref
        if given:
            pltpu.sync_copy(ref.at[:, block], data[name])
    trace = trace_out[0].at[:, block] if trace_out else None
    loop = _Loop(ensemble, programs, Memory(near, layout), data, trace, numbers[2] == 0)
    first, count = numbers[0], numbers[1]
    pl.when(first == 0)(loop.start)
    lax.fori_loop(first, first + count, loop.step, None)
    pltpu.sync_copy(near, state_out.at[:, block])


class _Loop:
    """The steps of one block, while the kernel is traced."""

    def __init__(self, ensemble, programs, memory, data, trace, updating):
        self.ensemble, self.programs, self.memory = ensemble, programs, memory
        self.data, self.trace, self.updating = data, trace, updating
        self.loss_weight = ensemble.problem.loss.weight(*ensemble.y_shape)

    def start(self):
        Straight(self.memory).run(roll(self.programs.start_lines, "state", self.memory.layout))

    def step(self, step, _):
        self._clear()
        self._points()
        loss = self._record(step)

        @pl.when(self.updating)
        def _():
            straight = Straight(self.memory, lambda node: loss if node.value[0] == "loss" else None)
            straight.run(roll(self.programs.update_lines, "param", self.memory.layout))

    def _clear(self):
        self.memory.store(("total", 0), number(0, "f32"), "f32")
        first = self.memory.place(("grad", 0))

        def clear(k, _):
            self.memory.ref[first + k] = number(0, "f32")

        lax.fori_loop(0, self.ensemble.network.size, clear, None)

    def _points(self):
        tiles = self.programs.points // self.programs.tile
        lax.fori_loop(0, tiles, lambda tile, _: self._tile(tile, self.programs.tile_lines), None)
        if self.programs.rest_lines:
            self._tile(tiles, self.programs.rest_lines)

    def _tile(self, tile, lines):
        shapes = _data(self.ensemble)

        def read(node: Expression) -> jax.Array | None:
            kind, index = node.value
            if kind not in self.data:
                return None
            own, (_, components) = shapes[kind]
            place = (tile * self.programs.tile + index[0]) * components + index[1]
            value = self.data[kind][place]
            return value if own else number(value, "f32")

        Straight(self.memory, read).emit(lines)

    def _record(self, step) -> jax.Array:
        """Takes note of the loss. Comparisons with NaN are false, so best losses stay finite."""
        memory, now = self.memory, number(step, "i32")
        loss = memory.load(("total", 0), "f32")
        if self.loss_weight != 1:
            loss = loss * number(self.loss_weight, "f32")
        memory.store(("loss", 0), loss, "f32")

        @pl.when(step == 0)
        def _():
            memory.store(("initial_loss", 0), loss, "f32")

        best, best_step = memory.load(("best_loss", 0), "f32"), memory.load(("best_step", 0), "i32")
        better = loss < best
        memory.store(("best_loss", 0), lax.select(better, loss, best), "f32")
        memory.store(("best_step", 0), lax.select(better, now, best_step), "i32")

        diverged = memory.load(("diverged_step", 0), "i32")
        wild = ~(lax.abs(loss) < number(np.inf, "f32"))
        found = wild & (diverged < number(0, "i32"))
        memory.store(("diverged_step", 0), lax.select(found, now, diverged), "i32")
        self._keep(step)
        return loss

    def _keep(self, step):
        every = self.ensemble.trace_every
        if every is None:
            return

        @pl.when(lax.rem(step, every) == 0)
        def _():
            loss = self.memory.ref.at[self.memory.place(("loss", 0))]
            pltpu.sync_copy(loss, self.trace.at[lax.div(step, every)])
