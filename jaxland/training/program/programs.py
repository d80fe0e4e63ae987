"""The scheduled programs of an ensemble and the memory they work on: what every kernel is written from."""

from typing import NamedTuple, Protocol

from jaxland.training.ensemble import Ensemble
from jaxland.training.program.layout import Layout
from jaxland.training.program.schedule import Line, Result, schedule
from jaxland.training.program.trace import TileProgram, UpdateProgram, trace_tile


class Programs(NamedTuple):
    """The scheduled programs of an ensemble, for one size of tiles.

    Attributes:
        points: N.
        tile: points in a tile.
        tile_lines: gradient over a tile.
        rest_lines: gradient over the N modulo tile points left over.
        update_lines: the optimizer's update.
        start_lines: its initial state.
    """

    points: int
    tile: int
    tile_lines: list[Line]
    rest_lines: list[Line]
    update_lines: list[Line]
    start_lines: list[Line]


class HasState(Protocol):
    """What knows the optimizer's state."""

    @property
    def state_types(self) -> list[str]:
        """The type of each of its entries."""
        ...


def layout_of(ensemble: Ensemble, update: HasState, lanes: int) -> Layout:
    """The memory of a group."""
    type, size = ensemble.scalar_type, ensemble.network.size
    return Layout(
        lanes,
        {
            "param": [type] * size,
            "grad": [type] * size,
            "total": [type],
            "state": update.state_types,
            "hyper": [type] * len(ensemble.hyperparameters),
            "initial_loss": [type],
            "loss": [type],
            "best_loss": [type],
            "best_step": ["i32"],
            "diverged_step": ["i32"],
        },
    )


def schedule_programs(
    ensemble: Ensemble, update: UpdateProgram, tile: int, *, float64: bool = True, most: int | None = None
) -> Programs:
    """Traces and schedules everything that depends on the size of tiles; options as in `expression.Builder`."""
    points = ensemble.x_shape[0]
    rest = points % tile

    def lines_of(size: int) -> list[Line]:
        return _gradient_lines(trace_tile(ensemble, size, float64=float64, most=most))

    return Programs(
        points=points,
        tile=tile,
        tile_lines=lines_of(tile) if points >= tile else [],
        rest_lines=lines_of(rest) if rest else [],
        update_lines=update_lines(update),
        start_lines=schedule([Result(("state", k), node) for k, node in enumerate(update.initial_state)]),
    )


def _gradient_lines(program: TileProgram) -> list[Line]:
    results = [Result(("grad", k), node, accumulate=True) for k, node in enumerate(program.gradient)]
    return schedule([Result(("total", 0), program.loss, accumulate=True), *results])


def update_lines(update: UpdateProgram) -> list[Line]:
    """The state of each parameter before the parameter, so that what one of them needs stands together."""
    results: dict[int | None, list[Result]] = {k: [] for k in [*range(len(update.params)), None]}
    for index, (node, owner) in enumerate(zip(update.state, update.state_params, strict=True)):
        results[owner].append(Result(("state", index), node))
    for k, node in enumerate(update.params):
        results[k].append(Result(("param", k), node))
    return schedule([result for group in results.values() for result in group], depth_first=True)
