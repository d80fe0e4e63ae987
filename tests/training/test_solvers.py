import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nist import MODELS, regression

import jaxland as jl
from jaxland.training import SOLVERS, solve

pytestmark = pytest.mark.sampled

X = np.random.default_rng(0).normal(size=(30, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + np.sin(3 * X[:, 0])
LINEAR = jl.Network(init=lambda key: {"w": jnp.zeros((3,))}, apply=lambda params, x: (x @ params["w"])[:, None])
PROBLEM = jl.Problem(X, Y)
STARTS = np.random.default_rng(1).normal(size=(11, 3))
BEST, RESIDUE, *_ = np.linalg.lstsq(X, Y, rcond=None)


@pytest.mark.parametrize("solver", SOLVERS)
def test_linear_least_squares_are_those_of_numpy(solver):
    found = solve(LINEAR, PROBLEM, solver, STARTS, evaluations=200)
    np.testing.assert_allclose(found.params, np.tile(BEST, (11, 1)), atol=1e-7)
    np.testing.assert_allclose(found.loss, RESIDUE[0] / 30, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_trace_begins_at_the_start_and_never_rises(solver):
    found = solve(LINEAR, PROBLEM, solver, STARTS, evaluations=40)
    assert found.trace.shape == (11, 41)
    np.testing.assert_allclose(found.trace[:, 0], ((X @ STARTS.T - Y[:, None]) ** 2).mean(axis=0), rtol=1e-12)
    assert (np.diff(found.trace, axis=1) <= 1e-12).all()
    np.testing.assert_array_equal(found.loss, found.trace[:, -1])


def test_rosenbrock_by_levenberg_marquardt():
    """Residuals 10 (b - a^2) and 1 - a, of which gradient descent makes thousands of steps, take a few dozen."""
    curve = jl.Network(
        init=lambda key: {"a": jnp.zeros(()), "b": jnp.zeros(())},
        apply=lambda p, x: jnp.where(x == 0, 10 * (p["b"] - p["a"] ** 2), 1 - p["a"]),
    )
    problem = jl.Problem(np.array([0.0, 1.0]), np.zeros(2), "sum_squared_error")
    found = solve(curve, problem, "levenberg_marquardt", np.array([[-1.2, 1.0], [3.0, -4.0]]), evaluations=100)
    np.testing.assert_allclose(found.params, 1, atol=1e-8)


def test_the_form_of_hagan_and_menhaj_is_its_textbook_loop():
    """Damping, acceptance and rejection, against a NumPy loop whose Jacobian is taken by differences."""
    net = jl.mlp([3, 2, 1], "tanh")
    start = np.random.default_rng(2).normal(size=net.size)

    def residuals(vector):
        hidden = np.tanh(X @ vector[:6].reshape(2, 3).T + vector[6:8])
        return (hidden @ vector[8:10] + vector[10] - Y) / np.sqrt(30)

    def jacobian(vector):
        shifts = 1e-6 * np.eye(net.size)
        return np.stack([(residuals(vector + h) - residuals(vector - h)) / 2e-6 for h in shifts], axis=1)

    point, expected = start, [residuals(start) @ residuals(start)]
    gram = jacobian(start).T @ jacobian(start)
    damping = 1e-3 * gram.diagonal().max()
    for _ in range(12):
        r, j = residuals(point), jacobian(point)
        trial = point - np.linalg.solve(j.T @ j + damping * np.eye(net.size), j.T @ r)
        better = residuals(trial) @ residuals(trial) < r @ r
        point, damping = (trial, damping / 10) if better else (point, damping * 10)
        expected.append(residuals(point) @ residuals(point))
    found = solve(net, PROBLEM, "hagan_menhaj", start[None], evaluations=12)
    np.testing.assert_allclose(found.trace[0], expected, rtol=1e-5)


# Which others arrive from a start as far as these is chance, and rounding decides.
_CHANCE = {("MGH09", 0), ("MGH10", 0), ("MGH17", 0)}
_SHORT = ("Bennett5", "MGH10")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in _SHORT else pytest.mark.slow) for name in MODELS]
)
def test_regressions_of_nist_are_solved_to_what_is_certified(name):
    """From both of its starts, within 500 evaluations, to eight digits of every parameter and of the sum of squares."""
    case = regression(name)
    found = solve(case.network, case.problem, "levenberg_marquardt", case.starts, evaluations=500)
    for start, params in enumerate(found.params):
        used, loss, reason = found.evaluations[start], found.loss[start], found.reason[start]
        if (name, start) in _CHANCE and case.digits(params) < 8:
            again = case.starts[start : start + 1]
            other = solve(case.network, case.problem, "levenberg_marquardt", again, evaluations=500, first_step=10)
            params, used, loss, reason = other.params[0], other.evaluations[0], other.loss[0], other.reason[0]
        assert case.digits(params) >= 8
        assert used < 500
        assert reason in ("gradient", "reduction", "step")
        # The squares of Lanczos1 are those of the last digits of its data, 1e-13 of them.
        assert loss == pytest.approx(case.sum_of_squares, rel=0.01 if name == "Lanczos1" else 1e-8)


@pytest.mark.slow
def test_units_of_parameters_do_not_matter_to_levenberg_marquardt():
    """The fit of the same model whose parameters are told in units of powers of ten takes the same course."""
    net = jl.mlp([3, 2, 1], "tanh")
    units = 10.0 ** np.random.default_rng(3).integers(-4, 5, net.size)
    told = jl.Network(init=lambda key: jnp.zeros(net.size), apply=lambda p, x: net.apply_flat(p * units, x))
    starts = np.random.default_rng(2).normal(size=(2, net.size))
    plain = solve(net, PROBLEM, "levenberg_marquardt", starts, evaluations=15)
    other = solve(told, PROBLEM, "levenberg_marquardt", starts / units, evaluations=15)
    np.testing.assert_allclose(other.trace, plain.trace, rtol=1e-6)
    np.testing.assert_allclose(other.cosine, plain.cosine, rtol=1e-4)


@pytest.mark.slow
def test_a_network_with_a_gradient_of_its_own_is_solved():
    """It has no derivative along a line, so that steps are straight."""

    @jax.custom_vjp
    def product(w, x):
        return x @ w

    product.defvjp(lambda w, x: (x @ w, x), lambda x, change: (x.T @ change, None))
    own = jl.Network(init=lambda key: jnp.zeros(3), apply=lambda w, x: product(w, x)[:, None])
    found = solve(own, PROBLEM, "levenberg_marquardt", STARTS[:1], evaluations=30)
    np.testing.assert_allclose(found.params[0], BEST, atol=1e-7)


_SQUARE = jl.Network(init=lambda key: jnp.zeros(1), apply=lambda a, x: a[0] * x)
_KINK = jl.Network(init=lambda key: jnp.zeros(1), apply=lambda a, x: 1 + jnp.abs(a[0] - 1) * x)
_HALF = jl.Network(init=lambda key: jnp.zeros(1), apply=lambda a, x: jnp.sqrt(a[0]) * x)


@pytest.mark.parametrize("solver", SOLVERS)
def test_fits_say_why_they_stopped(solver):
    found = solve(LINEAR, PROBLEM, solver, STARTS, evaluations=200)
    assert np.isin(found.reason, ("gradient", "reduction", "step")).all()
    assert found.converged.all()
    assert (found.evaluations < 200).all()
    few = solve(LINEAR, PROBLEM, solver, STARTS, evaluations=1)
    assert (few.reason == "evaluations").all()
    assert not few.converged.any()
    starts = np.array([[np.nan, 0, 0], [0, np.inf, 0]])
    lost = solve(LINEAR, PROBLEM, solver, starts, evaluations=5)
    assert lost.reason.tolist() == ["not finite"] * 2
    assert lost.evaluations.tolist() == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["levenberg_marquardt", "hagan_menhaj"])
def test_what_each_reason_of_levenberg_marquardt_means(solver):
    one, start = np.ones((1, 1)), np.array([[3.0]])
    exact = solve(_SQUARE, jl.Problem(one, 2 * one), solver, start, evaluations=50)
    assert exact.reason == ["gradient"]
    assert exact.loss == 0
    assert exact.cosine == exact.gradient_norm == 0
    kink = solve(_KINK, jl.Problem(one, 0 * one), solver, start, evaluations=200)
    assert kink.reason == ["step"]
    np.testing.assert_allclose(kink.params, 1, rtol=1e-14)
    np.testing.assert_allclose(kink.cosine, 1)
    # Beyond a = 0 nothing is finite, and the loss falls as far as that.
    edge = solve(_HALF, jl.Problem(one, -one), solver, start, evaluations=3)
    assert edge.reason == ["evaluations"]
    assert np.isfinite(edge.loss).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_gradient_where_a_fit_stopped_is_that_of_numpy(solver):
    found = solve(LINEAR, PROBLEM, solver, STARTS, evaluations=2)
    residuals = X @ found.params.T - Y[:, None]
    gradient = X.T @ residuals
    np.testing.assert_allclose(found.gradient_norm, np.linalg.norm(2 / 30 * gradient, axis=0), rtol=1e-9, atol=1e-14)
    if solver in ("levenberg_marquardt", "hagan_menhaj"):
        norms = np.linalg.norm(X, axis=0)[:, None] * np.linalg.norm(residuals, axis=0)
        np.testing.assert_allclose(found.cosine, np.abs(gradient / norms).max(axis=0), rtol=1e-6, atol=1e-14)
    else:
        assert np.isnan(found.cosine).all()


@pytest.mark.slow
@pytest.mark.parametrize("solver", SOLVERS)
def test_what_has_stopped_stays_and_has_used_what_it_took(solver):
    whole = solve(LINEAR, PROBLEM, solver, STARTS[:1], evaluations=200)
    used = int(whole.evaluations[0])
    np.testing.assert_array_equal(whole.trace[0, used:], whole.loss[0])
    cut = solve(LINEAR, PROBLEM, solver, STARTS[:1], evaluations=used)
    assert cut.reason == whole.reason
    np.testing.assert_array_equal(cut.params, whole.params)
    shorter = solve(LINEAR, PROBLEM, solver, STARTS[:1], evaluations=used - 1)
    assert shorter.reason == ["evaluations"]
    np.testing.assert_array_equal(shorter.trace, whole.trace[:, :used])


@pytest.mark.slow
def test_large_systems_of_several_threads_do_not_wait_for_each_other():
    """Batched decompositions of this size do, in XLA, where two are asked for at a time."""
    problem = jl.problems.sawtooth()
    starts = jl.training.starting_points(problem.network, 24)
    found = solve(problem.network, problem, "levenberg_marquardt", starts, evaluations=20, threads=3)
    assert (found.loss < found.trace[:, 0]).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "inputs",
    [
        lambda x, xp: x - x.mean(0, keepdims=True),
        lambda x, xp: x * (30 / len(x)),
        lambda x, xp: x * xp.arange(len(x))[:, None],
    ],
)
def test_levenberg_marquardt_of_a_network_that_knows_the_other_points(inputs):
    """Their mean, their number, or its place among them."""
    coupled = jl.Network(
        init=lambda key: {"w": jnp.zeros((3,))}, apply=lambda params, x: (inputs(x, jnp) @ params["w"])[:, None]
    )
    best, residue, *_ = np.linalg.lstsq(inputs(X, np), Y, rcond=None)
    found = solve(coupled, PROBLEM, "levenberg_marquardt", STARTS, evaluations=30)
    np.testing.assert_allclose(found.params, np.tile(best, (11, 1)), atol=1e-7)
    np.testing.assert_allclose(found.loss, residue[0] / 30, rtol=1e-10)


@pytest.mark.slow
def test_a_fit_does_not_depend_on_its_neighbours():
    net, problem = jl.mlp([3, 2, 1], "tanh"), PROBLEM
    starts = np.random.default_rng(2).normal(size=(10, net.size))
    whole = solve(net, problem, "levenberg_marquardt", starts, evaluations=10)
    alone = solve(net, problem, "levenberg_marquardt", starts[9:], evaluations=10)
    np.testing.assert_allclose(alone.trace, whole.trace[9:], rtol=1e-6)


def test_a_start_that_is_not_finite_leaves_the_others_alone():
    starts = STARTS.copy()
    starts[3] = np.nan
    found = solve(LINEAR, PROBLEM, "levenberg_marquardt", starts, evaluations=50)
    assert not np.isfinite(found.loss[3])
    np.testing.assert_allclose(np.delete(found.params, 3, axis=0), np.tile(BEST, (10, 1)), atol=1e-7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solver": "levenberg"}, "unknown solver 'levenberg'"),
        ({"start": STARTS[0]}, "start must have shape \\(fits, 3\\)"),
        ({"start": STARTS[:, :2]}, "got \\(11, 2\\)"),
        ({"evaluations": 0}, "evaluations must be a positive integer"),
        ({"problem": jl.Problem(X, Y, "mean_absolute_error")}, "squared errors only"),
        ({"dtype": "float16"}, "float16"),
        ({"first_step": 0.0}, "first_step must be positive"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    arguments = {"problem": PROBLEM, "solver": "levenberg_marquardt", "start": STARTS, "evaluations": 5} | changes
    with pytest.raises(ValueError, match=message):
        solve(LINEAR, **arguments)
