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
from jaxtyping import Array, Bool, Float, Int, Shaped

from jaxland._names import lookup
from jaxland._precision import get_dtype, numerics
from jaxland._processors import available_threads
from jaxland._short import in_short
from jaxland.networks import Network
from jaxland.problems import LOSSES, Problem
from jaxland.training import levenberg_marquardt
from jaxland.training.ensemble import positive
from jaxland.training.levenberg_marquardt import EVALUATIONS, NOT_FINITE, REASONS, RUNNING, STEP, squares_of

# A function from a starting point to a state, which has a `point`, a `reason`, a `cosine` and how many evaluations it
# has `used`, and to the step from one state to the next.
Method = Callable[[Array], tuple[Any, Callable[[Any], Any]]]

# Fits of one program: enough to fill a call, few enough that a large network's Jacobians fit the caches.
_WIDTH = 8
# Smaller than any step worth taking: on a plateau a looser one would pass for convergence.
_RELATIVE, _ABSOLUTE = 1e-12, 1e-15
# The first radius of Levenberg-Marquardt, in lengths of the starting point. MINPACK's 100 lets the first step end on a
# plateau; the smaller, the more networks arrive. Of those from 0.1 to 0.2 it is one with which all of NIST's do.
_RADIUS = 0.12


class _Iterate(NamedTuple):
    """Where a solver of optimistix is."""

    point: Float[Array, "P"]
    internal: Any
    used: Int[Array, ""]
    reason: Int[Array, ""]
    cosine: float = np.nan


@dataclass(frozen=True, eq=False)
class Solved:
    """F fits by a standard solver.

    Attributes:
        params: after the last evaluation.
        loss: there, as the problem has it.
        trace: losses of the point accepted so far after 0, 1, ..., S evaluations.
        reason: why each fit stopped. `"gradient"`: it vanishes to rounding (see `cosine`, or the loss is zero).
            `"reduction"`: what is left to gain is lost in the rounding of the loss, and no longer falls. `"step"`: only
            steps within the rounding of the parameters would be accepted; for conjugate gradient and BFGS, the last one
            changed parameters and loss by less than 1e-12 of them. Where the gradient is not small that is no smooth
            minimum, but a kink, a plateau, or the end of what the precision can tell. `"evaluations"`: they were used
            up, and the loss may still fall. `"not finite"`: the loss at the start is not, or nothing near it is.
        evaluations: how many each fit used until it stopped.
        gradient_norm: norm of the gradient of the loss at `params`.
        cosine: largest cosine of the angle between the residuals and a column of their Jacobian there, of
            Levenberg-Marquardt: the gradient in a unit that no parameter's and no residual's unit changes. NaN for
            others.
    """

    params: Float[np.ndarray, "F P"]
    loss: Float[np.ndarray, "F"]
    trace: Float[np.ndarray, "F T"]
    reason: Shaped[np.ndarray, "F"]
    evaluations: Int[np.ndarray, "F"]
    gradient_norm: Float[np.ndarray, "F"]
    cosine: Float[np.ndarray, "F"]

    __repr__ = in_short

    @property
    def converged(self) -> Bool[np.ndarray, "F"]:
        """Which fits stopped by themselves: by gradient, reduction or step."""
        return np.isin(self.reason, ("gradient", "reduction", "step"))


def _levenberg_marquardt(network, problem, first_step) -> Method:
    squares = squares_of(network, problem)
    radius = _RADIUS if first_step is None else first_step
    advance = partial(levenberg_marquardt.advance, squares)
    return lambda start: (levenberg_marquardt.begin(squares, radius, start), advance)


def _hagan_menhaj(network, problem, first_step) -> Method:
    del first_step
    squares = squares_of(network, problem)
    advance = partial(levenberg_marquardt.advance_damped, squares)
    return lambda start: (levenberg_marquardt.begin_damped(squares, start), advance)


def _conjugate_gradient(network, problem, first_step) -> Method:
    import optimistix

    search = optimistix.BacktrackingArmijo(step_init=1.0 if first_step is None else first_step)
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

    def judged(point, reason):
        return jnp.where(jnp.isfinite(loss(point)), reason, NOT_FINITE).astype(jnp.int32)

    shape = jax.eval_shape(loss, start)
    first = method.init(evaluate, start, None, {}, shape, None, frozenset())
    dynamic, static = eqx.partition(first, eqx.is_array)

    def step(state):
        internal = eqx.combine(state.internal, static)
        moved, internal, _ = method.step(evaluate, state.point, None, {}, internal, frozenset())
        stopped, _ = method.terminate(evaluate, moved, None, {}, internal, frozenset())
        reason = judged(moved, jnp.where(stopped, STEP, RUNNING))
        return _Iterate(moved, eqx.filter(internal, eqx.is_array), state.used + 1, reason)

    return _Iterate(start, dynamic, jnp.zeros((), jnp.int32), judged(start, RUNNING)), step


SOLVERS: dict[str, Callable[[Network, Problem, float | None], Method]] = {
    "levenberg_marquardt": _levenberg_marquardt,
    "hagan_menhaj": _hagan_menhaj,
    "conjugate_gradient": _conjugate_gradient,
    "bfgs": _bfgs,
}
_LEAST_SQUARES = ("levenberg_marquardt", "hagan_menhaj")
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
    first_step: float | None = None,
    dtype: str = "float64",
    threads: int | None = None,
) -> Solved:
    """Trains fits by Levenberg-Marquardt, conjugate gradient or BFGS, each from its own starting point.

    `"levenberg_marquardt"` has a region of trust in the scale of each parameter's effect (More, 1978) and steps that
    bend with the residuals (Transtrum, Machta and Sethna, 2011); `"hagan_menhaj"` is the plain form of textbooks on
    networks, with one damping for all parameters (Hagan and Menhaj, 1994).

    An evaluation is that of the loss, or for Levenberg-Marquardt of the residuals, at one trial point; the gradient,
    or the Jacobian and a second derivative of the residuals along the step, comes with it. So an evaluation of
    conjugate gradient or BFGS costs about what an epoch of gradient descent does, and one of Levenberg-Marquardt a
    product of N x P matrices and a few linear systems of P unknowns on top; where a network couples points, P epochs.

    Args:
        network: any.
        problem: data and loss; Levenberg-Marquardt takes squared errors only.
        solver: name of an entry of `SOLVERS`. Conjugate gradient (Polak-Ribiere) searches its lines by halving until
            Armijo's condition holds.
        start: starting points.
        evaluations: S, most of each fit. A fit that has converged stays where it is; `Solved.reason` says which has.
        first_step: of conjugate gradient the first trial on each line, in units of the direction, by default 1. Of
            `"levenberg_marquardt"` the longest first step, as a share of the starting point, both with each parameter
            times the norm of its column of the Jacobian, by default 0.12: where a model is right but the start far, as
            in regression, 10 may help, and other starts do too. Others have none.
        dtype: `"float64"` or `"float32"`.
        threads: batches done at a time; all processors by default. Levenberg-Marquardt does one, on all processors.

    Raises:
        ValueError: a solver or dtype that is unknown, a loss that is not made of squares, a first step that is not
            positive, or a bad shape.
    """
    lookup("solver", solver, SOLVERS)
    positive("evaluations", evaluations)
    start = np.asarray(start, get_dtype(dtype))
    if start.ndim != 2 or start.shape[1] != network.size or not len(start):
        raise ValueError(f"start must have shape (fits, {network.size}); got {start.shape}.")
    if first_step is not None and not first_step > 0:
        raise ValueError(f"first_step must be positive; got {first_step}.")
    loss = problem.loss
    if solver in _LEAST_SQUARES and not loss.least_squares:
        known = ", ".join(name for name, each in LOSSES.items() if each.least_squares)
        raise ValueError(f"{solver} takes squared errors only: {known}; the loss is {loss.name!r}.")
    if solver in _LEAST_SQUARES and problem.penalty:
        raise ValueError(
            f"{solver} takes squared errors only; the problem has the penalty {problem.penalty[0].name!r}."
        )
    program = _program(network, problem, solver, int(evaluations), None if first_step is None else float(first_step))
    blocks = [np.resize(start[at : at + _WIDTH], (_WIDTH, network.size)) for at in range(0, len(start), _WIDTH)]
    with ThreadPoolExecutor(min(threads or available_threads(), len(blocks))) as pool:
        found = list(pool.map(partial(_run, program, dtype, solver in _LEAST_SQUARES), blocks))
    params, trace, reason, *rest = (np.concatenate(parts)[: len(start)] for parts in zip(*found, strict=True))
    return Solved(params, trace[:, -1], trace, np.array(REASONS)[reason], *rest)


def _run(program, dtype, alone, block):
    with _ONE_AT_A_TIME if alone else nullcontext(), numerics(get_dtype(dtype)):
        return jax.tree.map(np.asarray, program(jnp.asarray(block)))


@lru_cache(maxsize=32)
def _program(network: Network, problem: Problem, solver: str, evaluations: int, first_step: float | None):
    loss = problem.objective(network)
    method = SOLVERS[solver](network, problem, first_step)

    def one(start):
        first, step = method(start)

        def more(carry):
            state, _ = carry
            return (state.reason == RUNNING) & (state.used < evaluations)

        def go_on(carry):
            state, trace = carry
            state = step(state)
            return state, trace.at[state.used].set(loss(state.point))

        began = loss(start)
        state, trace = jax.lax.while_loop(more, go_on, (first, jnp.full(evaluations + 1, began)))
        trace = jnp.where(jnp.arange(evaluations + 1) <= state.used, trace, trace[state.used])
        reason = jnp.where(state.reason == RUNNING, EVALUATIONS, state.reason)
        return state.point, trace, reason, state.used, jnp.linalg.norm(jax.grad(loss)(state.point)), state.cosine

    return jax.jit(jax.vmap(one))
