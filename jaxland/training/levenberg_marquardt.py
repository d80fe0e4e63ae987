"""Levenberg-Marquardt for one fit, made to be vmapped over many."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxland._precision import get_dtype, numerics
from jaxland.networks import Network
from jaxland.problems import Problem
from jaxland.training.initial import draw_parameters

# The first damping, in shares of the largest curvature; it shrinks or grows by the factor at each trial.
_FIRST, _FACTOR = 1e-3, 10.0
_LEAST, _MOST = 1e-30, 1e30

Linear = tuple[Float[Array, "R"], Float[Array, "R P"]]


class LevenbergMarquardt(NamedTuple):
    """Where a fit is: the point accepted last, its loss, J^T J and J^T r there, and the damping of the next trial."""

    point: Float[Array, "P"]
    loss: Float[Array, ""]
    gram: Float[Array, "P P"]
    gradient: Float[Array, "P"]
    damping: Float[Array, ""]


def begin(linear: Callable[[Float[Array, "P"]], Linear], point: Float[Array, "P"]) -> LevenbergMarquardt:
    """The state at a starting point."""
    loss, gram, gradient = _normal(linear, point)
    return LevenbergMarquardt(point, loss, gram, gradient, _FIRST * jnp.max(jnp.diag(gram)))


def advance(linear: Callable[[Float[Array, "P"]], Linear], state: LevenbergMarquardt) -> LevenbergMarquardt:
    """One trial: it is accepted if the sum of squares falls, and the damping follows.

    The step solves (J^T J + mu I) step = -J^T r; mu is divided by 10 after a success and multiplied by 10 after a
    failure (Hagan and Menhaj, 1994). Without a success for long the step vanishes, so what has converged stays.
    """
    damped = state.gram + state.damping * jnp.eye(len(state.point), dtype=state.point.dtype)
    step = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(damped), -state.gradient)
    trial = state.point + step
    loss, gram, gradient = _normal(linear, trial)
    # Comparisons with NaN are false: a trial that is not finite, or a system that is not positive, is a failure.
    better = loss < state.loss
    damping = jnp.clip(jnp.where(better, state.damping / _FACTOR, state.damping * _FACTOR), _LEAST, _MOST)
    moved = LevenbergMarquardt(trial, loss, gram, gradient, damping)
    return jax.tree.map(lambda new, old: jnp.where(better, new, old), moved, state._replace(damping=damping))


def _normal(linear, point):
    residuals, jacobian = linear(point)
    return residuals @ residuals, jacobian.T @ jacobian, jacobian.T @ residuals


def residuals_and_jacobian(network: Network, problem: Problem) -> Callable[[Float[Array, "P"]], Linear]:
    """Residuals whose sum of squares is the mean of squared errors, and their Jacobian, as a function of parameters.

    Where points do not depend on each other each row is the gradient of one output at one point: three evaluations of
    the network for the whole matrix, and not one for each parameter.
    """
    factors = np.ones(len(problem.x)) if problem.factors is None else problem.factors
    scales = np.sqrt(factors / problem.y.size)

    def whole(params, x, y, scale):
        return jnp.ravel(scale[:, None] * (network.apply_flat(params, x) - y))

    def of_point(params, x, y, scale):
        return whole(params, x[None], y[None], scale[None])

    apart = _points_apart(network, problem)

    def linear(params):
        points = [jnp.asarray(values, params.dtype) for values in (problem.x, problem.y, scales)]
        if apart:
            jacobian = jax.vmap(jax.jacrev(of_point), in_axes=(None, 0, 0, 0))(params, *points)
        else:
            jacobian = jax.jacfwd(whole)(params, *points)
        return whole(params, *points), jacobian.reshape(-1, network.size)

    return linear


def _points_apart(network: Network, problem: Problem) -> bool:
    """Whether what the network says of each point is what it says of that point alone, at parameters of its own."""
    if network.spec.widths:
        return True
    drawn = draw_parameters(network, 0, np.arange(1))[0].astype(np.float64)
    params = drawn + 0.1 * np.random.default_rng(0).standard_normal(drawn.shape)

    def both(params, x):
        return network.apply_flat(params, x), jax.vmap(lambda point: network.apply_flat(params, point[None])[0])(x)

    with numerics(get_dtype("float64")):
        try:
            together, apart = map(np.asarray, jax.jit(both)(params, problem.x))
        except Exception:  # of any kind: it takes only so many points
            return False
    scale = np.abs(together).max(initial=0)
    return bool(np.allclose(together, apart, rtol=1e-9, atol=1e-9 * scale, equal_nan=True))
