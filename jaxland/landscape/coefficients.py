"""How large the valley about each fit is: local learning coefficients by Hamiltonian chains, and volumes by rays."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxland._scaling import norm
from jaxland._short import in_short
from jaxland.problems import Evaluate

# The acceptance that trajectories of several steps are tuned to (Betancourt, Byrne and Girolami 2014), and the first
# gain of its search.
_ACCEPTANCE, _GAIN = 0.8, 1.0
# Numbers drawn for a fit at a time, and points of one block of fits: bounds memory.
_DRAWN, _POINTS = 2**18, 4096
# Doublings of a ray that find where the loss has risen, and halvings that find it to a part in 10^9.
_DOUBLINGS, _HALVINGS = 60, 30


class LearningCoefficients(NamedTuple):
    """Local learning coefficients, and how far the chains behind them can be trusted."""

    value: Float[np.ndarray, "F"]
    """inverse temperature x (mean loss of the chains - loss of the fit). Below zero where chains found lower loss."""
    standard_error: Float[np.ndarray, "F"]
    """Of the value, from the means of half chains."""
    r_hat: Float[np.ndarray, "F"]
    """Split potential scale reduction of the loss: near 1 where the chains agree; do not trust values above 1.1."""
    acceptance: Float[np.ndarray, "F"]
    """Share of proposals taken after the burn-in."""
    step_size: Float[np.ndarray, "F"]
    """In units of the metric."""

    __repr__ = in_short


class Volumes(NamedTuple):
    """Volumes of the parts of parameter space that are seen from each fit without the loss rising too far."""

    log_volume: Float[np.ndarray, "F"]
    """Natural logarithm of the volume, in units of parameter space to the power P."""
    standard_error: Float[np.ndarray, "F"]
    """Of the logarithm; means nothing where few rays make the volume."""
    effective_rays: Float[np.ndarray, "F"]
    """(sum of volumes)^2 / sum of their squares over rays: of how many equal rays the estimate is worth."""
    unbounded: Float[np.ndarray, "F"]
    """Share of rays along which the loss never rose; those end at `longest`."""

    __repr__ = in_short


def local_learning_coefficients(
    evaluate: Evaluate,
    params: Float[np.ndarray, "F P"],
    inverse_temperature: float,
    *,
    localisation: float = 1.0,
    metric: Float[np.ndarray, "F P P"] | None = None,
    chains: int = 4,
    leapfrogs: int = 8,
    burn_in: int = 100,
    steps: int = 300,
    seed: int = 0,
) -> LearningCoefficients:
    """The local learning coefficient of every fit: how the volume about it shrinks with the loss allowed.

    The volume of points near w with a loss at most e above that of w goes as e to the power of the coefficient: P / 2
    about a minimum with a regular Hessian, less where directions are flat. It is estimated as b (E[L] - L(w)), the mean
    taken over the density proportional to exp(-b L(v) - g |v - w|^2 / 2), with the inverse temperature b and the
    localisation g. Chains are Hamiltonian trajectories with Metropolis' correction, so that the size of steps, which is
    tuned in the burn-in to an acceptance of 0.8, biases nothing. The localisation does: a direction of curvature h
    counts as b h / (b h + g) / 2.

        evaluate = jl.training.gradients(net, problem)
        curvature = b * landscape.gauss_newton(net, problem).matrices(fits.params) + np.eye(net.size)
        landscape.local_learning_coefficients(evaluate, fits.params, b, metric=curvature)

    Args:
        evaluate: losses and gradients of many points; see `gradients_of`.
        params: the fits.
        inverse_temperature: b, in units of one over the loss. For a mean over N points of negative logarithms of
            likelihood, N / log N. The coefficient is the limit for large b and does not depend on the loss's unit.
        localisation: g, in units of one over squared distance.
        metric: positive definite matrices in whose inverses steps are taken, about b times the curvature plus g;
            without one a chain crosses a valley in about as many steps as the root of how much steeper its walls are.
        chains: of each fit, at least two, all of which begin there.
        leapfrogs: evaluations of each trajectory; 1 makes Langevin steps.
        burn_in: trajectories that tune the step size and are thrown away.
        steps: trajectories that are counted.
        seed: the chains of fit i are a function of the seed and i, and of no other fit.

    Returns:
        Coefficients with their errors; NaN for a fit whose loss is not finite.

    Raises:
        ValueError: a number that is not positive, fewer than two chains or four steps, shapes that do not fit, or a
            metric that is not positive definite.

    References:
        Lau, Furman, Wang, Murfet and Wei, The local learning coefficient: a singularity-aware complexity measure
        (2023), equation 15, with stochastic gradient Langevin dynamics, whose step size biases it; Watanabe, A widely
        applicable Bayesian information criterion (2013); Neal, MCMC using Hamiltonian dynamics (2011), section 5.3.
    """
    params = _checked(params, metric, inverse_temperature=inverse_temperature, localisation=localisation)
    if chains < 2 or steps < 4 or burn_in < 1 or leapfrogs < 1:
        got = f"{chains}, {steps}, {burn_in} and {leapfrogs}"
        raise ValueError(f"two chains, four steps, a burn-in of one and one leapfrog are needed; got {got}.")
    target = inverse_temperature, localisation
    width = max(1, _POINTS // chains)
    parts = []
    for start in range(0, len(params), width):
        rows = slice(start, start + width)
        roots = None if metric is None else _inverse_roots(np.asarray(metric[rows], np.float64), params[rows])
        draws = [_draws(seed, fit, chains, params.shape[1]) for fit in range(*rows.indices(len(params)))]
        parts.append(_chains(evaluate, params[rows], target, roots, draws, chains, leapfrogs, burn_in, steps))
    if not parts:
        return LearningCoefficients(*np.zeros((5, 0)))
    return LearningCoefficients(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def basin_volumes(
    evaluate: Evaluate,
    params: Float[np.ndarray, "F P"],
    rise: float,
    *,
    metric: Float[np.ndarray, "F P P"] | None = None,
    rays: int = 200,
    longest: float = 1e3,
    seed: int = 0,
) -> Volumes:
    """The volume about every fit in which the loss stays below its own plus `rise` on the straight way there.

    The region is star-shaped by definition, so that its volume is the mean over directions of the distance to its edge
    to the power P, times the volume of the unit ball. That power makes the longest ray count for nearly all unless all
    are of similar length: directions are drawn in coordinates in which they are, by the root of the inverse of
    `metric`. On a quadratic valley with its Hessian as the metric one ray is exact. `effective_rays` tells what it was
    worth elsewhere; from a few rays a volume is a lower bound at best.

    Args:
        evaluate: losses and gradients of many points; see `gradients_of`.
        params: the fits.
        rise: of the loss, in its units.
        metric: positive definite matrices, such as the Gauss-Newton matrix plus a share of unity.
        rays: drawn for each fit.
        longest: where a ray ends on which the loss does not rise, in units of the metric.
        seed: the rays of fit i are a function of the seed and i.

    Raises:
        ValueError: a number that is not positive, fewer than two rays, shapes that do not fit, or a metric that is not
            positive definite.

    References:
        Scherlis and Belrose, Estimating the probability of sampling a trained neural network at random (2025), for
        star-shaped volumes and preconditioned directions.
    """
    params = _checked(params, metric, rise=rise, longest=longest)
    if rays < 2:
        raise ValueError(f"an error needs at least two rays; got {rays}.")
    found = [
        _volume(evaluate, point, rise, None if metric is None else metric[index], rays, longest, (seed, index))
        for index, point in enumerate(params)
    ]
    return Volumes(*np.reshape(found, (len(params), 4)).T)


def _checked(params, metric, **positive: float) -> Float[np.ndarray, "F P"]:
    params = np.asarray(params, np.float64)
    if params.ndim != 2 or not params.shape[1]:
        raise ValueError(f"params must have shape (fits, P); got {params.shape}. A single fit is params[None].")
    for name, value in positive.items():
        if not 0 < value < np.inf:
            raise ValueError(f"{name} must be positive and finite; got {value}.")
    if metric is not None and np.shape(metric) != (*params.shape, params.shape[1]):
        raise ValueError(f"metric must have shape {(*params.shape, params.shape[1])}; got {np.shape(metric)}.")
    return params


def _inverse_roots(metric, params):
    """Matrices R with R R' the inverse of each metric; unity for fits that are not finite."""
    metric = np.where(np.isfinite(params).all(axis=1)[:, None, None], metric, np.eye(params.shape[1]))
    try:
        lower = np.linalg.cholesky(metric)
    except np.linalg.LinAlgError:
        raise ValueError("metric must be positive definite; add a share of unity to a curvature.") from None
    return np.linalg.inv(lower).transpose(0, 2, 1)


def _draws(seed, fit, chains, size) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Normal numbers (chains, P) and uniform ones (chains, 2) of step after step."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(fit,)))
    block = max(1, _DRAWN // (chains * size))
    while True:
        normal, uniform = random.standard_normal((block, chains, size)), random.random((block, chains, 2))
        yield from zip(normal, uniform, strict=True)


def _chains(evaluate, params, target, roots, draws, chains, leapfrogs, burn_in, steps):
    """Coefficients of one block of fits."""
    fits, size = params.shape
    inverse_temperature, localisation = target
    lowest = evaluate(params)[0].astype(np.float64)

    def potential(points):
        """Negative logarithm of the density, its gradient and the loss."""
        losses, slopes = evaluate(points.reshape(-1, size))
        losses, slopes = losses.astype(np.float64).reshape(points.shape[:2]), slopes.astype(np.float64)
        away = points - params[:, None]
        value = inverse_temperature * (losses - lowest[:, None]) + localisation / 2 * (away**2).sum(axis=2)
        return value, inverse_temperature * slopes.reshape(points.shape) + localisation * away, losses

    def spread(vectors):
        """From coordinates in which the metric is unity."""
        return vectors if roots is None else vectors @ roots.transpose(0, 2, 1)

    def gathered(vectors):
        return vectors if roots is None else vectors @ roots

    # Without a metric the walls decide how far a first step may go.
    log_step = np.full(fits, 0.0 if roots is not None else -math.log(inverse_temperature + localisation) / 2)
    points = np.repeat(params[:, None], chains, axis=1)
    value, slope, losses = potential(points)
    trace, accepted = np.empty((steps, fits, chains)), np.zeros(fits)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(burn_in + steps):
            momentum, uniform = (np.stack(parts) for parts in zip(*(next(own) for own in draws), strict=True))
            # Steps of random length, or a trajectory could come back to where it began each time.
            size_of = (np.exp(log_step)[:, None] * (0.75 + uniform[..., 1] / 2))[..., None]
            energy = value + (momentum**2).sum(axis=2) / 2
            moved, new_slope = points, gathered(slope)
            for _ in range(leapfrogs):
                momentum = momentum - size_of / 2 * new_slope
                moved = moved + spread(size_of * momentum)
                new_value, raw, new_losses = potential(moved)
                new_slope = gathered(raw)
                momentum = momentum - size_of / 2 * new_slope
            ratio = energy - new_value - (momentum**2).sum(axis=2) / 2
            chance = np.exp(np.minimum(np.where(np.isnan(ratio), -np.inf, ratio), 0.0))
            taken = uniform[..., 0] < chance
            points = np.where(taken[..., None], moved, points)
            slope = np.where(taken[..., None], raw, slope)
            value, losses = np.where(taken, new_value, value), np.where(taken, new_losses, losses)
            if step < burn_in:
                log_step += _GAIN * (step + 1) ** -0.6 * (chance.mean(axis=1) - _ACCEPTANCE)
            else:
                trace[step - burn_in] = losses
                accepted += taken.mean(axis=1) / steps
    known = np.isfinite(lowest)
    means, r_hat = _split(trace)
    with np.errstate(invalid="ignore"):
        value = inverse_temperature * (means.mean(axis=1) - lowest)
    error = inverse_temperature * means.std(axis=1, ddof=1) / math.sqrt(means.shape[1])
    results = value, error, r_hat, accepted, np.exp(log_step)
    return tuple(np.where(known, each, np.nan) for each in results)


def _split(trace):
    """Means of half chains (F, 2 C), and the potential scale reduction from them.

    Gelman et al., Bayesian Data Analysis, third edition, section 11.4.
    """
    half = len(trace) // 2
    parts = np.concatenate([trace[:half], trace[half : 2 * half]], axis=2)
    means, within = parts.mean(axis=0), parts.var(axis=0, ddof=1).mean(axis=1)
    between = means.var(axis=1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        r_hat = np.sqrt((half - 1) / half + between / within)
    return means, np.where(within > 0, r_hat, 1.0)


def _volume(evaluate, point, rise, metric, rays, longest, seed):
    size = len(point)
    lowest = float(evaluate(point[None])[0][0])
    if not np.isfinite(lowest):
        return np.full(4, np.nan)
    root = np.eye(size) if metric is None else _inverse_roots(np.asarray(metric, np.float64)[None], point[None])[0]
    random = np.random.default_rng(np.random.SeedSequence(seed[0], spawn_key=(seed[1],)))
    directions = random.standard_normal((rays, size))
    directions = (directions / norm(directions)[:, None]) @ root.T

    def inside(lengths):
        losses = np.concatenate(
            [
                evaluate(point + lengths[at : at + _POINTS, None] * directions[at : at + _POINTS])[0]
                for at in range(0, rays, _POINTS)
            ]
        )
        return losses.astype(np.float64) <= lowest + rise

    # Outward in steps of a quarter, so that no hill is jumped that is wider than that, then by halves.
    reached, ends = np.zeros(rays), np.full(rays, np.nan)
    trial = np.full(rays, longest * 2.0**-_DOUBLINGS)
    while np.isnan(ends).any():
        within = inside(trial)
        open_ = np.isnan(ends)
        ends = np.where(open_ & (~within | (trial >= longest)), trial, ends)
        reached = np.where(open_ & within, trial, reached)
        trial = np.where(np.isnan(ends), np.minimum(trial * 1.25, longest), trial)
    unbounded = reached >= longest
    for _ in range(_HALVINGS):
        middle = (reached + ends) / 2
        within = inside(middle)
        reached, ends = np.where(within, middle, reached), np.where(within, ends, middle)
    with np.errstate(divide="ignore"):
        logs = size * np.log(reached)
    shares = np.exp(logs - logs.max())
    ball = size / 2 * math.log(math.pi) - math.lgamma(size / 2 + 1)
    volume = ball + np.linalg.slogdet(root)[1] + logs.max() + math.log(shares.mean())
    error = shares.std(ddof=1) / shares.mean() / math.sqrt(rays)
    return volume, error, shares.sum() ** 2 / (shares**2).sum(), unbounded.mean()
