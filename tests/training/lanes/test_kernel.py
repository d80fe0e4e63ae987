"""The kernel: its machine code, its rolled update, and the program it computes."""

import re

import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.training import Ensemble
from jaxland.training.lanes import machine
from jaxland.training.lanes.kernel import write_kernel
from jaxland.training.lanes.tuning import candidate_tiles
from jaxland.training.program.expression import evaluate
from jaxland.training.program.programs import layout_of, schedule_programs
from jaxland.training.program.roll import roll
from jaxland.training.program.trace import trace_tile, trace_update


@pytest.fixture(scope="module")
def main_ensemble(sawtooth_problem):
    return Ensemble(jl.mlp([1, 5, 5, 5, 5, 5, 1]), sawtooth_problem, optax.sgd(0.01, momentum=0.9), steps=1)


@pytest.mark.parametrize(("instructions", "register"), [("avx512", "zmm"), ("avx2", "ymm")])
def test_the_main_kernel_is_full_width_multiply_adds(main_ensemble, instructions, register):
    try:
        target = machine.host(instructions)
    except ValueError:
        pytest.skip(f"this processor lacks {instructions}")
    update = trace_update(main_ensemble)
    programs = schedule_programs(main_ensemble, update, 4)
    layout = layout_of(main_ensemble, update, target.vector_bytes // 4)
    text = machine.native_assembly(write_kernel(main_ensemble, programs, layout, target), target)
    wide = re.findall(rf"vfn?m(?:add|sub)\d+ps.*%{register}", text)
    arithmetic = sum(line.op in ("fma", "fnma", "fms") for line in programs.tile_lines)
    assert len(wide) >= arithmetic
    assert not re.findall(r"\bv?(?:fn?m(?:add|sub)\d+|mul|add|sub|max|div)s[sd]\b", text)
    assert not re.findall(r"\bcall", text)


@pytest.mark.slow
def test_the_tile_program_is_the_gradient(main_ensemble):
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    network = main_ensemble.network
    vector = rng.normal(size=network.size).astype(np.float32)
    x, y = rng.normal(size=(2, 3, 1)).astype(np.float32)
    program = trace_tile(main_ensemble, 3)
    inputs = {("param", k): value for k, value in enumerate(vector)}
    inputs |= {("x", (n, 0)): x[n, 0] for n in range(3)} | {("y", (n, 0)): y[n, 0] for n in range(3)}
    total, *gradient = evaluate([program.loss, *program.gradient], inputs)

    def loss(vector):
        return jnp.sum((network.apply_flat(vector, x) - y) ** 2)

    np.testing.assert_allclose(total, loss(vector), rtol=1e-5)
    np.testing.assert_allclose(np.array(gradient), jax.grad(loss)(vector) / 320, rtol=1e-3, atol=1e-6)


def test_an_update_becomes_a_loop_over_parameters(main_ensemble):
    for optimizer in (optax.sgd(0.1, momentum=0.9), optax.adam(0.01), optax.adadelta(1.0)):
        ensemble = Ensemble(main_ensemble.network, main_ensemble.problem, optimizer, steps=1)
        update = trace_update(ensemble)
        lines = schedule_programs(ensemble, update, 1).update_lines
        segments = roll(lines, "param", layout_of(ensemble, update, 16))
        assert sum(segment.count for segment in segments) >= 136
        assert sum(len(segment.lines) for segment in segments) < len(lines) / 4


def test_candidate_tiles_fit_the_instruction_cache():
    assert candidate_tiles(450, 320) == [1, 2, 4]
    assert candidate_tiles(20, 320) == [2, 4, 8]
    assert candidate_tiles(20, 1) == [1]
    assert candidate_tiles(5000, 320) == [2, 4]
