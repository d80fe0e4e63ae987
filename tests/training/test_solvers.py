import jax.numpy as jnp
import numpy as np
import pytest

import jaxland as jl
from jaxland.training import SOLVERS, solve

pytestmark = pytest.mark.sampled(3)

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


def test_levenberg_marquardt_is_its_textbook_loop():
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
    found = solve(net, PROBLEM, "levenberg_marquardt", start[None], evaluations=12)
    np.testing.assert_allclose(found.trace[0], expected, rtol=1e-5)


@pytest.mark.slow
def test_large_systems_of_several_threads_do_not_wait_for_each_other():
    """Batched decompositions of this size do, in XLA, where two are asked for at a time."""
    problem = jl.problems.sawtooth()
    starts = jl.training.starting_points(problem.network, 24)
    found = solve(problem.network, problem, "levenberg_marquardt", starts, evaluations=20, threads=3)
    assert (found.loss < found.trace[:, 0]).all()


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
    ],
)
def test_bad_arguments_are_refused(changes, message):
    arguments = {"problem": PROBLEM, "solver": "levenberg_marquardt", "start": STARTS, "evaluations": 5} | changes
    with pytest.raises(ValueError, match=message):
        solve(LINEAR, **arguments)
