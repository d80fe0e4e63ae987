"""Compressed training: whether an ensemble has it, its kernel, and the groups of fits it trains.

Lists of runs are as long as the longest of their lanes, so every now and then the fits of several groups change
places: those with many runs come together, and those with few. At the same steps runs are made anew, so that a fit's
bits do not depend on where it stands.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.lanes import machine
from jaxland.training.lanes.compression import lists_of, new_lists, write_compressed_kernel
from jaxland.training.lanes.emit import Target
from jaxland.training.lanes.group import LanesGroup, exchange, split
from jaxland.training.lanes.machine import ADDRESS, INTEGER
from jaxland.training.lanes.tuning import kernel_key, kernel_of, recalled, remembering
from jaxland.training.plain import PlainProgram, code_version
from jaxland.training.program.expression import Unlowerable
from jaxland.training.program.layout import Layout
from jaxland.training.program.piecewise import trace_runs
from jaxland.training.program.programs import Programs, clear_lines, update_lines
from jaxland.training.program.trace import count_comparisons, trace_update

# Steps of all points before the first of runs: at the start kinks sweep over the points, and runs do not last.
PLAIN_STEPS = 256
REGROUPED = 512
"""Fits change places, and all runs are made anew, at the multiples of so many steps."""
TOGETHER = 16
"""Groups whose fits change places."""

# A deep network has about half as many runs as comparisons, its lists hold nearly twice as many, and one of them costs
# as much as two points and a bit.
_POINTS_A_COMPARISON = 4
# Runs are straight code: it is tried up to a network of some ten layers of ten units.
_MOST_PARAMETERS = 1300
_SIGNATURE = {"train": [ADDRESS] * 3 + [INTEGER] * 4}


class Runs(NamedTuple):
    """A kernel of compressed steps.

    Attributes:
        kernel: its `train`.
        key: names it.
        comparisons: how many decide the piece that a point lies on.
    """

    kernel: machine.Kernel
    key: str
    comparisons: int


def with_runs(layout: Layout, type: str) -> Layout:
    """The memory of a group that is to be trained with runs: what other kernels use stays where it is."""
    return Layout(layout.lanes, {**layout.kinds, "differs": ["i1"], "wild": [type]})


def prepare_runs(ensemble: Ensemble, plain: PlainProgram, layout: Layout, target: Target) -> Runs:
    """The kernel of an ensemble, remembered or made.

    Args:
        ensemble: what is trained.
        plain: its plain program.
        layout: see `with_runs`.
        target: what for.

    Raises:
        Unlowerable: it has none; this is remembered, too.
    """
    # What of the data decides is whether all its points differ.
    data = ensemble.inputs is not None, ensemble.targets is not None, bool(ensemble.subnormal), _distinct(ensemble)
    memory = layout.lanes, layout.bytes, layout.offset(("differs", 0))
    key = kernel_key("runs", f"{plain.key} {data} {memory} {code_version()}", target)
    known = recalled(key)
    if known is not None:
        return Runs(machine.load_object(known[1], _SIGNATURE), **known[0])
    with remembering(key, plain) as choice:
        runs = trace_runs(ensemble)
        programs = Programs(
            ensemble.x_shape[0], 1, [], [], update_lines(trace_update(ensemble)), [], clear_lines(ensemble)
        )
        assembly = write_compressed_kernel(ensemble, programs, runs, layout, target)
        kernel = kernel_of(assembly, target, _SIGNATURE)
        choice |= {"key": kernel_key("kernel", assembly, target), "comparisons": runs.comparisons}
    return Runs(kernel, **choice)


def _distinct(ensemble: Ensemble) -> int:
    return len(np.unique(np.asarray(ensemble.problem.x, ensemble.number_format)))


def require_runs_possible(ensemble: Ensemble) -> None:
    """Makes sure that every step takes all points alike, and that fits may change places.

    Raises:
        Unlowerable: they do not; the message says why.
    """
    if ensemble.sampled or ensemble.weighted:
        raise Unlowerable("runs of points need all points in every step, none of them with a weight.")
    validation = ensemble.validation
    if validation is not None and (ensemble.targets is not None or validation.per_fit):
        raise Unlowerable("fits with runs of points change places, so that what they are judged on must be shared.")


def may_be_worthwhile(ensemble: Ensemble) -> bool:
    """Whether `worthwhile` may hold, judged without making a kernel: for networks whose straight code is long."""
    if ensemble.x_shape[1] != 1 or ensemble.network.size > _MOST_PARAMETERS or ensemble.steps < 4 * PLAIN_STEPS:
        return False
    return count_comparisons(ensemble) * _POINTS_A_COMPARISON <= ensemble.x_shape[0]


def worthwhile(ensemble: Ensemble, runs: Runs) -> bool:
    """Whether runs are expected to be faster. It is no measurement: the same ensemble has the same bits everywhere."""
    few = runs.comparisons * _POINTS_A_COMPARISON <= ensemble.x_shape[0]
    return few and ensemble.steps >= 4 * PLAIN_STEPS


def begin_runs(ensemble: Ensemble, layout: Layout, group: LanesGroup, members: Members) -> None:
    """Gives a group the memory of its runs."""
    group.lists = [new_lists(ensemble, layout.lanes, part) for part in split(members, layout.lanes)]


def advance_runs(ensemble: Ensemble, runs: Runs, group: LanesGroup, steps: int, first: int) -> None:
    """Trains a group for some steps, `first` being the first of all that is taken with runs."""
    every, end = ensemble.trace_every or 0, group.step + steps
    while group.step < end:
        renew = group.step == first or group.step % REGROUPED == 0
        if renew and group.step > first and len(group.parts) > 1:
            _change_places(ensemble, group)
        count = min(end, (group.step // REGROUPED + 1) * REGROUPED) - group.step
        for part, lists in zip(group.parts, group.lists, strict=True):
            arrays = (array.ctypes.data for array in (part.buffer, lists, part.trace))
            runs.kernel.functions["train"](*arrays, part.step, count, every, int(renew))
            part.step += count


def resumes_at(step: int, first: int) -> int:
    """The last step up to this one in which all runs are made anew, or before which none are."""
    return step if step <= first else max(first, step // REGROUPED * REGROUPED)


def waits_of(ensemble: Ensemble, group: LanesGroup) -> np.ndarray:
    """What a fit keeps beyond its runs, one number each, in the order of the members."""
    return np.concatenate([part[0] for part in _waits(ensemble, group)])[np.argsort(group.order)]


def put_waits(ensemble: Ensemble, group: LanesGroup, waits: np.ndarray, which: Bool[np.ndarray, "W"]) -> None:
    """Gives some members of a group that has just begun what they kept, one number each."""
    joined = np.zeros(len(which), waits.dtype)
    joined[which] = waits
    for part, mine in zip(_waits(ensemble, group), np.split(joined, len(group.parts)), strict=True):
        part[0] = mine


def _waits(ensemble: Ensemble, group: LanesGroup) -> list[np.ndarray]:
    return _of_lanes(group, lists_of(ensemble, group.layout.lanes).waits)


def _of_lanes(group: LanesGroup, start: int) -> list[np.ndarray]:
    """Of each part, a 32-bit integer a lane from some byte on, (1, lanes)."""
    lanes = group.layout.lanes
    return [lists[start : start + 4 * lanes].view(np.int32).reshape(1, lanes) for lists in group.lists]


def _change_places(ensemble: Ensemble, group: LanesGroup) -> None:
    """Fits with many runs come to stand beside each other."""
    counts = _of_lanes(group, lists_of(ensemble, group.layout.lanes).count)
    order = np.argsort(-np.concatenate(counts, axis=1)[0], kind="stable")
    group.rearrange(order)
    # What else a fit keeps beyond its runs, which are made anew.
    exchange(_waits(ensemble, group), order)
    if ensemble.targets is not None:
        _move_targets(ensemble, group, order)


def _move_targets(ensemble: Ensemble, group: LanesGroup, order: np.ndarray) -> None:
    lanes, (points, outputs) = group.layout.lanes, ensemble.y_shape
    memory, dtype = lists_of(ensemble, lanes), ensemble.number_format
    moved = {
        memory.y: (dtype, outputs * points),
        memory.middle_y: (np.dtype(np.float64), outputs),
        memory.sums_y: (np.dtype(np.float64), outputs * 3 * (points + 1)),
    }
    for start, (kind, rows) in moved.items():
        end = start + rows * lanes * kind.itemsize
        exchange([lists[start:end].view(kind).reshape(rows, lanes) for lists in group.lists], order)
