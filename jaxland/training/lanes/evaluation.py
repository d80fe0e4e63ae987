"""Kernels that take losses alone, of the parameters in a group's memory."""

from typing import NamedTuple

from jaxland.training.ensemble import Ensemble
from jaxland.training.lanes import machine
from jaxland.training.lanes.emit import Target
from jaxland.training.lanes.kernel import write_evaluation
from jaxland.training.lanes.loop_tuning import loop_tiles
from jaxland.training.lanes.loops import write_loop_evaluation
from jaxland.training.lanes.tuning import kernel_key, kernel_of, recalled, remembering
from jaxland.training.plain import PlainProgram, code_version
from jaxland.training.program.layout import Layout
from jaxland.training.program.loop_programs import NOTHING, LoopPrograms, loss_loops, penalty_value_loops
from jaxland.training.program.programs import Programs, loss_lines, penalty_value_lines
from jaxland.training.program.trace import tile_inputs

# Points whose losses are taken at a time, in straight code.
_TILE = 4


class Evaluation(NamedTuple):
    """A kernel, with the scratch memory of a lane that it needs."""

    kernel: machine.Kernel
    key: str
    scratch_bytes: int


def prepare_evaluation(
    ensemble: Ensemble, plain: PlainProgram, layout: Layout, target: Target, form: str
) -> Evaluation:
    """The kernel of the losses of all points of an ensemble, remembered or made.

    Args:
        ensemble: whose losses; see `jaxland.training.evaluation`.
        plain: its plain program.
        layout: of the memory in which the parameters are.
        target: what for.
        form: `"straight"` or `"loops"`.

    Raises:
        Unlowerable: it has none; this is remembered, too.
    """
    own = ensemble.inputs is not None, ensemble.targets is not None, ensemble.weights is not None
    memory = layout.lanes, layout.bytes, layout.offset(("judged", 0)), bool(ensemble.subnormal)
    places = tile_inputs(ensemble)
    key = kernel_key("evaluation", f"{plain.key} {own} {memory} {places} {form} {code_version()}", target)
    known = recalled(key)
    if known is not None:
        return Evaluation(machine.load_object(known[1], machine.EVALUATION), **known[0])
    with remembering(key, plain) as choice:
        write = _straight if form == "straight" else _loops
        assembly, scratch = write(ensemble, layout, target)
        kernel = kernel_of(assembly, target, machine.EVALUATION)
        choice |= {"key": kernel_key("kernel", assembly, target), "scratch_bytes": scratch}
    return Evaluation(kernel, **choice)


def _straight(ensemble, layout, target) -> tuple[str, int]:
    points = ensemble.x_shape[0]
    tile = min(_TILE, points)
    rest = loss_lines(ensemble, points % tile) if points % tile else []
    clear = penalty_value_lines(ensemble)
    programs = Programs(points, tile, loss_lines(ensemble, tile), rest, [], [], clear)
    return write_evaluation(ensemble, programs, layout, target), 0


def _loops(ensemble, layout, target) -> tuple[str, int]:
    points = ensemble.x_shape[0]
    tile = loop_tiles(points, float("inf"))[0]
    rest = loss_loops(ensemble, points % tile) if points % tile else NOTHING
    clear = penalty_value_loops(ensemble)
    programs = LoopPrograms(points, tile, loss_loops(ensemble, tile), rest, NOTHING, NOTHING, [], clear)
    return write_loop_evaluation(ensemble, programs, layout, target), programs.scratch_bytes
