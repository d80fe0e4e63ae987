"""The scheduled programs of an ensemble and the memory they work on: what every kernel is written from."""

from typing import NamedTuple, Protocol

from jaxland.training.ensemble import Ensemble
from jaxland.training.program.expression import Expression
from jaxland.training.program.layout import Layout
from jaxland.training.program.schedule import Line, Result, schedule
from jaxland.training.program.trace import TileProgram, UpdateProgram, trace_loss, trace_penalties, trace_tile


class Programs(NamedTuple):
    """The scheduled programs of an ensemble, for one size of tiles.

    Attributes:
        points: N.
        tile: points in a tile.
        tile_lines: gradient over a tile.
        rest_lines: gradient over the N modulo tile points left over.
        update_lines: the optimizer's update.
        start_lines: its initial state.
        clear_lines: what loss and gradients begin with: zero, or penalties.
    """

    points: int
    tile: int
    tile_lines: list[Line]
    rest_lines: list[Line]
    update_lines: list[Line]
    start_lines: list[Line]
    clear_lines: list[Line]


class HasState(Protocol):
    """What knows the optimizer's state."""

    @property
    def state_types(self) -> list[str]:
        """The type of each of its entries."""
        ...


def layout_of(ensemble: Ensemble, update: HasState, lanes: int) -> Layout:
    """The memory of a group."""
    type, size = ensemble.scalar_type, ensemble.network.size
    batch, inputs, components = ensemble.batch_size or 0, ensemble.x_shape[1], ensemble.y_shape[1]
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
            "judged": [type] if ensemble.validation or ensemble.sampled else [],
            # Keys by words, the order in which points are taken, and those of a step.
            "key": ["i32"] * (2 if batch else 0),
            "order": ["i32"] * (ensemble.x_shape[0] if batch and not ensemble.replacement else 0),
            "place": ["i32"] * (batch + 2 if batch else 0),
            "batch_x": [type] * (batch * inputs),
            "batch_y": [type] * (batch * components),
            "batch_w": [type] * (batch if ensemble.weighted else 0),
        },
    )


def schedule_programs(
    ensemble: Ensemble, update: UpdateProgram, tile: int, *, float64: bool = True, most: int | None = None
) -> Programs:
    """Traces and schedules everything that depends on the size of tiles; options as in `expression.Builder`."""
    points = ensemble.points_a_step
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
        clear_lines=clear_lines(ensemble),
    )


def clear_lines(ensemble: Ensemble) -> list[Line]:
    """What loss and gradients begin with, before those of points are added."""
    penalties = trace_penalties(ensemble)
    if penalties is None:
        zero = Expression(-1, "constant", (), ensemble.scalar_type, 0.0)
        targets = [("total", 0), *(("grad", k) for k in range(ensemble.network.size))]
        return [Line("store", (zero,), ensemble.scalar_type, target) for target in targets]
    gradient, value = penalties
    results = [Result(("grad", k), node) for k, node in enumerate(gradient)]
    return schedule([Result(("total", 0), value), *results], depth_first=True)


def penalty_value_lines(ensemble: Ensemble) -> list[Line]:
    """What the loss begins with where no gradient is wanted: penalties, or zero."""
    penalties = trace_penalties(ensemble)
    zero = Expression(-1, "constant", (), ensemble.scalar_type, 0.0)
    return schedule([Result(("total", 0), zero if penalties is None else penalties[1])])


def loss_lines(ensemble: Ensemble, points: int, *, most: int | None = None) -> list[Line]:
    """The sum of losses over some points, added to `("total", 0)`."""
    return schedule([Result(("total", 0), trace_loss(ensemble, points, most=most), accumulate=True)])


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
