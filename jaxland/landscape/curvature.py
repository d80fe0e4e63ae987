"""Curvatures at points of parameter space, as products with vectors: Hessian, Gauss-Newton matrix, Fisher matrix."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from threadpoolctl import threadpool_limits

from jaxland._blocks import in_blocks
from jaxland._compiled import compiled
from jaxland._processors import available_threads
from jaxland._short import in_short
from jaxland._types import AnyArray
from jaxland.networks import Network
from jaxland.problems import Problem, Products

Objective = Callable[[Float[AnyArray, "P"]], Float[Array, ""]]

# Matrices computed by one call: many where they are small, and at most about 32 MB.
_MEMBERS, _ENTRIES = 32, 2**22
# Products asked for at a time, which fill the lanes of a kernel many times over.
_PRODUCTS = 128
# Columns of a matrix computed at a time: bounds memory at this many times that of one gradient.
_COLUMNS = 256


@dataclass(frozen=True, eq=False)
class Curvature:
    """A symmetric matrix at every point of parameter space, known by its products with vectors.

    `spectra`, `extreme_eigenvalues`, `hessian_trace` and `spectral_density` take one in place of an objective.

    Attributes:
        name: for messages.
        objective: what it is the curvature of: a scalar function of a flat vector.
        linearise: `(params) -> (product)`, where `product(vector)` is the matrix at `params` times the vector, linear.
        at_many: the same products at many points, in place of these where many are asked for; see `hessian_of`.
    """

    name: str
    objective: Objective
    linearise: Callable[[Float[AnyArray, "P"]], Callable[[Float[AnyArray, "P"]], Float[AnyArray, "P"]]]
    at_many: Products | None = None

    __repr__ = in_short

    def product(self, params: Float[AnyArray, "P"], vector: Float[AnyArray, "P"]) -> Float[AnyArray, "P"]:
        """The matrix at `params` times a vector; a function of JAX."""
        return self.linearise(params)(vector)

    def matrices(self, params: Float[np.ndarray, "F P"]) -> Float[np.ndarray, "F P P"]:
        """The matrix at each of many points, in float64 and symmetric, at the cost of P products each.

        Raises:
            ValueError: `params` is not a matrix with a row for each fit.
        """
        return np.concatenate([matrices for _, matrices in self.dense(params)])

    def dense(self, params: Float[np.ndarray, "F P"], then: Callable[..., Any] = lambda *made: made) -> list[Any]:
        """Gradients of the objective and matrices, block after block, or what is made of them, on all processors."""
        params = np.asarray(params, np.float64)
        if params.ndim != 2 or not params.shape[1]:
            raise ValueError(f"params must have shape (fits, P); got {params.shape}. A single fit is params[None].")
        size = params.shape[1]
        width = int(np.clip(_ENTRIES // size**2, 1, _MEMBERS)) if self.at_many is None else -(-_PRODUCTS // size)
        some = [params[start : start + width] for start in range(0, max(len(params), 1), width)]
        # Blocks keep all processors busy; threads of LAPACK's own would only wait for each other.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(available_threads()) as pool:
            work = lambda params: then(*self._block(params, width))  # noqa: E731
            # What has to be compiled is so once, by the first.
            return [work(some[0]), *pool.map(work, some[1:])]

    def _block(self, params, width):
        if self.at_many is None:
            gradient, matrix = in_blocks(_dense(self), width, "float64")(params, np.arange(len(params)))
        else:
            members, size = params.shape
            # Slopes along unit vectors are the entries of the gradient.
            found = self.at_many(np.repeat(params, size, axis=0), np.tile(np.eye(size), (members, 1)))
            gradient, matrix = (np.asarray(part, np.float64).reshape(*params.shape, -1) for part in found)
            gradient = gradient[:, :, 0]
        return gradient, (matrix + matrix.transpose(0, 2, 1)) / 2


@lru_cache(maxsize=64)
def hessian_of(objective: Objective, at_many: Products | None = None) -> Curvature:
    """The matrix of second derivatives, by forward-mode derivatives of the reverse-mode gradient.

    Args:
        objective: scalar function of a flat vector, such as `problem.objective(network)`.
        at_many: products at many points, which `spectra`, `hessians` and `largest_eigenvalues` then use: the kernel of
            `jl.training.hessian_products(network, problem)` is up to four times as fast as the objective's own.
    """
    return Curvature("hessian", objective, lambda params: jax.linearize(jax.grad(objective), params)[1], at_many)


@lru_cache(maxsize=64)
def gauss_newton(network: Network, problem: Problem) -> Curvature:
    """The generalised Gauss-Newton matrix: what is left of the Hessian where the network is taken as linear.

    J' H J, with the Jacobian J of all outputs and the Hessian H of the loss in these outputs; penalties add their own
    Hessian. It is positive semidefinite where loss and penalties are convex. Where the loss is a negative logarithm of
    likelihood in its natural parameters, as squared errors and the cross-entropies of logits are, it is the Fisher
    information matrix, with the expectation over targets that the network itself predicts.

    References:
        Schraudolph, Neural Computation 14, 1723 (2002); Martens, JMLR 21, 146 (2020), sections 8 and 9.
    """
    parts = _Parts(network, problem)

    def linearise(params):
        outputs, forward, backward = parts.outputs(params)
        loss = jax.linearize(jax.grad(parts.loss(params.dtype)), outputs)[1]
        return parts.with_penalties(params, lambda vector: backward(loss(forward(vector))))

    return Curvature("Gauss-Newton matrix", parts.objective, linearise)


@lru_cache(maxsize=64)
def empirical_fisher(network: Network, problem: Problem) -> Curvature:
    """The second moment of the gradients of single points, weighted as their losses are.

    Sum over points of w g g', where the loss is the sum of w l over points and g is the gradient of l. It is not the
    Fisher information matrix, which has the targets that the network predicts in place of those of the data and is
    `gauss_newton` for the usual losses; near a minimum that fits the data it may be far from either. Penalties are left
    out.

    References:
        Kunstner, Balles and Hennig, Limitations of the empirical Fisher approximation (2019).
    """
    parts = _Parts(network, problem)

    def linearise(params):
        outputs, forward, backward = parts.outputs(params)
        slopes = jax.grad(parts.loss(params.dtype))(outputs)
        # The slopes hold the weight of their point once, and the product of two of them twice.
        weights = parts.weights(outputs)
        unweighted = slopes / jnp.where(weights > 0, weights, 1.0)
        return lambda vector: backward(slopes * (unweighted * forward(vector)).sum(axis=1, keepdims=True))

    return Curvature("empirical Fisher matrix", parts.objective, linearise)


class _Parts:
    """A loss as a function of all outputs, and these as a function of the parameters."""

    def __init__(self, network: Network, problem: Problem):
        self.network, self.problem = network, problem
        self.objective = problem.objective(network)

    def outputs(self, params):
        """Outputs (N, O), and products of their Jacobian with vectors from the right and from the left."""
        x = jnp.asarray(self.problem.x, params.dtype)
        apply = lambda flat: self.network.apply_flat(flat, x)  # noqa: E731
        outputs, forward = jax.linearize(apply, params)
        transposed = jax.linear_transpose(forward, params)
        return outputs, forward, lambda vector: transposed(vector)[0]

    def loss(self, dtype):
        y = jnp.asarray(self.problem.y, dtype)
        weights = None if self.problem.factors is None else jnp.asarray(self.problem.factors, dtype)
        return lambda outputs: self.problem.loss(outputs, y, weights, {})

    def weights(self, outputs):
        """What the loss of each point is multiplied by, (N, 1)."""
        factors = np.ones(len(outputs)) if self.problem.factors is None else self.problem.factors
        # A mean over outputs is part of a point's own loss.
        share = 1 / len(outputs) if self.problem.loss.points == "mean" else 1.0
        return jnp.asarray(factors * share, outputs.dtype)[:, None]

    def with_penalties(self, params, product):
        if not self.problem.penalty:
            return product
        penalties = lambda flat: self.problem.penalties(self.network.unflatten(flat))  # noqa: E731
        own = jax.linearize(jax.grad(penalties), params)[1]
        return lambda vector: product(vector) + own(vector)


def as_curvature(curvature: Objective | Curvature) -> Curvature:
    """The Hessian of an objective; a curvature as it is."""
    return curvature if isinstance(curvature, Curvature) else hessian_of(curvature)


@lru_cache(maxsize=64)
def _dense(curvature: Curvature) -> Callable[..., Any]:
    def derivatives(vector):
        columns = jnp.eye(vector.size, dtype=vector.dtype)
        matrix = jax.lax.map(curvature.linearise(vector), columns, batch_size=_COLUMNS)
        return jax.grad(curvature.objective)(vector), matrix

    # One fit after another: many at a time would leave the caches, and a single one keeps all processors busy.
    def program(params, numbers):
        def one(index, results):
            return jax.tree.map(lambda all_, new: all_.at[index].set(new), results, derivatives(params[index]))

        width, size = params.shape
        count = 1 + jnp.argmax(numbers)  # what comes after the last is padding
        return jax.lax.fori_loop(0, count, one, (jnp.zeros((width, size)), jnp.zeros((width, size, size))))

    return compiled(program)
