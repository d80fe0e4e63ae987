"""Levenberg-Marquardt for one fit, made to be vmapped over many: by a region of trust, and with a plain damping."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxland._precision import get_dtype, numerics
from jaxland.networks import Network
from jaxland.problems import Problem
from jaxland.training.initial import draw_parameters

REASONS = ("running", "gradient", "step", "reduction", "evaluations", "not finite")
RUNNING, GRADIENT, STEP, REDUCTION, EVALUATIONS, NOT_FINITE = range(len(REASONS))

# Twice a bend is followed up to this share of the step it bends (Transtrum and Sethna, 2012).
_BEND = 0.75
# Most trials of the damping whose step has the length of the radius, and how nearly it must, as a share.
_DAMPINGS, _NEAR = 10, 0.1
# A trial is accepted where the sum of squares falls by this share of what was predicted, and how far it rose is not
# asked where it is so many times what it was (MINPACK).
_FALL, _TOO_HIGH = 1e-4, 100.0
# Epsilons of what residuals are differences of, by which their rounding changes their norm; no more than this share.
_ROUNDINGS, _MOST_ROUNDING = 8, 1e-4

# The damping without a region of trust, in shares of the largest curvature at the start, and by what it changes.
_FIRST, _FACTOR = 1e-3, 10.0
_LEAST, _MOST = 1e-30, 1e30


class Squares(NamedTuple):
    """Residuals as functions of parameters: alone; with their Jacobian; and their second derivative along a line.

    The last is None where JAX has none. `size` is the norm of what outputs are subtracted from: it sets the rounding.
    """

    residuals: Callable[[Float[Array, "P"]], Float[Array, "R"]]
    linear: Callable[[Float[Array, "P"]], tuple[Float[Array, "R"], Float[Array, "R P"]]]
    second: Callable[[Float[Array, "P"], Float[Array, "P"]], Float[Array, "R"]] | None
    size: float


class Normal(NamedTuple):
    """What is kept of residuals r and their Jacobian J at a point: r^T r, J^T J, J^T r and the norms of J's columns."""

    point: Float[Array, "P"]
    squares: Float[Array, ""]
    gram: Float[Array, "P P"]
    gradient: Float[Array, "P"]
    columns: Float[Array, "P"]

    @property
    def cosine(self) -> Float[Array, ""]:
        """Largest cosine between the residuals and a column of the Jacobian, which no unit changes; 0 at a minimum."""
        norms = self.columns * jnp.sqrt(self.squares)
        return jnp.max(jnp.where(norms > 0, jnp.abs(self.gradient) / jnp.where(norms > 0, norms, 1), jnp.abs(norms)))

    @property
    def finite(self):
        """Whether there is anything that is not; sums see to it that no element hides."""
        return jnp.isfinite(self.squares + jnp.sum(self.columns) + jnp.sum(self.gradient))


class Trusted(NamedTuple):
    """Where a fit with a region of trust is.

    Attributes:
        here: the point accepted last.
        scale: the diagonal D in which steps are measured: the largest norm that each column of the Jacobian has had, so
            that units of parameters do not matter.
        newton: the step of Gauss and Newton, without damping.
        reach: norm of D times that.
        slope: how fast that falls with the damping, as the norm whose square over `reach` is minus the derivative.
        offset: share of the residuals, in norm, that `newton` promises to take away.
        radius: of the region of trust: a bound on the norm of D times a step.
        used: evaluations.
        reason: number in `REASONS`.
    """

    here: Normal
    scale: Float[Array, "P"]
    newton: Float[Array, "P"]
    reach: Float[Array, ""]
    slope: Float[Array, ""]
    offset: Float[Array, ""]
    radius: Float[Array, ""]
    used: Int[Array, ""]
    reason: Int[Array, ""]

    @property
    def point(self) -> Float[Array, "P"]:
        """The point accepted last."""
        return self.here.point

    @property
    def cosine(self) -> Float[Array, ""]:
        """There."""
        return self.here.cosine


def begin(squares: Squares, first_step: float, point: Float[Array, "P"]) -> Trusted:
    """The state at a starting point, with a radius of `first_step` times its length."""
    state = _look(squares, point, jnp.zeros_like(point), jnp.zeros((), point.dtype))
    length = jnp.linalg.norm(state.scale * point)
    # The first step is no longer than that of Gauss and Newton, and later ones go on from what came of it.
    radius = jnp.fmin(first_step * jnp.where(length > 0, length, 1), state.reach)
    return _judged(state._replace(radius=radius), False)


def advance(squares: Squares, state: Trusted) -> Trusted:
    """One trial.

    The step v solves (J^T J + mu D^2) v = -J^T r, where mu is 0 or makes the norm of D v the radius (More, 1978). Half
    of a is added, (J^T J + mu D^2) a = -J^T r_vv, where r_vv is the second derivative of the residuals along v, so that
    the step follows a bent valley (Transtrum, Machta and Sethna, 2011). Radius and acceptance follow from what the sum
    of squares fell by, as a share of what it should have, as in MINPACK. Near a minimum rounding hides that; there the
    trial is accepted if what is left to gain, by the step of Gauss and Newton, falls, and the fit stops if it does not.
    """
    here = state.here
    damping = _damping(state)
    factor, unit = _factored(here, state.scale, damping)
    step = _solved(factor, unit, -here.gradient)
    length = jnp.linalg.norm(state.scale * step)
    bend = jnp.zeros_like(step)
    if squares.second is not None:
        pull = jax.vjp(squares.residuals, here.point)[1](squares.second(here.point, step))[0]
        bend = _solved(factor, unit, -pull)
    # Comparisons with NaN are false: a bend that is not finite is left out, and a trial that is not is a failure.
    followed = 2 * jnp.linalg.norm(state.scale * bend) <= _BEND * length
    seen = _look(squares, here.point + step + jnp.where(followed, bend / 2, 0), state.scale, state.radius)
    times = seen.here.squares / here.squares
    sane = seen.here.finite & (times < _TOO_HIGH)
    fell = jnp.where(sane, 1 - times, -1.0)
    linear, damped = step @ here.gram @ step / here.squares, damping * length**2 / here.squares
    ratio = fell / (linear + 2 * damped)
    rounding = _ROUNDINGS * jnp.finfo(length.dtype).eps * (1 + squares.size / jnp.sqrt(here.squares))
    rounding = jnp.minimum(rounding, _MOST_ROUNDING)
    tie = sane & (state.offset**2 <= rounding) & (jnp.abs(fell) <= rounding)
    better = sane & jnp.where(tie, seen.offset < state.offset, ratio >= _FALL)
    # Where it did not fall, the share of the step at which a parabola through what is known would be least.
    share = jnp.where(fell >= 0, 0.5, 0.5 * (linear + damped) / (linear + damped - 0.5 * fell))
    shrunk = jnp.where(sane, jnp.maximum(share, 0.1), 0.1) * jnp.minimum(state.radius, 10 * length)
    grown = jnp.where((damping == 0) | (ratio >= 0.75), 2 * length, state.radius)
    radius = jnp.where(ratio > 0.25, grown, jnp.where(tie & better, state.radius, shrunk))
    moved = jax.tree.map(lambda new, old: jnp.where(better, new, old), seen, state)
    return _judged(moved._replace(radius=radius, used=state.used + 1), tie & ~better)


class Damped(NamedTuple):
    """Where a fit without a region of trust is: the point accepted last, and the damping of the next trial."""

    here: Normal
    damping: Float[Array, ""]
    used: Int[Array, ""]
    reason: Int[Array, ""]

    @property
    def point(self) -> Float[Array, "P"]:
        """The point accepted last."""
        return self.here.point

    @property
    def cosine(self) -> Float[Array, ""]:
        """There."""
        return self.here.cosine


def begin_damped(squares: Squares, point: Float[Array, "P"]) -> Damped:
    """The state at a starting point."""
    here = _normal(squares, point)
    zero = jnp.zeros((), jnp.int32)
    state = Damped(here, _FIRST * jnp.max(jnp.diag(here.gram)), zero, zero)
    return state._replace(reason=_reason(here, (False, STEP)))


def advance_damped(squares: Squares, state: Damped) -> Damped:
    """One trial: it is accepted if the sum of squares falls, and the damping follows.

    The step solves (J^T J + mu I) step = -J^T r; mu is divided by 10 after a success and multiplied by 10 after a
    failure (Hagan and Menhaj, 1994).
    """
    here = state.here
    damped = here.gram + state.damping * jnp.eye(len(here.point), dtype=here.point.dtype)
    step = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(damped), -here.gradient)
    seen = _normal(squares, here.point + step)
    # Comparisons with NaN are false: a trial that is not finite, or a system that is not positive, is a failure.
    better = seen.squares < here.squares
    damping = jnp.clip(jnp.where(better, state.damping / _FACTOR, state.damping * _FACTOR), _LEAST, _MOST)
    here = jax.tree.map(lambda new, old: jnp.where(better, new, old), seen, here)
    vanishes = jnp.linalg.norm(step) <= jnp.finfo(step.dtype).eps * jnp.linalg.norm(here.point)
    return Damped(here, damping, state.used + 1, _reason(here, (vanishes & ~better, STEP)))


def _normal(squares: Squares, point) -> Normal:
    residuals, jacobian = squares.linear(point)
    gram = jacobian.T @ jacobian
    return Normal(point, residuals @ residuals, gram, jacobian.T @ residuals, jnp.sqrt(jnp.diag(gram)))


def _reason(here: Normal, *others):
    """The first that holds."""
    verdicts = [(~here.finite, NOT_FINITE), (here.cosine <= jnp.finfo(here.point.dtype).eps, GRADIENT), *others]
    held = [jnp.asarray(each) for each, _ in verdicts]
    return jnp.select(held, [code for _, code in verdicts], RUNNING).astype(jnp.int32)


def _look(squares: Squares, point, scale, radius) -> Trusted:
    """All that is to be known at a point."""
    here = _normal(squares, point)
    scale = jnp.maximum(scale, here.columns)
    factor, unit = _factored(here, scale, 0.0)
    newton = _solved(factor, unit, -here.gradient)
    offset = jnp.linalg.norm(_half(factor, here.gradient / unit)) / jnp.sqrt(here.squares)
    reach, slope = jnp.linalg.norm(scale * newton), jnp.linalg.norm(_half(factor, scale**2 * newton / unit))
    zero = jnp.zeros((), jnp.int32)
    return Trusted(here, scale, newton, reach, slope, offset, radius, zero, zero)


def _judged(state: Trusted, ended) -> Trusted:
    least = jnp.finfo(state.point.dtype).eps * jnp.linalg.norm(state.scale * state.point)
    return state._replace(reason=_reason(state.here, (ended, REDUCTION), (state.radius <= least, STEP)))


def _damping(state: Trusted):
    """The damping whose step has the length of the radius, to a tenth of it: More's iteration, with his bounds."""
    here, scale, radius = state.here, state.scale, state.radius

    def newer(low, high, damping, length, slope):
        """Newton's next damping for 1 / length, between its bounds; tenfold where there is no step."""
        moved = damping + (length - radius) / radius * (length / slope) ** 2
        return jnp.clip(jnp.where(jnp.isfinite(moved), moved, jnp.maximum(10 * damping, 1e-3 * high)), low, high)

    def improve(search):
        low, high, damping, _, count = search
        factor, unit = _factored(here, scale, damping)
        step = _solved(factor, unit, -here.gradient)
        length = jnp.linalg.norm(scale * step)
        found = jnp.abs(length - radius) <= _NEAR * radius
        short = length <= radius
        low, high = jnp.where(short, low, damping), jnp.where(short, damping, high)
        slope = jnp.linalg.norm(_half(factor, scale**2 * step / unit))
        return low, high, jnp.where(found, damping, newer(low, high, damping, length, slope)), found, count + 1

    high = jnp.linalg.norm(jnp.where(scale > 0, here.gradient / jnp.where(scale > 0, scale, 1), 0)) / radius
    low = jnp.zeros_like(high)
    free = (state.reason != RUNNING) | (state.reach <= (1 + _NEAR) * radius)
    first = newer(low, high, low, state.reach, state.slope)
    search = (low, high, first, free, jnp.zeros((), jnp.int32))
    searched = jax.lax.while_loop(lambda search: ~search[3] & (search[4] < _DAMPINGS), improve, search)
    return jnp.where(free, 0.0, searched[2])


def _factored(here: Normal, scale, damping):
    """Cholesky's factor of J^T J + mu D^2 with the columns of J brought to the norm 1, and these norms.

    Of the condition that is squared here only what units do not make is left; for it to have a factor whatever it is,
    its diagonal is larger by what rounding may take away.
    """
    unit = jnp.where(here.columns > 0, here.columns, 1)
    floor = 4 * len(unit) * jnp.finfo(unit.dtype).eps
    damped = here.gram / jnp.outer(unit, unit) + jnp.diag(floor + damping * (scale / unit) ** 2)
    return jnp.linalg.cholesky(damped, symmetrize_input=False), unit


def _solved(factor, unit, right):
    return jax.scipy.linalg.cho_solve((factor, True), right / unit) / unit


def _half(factor, right):
    return jax.scipy.linalg.solve_triangular(factor, right, lower=True)


def squares_of(network: Network, problem: Problem) -> Squares:
    """Residuals whose sum of squares is the mean of squared errors, and their derivatives.

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

    def data(params):
        return [jnp.asarray(values, params.dtype) for values in (problem.x, problem.y, scales)]

    def residuals(params):
        return whole(params, *data(params))

    def linear(params):
        if apart:
            jacobian = jax.vmap(jax.jacrev(of_point), in_axes=(None, 0, 0, 0))(params, *data(params))
        else:
            jacobian = jax.jacfwd(residuals)(params)
        return residuals(params), jacobian.reshape(-1, network.size)

    def second(params, along):
        def first(params):
            return jax.jvp(residuals, (params,), (along,))[1]

        return jax.jvp(first, (params,), (along,))[1]

    size = float(np.linalg.norm(scales[:, None] * problem.y))
    return Squares(residuals, linear, second if _lowers(second, network.size) else None, size)


def _lowers(second, size: int) -> bool:
    """Whether there is a second derivative along a line; of a function with a gradient of its own there is none."""
    with numerics(get_dtype("float64")):
        point = jax.ShapeDtypeStruct((1, size), np.float64)
        try:
            jax.jit(jax.vmap(second)).lower(point, point)
        except (TypeError, NotImplementedError):
            return False
    return True


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
    finite = np.isfinite(together)
    if not finite.any():  # nothing is known
        return False
    scale = np.abs(together[finite]).max()
    return bool(np.allclose(together, apart, rtol=1e-9, atol=1e-9 * scale, equal_nan=True))
