"""Simplifications of the scalar program, and its schedule."""

import numpy as np
import pytest

from jaxland.training.program.expression import Builder, evaluate, reachable
from jaxland.training.program.schedule import Result, schedule


@pytest.fixture
def build():
    return Builder()


@pytest.fixture
def x(build):
    return build.input("x", 0, "f32")


@pytest.fixture
def y(build):
    return build.input("x", 1, "f32")


def number(build, value):
    return build.constant(value, "f32")


def test_constants_are_folded(build):
    assert build("add", number(build, 2), build("mul", number(build, 3), number(build, 4))).value == 14


def test_neutral_elements_vanish(build, x):
    zero, one = number(build, 0), number(build, 1)
    assert build("add", x, zero) is x
    assert build("add", zero, x) is x
    assert build("sub", x, zero) is x
    assert build("mul", one, x) is x
    assert build("div", x, one) is x
    assert build.sum([zero, x, zero]) is x
    assert build.sum([zero, zero]) is zero


def test_zero_times_x_stays_because_x_may_be_infinite(build, x):
    product = build("mul", number(build, 0), x)
    assert np.isnan(evaluate([product], {("x", 0): np.inf})[0])


def test_signs_move_outward(build, x, y):
    minus = build("neg", x)
    assert build("neg", minus) is x
    assert build("add", y, minus).op == "sub"
    assert build("sub", y, minus) is build("add", y, x)
    assert build("mul", minus, y).op == "neg"


def test_equal_expressions_are_one_node(build, x, y):
    assert build("mul", x, y) is build("mul", y, x)
    assert build("sub", x, y) is not build("sub", y, x)


def test_constant_factors_are_joined_unless_they_underflow(build, x):
    assert build("mul", number(build, 2), build("mul", number(build, 3), x)) is build("mul", number(build, 6), x)
    tiny = number(build, 1e-30)
    assert build("mul", tiny, build("mul", tiny, x)).args[1].op == "mul"


def test_selects_with_known_conditions_vanish(build, x, y):
    assert build("select", build.constant(True, "i1"), x, y) is x
    condition = build("lt", x, y)
    assert build("select", condition, x, x) is x
    assert build("select", build("not", condition), x, y) is build("select", condition, y, x)


def test_dead_expressions_are_not_reachable(build, x, y):
    build("mul", x, y)
    total = build("add", x, y)
    assert [node.op for node in reachable([total])] == ["input", "input", "add"]


def ops(lines):
    return [line.op for line in lines]


def test_a_sum_of_products_and_a_bias_is_a_chain_of_multiply_adds(build, x, y):
    bias = build.input("param", 0, "f32")
    total = build("add", build.sum([build("mul", x, y), build("mul", x, x)]), bias)
    assert ops(schedule([Result(("out", 0), total)])) == ["fma", "fma", "store"]


def test_gradients_are_accumulated_as_soon_as_they_are_known(build, x, y):
    first = build.sum([build("mul", x, y), build("mul", x, x)])
    second = build("mul", y, y)
    lines = schedule([Result(("grad", k), node, accumulate=True) for k, node in enumerate((first, second))])
    assert ops(lines) == ["fma", "fma", "store", "fma", "store"]
    assert [line.target for line in lines if line.op == "store"] == [("grad", 0), ("grad", 1)]


def test_a_product_used_twice_is_computed_once(build, x, y):
    product = build("mul", x, y)
    results = [Result(("out", 0), build("add", product, x)), Result(("out", 1), build("sub", product, y))]
    assert ops(schedule(results)).count("mul") == 1


def test_the_gate_of_a_relu_is_found_again_from_its_output(build, x, y):
    zero = number(build, 0)
    off = build("le", x, zero)
    unit = build("select", off, zero, x)
    gated = build("select", off, zero, y)
    lines = schedule([Result(("out", 0), unit), Result(("out", 1), gated)])
    first, second = (line for line in lines if line.op == "le")
    assert first.args[0] is x
    assert second.args[0].op == "select"
    for value, expected in ((-1.0, 0.0), (0.0, 0.0), (2.0, 5.0), (np.nan, 5.0)):
        assert evaluate([gated], {("x", 0): value, ("x", 1): 5.0})[0] == expected


def test_depth_first_finishes_one_result_before_the_next(build):
    roots = []
    inputs = [build.input("x", k, "f32") for k in range(3)]
    roots = [build("sqrt", node) for node in inputs]
    roots = [build("div", number(build, 1), node) for node in roots]
    results = [Result(("out", k), node) for k, node in enumerate(roots)]
    assert ops(schedule(results, depth_first=True)) == ["sqrt", "div", "store"] * 3
    assert ops(schedule(results))[:3] == ["sqrt"] * 3
