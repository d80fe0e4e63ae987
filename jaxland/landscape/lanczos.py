"""Spectra of Hessians too large to be written down, from products of the Hessian with vectors alone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.special
from jaxtyping import Bool, Float

from jaxland._blocks import in_blocks
from jaxland._compiled import compiled
from jaxland._names import lookup
from jaxland._precision import numerics
from jaxland._processors import available_threads
from jaxland._scaling import norm
from jaxland._short import in_short
from jaxland.landscape.curvature import Curvature, Objective, as_curvature

# Steps between two looks at convergence, and numbers held by the probes that are worked on at a time.
_STEPS_BETWEEN, _NUMBERS = 10, 2**26
# Points of one call, of which as many are worked on at a time as keep processors busy and stay in the caches.
_AT_ONCE, _TOGETHER = 64, 8


class Eigenpairs(NamedTuple):
    """Approximate eigenvalues with what is known of their error, of one point or of F."""

    values: Float[np.ndarray, "*F E"]
    residuals: Float[np.ndarray, "*F E"]
    """|H v - value v| of the unit vector v: some eigenvalue is at most this far away. Of one point by a product with
    the Hessian, of many by what the last step leaves, which rounding blurs."""
    converged: Bool[np.ndarray, "*F E"]
    vectors: Float[np.ndarray, "*F E P"]

    __repr__ = in_short


class ExtremeEigenvalues(NamedTuple):
    """Eigenvalues at both ends of a spectrum."""

    largest: Eigenpairs
    """In descending order."""
    smallest: Eigenpairs
    """In ascending order."""
    steps: int
    """Products with the Hessian that were needed."""


class TraceEstimate(NamedTuple):
    """An estimate of a trace, with its sampling error."""

    trace: float
    standard_error: float
    low: float
    """Lower end of the 95 % confidence interval by Student's t."""
    high: float


class SpectralDensity(NamedTuple):
    """The distribution of eigenvalues as a discrete one: from each probe a Gauss quadrature of its spectral measure."""

    nodes: Float[np.ndarray, "probes steps"]
    weights: Float[np.ndarray, "probes steps"]
    """Shares of eigenvalues; those of all probes together sum to one."""

    __repr__ = in_short

    def cumulative(self, x: Float[np.ndarray, "points"]) -> Float[np.ndarray, "points"]:
        """Share of eigenvalues at or below each value."""
        order = np.argsort(self.nodes, axis=None)
        shares = np.concatenate([[0.0], np.cumsum(self.weights.ravel()[order])])
        return shares[np.searchsorted(self.nodes.ravel()[order], x, side="right")]

    def smoothed(self, x: Float[np.ndarray, "points"], width: float) -> Float[np.ndarray, "points"]:
        """Density at each value, with a normal kernel of this standard deviation in place of each node."""
        kernel = np.exp(-0.5 * ((x[:, None] - self.nodes.ravel()) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        return kernel @ self.weights.ravel()

    def moment(self, order: int) -> float:
        """Mean of the eigenvalues' powers of this order."""
        return float((self.weights * self.nodes**order).sum())


def extreme_eigenvalues(
    objective: Objective | Curvature,
    params: Float[np.ndarray, "P"],
    count: int = 5,
    *,
    max_steps: int = 300,
    tolerance: float | None = None,
    seed: int = 0,
) -> ExtremeEigenvalues:
    """The largest and the smallest eigenvalues of the Hessian, by Lanczos with full reorthogonalisation.

    Goes on until all are converged or `max_steps` is reached. A residual says that an eigenvalue is near, not that
    none was passed over: of eigenvalues that are equal Lanczos finds one until the rest of its space is exhausted.

    Args:
        objective: scalar function of a flat vector, or another curvature than its Hessian, such as `gauss_newton`.
        params: flat parameters; the work is done in their dtype. Non-finite ones give NaN.
        count: how many at each end.
        max_steps: products with the Hessian at most; `max_steps` times P numbers are held.
        tolerance: a value has converged if its residual is at most this share of the largest magnitude; by default
            the root of the dtype's epsilon.
        seed: of the first vector.

    Raises:
        ValueError: `params` is not one vector, or `count` is not between 1 and what P and `max_steps` allow.

    References:
        Golub and Van Loan, Matrix Computations, 4th edition, section 10.1 and 10.3.
    """
    params = _checked(params)
    steps = min(max_steps, params.size)
    if not 1 <= count <= steps:
        raise ValueError(f"count must be between 1 and {steps}, the smaller of max_steps and P; got {count}.")
    share = np.sqrt(np.finfo(params.dtype).eps) if tolerance is None else tolerance
    with numerics(params.dtype):
        programs, vector = _programs(as_curvature(objective)), jnp.asarray(params)
        state, taken = programs.start(vector, jax.random.key(seed), steps), 0
        while True:
            until = min(taken + _STEPS_BETWEEN, steps)
            state, taken = programs.advance(vector, state, taken, until), until
            values, coordinates, last = _ritz(state, taken)
            chosen = np.concatenate([np.arange(taken)[::-1][:count], np.arange(taken)[:count]])
            estimates = last * np.abs(coordinates[-1, chosen])
            done = taken >= count and (estimates <= share / 2 * np.abs(values).max()).all()
            if done or taken == steps or not np.isfinite(values).all():
                break
        vectors = jnp.asarray(coordinates.T[chosen], params.dtype) @ state.basis[:taken]
        products = np.asarray(programs.products(vector, vectors))
    vectors = np.asarray(vectors)
    residuals = norm(products - values[chosen, None] * vectors)
    converged = residuals <= share * np.abs(values).max()
    pairs = Eigenpairs(values[chosen], residuals, converged, vectors)
    largest, smallest = (Eigenpairs(*(part[half] for part in pairs)) for half in (slice(count), slice(count, None)))
    return ExtremeEigenvalues(largest, smallest, taken)


def largest_eigenvalues(
    objective: Objective | Curvature,
    params: Float[np.ndarray, "F P"],
    count: int = 1,
    *,
    steps: int = 30,
    start: Float[np.ndarray, "F P"] | None = None,
    seed: int = 0,
) -> Eigenpairs:
    """The largest eigenvalues of the Hessian at each of many points, by a fixed number of Lanczos steps at each.

    Along a training a few steps are enough, from the vectors of the point before:

        found = None
        for points in np.moveaxis(fits.snapshots, 1, 0):
            last = None if found is None else found.vectors[:, 0]
            found = landscape.largest_eigenvalues(objective, points, steps=30 if found is None else 8, start=last)
            found.values[:, 0]  # the sharpness of every fit

    Args:
        objective: scalar function of a flat vector, or another curvature than its Hessian, such as `gauss_newton`.
        params: flat parameters; the work is done in their dtype. Non-finite ones give NaN.
        count: E, how many, in descending order.
        steps: products with the Hessian at each point. A value that has not converged is too small.
        start: first vectors; random ones by default. One that lies in an invariant space, as an exact eigenvector does,
            goes on in a random direction.
        seed: of random directions.

    Returns:
        Eigenpairs (F, E) in descending order, converged where the residual is at most the root of the dtype's epsilon
        of the largest magnitude met. Those of a point do not depend on the others.

    Raises:
        ValueError: `params` is not a matrix with a row for each fit, `start` has another shape or a row of zeros, or
            `count` is not between 1 and the smaller of P and `steps`.

    References:
        Golub and Van Loan, Matrix Computations, 4th edition, section 10.1 and 10.3.
    """
    params = np.asarray(params)
    if params.ndim != 2 or not params.shape[1]:
        raise ValueError(f"params must have shape (fits, P); got {params.shape}. A single fit is params[None].")
    steps = min(steps, params.shape[1])
    if not 1 <= count <= steps:
        raise ValueError(f"count must be between 1 and {steps}, the smaller of steps and P; got {count}.")
    if start is None:
        random = np.random.default_rng(seed).standard_normal(params.shape[1])
        start = np.broadcast_to(random, params.shape)
    start = np.asarray(start, params.dtype)
    finite = np.isfinite(params).all(axis=1)
    if start.shape != params.shape or not start[finite].any(axis=1).all():
        raise ValueError(f"start must be vectors that are not zero, shape {params.shape}; got {start.shape}.")
    bases, diagonals, others = _runs(as_curvature(objective), params, start, steps, seed)
    known = finite & np.isfinite(diagonals).all(axis=1) & np.isfinite(others).all(axis=1)
    diagonals, others = (np.where(known[:, None], part, 0.0).astype(np.float64) for part in (diagonals, others))
    matrices = diagonals[:, :, None] * np.eye(steps)
    beside = np.arange(steps - 1)
    matrices[:, beside + 1, beside] = matrices[:, beside, beside + 1] = others[:, :-1]
    values, coordinates = np.linalg.eigh(matrices)
    chosen = np.arange(steps)[::-1][:count]
    residuals = others[:, -1:] * np.abs(coordinates[:, -1, chosen])
    largest = np.abs(values).max(axis=1, keepdims=True)
    converged = (residuals <= np.sqrt(np.finfo(params.dtype).eps) * largest) & known[:, None]
    vectors = np.einsum("fsp,fse->fep", bases[:, :steps], coordinates[:, :, chosen].astype(params.dtype))
    values, residuals = (np.where(known[:, None], part, np.nan) for part in (values[:, chosen], residuals))
    return Eigenpairs(values, residuals, converged, np.where(known[:, None, None], vectors, np.nan))


def hessian_trace(
    objective: Objective | Curvature,
    params: Float[np.ndarray, "P"],
    probes: int = 100,
    *,
    method: Literal["hutchinson", "hutch++", "xtrace"] = "hutchinson",
    seed: int = 0,
) -> TraceEstimate:
    """The trace of the Hessian, the sum of its eigenvalues, from products with random vectors.

    - `"hutchinson"`: the mean of z' H z over random vectors z of signs. Its variance comes from the entries off the
      diagonal alone, and falls as one over the number of products. It holds one vector at a time.
    - `"hutch++"`: a third of the products finds a space in which much of H lies, a third takes the trace there exactly,
      and a third estimates the rest. Where few eigenvalues make the trace the variance falls as one over the square.
    - `"xtrace"`: every vector serves both ends, and each estimate leaves out of the space what its own vector brought.
      The most exact of the three where the spectrum decays. The estimates share vectors, so that
      its standard error is somewhat too small, and its interval with it.

    The last two hold `probes` vectors of P numbers. Where these are no fewer than P they take the P products of unit
    vectors instead, and the trace is exact.

    Args:
        objective: scalar function of a flat vector, or another curvature than its Hessian, such as `gauss_newton`.
        params: flat parameters; the work is done in their dtype. Non-finite ones give NaN.
        probes: products with the matrix. Each random vector is drawn by its own number.
        method: see above.
        seed: of the vectors.

    Raises:
        ValueError: `params` is not one vector, the method is unknown, or there are fewer than two probes, six for
            Hutch++ and four for XTrace.

    References:
        Hutchinson, A stochastic estimator of the trace of the influence matrix (1990); Meyer, Musco, Musco and
        Woodruff, Hutch++: optimal stochastic trace estimation (2021), algorithm 1; Epperly, Tropp and Webber, XTrace:
        making the most of every sample in stochastic trace estimation (2024), sections 2.1 and 2.3.
    """
    params = _checked(params)
    least = lookup("method", method, _LEAST_PROBES)
    if probes < least:
        raise ValueError(f"a standard error needs at least {least} probes by {method}; got {probes}.")
    programs = _programs(as_curvature(objective))
    with numerics(params.dtype):
        vector, key = jnp.asarray(params), jax.random.key(seed)
        if method == "hutchinson":
            exact, samples = 0.0, np.asarray(programs.forms(vector, key, probes), np.float64)
        elif probes >= params.size:
            products = np.asarray(programs.products(vector, jnp.eye(params.size, dtype=params.dtype)), np.float64)
            exact, samples = float(np.trace(products)), np.zeros(2)
        else:
            exact, samples = _SPLIT[method](partial(programs.products, vector), params, key, probes)
    trace, error = exact + float(samples.mean()), float(samples.std(ddof=1) / np.sqrt(len(samples)))
    margin = float(scipy.special.stdtrit(len(samples) - 1, 0.975)) * error
    return TraceEstimate(trace, error, trace - margin, trace + margin)


def _hutch_plus_plus(products, params, key, probes):
    """What is known of the trace, and independent estimates of the rest."""
    sketch, others = np.split(_normals(params, key, 2 * (probes // 3)), 2)
    basis = _orthonormal(np.asarray(products(sketch), np.float64))
    if basis is None:
        return np.nan, np.full(2, np.nan)
    # An orthonormal basis of a space does not depend on the dtype in which the space was found.
    inner = np.asarray(products(basis.astype(params.dtype)), np.float64)
    left = others - (others @ basis.T) @ basis
    rest = np.asarray(products(left.astype(params.dtype)), np.float64)
    return float((inner * basis).sum()), (left * rest).sum(axis=1)


def _xtrace(products, params, key, probes):
    vectors = _normals(params, key, probes // 2).astype(np.float64)
    images = np.asarray(products(vectors.astype(params.dtype)), np.float64)
    basis = _orthonormal(images)
    if basis is None:
        return np.nan, np.full(2, np.nan)
    inner = np.asarray(products(basis.astype(params.dtype)), np.float64)
    count, size = vectors.shape
    within = basis @ inner.T  # the matrix in the space
    if len(basis) < count:  # all of the matrix lies in the space, with one vector fewer too
        return float(np.trace(within)), np.zeros(2)
    # In coordinates of the space, the direction that is lost when one vector is left out.
    lost = np.linalg.inv(basis @ images.T)
    lost /= np.linalg.norm(lost, axis=1, keepdims=True)
    coordinates = vectors @ basis.T
    coordinates -= lost * (lost * coordinates).sum(axis=1, keepdims=True)
    left, image = vectors - coordinates @ basis, images - coordinates @ inner
    # Of a direction in the space that is left only the length is random: it is known what it is in the mean.
    scale = (size - count + 1) / (left**2).sum(axis=1)
    rest = scale * (left * image).sum(axis=1)
    return 0.0, np.trace(within) - np.einsum("ki,ij,kj->k", lost, within, lost) + rest


_LEAST_PROBES = {"hutchinson": 2, "hutch++": 6, "xtrace": 4}
_SPLIT = {"hutch++": _hutch_plus_plus, "xtrace": _xtrace}


def _normals(params, key, count):
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(count))
    return np.asarray(jax.vmap(lambda own: jax.random.normal(own, params.shape, params.dtype))(keys))


def _orthonormal(rows):
    """An orthonormal basis, in rows, of the space of some vectors; None where one is not finite."""
    if not np.isfinite(rows).all():
        return None
    scaled = rows / (np.abs(rows).max() or 1.0)
    _, singular, basis = np.linalg.svd(scaled, full_matrices=False)
    return basis[singular > max(rows.shape) * np.finfo(rows.dtype).eps * singular.max(initial=0.0)]


def spectral_density(
    objective: Objective | Curvature,
    params: Float[np.ndarray, "P"],
    probes: int = 10,
    steps: int = 100,
    *,
    seed: int = 0,
) -> SpectralDensity:
    """The distribution of the Hessian's eigenvalues, by stochastic Lanczos quadrature.

    Moments of order up to 2 steps - 1 are exact but for the sampling of the probes.

    Args:
        objective: scalar function of a flat vector, or another curvature than its Hessian, such as `gauss_newton`.
        params: flat parameters; the work is done in their dtype. Non-finite ones give NaN.
        probes: random vectors of signs; each draws its own whatever the number.
        steps: of Lanczos, with full reorthogonalisation; at most P are taken.
        seed: of the vectors.

    Raises:
        ValueError: `params` is not one vector, or `probes` or `steps` is below one.

    References:
        Ubaru, Chen and Saad, Fast estimation of tr(f(A)) via stochastic Lanczos quadrature (2017), algorithm 1.
    """
    params = _checked(params)
    if min(probes, steps) < 1:
        raise ValueError(f"probes and steps must be at least 1; got {probes} and {steps}.")
    steps = min(steps, params.size)
    with numerics(params.dtype):
        tridiagonals = _programs(as_curvature(objective)).tridiagonals
        coefficients = tridiagonals(jnp.asarray(params), jax.random.key(seed), probes, steps)
        diagonals, others = (np.asarray(part, np.float64) for part in coefficients)
    solved = [_tridiagonal(*pair) for pair in zip(diagonals, others[:, :-1], strict=True)]
    nodes = np.stack([values for values, _ in solved])
    return SpectralDensity(nodes, np.stack([vectors[0] ** 2 for _, vectors in solved]) / probes)


class _State(NamedTuple):
    basis: jax.Array  # (steps + 1, P): orthonormal rows so far, then zeros
    diagonal: jax.Array  # (steps,)
    other: jax.Array  # (steps,): norm of what each step leaves, which couples it to the next
    key: jax.Array  # of directions drawn where the space is exhausted


class _Programs(NamedTuple):
    start: Callable
    advance: Callable
    products: Callable
    forms: Callable
    tridiagonals: Callable
    many: Callable


@lru_cache(maxsize=64)
def _programs(curvature):
    # Linearised once, outside of loops, so that no product evaluates the network anew.
    def products(params, vectors):
        return jax.lax.map(curvature.linearise(params), vectors)

    def advance(params, state, start, stop):
        product = curvature.linearise(params)
        return jax.lax.fori_loop(start, stop, lambda index, state: _step(product, state, index), state)

    def forms(params, key, probes):
        product = curvature.linearise(params)

        def form(index):
            signs = _signs(params, jax.random.fold_in(key, index))
            return signs @ product(signs)

        return jax.lax.map(form, jnp.arange(probes), batch_size=_at_once(probes, params.size))

    def tridiagonals(params, key, probes, steps):
        def tridiagonal(index):
            own = jax.random.fold_in(key, index)
            state = advance(params, _initial(_signs(params, own) / np.sqrt(params.size), own, steps), 0, steps)
            return state.diagonal, state.other

        return jax.lax.map(tridiagonal, jnp.arange(probes), batch_size=_at_once(probes, steps * params.size))

    def many(seed, steps, params, starts):
        def one(point):
            params, start = point
            state = advance(params, _initial(_unit(start), jax.random.key(seed), steps), 0, steps)
            return state.basis, state.diagonal, state.other

        return jax.lax.map(one, (params, starts), batch_size=_TOGETHER)

    def start(params, key, steps):
        first = _unit(jax.random.normal(key, params.shape, params.dtype))
        return _initial(first, key, steps)

    return _Programs(
        compiled(start, static=(2,)),
        compiled(advance),
        compiled(products),
        compiled(forms, static=(2,)),
        compiled(tridiagonals, static=(2, 3)),
        compiled(many, static=(0, 1)),
    )


def _runs(curvature, params, start, steps, seed) -> Any:
    """Lanczos bases and coefficients at many points."""
    if curvature.at_many is None:
        return in_blocks(partial(_programs(curvature).many, seed, steps), _AT_ONCE, params.dtype)(params, start)
    some = [slice(first, first + _AT_ONCE) for first in range(0, max(len(params), 1), _AT_ONCE)]
    with ThreadPoolExecutor(available_threads()) as pool:
        runs = pool.map(lambda rows: _run(curvature.at_many, params[rows], start[rows], steps, seed), some)
        return tuple(np.concatenate(parts) for parts in zip(*runs, strict=True))


@np.errstate(all="ignore")  # what is not finite is told by its results
def _run(at_many, params, start, steps, seed):
    """`_step` at many points at a time, with products that are made for as many."""
    count, size = params.shape
    basis, epsilon = np.zeros((count, steps + 1, size), params.dtype), np.finfo(params.dtype).eps
    diagonals, others = np.zeros((2, count, steps), params.dtype)
    basis[:, 0] = start / norm(start)[:, None]
    for index in range(steps):
        known, image = basis[:, : index + 1], np.asarray(at_many(params, basis[:, index])[1], params.dtype)
        diagonals[:, index] = (basis[:, index] * image).sum(axis=1)
        rest, length = _rest(known, image), norm(image)
        left = norm(rest)
        exhausted = np.flatnonzero(left <= 100 * epsilon * length)
        if len(exhausted):
            fresh = np.random.default_rng((seed, index)).standard_normal(size).astype(params.dtype)
            rest[exhausted] = _rest(known[exhausted], np.broadcast_to(fresh, (len(exhausted), size)))
            left[exhausted] = 0
        others[:, index] = left
        basis[:, index + 1] = rest / norm(rest)[:, None]
    return basis, diagonals, others


def _rest(basis, vectors):
    """What is left of a vector of each point outside of its basis, (F, S, P)."""
    for _ in range(2):  # see `_orthogonal`
        vectors = vectors - ((basis @ vectors[:, :, None]).transpose(0, 2, 1) @ basis)[:, 0]
    return vectors


def _at_once(probes, numbers):
    return int(np.clip(_NUMBERS // numbers, 1, probes))


def _signs(params, key):
    return jax.random.rademacher(key, params.shape, params.dtype)


def _initial(first, key, steps):
    basis = jnp.zeros((steps + 1, first.size), first.dtype).at[0].set(first)
    return _State(basis, jnp.zeros(steps, first.dtype), jnp.zeros(steps, first.dtype), key)


def _step(product, state, index):
    """One step of Lanczos: the next basis vector is what H times the last one adds to the space."""
    image = product(state.basis[index])
    diagonal = state.diagonal.at[index].set(state.basis[index] @ image)
    rest = _orthogonal(state.basis, image)
    left = _length(rest)
    # Where nothing is added the space is invariant, and a random direction outside it begins the next one.
    fresh = jax.random.normal(jax.random.fold_in(state.key, index), rest.shape, rest.dtype)
    exhausted = left <= 100 * jnp.finfo(rest.dtype).eps * _length(image)
    following = _unit(jax.lax.cond(exhausted, lambda: _orthogonal(state.basis, fresh), lambda: rest))
    other = state.other.at[index].set(jnp.where(exhausted, 0.0, left))
    return _State(state.basis.at[index + 1].set(following), diagonal, other, state.key)


def _orthogonal(basis, vector):
    # Once leaves rounding errors the size of what is taken away; twice is enough (Kahan, in Parlett 1980).
    for _ in range(2):
        vector = vector - (basis @ vector) @ basis
    return vector


def _unit(vector):
    scaled = vector / _largest(vector)
    return scaled / jnp.linalg.norm(scaled)


def _length(vector):
    # Squares of small or large entries would underflow or overflow in float32.
    return _largest(vector) * jnp.linalg.norm(vector / _largest(vector))


def _largest(vector):
    largest = jnp.abs(vector).max()
    return jnp.where(largest > 0, largest, 1.0)


def _ritz(state, taken):
    """Ritz values in ascending order, their coordinates in the basis, and what the last step leaves."""
    diagonal, other = (np.asarray(part, np.float64)[:taken] for part in (state.diagonal, state.other))
    return *_tridiagonal(diagonal, other[:-1]), other[-1]


def _tridiagonal(diagonal, other):
    if not (np.isfinite(diagonal).all() and np.isfinite(other).all()):
        return np.full(len(diagonal), np.nan), np.full((len(diagonal), len(diagonal)), np.nan)
    return scipy.linalg.eigh_tridiagonal(diagonal, other)


def _checked(params):
    params = np.asarray(params)
    if params.ndim != 1 or not params.size:
        raise ValueError(f"params must be one flat vector, shape (P,); got shape {params.shape}.")
    return params
