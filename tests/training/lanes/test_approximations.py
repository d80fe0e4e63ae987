"""Largest errors of the approximations, against long double; the table of their module states these bounds."""

import numpy as np
import pytest
from scipy import special

from jaxland.training.program import approximations
from jaxland.training.program.expression import FOLD, TYPES, Builder, Unlowerable, evaluate, reachable

WIDE = {"f32": 87.0, "f64": 700.0}


def _everywhere(limit):
    near = np.geomspace(1e-20, 1, 500)
    return np.concatenate([np.linspace(-limit, limit, 40_001), np.linspace(-2, 2, 20_001), near, -near])


def _positive(limit):
    return np.concatenate([np.exp(np.linspace(-limit, limit, 40_001)), np.linspace(0.5, 2, 20_001)])


CASES = {
    "exp": (np.exp, _everywhere, {"f32": 1.3e-7, "f64": 4e-16}),
    "expm1": (np.expm1, _everywhere, {"f32": 2e-7, "f64": 5e-16}),
    "log": (np.log, _positive, {"f32": 1.5e-7, "f64": 4e-16}),
    "log1p": (np.log1p, _positive, {"f32": 1.5e-7, "f64": 4e-16}),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)), _everywhere, {"f32": 2.5e-7, "f64": 6e-16}),
    "tanh": (np.tanh, _everywhere, {"f32": 3e-7, "f64": 8e-16}),
    "sinh": (np.sinh, _everywhere, {"f32": 3e-7, "f64": 8e-16}),
    "cosh": (np.cosh, _everywhere, {"f32": 3e-7, "f64": 8e-16}),
}


def values_of(name, type, x):
    build = Builder()
    node = approximations.FUNCTIONS[name](build, build.input("x", 0, type))
    return evaluate([node], {("x", 0): np.asarray(x, TYPES[type])})[0]


@pytest.mark.parametrize("type", ["f32", "f64"])
@pytest.mark.parametrize("name", CASES)
def test_relative_error(name, type):
    function, arguments, bound = CASES[name]
    x = arguments(WIDE[type]).astype(TYPES[type])
    expected = function(x.astype(np.longdouble))
    nonzero = np.abs(expected) >= np.finfo(TYPES[type]).tiny
    error = np.abs(values_of(name, type, x)[nonzero] / expected[nonzero] - 1)
    assert error.max() < bound[type]


@pytest.mark.parametrize(("type", "limit", "bound"), [("f32", 1e4, 1.5e-7), ("f64", 1e6, 3e-16)])
@pytest.mark.parametrize("name", ["sin", "cos"])
@pytest.mark.parametrize("fused", [True, False])
def test_absolute_error_of_sine_and_cosine(name, type, limit, bound, fused, monkeypatch):
    """Multiply-adds that round twice, as those of TPUs and of processors with SSE, cost nothing."""
    if not fused:
        monkeypatch.setitem(FOLD, "fma", lambda a, b, c: a * b + c)
    x = np.concatenate([np.linspace(-limit, limit, 60_001), np.linspace(-10, 10, 20_001)]).astype(TYPES[type])
    assert np.abs(values_of(name, type, x) - getattr(np, name)(x.astype(np.longdouble))).max() < bound


def test_erf():
    x = np.linspace(-6, 6, 20_001).astype(np.float32)
    assert np.abs(values_of("erf", "f32", x) - special.erf(x.astype(np.float64))).max() < 4e-7
    with pytest.raises(Unlowerable, match="erf"):
        values_of("erf", "f64", x)


@pytest.mark.parametrize("type", ["f32", "f64"])
def test_special_values(type):
    x = [np.nan, np.inf, -np.inf, 0.0]
    expected = {
        "exp": [np.nan, np.inf, 0, 1],
        "expm1": [np.nan, np.inf, -1, 0],
        "log": [np.nan, np.inf, np.nan, -np.inf],
        "log1p": [np.nan, np.inf, np.nan, 0],
        "logistic": [np.nan, 1, 0, 0.5],
        "tanh": [np.nan, 1, -1, 0],
        "sin": [np.nan, np.nan, np.nan, 0],
        "cos": [np.nan, np.nan, np.nan, 1],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(values_of(name, type, x), np.array(values, TYPES[type]), err_msg=name)


@pytest.mark.parametrize(("type", "float64"), [("f32", True), ("f64", True), ("f32", False)])
def test_powers_are_good_enough_for_bias_correction(type, float64):
    build = Builder(float64)
    base, exponent = build.input("x", 0, type), build.input("n", 0, "i32")
    node = build("sub", build.constant(1, type), approximations.power(build, base, exponent))
    count = np.arange(1, 5000, dtype=np.int32)
    for b in (0.9, 0.999):
        b = TYPES[type].type(b)
        correction = evaluate([node], {("x", 0): b, ("n", 0): count})[0]
        expected = 1 - np.longdouble(b) ** count
        # One rounding of b**n, seen through the cancellation.
        bound = np.finfo(TYPES[type]).eps * (1 / expected + 1)
        assert (np.abs(correction / expected - 1) < 2 * bound).all()


def test_powers_without_float64():
    """Over all results that are normal numbers: log x has to be known to 30 bits, where float32 has 24."""
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(-80, 80, 100_000)).astype(np.float32)
    y = (rng.uniform(-87, 87, len(x)) / np.log(x)).astype(np.float32)
    build = Builder(float64=False)
    node = approximations.power(build, build.input("x", 0, "f32"), build.input("y", 0, "f32"))
    assert {part.type for part in reachable([node])} == {"f32", "i32", "i1"}
    values = evaluate([node], {("x", 0): x, ("y", 0): y})[0]
    expected = np.longdouble(x) ** np.longdouble(y)
    assert np.abs(values / expected - 1).max() < 3e-7


@pytest.mark.parametrize("float64", [True, False])
@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (-2.0, 3.0, -8.0),
        (-2.0, 2.0, 4.0),
        (-2.0, 0.5, np.nan),
        (0.0, 0.0, 1.0),
        (0.0, 2.0, 0.0),
        (0.0, -1.0, np.inf),
        (np.inf, 0.5, np.inf),
        (np.inf, -0.5, 0.0),
        (3.0, 1e30, np.inf),
        (0.5, 1e30, 0.0),
        (0.5, np.inf, 0.0),
        (np.nan, 0.0, 1.0),
        (np.nan, 1.0, np.nan),
        (2.0, np.nan, np.nan),
    ],
)
def test_powers_of_special_numbers(x, y, expected, float64):
    build = Builder(float64)
    node = approximations.power(build, build.input("x", 0, "f32"), build.input("y", 0, "f32"))
    np.testing.assert_allclose(evaluate([node], {("x", 0): x, ("y", 0): y})[0], expected, rtol=1e-6)
