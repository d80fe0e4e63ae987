"""Generated programs: what the fused backends make of them, against meanings that know nothing of these backends."""

import inspect
from collections import Counter
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from jax import lax
from training.cuda.emulation import needs_compiler
from training.programs.check import Plain, check
from training.programs.features import _NUMPY, _PENALTIES, check_whole, features_of
from training.programs.generator import Statement, generate, shrink
from training.programs.operations import OPERATIONS
from training.programs.run import by, failures, slope_failures
from training.programs.trainers import compiled, emulated, looped, on_tpu

from jaxland.training import evaluation
from jaxland.training.program import approximations, schedule
from jaxland.training.program.scalarize import _INDEXED, ELEMENTWISE, _Evaluator

ALL = len(OPERATIONS)
"""So many programs from the first on make every operation."""


@pytest.fixture(autouse=True)
def _broadcasting():
    """Networks of users may let JAX add axes."""
    with jax.numpy_rank_promotion("allow"):
        yield


def _ways(seed):
    return by((None, compiled)[seed % 2], ("float64", "float64", "float32")[seed % 3])


def _assert_all_agree(seeds, way):
    counts = Counter()
    text = "\n".join(failures(seeds, way, counts))
    assert not text, text
    assert counts["agrees"] > 0.7 * len(seeds), counts


@pytest.mark.parametrize("first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in (1, 2))])
def test_lanes_compute_what_a_program_means(first):
    _assert_all_agree(range(first, ALL, 29), _ways)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 10 * ALL, ALL // 2))
def test_lanes_compute_what_thousands_of_programs_mean(first):
    _assert_all_agree(range(first, first + ALL // 2), _ways)
    jax.clear_caches()


def _assert_loops_agree(seeds):
    counts = Counter()
    text = "\n".join(failures(seeds, lambda seed: by(looped, ("float64", "float32")[seed % 2]), counts))
    assert not text, text
    # What moves single numbers, as many of these programs do, is left to straight code.
    assert counts["agrees"] > 0.4 * len(seeds), counts


@pytest.mark.slow
def test_loops_compute_what_a_program_means():
    _assert_loops_agree(range(0, ALL, 40))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(20_000, 22_000, 200))
def test_loops_compute_what_thousands_of_programs_mean(first):
    _assert_loops_agree(range(first, first + 200))
    jax.clear_caches()


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("threads", [1, 8, 32])
def test_kernels_of_cuda_compute_what_a_program_means(threads, tmp_path):
    train = emulated(tmp_path, threads)
    seeds = range(100 * threads, 100 * threads + 40)
    _assert_all_agree(seeds, lambda seed: by(train, ("float64", "float32")[seed % 2]))


@pytest.mark.slow
def test_kernels_of_tpu_compute_what_a_program_means():
    counts = Counter()
    text = "\n".join(failures(range(500, 520), lambda seed: by(on_tpu, "float32"), counts))
    assert not text, text
    assert counts["agrees"] >= 10, counts


def _assert_trainers_agree(seeds):
    counts = Counter()
    text = "\n".join(failures(seeds, lambda n: partial(check_whole, dtype=("float64", "float32")[n % 2]), counts))
    assert not text, text
    assert counts["agrees"] > 0.7 * len(seeds), counts


@pytest.mark.slow
def test_trainers_do_what_a_program_and_its_features_mean():
    """Batches, weights, losses with numbers, penalties and validation, by lanes and by xla."""
    _assert_trainers_agree(range(300, 302))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(30_000, 30_400, 40))
def test_trainers_do_what_hundreds_of_programs_mean(first):
    _assert_trainers_agree(range(first, first + 40))
    jax.clear_caches()


def test_every_feature_is_made():
    made = [features_of(generate(seed)) for seed in range(150)]
    assert {one.loss for one in made} == {"generated", *_NUMPY}
    assert set().union(*(one.penalties for one in made)) == set(_PENALTIES)
    for name in ("own_weights", "own_held_out", "replacement", "share", "patience", "batch_size", "judged"):
        assert {bool(getattr(one, name)) for one in made} == {False, True}, name


@pytest.mark.slow
def test_a_fault_in_what_is_judged_would_be_seen(monkeypatch):
    program = generate(301)
    assert features_of(program).judged
    assert features_of(program).penalties
    assert check_whole(program, backends=("lanes",)).kind == "agrees"
    monkeypatch.setattr(evaluation, "_nothing", lambda params, **numbers: 1.0)
    assert check_whole(program, backends=("lanes",)).kind == "fails"


def test_gradients_are_those_of_the_loss_in_numpy():
    text = "\n".join(slope_failures(range(200, 240)))
    assert not text, text


def test_a_seed_is_a_program():
    for seed in range(20):
        one, other = generate(seed), generate(seed)
        assert one.text == other.text
        for name in ("x", "y", "start"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert len({generate(seed).text for seed in range(100)}) == 100


def test_every_operation_is_made():
    made = frozenset().union(*(generate(seed).operations for seed in range(len(OPERATIONS))))
    assert not {operation.jax for operation in OPERATIONS} - made


def _primitives(jaxpr):
    """The names of a jaxpr's primitives, those of inner programs included."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _primitives(inner)


def _rules():
    """Primitives that have a rule and are known to this JAX."""
    named = {name[2:] for name, _ in inspect.getmembers(_Evaluator) if name.startswith("p_")}
    named |= {*ELEMENTWISE, *_INDEXED, *approximations.FUNCTIONS}
    known = {value.name for name, value in vars(lax).items() if name.endswith("_p") and hasattr(value, "name")}
    return named & known


@pytest.mark.slow
def test_every_rule_is_reached():
    left = _rules()
    assert len(left) > 80
    # The last operations are the rarest.
    for seed in reversed(range(ALL)):
        left -= set(_primitives(Plain(generate(seed), "float64").gradient.jaxpr))
        if not left:
            return
    assert not left


def _without_equal_terms(self, total, terms):
    return _CHAIN(self, total, [term for k, term in enumerate(terms) if term not in terms[:k]])


def _without_order(self, x, *_, new_sizes, **__):
    return x.reshape(tuple(new_sizes))


_CHAIN = schedule._Schedule._chain
_TWICE = "concatenate([x, x], -1) @ {0}concatenate([p['m'][0], p['m'][0]], 0)"
_PRODUCT = "prod(x @ p['m'][0], -1, keepdims=True)"


def _program(text):
    """A program of this text and two matrices, with a statement before it that is of no use."""
    program, rng = generate(0), np.random.default_rng(0)
    inputs, outputs = program.x.shape[2], program.y.shape[2]
    values = text.format("jnp.")
    lines = [Statement("h0", "x * 2.0", "x * 2.0"), Statement("h1", f"jnp.{values}", f"np.{text.format('np.')}")]
    columns = 1 if text == _PRODUCT else 3
    lines.append(Statement("out", "h1 @ p['m'][1]", "h1 @ p['m'][1]"))
    shapes = {"m": [(inputs, 3), (columns, outputs)], "t": [], "v": []}
    start = rng.uniform(-1, 1, (len(program.start), 3 * inputs + columns * outputs))
    return replace(program, seed=1, vmapped=True, statements=tuple(lines), shapes=shapes, start=start)


@pytest.mark.parametrize(
    ("where", "name", "wrong", "text"),
    [
        (schedule._Schedule, "_chain", _without_equal_terms, _TWICE),
        (_Evaluator, "p_reshape", _without_order, _PRODUCT),
    ],
)
def test_faults_of_before_would_be_seen_and_made_short(where, name, wrong, text, monkeypatch):
    program = _program(text)
    assert check(program).kind == "agrees"
    monkeypatch.setattr(where, name, wrong)
    assert check(program).kind == "fails"
    shorter = shrink(program, lambda other: check(other).kind == "fails")
    assert [line.name for line in shorter.statements] == ["h1", "out"]
