"""The loop nests of an ensemble: of the gradient over tiles of points, and of the optimizer."""

import math
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxland.training.ensemble import Ensemble
from jaxland.training.program.arrays import Graph, evaluate_arrays
from jaxland.training.program.layout import Layout
from jaxland.training.program.loops import Loops, Output, loops_of
from jaxland.training.program.programs import HasState, layout_of
from jaxland.training.program.scalarize import type_name
from jaxland.training.program.trace import loss_jaxpr, penalties_jaxpr, tile_inputs, tile_jaxpr, update_jaxprs


class LoopUpdate(NamedTuple):
    """The optimizer's update and its first state, as loops, and the type of each entry of its state."""

    update: Loops
    start: Loops
    state_types: list[str]


class LoopPrograms(NamedTuple):
    """The programs of an ensemble as loops, for one size of tiles.

    Attributes:
        points: N.
        tile: points in a tile.
        tile_loops: gradient over a tile; no nests where there are fewer points.
        rest_loops: gradient over the N modulo tile points left over.
        update_loops: the optimizer's update.
        start_loops: its initial state.
        state_types: of the entries of its state.
        clear_loops: what loss and gradients begin with where there are penalties; None stands for zero.
    """

    points: int
    tile: int
    tile_loops: Loops
    rest_loops: Loops
    update_loops: Loops
    start_loops: Loops
    state_types: list[str]
    clear_loops: Loops | None = None

    @property
    def scratch_bytes(self) -> int:
        """Of a lane, for whichever program needs most."""
        programs = self.tile_loops, self.rest_loops, self.update_loops, self.start_loops, self.clear_loops
        return max(loops.scratch_bytes for loops in programs if loops is not None)


NOTHING = Loops([], {}, 0, [])
"""A program that does nothing."""


def loop_programs(ensemble: Ensemble, update: LoopUpdate, tile: int) -> LoopPrograms:
    """The loops of everything that depends on the size of tiles.

    Raises:
        Unlowerable: something in it has no loops; the message names the primitive.
    """
    points = ensemble.points_a_step
    rest = points % tile
    return LoopPrograms(
        points,
        tile,
        tile_loops(ensemble, tile) if points >= tile else NOTHING,
        tile_loops(ensemble, rest) if rest else NOTHING,
        *update,
        penalty_loops(ensemble),
    )


def tile_loops(ensemble: Ensemble, points: int) -> Loops:
    """The loss and its gradient over some points, added to `("total", 0)` and the entries of `"grad"`."""
    graph = Graph()
    gradient, value = evaluate_arrays(graph, *_with_memory(graph, ensemble, tile_jaxpr(ensemble, points)))
    return loops_of(graph, [Output(value, "total", 0, True), Output(gradient, "grad", 0, True)])


def loss_loops(ensemble: Ensemble, points: int) -> Loops:
    """The sum of losses over some points, added to `("total", 0)`."""
    graph = Graph()
    (value,) = evaluate_arrays(graph, *_with_memory(graph, ensemble, loss_jaxpr(ensemble, points)))
    return loops_of(graph, [Output(value, "total", 0, True)])


def penalty_loops(ensemble: Ensemble) -> Loops | None:
    """Penalties and their gradient, with which `("total", 0)` and the entries of `"grad"` begin."""
    penalties = penalties_jaxpr(ensemble)
    if penalties is None:
        return None
    graph = Graph()
    gradient, value = evaluate_arrays(graph, *_with_memory(graph, ensemble, *penalties))
    return loops_of(graph, [Output(value, "total", 0), Output(gradient, "grad", 0)])


def penalty_value_loops(ensemble: Ensemble) -> Loops:
    """Penalties, or zero, with which `("total", 0)` begins where no gradient is wanted."""
    graph, penalties = Graph(), penalties_jaxpr(ensemble)
    if penalties is None:
        return loops_of(graph, [Output(graph.constant(np.zeros((), ensemble.number_format)), "total", 0)])
    _, value = evaluate_arrays(graph, *_with_memory(graph, ensemble, *penalties))
    return loops_of(graph, [Output(value, "total", 0)])


def _with_memory(graph: Graph, ensemble: Ensemble, program: Any, inputs: list[tuple[str, int]] | None = None):
    """A program, and its arguments: by default those of a tile."""
    places = tile_inputs(ensemble) if inputs is None else inputs
    type = ensemble.scalar_type
    kinds = zip(places, program.in_avals, strict=True)
    return program, [graph.memory(kind, first, aval.shape, type) for (kind, first), aval in kinds]


def update_loops(ensemble: Ensemble) -> LoopUpdate:
    """The optimizer as loops.

    Raises:
        Unlowerable: something in it has no loops; the message names the primitive.
    """
    start, update, leaves = update_jaxprs(ensemble)
    types = [name for leaf in leaves for name in [type_name(np.dtype(leaf.dtype))] * math.prod(leaf.shape)]
    return LoopUpdate(_update(ensemble, update, leaves), _start(ensemble, start, leaves), types)


def _firsts(leaves: list[jax.ShapeDtypeStruct]) -> list[int]:
    return [0, *np.cumsum([math.prod(leaf.shape) for leaf in leaves]).tolist()]


def _hyper_and_params(graph: Graph, ensemble: Ensemble):
    type = ensemble.scalar_type
    hyper = [graph.memory("hyper", k, (), type) for k in range(len(ensemble.hyperparameters))]
    return [*hyper, graph.memory("param", 0, (ensemble.network.size,), type)]


def _start(ensemble, program, leaves) -> Loops:
    graph = Graph()
    values = evaluate_arrays(graph, program, _hyper_and_params(graph, ensemble))
    return loops_of(graph, _stored(values, leaves))


def _update(ensemble, program, leaves) -> Loops:
    graph, type = Graph(), ensemble.scalar_type
    arguments = _hyper_and_params(graph, ensemble)
    for first, leaf in zip(_firsts(leaves), leaves, strict=False):
        arguments.append(graph.memory("state", first, leaf.shape, type_name(np.dtype(leaf.dtype))))
    arguments += [graph.memory("grad", 0, (ensemble.network.size,), type), graph.memory("loss", 0, (), type)]
    params, *state = evaluate_arrays(graph, program, arguments)
    return loops_of(graph, [*_stored(state, leaves), Output(params, "param", 0)])


def _stored(values, leaves) -> list[Output]:
    return [Output(value, "state", first) for first, value in zip(_firsts(leaves), values, strict=False)]


def loop_layout(ensemble: Ensemble, update: HasState, lanes: int, scratch_bytes: int) -> Layout:
    """The memory of a group whose kernel is made of loops: scratch memory besides.

    Args:
        ensemble: what is trained.
        update: knows the optimizer's state.
        lanes: fits in a group.
        scratch_bytes: of a lane.
    """
    layout = layout_of(ensemble, update, lanes)
    return Layout(lanes, {**layout.kinds, "scratch": ["i64"] * -(-scratch_bytes // 8)})
