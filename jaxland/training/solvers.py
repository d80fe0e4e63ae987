"""Standard numerical optimisation, batched: Levenberg-Marquardt, and solvers of optimistix."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxland._names import lookup
from jaxland._precision import get_dtype, numerics
from jaxland.networks import Network
from jaxland.problems import LOSSES, Problem
from jaxland.training.ensemble import positive
from jaxland.training.levenberg_marquardt import advance, begin, residuals_and_jacobian
from jaxland.training.trainer import available_threads

# A function from a starting point to a state, which has a `point`, and the step from one state to the next.
Method = Callable[[Array], tuple[Any, Callable[[Any], Any]]]

# Fits of one program: enough to fill a call, few enough that a large network's Jacobians fit the caches.
_WIDTH = 8
# Smaller than any step worth taking: on a plateau a looser one would pass for convergence.
_RELATIVE, _ABSOLUTE = 1e-12, 1e-15


class _Iterate(NamedTuple):
    """Where a solver of optimistix is."""

    point: Float[Array, "P"]
    internal: Any
    done: Bool[Array, ""]


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


def _levenberg_marquardt(network, problem, first_step) -> Method:
    del first_step
    linear = residuals_and_jacobian(network, problem)
    return lambda start: (begin(linear, start), partial(advance, linear))


def _conjugate_gradient(network, problem, first_step) -> Method:
    import optimistix

    search = optimistix.BacktrackingArmijo(step_init=first_step)
    return partial(_of_optimistix, optimistix.NonlinearCG(_RELATIVE, _ABSOLUTE, search=search), network, problem)


def _bfgs(network, problem, first_step) -> Method:
    import optimistix

    del first_step
    return partial(_of_optimistix, optimistix.BFGS(_RELATIVE, _ABSOLUTE), network, problem)


def _of_optimistix(method, network, problem, start):
    import equinox as eqx

    loss = problem.objective(network)

    def evaluate(point, _):
        return loss(point), None

    shape = jax.eval_shape(loss, start)
    first = method.init(evaluate, start, None, {}, shape, None, frozenset())
    dynamic, static = eqx.partition(first, eqx.is_array)

    def step(state):
        internal = eqx.combine(state.internal, static)
        moved, internal, _ = method.step(evaluate, state.point, None, {}, internal, frozenset())
        stopped, _ = method.terminate(evaluate, moved, None, {}, internal, frozenset())
        # What has converged stays, so that no division by a step of zero can spoil it.
        point = jnp.where(state.done, state.point, moved)
        return _Iterate(point, eqx.filter(internal, eqx.is_array), state.done | stopped)

    return _Iterate(start, dynamic, jnp.asarray(False)), step


SOLVERS: dict[str, Callable[[Network, Problem, float], Method]] = {
    "levenberg_marquardt": _levenberg_marquardt,
    "conjugate_gradient": _conjugate_gradient,
    "bfgs": _bfgs,
}
_LEAST_SQUARES = ("levenberg_marquardt",)
# Two batches of Cholesky decompositions at a time can wait for each other for ever (seen with jaxlib 0.10.1 on a CPU),
# and XLA spreads each over the processors anyway.
_ONE_AT_A_TIME = threading.Lock()


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
    what an epoch of gradient descent does, and one of Levenberg-Marquardt a product of N x P matrices and a linear
    system of P unknowns on top; where a network couples points, P epochs.

    Args:
        network: any.
        problem: data and loss; Levenberg-Marquardt takes squared errors only.
        solver: name of an entry of `SOLVERS`. Conjugate gradient (Polak-Ribiere) searches its lines by halving until
            Armijo's condition holds.
        start: starting points.
        evaluations: S, of each fit. A fit that has converged stays where it is.
        first_step: the first trial of conjugate gradient on each line, in units of the direction.
        dtype: `"float64"` or `"float32"`.
        threads: batches done at a time; all processors by default. Levenberg-Marquardt does one, on all processors.

    Raises:
        ValueError: a solver or dtype that is unknown, a loss that is not made of squares, or a bad shape.
    """
    lookup("solver", solver, SOLVERS)
    positive("evaluations", evaluations)
    start = np.asarray(start, get_dtype(dtype))
    if start.ndim != 2 or start.shape[1] != network.size or not len(start):
        raise ValueError(f"start must have shape (fits, {network.size}); got {start.shape}.")
    loss = problem.loss
    if solver in _LEAST_SQUARES and not loss.least_squares:
        known = ", ".join(name for name, each in LOSSES.items() if each.least_squares)
        raise ValueError(f"{solver} takes squared errors only: {known}; the loss is {loss.name!r}.")
    if solver in _LEAST_SQUARES and problem.penalty:
        raise ValueError(
            f"{solver} takes squared errors only; the problem has the penalty {problem.penalty[0].name!r}."
        )
    program = _program(network, problem, solver, int(evaluations), float(first_step))
    blocks = [np.resize(start[at : at + _WIDTH], (_WIDTH, network.size)) for at in range(0, len(start), _WIDTH)]
    with ThreadPoolExecutor(min(threads or available_threads(), len(blocks))) as pool:
        found = list(pool.map(partial(_run, program, dtype, solver in _LEAST_SQUARES), blocks))
    params, trace = (np.concatenate(parts)[: len(start)] for parts in zip(*found, strict=True))
    return Solved(params, trace[:, -1], trace)


def _run(program, dtype, alone, block):
    with _ONE_AT_A_TIME if alone else nullcontext(), numerics(get_dtype(dtype)):
        return jax.tree.map(np.asarray, program(jnp.asarray(block)))


@lru_cache(maxsize=32)
def _program(network: Network, problem: Problem, solver: str, evaluations: int, first_step: float):
    loss = problem.objective(network)
    method = SOLVERS[solver](network, problem, first_step)

    def one(start):
        first, step = method(start)

        def body(state, _):
            state = step(state)
            return state, loss(state.point)

        last, losses = jax.lax.scan(body, first, length=evaluations)
        return last.point, jnp.concatenate([loss(start)[None], losses])

    return jax.jit(jax.vmap(one))
