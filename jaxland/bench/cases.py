"""The networks that are timed, and what a step of them costs."""

import contextlib
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import optax

from jaxland.bench.peers import NETWORK, OPTIMIZER, PROBLEM
from jaxland.networks import mlp
from jaxland.problems import Problem
from jaxland.training import Ensemble
from jaxland.training.lanes.emit import is_relu
from jaxland.training.program.expression import COMPARISONS, Expression, Unlowerable
from jaxland.training.program.loop_programs import tile_loops, update_loops
from jaxland.training.program.loops import Loops, Nest
from jaxland.training.program.programs import schedule_programs
from jaxland.training.program.trace import trace_update

_COUNTED_LINE_BY_LINE = 600
_OPERATIONS = {"fma": 2, "fnma": 2, "fms": 2, "add": 1, "sub": 1, "mul": 1, "div": 1, "sqrt": 1}


@dataclass(frozen=True)
class Case:
    """A network with its data and optimizer."""

    name: str
    ensemble: Ensemble


def _ensemble(network, problem, optimizer=OPTIMIZER) -> Ensemble:
    return Ensemble(network, problem, optimizer, steps=10**6)


def _noise(inputs: int, points: int) -> Problem:
    rng = np.random.default_rng(0)
    return Problem(rng.normal(size=(points, inputs)), rng.normal(size=(points, 1)))


MAIN = Case("1-5-5-5-5-5-1 ReLU, 320 points, momentum", _ensemble(NETWORK, PROBLEM))
OPTIMIZERS = [
    Case("adadelta", _ensemble(NETWORK, PROBLEM, optax.adadelta(1.0, 0.95, 1e-8))),
    Case("adam", _ensemble(NETWORK, PROBLEM, optax.adam(1e-3))),
]
NETWORKS = [
    Case("1-7-1 sigmoid, 1000 points", _ensemble(mlp([1, 7, 1], "sigmoid"), _noise(1, 1000))),
    Case("1-2-1 sigmoid, 41 points", _ensemble(mlp([1, 2, 1], "sigmoid"), _noise(1, 41))),
    Case("10-20-1 ReLU, 1000 points", _ensemble(mlp([10, 20, 1]), _noise(10, 1000))),
    Case("10 x 10 ReLU, 320 points", _ensemble(mlp([1, *[10] * 10, 1]), PROBLEM)),
    Case("15 x 15 ReLU, 320 points", _ensemble(mlp([1, *[15] * 15, 1]), PROBLEM)),
]


def step_flop(ensemble: Ensemble) -> int:
    """Floating-point operations of a net-step, counted in the scalar program of the lanes backend.

    A multiply-add counts two, any other sum, product, quotient or root one; comparisons and selections (the ReLU),
    loads and stores none. Large networks are counted in the loops of that program.
    """
    points = ensemble.x_shape[0]
    if ensemble.network.size > _COUNTED_LINE_BY_LINE:
        with contextlib.suppress(Unlowerable):
            return points * _flop_of_loops(tile_loops(ensemble, 1)) + _flop_of_loops(update_loops(ensemble).update)
    programs = schedule_programs(ensemble, trace_update(ensemble), 1)
    return points * _flop(programs.tile_lines) + _flop(programs.update_lines)


def _flop_of_loops(loops: Loops) -> int:
    return sum(math.prod(nest.lengths) * _flop_of_element(nest) for nest in loops.nests)


def _flop_of_element(nest: Nest) -> int:
    sums = math.prod(nest.inner) * _flop(nest.body)
    # What begins at nothing has one sum less than terms.
    begins = [arg for line in nest.start for arg in line.args if isinstance(arg, Expression) and arg.op == "constant"]
    return _flop(nest.start) + sums - len(begins) + _flop(nest.finish)


def instruction_mix(ensemble: Ensemble) -> Counter[str]:
    """How often each of `peak.OPERATIONS` occurs in the gradient of a point; what is none of them counts as "add"."""
    lines = schedule_programs(ensemble, trace_update(ensemble), 1).tile_lines
    relus = [line for line in lines if line.op == "select" and is_relu(line)]
    # A maximum needs no comparison of its own.
    tests = {id(line.args[0]) for line in relus}
    mix = Counter({"fma": 0, "add": 0, "mul": 0, "max": len(relus)})
    mix["choose"] = sum(line.op == "select" for line in lines) - len(relus)
    for line in lines:
        if line.op in ("fma", "fnma", "fms"):
            mix["fma"] += 1
        elif line.op == "mul":
            mix["mul"] += 1
        elif line.op not in ("select", "store", *COMPARISONS):
            mix["add"] += 1
    compared = sum(line.op in COMPARISONS and id(line) not in tests for line in lines)
    mix["add"] += max(0, compared - mix["choose"])
    return mix


def _flop(lines) -> int:
    return sum(_OPERATIONS.get(line.op, 0) for line in lines)
