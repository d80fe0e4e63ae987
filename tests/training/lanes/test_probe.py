"""Kernels are held against the plain program: what no kernel computes goes to xla, and a planted fault is found."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.training import Ensemble, Unlowerable, choose_backend, probe
from jaxland.training.lanes import machine, tuning
from jaxland.training.program import programs
from jaxland.training.program.expression import Builder
from jaxland.training.program.schedule import Line

pytestmark = pytest.mark.sampled

X = np.linspace(-0.8, 1.1, 7)[:, None]
Y = np.sin(2 * X) + 0.2
PLACE = np.linspace(1, 3, 7)[:, None]


def _init(key):
    return {"a": jax.random.normal(key, (1, 3)), "b": jnp.zeros((1, 3)), "c": jnp.zeros((1, 1))}


def _hidden(params, x):
    return jnp.tanh(x @ params["a"] + params["b"]).sum(1, keepdims=True) + params["c"]


def _hidden_numpy(params, x):
    return np.tanh(x @ np.asarray(params["a"], np.float64)).sum(1, keepdims=True)


def _place(x):
    return jnp.asarray(PLACE, x.dtype)


# Each with what it means for all points at once, of the hidden sum h.
NETWORKS = {
    "divides by the number of points": (lambda p, x: _hidden(p, x) / len(x), lambda h: h / 7),
    "numbers the points": (
        lambda p, x: _hidden(p, x) + jnp.arange(len(x))[:, None],
        lambda h: h + np.arange(7)[:, None],
    ),
    "has a number for each point": (lambda p, x: _hidden(p, x) * _place(x)[: len(x)], lambda h: h * PLACE),
    "branches on the number of points": (lambda p, x: (2 if len(x) > 4 else 1) * _hidden(p, x), lambda h: 2 * h),
    "looks at the point after the next": (lambda p, x: jnp.roll(_hidden(p, x), 2, axis=0), lambda h: np.roll(h, 2, 0)),
    "sees the first point": (lambda p, x: _hidden(p, x) * _hidden(p, x)[:1], lambda h: h * h[:1]),
    "normalises over the batch": (
        lambda p, x: (_hidden(p, x) - _hidden(p, x).mean()) / jnp.sqrt(_hidden(p, x).var() + 1e-3),
        lambda h: (h - h.mean()) / np.sqrt(h.var() + 1e-3),
    ),
    "sorts the points": (lambda p, x: jnp.sort(_hidden(p, x), axis=0), lambda h: np.sort(h, 0)),
}
LOSSES = {
    "weights of points": (lambda p, t: jnp.asarray(PLACE, p.dtype) * (p - t) ** 2, lambda e: PLACE * e**2),
    "error beside its mean": (lambda p, t: (p - t - (p - t).mean()) ** 2, lambda e: (e - e.mean()) ** 2),
    "in units of the variance": (lambda p, t: (p - t) ** 2 / t.var(), lambda e: e**2 / Y.var()),
    "the largest error": (
        lambda p, t: jnp.full_like(p, jnp.max((p - t) ** 2)),
        lambda e: np.full_like(e, np.max(e**2)),
    ),
    "differences of neighbours": (
        lambda p, t: jnp.diff(p - t, axis=0, append=(p - t)[:1]) ** 2,
        lambda e: np.diff(e, axis=0, append=e[:1]) ** 2,
    ),
    "by the number of points": (lambda p, t: (p - t) ** 2 * len(p), lambda e: 7 * e**2),
}


def _initial_loss(network, problem):
    fits = jl.fit(network, problem, optax.sgd(0.01), fits=3, steps=1, dtype="float64", snapshots=[0])
    assert fits.explanation.startswith("xla: ")
    return fits.initial_loss, [network.unflatten(start) for start in fits.snapshots[:, 0]]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_know_the_other_points_are_trained_as_they_are(name):
    apply, meaning = NETWORKS[name]
    losses, starts = _initial_loss(jl.Network(_init, apply), jl.Problem(X, Y))
    expected = [np.mean((meaning(_hidden_numpy(start, X)) - Y) ** 2) for start in starts]
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_that_know_the_other_points_are_computed_as_they_are(name):
    loss, meaning = LOSSES[name]
    losses, starts = _initial_loss(jl.Network(_init, _hidden), jl.Problem(X, Y, loss=loss))
    expected = [np.mean(meaning(_hidden_numpy(start, X) - Y)) for start in starts]
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


NETWORK, PROBLEM, OPTIMIZER = jl.mlp([1, 3, 2, 1], "tanh"), jl.Problem(X, Y), optax.sgd(0.05, momentum=0.9)


def _ensemble(optimizer=OPTIMIZER, dtype="float32", network=NETWORK, problem=PROBLEM, **given):
    return Ensemble(network, problem, optimizer, steps=20, dtype=dtype, **given)


@pytest.mark.parametrize("name", ["divides by the number of points", "has a number for each point"])
def test_who_insists_on_a_kernel_is_told_why_there_is_none(name):
    ensemble = _ensemble(network=jl.Network(_init, NETWORKS[name][0]))
    with pytest.raises(Unlowerable, match=r"depends? on|couples"):
        choose_backend(ensemble, "lanes")


def _square(params, x):
    return (x @ params["a"] + params["b"]) ** 2 @ params["c"] + params["d"]


# Plain arithmetic, so that no line of its kernel is of no account for the numbers that occur.
SQUARE = jl.Network(
    lambda key: {
        "a": jax.random.normal(key, (1, 2)),
        "b": jnp.zeros((1, 2)),
        "c": jnp.ones((2, 1)),
        "d": jnp.zeros((1, 1)),
    },
    _square,
)
SWAPPED = {"fma": "fnma", "fnma": "fma", "add": "sub", "sub": "add", "mul": "sub", "fms": "fma"}


def _with_a_fault(programs, which, number):
    """The programs, one line of which computes something else, and what was done."""
    lines = [line for line in getattr(programs, which) if line.op in SWAPPED]
    line = lines[number % len(lines)]
    before, line.op = line.op, SWAPPED[line.op]
    return f"{which} {number % len(lines)}: {before} for {line.op}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("which", ["tile_lines", "update_lines"])
def test_a_fault_in_any_line_is_found(which, dtype, make_trainer, tmp_path, monkeypatch):
    ensemble = _ensemble(network=SQUARE, dtype=dtype)
    schedule, planted = tuning.schedule_programs, []

    def with_a_fault(*args, **options):
        programs = schedule(*args, **options)
        planted.append(_with_a_fault(programs, which, len(planted)))
        return programs

    monkeypatch.setattr(tuning, "schedule_programs", with_a_fault)
    # How much a loaded machine would look at is another matter.
    monkeypatch.setattr(probe, "_SECONDS", float("inf"))
    found = []
    for number in range(12):
        monkeypatch.setenv("JAXLAND_CACHE_DIR", str(tmp_path / str(number)))
        try:
            make_trainer(ensemble, tile=1)
        except probe.Disagreement:
            found.append(planted[-1])
    assert found == planted
    assert len(set(planted)) > 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gradient_off_by_a_thousandth_is_found(dtype, make_trainer, tmp_path, monkeypatch):
    """A criterion that lets rounding pass must not let this pass."""
    ensemble = _ensemble(network=SQUARE, dtype=dtype)
    schedule = programs.schedule

    def slightly_off(results, **options):
        lines = schedule(results, **options)
        for line in lines:
            if line.op == "store" and line.target == ("grad", 1):
                build = Builder()
                factor = build.constant(1.001, line.type)
                line.args = (Line("mul", (line.args[0], factor), line.type),)
                lines.insert(lines.index(line), line.args[0])
                break
        return lines

    monkeypatch.setattr(programs, "schedule", slightly_off)
    monkeypatch.setenv("JAXLAND_CACHE_DIR", str(tmp_path))
    with pytest.raises(probe.Disagreement, match="gradient entry 1 "):
        make_trainer(ensemble, tile=1)


def test_once_found_right_a_kernel_is_not_probed_again(make_trainer, monkeypatch):
    make_trainer(_ensemble(optax.adam(0.02), network=SQUARE))
    monkeypatch.setattr(probe, "differs", lambda *_: pytest.fail("probed again"))
    make_trainer(_ensemble(optax.adam(0.02), network=SQUARE))


def test_other_data_is_probed_again_for_it_may_show_more(make_trainer):
    """Of one point, or of equal ones, nobody can tell that their mean is taken."""
    network = jl.Network(_init, lambda p, x: _hidden(p, x) - _hidden(p, x).mean() + _hidden(p, x))
    alike = Ensemble(network, jl.Problem(np.full(7, 0.3), Y), optax.sgd(0.1), steps=1)
    with pytest.raises(Unlowerable):
        make_trainer(alike)
    per_point = jl.Network(_init, lambda p, x: _hidden(p, x) * (1 + x[:, :1] * (jnp.arange(len(x))[:, None] > 3)))
    nought = _ensemble(network=per_point, problem=jl.Problem(np.zeros(7), Y))
    assert make_trainer(nought).name == "lanes"
    with pytest.raises(probe.Disagreement):
        make_trainer(_ensemble(network=per_point))


def _spread(values):
    return (values**2).mean(1, keepdims=True) - values.mean(1, keepdims=True) ** 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_is_no_fault(dtype):
    """Units at the edge of their ReLU, digits that cancel, and overflow: the plain program loses as much."""
    edge = jl.mlp([1, 3, 1], "relu")
    x = np.arange(1, 9) / 10
    # 0.1 x - 0.03 is rounding at 0.3, and is taken for a small number of either sign.
    start = np.tile([0.1, 0.7, -0.3, -0.03, -0.49, 0.15, 1.0, -1.0, 0.5, 0.1], (64, 1))
    cancels = jl.Network(_init, lambda p, x: _spread(jnp.tanh(x @ p["a"] + p["b"]) + 300) + p["c"])
    overflows = jl.Network(_init, lambda p, x: jnp.exp(200 * _hidden(p, x) ** 2))
    for network, given in ((edge, {"start": start}), (cancels, {}), (overflows, {})):
        choice = choose_backend(_ensemble(network=network, problem=jl.Problem(x, x**2), dtype=dtype, **given))
        assert choice.trainer.name == "lanes", choice.explanation


def test_starts_that_hide_a_fault_do_not_hide_it_from_the_probe():
    """All weights zero: the hidden sum, and with it all that is done to it, is nought."""
    network = jl.Network(_init, lambda p, x: p["c"] + jnp.tanh(x @ p["a"]).sum(1, keepdims=True) / len(x))
    choice = choose_backend(_ensemble(network=network, start=np.zeros((16, 7))))
    assert choice.trainer.name == "xla"
    assert "in step 0" in choice.explanation


@pytest.mark.parametrize("failure", [RuntimeError("LLVM IR parsing error\nline 7"), AssertionError("no such slot")])
def test_any_failure_of_the_compiler_leads_to_xla_and_is_named(failure, tmp_path, monkeypatch):
    def fail(*_):
        raise failure

    monkeypatch.setattr(machine, "compile_object", fail)
    monkeypatch.setenv("JAXLAND_CACHE_DIR", str(tmp_path))
    choice = choose_backend(_ensemble())
    assert choice.trainer.name == "xla"
    assert f"{type(failure).__name__}: {str(failure).splitlines()[0]}" in choice.explanation
    with pytest.raises(Unlowerable, match=str(failure).splitlines()[0]) as caught:
        choose_backend(_ensemble(), "lanes")
    assert caught.value.__cause__ is failure


def test_a_program_far_too_large_is_given_up_before_it_is_written(monkeypatch):
    features = np.random.default_rng(0).normal(size=(1000, 50)).astype(np.float32)
    network = jl.Network(
        lambda key: {"w": jax.random.normal(key, (1, 50))},
        # A running sum, which has no loops.
        lambda p, x: jnp.cumsum(jnp.tanh(jnp.tanh(x @ p["w"]) @ features.T), axis=1)[:, -1:],
    )
    monkeypatch.setattr(programs, "schedule", lambda *_, **__: pytest.fail("scheduled"))
    choice = choose_backend(_ensemble(network=network))
    assert "too many for straight code" in choice.explanation
