"""Gaussians about every fit that stand for what its data leave open: Laplace's approximation, and SWAG."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxland._blocks import in_blocks
from jaxland._compiled import compiled
from jaxland._short import in_short
from jaxland.landscape.curvature import gauss_newton
from jaxland.networks import Network
from jaxland.problems import Problem

# Fits of one call: each works on a matrix of its own.
_WIDTH = 8
# Turns of the fixed-point iteration for the evidence, and the change of a logarithm that ends it.
_TURNS, _SETTLED = 1_000, 1e-10


class Gaussians(NamedTuple):
    """A normal distribution of the parameters about each fit, with covariance `factor factor' + diag(diagonal)`."""

    mean: Float[np.ndarray, "F P"]
    factor: Float[np.ndarray, "F P R"]
    diagonal: Float[np.ndarray, "F P"]

    __repr__ = in_short

    def sample(self, count: int, seed: int = 0) -> Float[np.ndarray, "F count P"]:
        """Draws from each; those of fit i are a function of the seed and i.

        Raises:
            ValueError: a count below one.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1; got {count}.")
        drawn = []
        for index, (mean, factor, diagonal) in enumerate(zip(*self, strict=True)):
            random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
            along = random.standard_normal((count, factor.shape[1])) @ factor.T
            drawn.append(mean + along + random.standard_normal((count, len(mean))) * np.sqrt(diagonal))
        return np.reshape(drawn, (len(self.mean), count, self.mean.shape[1]))

    def deviations(
        self, network: Network, x: Float[np.ndarray, "N D"] | Float[np.ndarray, "N"]
    ) -> Float[np.ndarray, "F N O"]:
        """Standard deviations of the outputs at points, with the network linearised about each mean.

        They are of the network's output, without the noise of targets; `outputs(network, mean, x)` is the mean.

        Args:
            network: the fits' network.
            x: points; a vector is taken as one column.

        Raises:
            ValueError: the means do not fit the network.
        """
        if self.mean.shape[1] != network.size:
            raise ValueError(f"the network has {network.size} parameters; the means have {self.mean.shape[1]}.")
        x = np.asarray(x, np.float64)
        run = in_blocks(_deviations(network), _WIDTH, "float64", shared=(3,))
        return run(*self, x[:, None] if x.ndim == 1 else x)


class Laplace(NamedTuple):
    """Laplace's approximation of the posterior of each fit. Fits without a finite curvature have NaN throughout."""

    posterior: Gaussians
    prior_precision: Float[np.ndarray, "F"]
    """Inverse variance of the normal prior of all parameters about zero."""
    noise: Float[np.ndarray, "F"]
    """Variance of targets about outputs; 1 for losses that are no squares."""
    log_evidence: Float[np.ndarray, "F"]
    """Logarithm of the probability of the targets, parameters integrated out, but for what the loss leaves out of a
    likelihood. Differences between models with one loss are logarithms of Bayes factors."""
    effective: Float[np.ndarray, "F"]
    """Parameters that data determine: the sum of c / (c + prior precision) over the curvatures c."""

    __repr__ = in_short


def laplace(
    network: Network,
    problem: Problem,
    params: Float[np.ndarray, "F P"],
    *,
    prior_precision: float | None = None,
    noise: float | None = None,
) -> Laplace:
    """Laplace's approximation about each fit, with the Gauss-Newton matrix for the Hessian.

    The loss is taken for a negative logarithm of likelihood of every point, in the mean or the sum; squared errors for
    that of normal noise. Penalties are left out: their part is the prior's. What is not given of its precision and of
    the noise is chosen for each fit so that the evidence is largest.

        about = landscape.laplace(net, problem, fits.params)
        about.posterior.deviations(net, x)  # beside the spread of the fits, np.std(outputs(net, fits.params, x), 0)

    Args:
        network: the fits' network.
        problem: what they were trained on.
        params: flat parameters; the work is done in float64, on a P x P matrix for each fit.
        prior_precision: of the normal prior about zero of all parameters; for fits trained with the penalty
            c |w|^2 beside a mean over N points of losses, 2 c N.
        noise: variance of targets about outputs, for squared errors.

    Raises:
        ValueError: a number that is not positive, noise for a loss that is no square, or `params` of a wrong shape.

    References:
        MacKay, Neural Computation 4, 448 (1992), for the evidence and its fixed point; Immer, Korzepa and Bauer,
        Improving predictions of Bayesian neural nets via local linearization (2021), for the Gauss-Newton matrix with
        a linearised network.
    """
    loss = problem.loss
    for name, value in (("prior_precision", prior_precision), ("noise", noise)):
        if value is not None and not 0 < value < np.inf:
            raise ValueError(f"{name} must be positive and finite; got {value}.")
    if noise is not None and not loss.least_squares:
        raise ValueError(f"noise is of squared errors; the loss is {loss.name!r}. Leave it out.")
    params = np.asarray(params, np.float64)
    problem = replace(problem, penalty=None)
    matrices = gauss_newton(network, problem).matrices(params)
    values = in_blocks(_losses(network, problem), _WIDTH, "float64")(params)
    finite = np.isfinite(matrices).all(axis=(1, 2)) & np.isfinite(values)
    posterior = Gaussians(params.copy(), np.full(matrices.shape, np.nan), np.zeros(params.shape))
    rest = np.full((4, len(params)), np.nan)
    if finite.any():
        curvatures, directions = np.linalg.eigh(matrices[finite])
        outputs = _outputs_of(network, problem)
        # From the loss of the problem to the sum over points of losses, or of squared errors.
        square = float(np.asarray(loss.values(np.ones((1, 1)), np.zeros((1, 1))))[0, 0]) if loss.least_squares else 1.0
        scale = 1 / loss.weight(len(problem.x), outputs) / square
        curvatures, values = scale * np.maximum(curvatures, 0.0), scale * values[finite]
        targets = len(problem.x) * outputs if loss.least_squares else None
        rest[:, finite] = _evidence(
            curvatures, values, (params[finite] ** 2).sum(axis=1), targets, prior_precision, noise
        )
        precision, variance = rest[:2, finite]
        # Squared errors are halved in a likelihood.
        likelihood = curvatures / (2 * variance[:, None]) if targets else curvatures
        posterior.factor[finite] = directions / np.sqrt(likelihood + precision[:, None])[:, None]
    posterior.mean[~finite] = np.nan
    return Laplace(posterior, *rest)


def swag(snapshots: Float[np.ndarray, "F S P"], rank: int = 20) -> Gaussians:
    """The normal distribution that the parameters of each fit drew while it was trained on: SWAG.

    Half of the covariance is that of the last `rank` snapshots about the mean of all, half of it the variance of each
    parameter alone. The snapshots ought to be of a stationary stretch, at a constant rate, with mini-batches: the
    noise of these is all there is to see.

        kept = range(2_000, 4_001, 50)
        fits = jl.fit(net, problem, optax.sgd(0.05), fits=64, steps=4_000, snapshots=kept, batch_size=32)
        landscape.swag(fits.snapshots).deviations(net, x)

    Args:
        snapshots: parameters along training, as `fit(..., snapshots=...)` keeps them.
        rank: R, of deviations that are kept, at least two; all where there are fewer snapshots.

    Raises:
        ValueError: fewer than two snapshots, or a rank below two.

    References:
        Maddox, Garipov, Izmailov, Vetrov and Wilson, A simple baseline for Bayesian uncertainty in deep learning
        (2019), which takes deviations from the mean up to each snapshot.
    """
    snapshots = np.asarray(snapshots, np.float64)
    if snapshots.ndim != 3 or snapshots.shape[1] < 2:
        raise ValueError(f"snapshots must have shape (fits, two or more, P); got {snapshots.shape}.")
    if rank < 2:
        raise ValueError(f"a deviation needs a rank of at least two; got {rank}.")
    mean = snapshots.mean(axis=1)
    away = snapshots - mean[:, None]
    last = away[:, -rank:]
    factor = last.transpose(0, 2, 1) / np.sqrt(2 * (last.shape[1] - 1))
    return Gaussians(mean, factor, (away**2).mean(axis=1) / 2)


def _evidence(curvatures, values, squares, targets, precision, noise):
    """Precision of the prior, variance of the noise, logarithm of the evidence and effective parameters of each fit.

    Args:
        curvatures: (F, P), of the sum of losses, or of squared errors.
        values: (F,), these sums.
        squares: (F,), of the norms of the parameters.
        targets: how many numbers the squared errors are of; None for another loss.
        precision, noise: None where they are to be found.
    """
    size = curvatures.shape[1]
    tiny = np.finfo(np.float64).tiny ** 0.5

    def likelihood(variance):
        return curvatures / (2 * variance[:, None]) if targets else curvatures

    variance = np.maximum(values / targets, tiny) if targets and noise is None else np.full(len(values), noise or 1.0)
    alpha = np.full(len(values), precision or 1.0)
    if precision is None:
        alpha = size / np.maximum(squares, tiny)
    for _ in range(_TURNS):
        effective = (likelihood(variance) / (likelihood(variance) + alpha[:, None])).sum(axis=1)
        found = np.maximum(effective / np.maximum(squares, tiny), tiny) if precision is None else alpha
        spread = variance
        if targets and noise is None:
            spread = np.maximum(values / np.maximum(targets - effective, tiny), tiny)
        change = max(np.abs(np.log(found / alpha)).max(), np.abs(np.log(spread / variance)).max())
        alpha, variance = found, spread
        if change < _SETTLED:
            break
    effective = (likelihood(variance) / (likelihood(variance) + alpha[:, None])).sum(axis=1)
    missed = values / (2 * variance) + targets / 2 * np.log(2 * np.pi * variance) if targets else values
    volume = np.log(likelihood(variance) + alpha[:, None]).sum(axis=1) - size * np.log(alpha)
    return alpha, variance, -missed - alpha * squares / 2 - volume / 2, effective


def _outputs_of(network, problem) -> int:
    shape = jax.eval_shape(
        network.apply_flat, jax.ShapeDtypeStruct((network.size,), jnp.float32), jnp.asarray(problem.x[:1], jnp.float32)
    )
    return shape.shape[-1]


@lru_cache(maxsize=64)
def _losses(network: Network, problem: Problem) -> Callable[..., Any]:
    objective = problem.objective(network)
    return compiled(lambda params: jax.vmap(objective)(params))


@lru_cache(maxsize=64)
def _deviations(network: Network) -> Callable[..., Any]:
    def one(mean, factor, diagonal, x):
        outputs, forward = jax.linearize(lambda flat: network.apply_flat(flat, x), mean)

        def add(total, direction):
            return total + forward(direction) ** 2, None

        total, _ = jax.lax.scan(add, jnp.zeros_like(outputs), factor.T)
        # Each parameter that varies by itself is a direction of its own.
        total, _ = jax.lax.cond(
            (diagonal > 0).any(),
            lambda: jax.lax.scan(add, total, jnp.diag(jnp.sqrt(diagonal))),
            lambda: (total, None),
        )
        return jnp.sqrt(jnp.where(jnp.isfinite(mean).all(), total, jnp.nan))

    def program(mean, factor, diagonal, x):
        return jax.lax.map(lambda each: one(each[0], each[1], each[2], x), (mean, factor, diagonal))

    return compiled(program)
