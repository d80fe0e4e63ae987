"""Standard numerical optimisation, batched: the solvers of optimistix instead of an optax optimizer."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxland._names import lookup
from jaxland.networks import Network
from jaxland.problems import Loss, Problem
from jaxland.training.ensemble import positive
from jaxland.training.precision import get_dtype, numerics
from jaxland.training.trainer import available_threads

# Fits of one program: enough to fill a call, few enough that a large network's Jacobians fit the caches.
_WIDTH = 8
# Smaller than any step worth taking: on a plateau a looser one would pass for convergence.
_RELATIVE, _ABSOLUTE = 1e-12, 1e-15


@dataclass(frozen=True, eq=False)
class Solved:
    """F fits by a standard solver.

    Attributes:
        params: after the last evaluation.
        loss: there, as the problem has it.
        trace: losses of the point accepted so far after 0, 1, ..., S evaluations.
    """

    params: Float[np.ndarray, "F P"]
    loss: Float[np.ndarray, "F"]
    trace: Float[np.ndarray, "F T"]


def _levenberg_marquardt(first_step):
    import lineax
    import optimistix

    del first_step
    # Normal equations: their matrix is P x P and damped; a QR of N x P takes several times as long.
    linear = lineax.Normal(lineax.Cholesky())
    return optimistix.LevenbergMarquardt(_RELATIVE, _ABSOLUTE, linear_solver=linear)


def _conjugate_gradient(first_step):
    import optimistix

    search = optimistix.BacktrackingArmijo(step_init=first_step)
    return optimistix.NonlinearCG(_RELATIVE, _ABSOLUTE, search=search)


def _bfgs(first_step):
    import optimistix

    del first_step
    return optimistix.BFGS(_RELATIVE, _ABSOLUTE)


SOLVERS: dict[str, Callable[[float], Any]] = {
    "levenberg_marquardt": _levenberg_marquardt,
    "conjugate_gradient": _conjugate_gradient,
    "bfgs": _bfgs,
}
_LEAST_SQUARES = ("levenberg_marquardt",)
_SQUARED = ("mean_squared_error", "half_mean_squared_error", "sum_squared_error", "mean_sum_squared_error")


def solve(
    network: Network,
    problem: Problem,
    solver: str,
    start: Float[np.ndarray, "F P"],
    *,
    evaluations: int,
    first_step: float = 1.0,
    dtype: str = "float64",
    threads: int | None = None,
) -> Solved:
    """Trains fits by conjugate gradient, Levenberg-Marquardt or BFGS, each from its own starting point.

    An evaluation is that of the loss, or for Levenberg-Marquardt of the residuals, at one trial point; where the trial
    is accepted the gradient, or the Jacobian, comes with it. So an evaluation of the first and the last costs about
    what an epoch of gradient descent does, and one of Levenberg-Marquardt up to P times as much and a linear system.

    Args:
        network: any.
        problem: data and loss; Levenberg-Marquardt takes squared errors only.
        solver: name of an entry of `SOLVERS`. Conjugate gradient (Polak-Ribiere) searches its lines by halving until
            Armijo's condition holds.
        start: starting points.
        evaluations: S, of each fit. A fit that has converged stays where it is.
        first_step: the first trial of conjugate gradient on each line, in units of the direction.
        dtype: `"float64"` or `"float32"`.
        threads: batches done at a time; all processors by default.

    Raises:
        ValueError: a solver or dtype that is unknown, a loss that is not made of squares, or a bad shape.
    """
    lookup("solver", solver, SOLVERS)
    positive("evaluations", evaluations)
    start = np.asarray(start, get_dtype(dtype))
    if start.ndim != 2 or start.shape[1] != network.size or not len(start):
        raise ValueError(f"start must have shape (fits, {network.size}); got {start.shape}.")
    loss = problem.loss
    assert isinstance(loss, Loss)
    if solver in _LEAST_SQUARES and loss.name not in _SQUARED:
        raise ValueError(f"{solver} takes squared errors only: {', '.join(_SQUARED)}; the loss is {loss.name!r}.")
    program = _program(network, problem, solver, int(evaluations), float(first_step))
    blocks = [np.resize(start[at : at + _WIDTH], (_WIDTH, network.size)) for at in range(0, len(start), _WIDTH)]
    with ThreadPoolExecutor(min(threads or available_threads(), len(blocks))) as pool:
        found = list(pool.map(partial(_run, program, dtype), blocks))
    params, trace = (np.concatenate(parts)[: len(start)] for parts in zip(*found, strict=True))
    return Solved(params, trace[:, -1], trace)


def _run(program, dtype, block):
    with numerics(get_dtype(dtype)):
        return jax.tree.map(np.asarray, program(jnp.asarray(block)))


@lru_cache(maxsize=32)
def _program(network: Network, problem: Problem, solver: str, evaluations: int, first_step: float):
    import equinox as eqx

    loss = problem.objective(network)
    function = _residuals(network, problem) if solver in _LEAST_SQUARES else loss
    method = SOLVERS[solver](first_step)

    def evaluate(point, _):
        return function(point), None

    def one(start):
        shape = jax.eval_shape(function, start)
        first = method.init(evaluate, start, None, {}, shape, None, frozenset())
        dynamic, static = eqx.partition(first, eqx.is_array)

        def body(carry, _):
            point, dynamic, done = carry
            state = eqx.combine(dynamic, static)
            moved, state, _ = method.step(evaluate, point, None, {}, state, frozenset())
            stopped, _ = method.terminate(evaluate, moved, None, {}, state, frozenset())
            # What has converged stays, so that no division by a step of zero can spoil it.
            point = jnp.where(done, point, moved)
            return (point, eqx.filter(state, eqx.is_array), done | stopped), loss(point)

        (point, _, _), losses = jax.lax.scan(body, (start, dynamic, False), length=evaluations)
        return point, jnp.concatenate([loss(start)[None], losses])

    return jax.jit(jax.vmap(one))


def _residuals(network: Network, problem: Problem):
    """Residuals whose sum of squares is the mean or the sum of squared errors; a factor changes no minimum."""

    def residuals(params):
        x, y = (jnp.asarray(values, params.dtype) for values in (problem.x, problem.y))
        return jnp.ravel(network.apply_flat(params, x) - y) / np.sqrt(problem.y.size)

    return residuals
