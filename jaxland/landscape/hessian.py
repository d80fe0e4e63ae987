"""Exact Hessian spectra of ensembles, and how much of their null space the scaling symmetry explains."""

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxland._scaling import norm
from jaxland._short import in_short
from jaxland.landscape.curvature import Curvature, Objective, as_curvature
from jaxland.networks import Network, Symmetry


class Spectra(NamedTuple):
    """Spectra of the Hessians of many fits. Those of fits without a finite Hessian are NaN."""

    eigenvalues: Float[np.ndarray, "F P"]
    """In ascending order."""
    eigenvectors: Float[np.ndarray, "F P P"] | None
    """Unit vectors in columns, in the order of the eigenvalues; None where they were not asked for."""
    gradient_norm: Float[np.ndarray, "F"]
    """L2 norm of the gradient: how far from critical the fit is."""

    __repr__ = in_short


class ZeroModes(NamedTuple):
    """How many directions are flat or descend, and how many of the flat ones scaling explains.

    Fits without a finite spectrum have -1 in place of counts and NaN in place of other numbers.
    """

    zero: Int[np.ndarray, "F"]
    """Eigenvalues of at most `tolerance` times the largest magnitude."""
    negative: Int[np.ndarray, "F"]
    """Eigenvalues below that range: the index of the saddle, 0 at a minimum."""
    scaling: Int[np.ndarray, "F"]
    """Rank of the tangents of the scaling orbit: the zero modes that the symmetry demands at a critical point."""
    explained: Float[np.ndarray, "F"]
    """Squared cosines of the principal angles between tangents and null space, summed: how many zero modes the
    symmetry explains. It equals `scaling` where every tangent is flat, and `zero` where nothing else is."""
    tangent_curvature: Float[np.ndarray, "F"]
    """Largest |H t| of a unit vector t in the span of the tangents, as a share of the largest eigenvalue. It is zero
    at a critical point; elsewhere only a tolerance above it counts every tangent as flat."""

    __repr__ = in_short


def hessians(objective: Objective | Curvature, params: Float[np.ndarray, "F P"]) -> Float[np.ndarray, "F P P"]:
    """The Hessian of the objective at each fit, in float64, exact to rounding and symmetric.

    Forward-mode derivatives of the reverse-mode gradient, so that the cost is some P gradients a fit.

    Args:
        objective: scalar function of a flat vector, such as `problem.objective(network)`, or another curvature.
        params: flat parameters; non-finite ones give NaN.

    Raises:
        ValueError: `params` is not a matrix with a row for each fit.
    """
    return as_curvature(objective).matrices(params)


def spectra(objective: Objective | Curvature, params: Float[np.ndarray, "F P"], *, vectors: bool = False) -> Spectra:
    """All eigenvalues of the Hessian at each fit, by dense decomposition in float64.

    Args:
        objective: scalar function of a flat vector, such as `problem.objective(network)`. Where data lie on the knots
            of a ReLU network take that of `smoothed(network)`. Or another curvature, such as `gauss_newton`, or
            `hessian_of(objective, jl.training.hessian_products(network, problem))`, which is faster for many fits.
        params: flat parameters; non-finite ones give NaN.
        vectors: whether eigenvectors are wanted; they take 8 P^2 bytes a fit.

    Returns:
        Eigenvalues, eigenvectors and gradient norms. A fit's do not depend on which others are in the batch.

    Raises:
        ValueError: `params` is not a matrix with a row for each fit.
    """
    solve = partial(_decomposed, vectors)
    values, columns, steepness = zip(*as_curvature(objective).dense(params, solve), strict=True)
    return Spectra(np.concatenate(values), np.concatenate(columns) if vectors else None, np.concatenate(steepness))


def _decomposed(vectors, gradient, hessian):
    values = np.full(gradient.shape, np.nan)
    columns = np.full(hessian.shape, np.nan) if vectors else None
    rows = np.flatnonzero(np.isfinite(hessian).all(axis=(1, 2)))
    if columns is None:
        values[rows] = np.linalg.eigvalsh(hessian[rows])
    else:
        values[rows], columns[rows] = np.linalg.eigh(hessian[rows])
    return values, columns, norm(gradient)


def zero_modes(
    spectra: Spectra, symmetry: Symmetry, params: Float[np.ndarray, "F P"], *, tolerance: float = 1e-8
) -> ZeroModes:
    """Counts flat and descending directions, and the flat ones that the scaling symmetry explains.

    At a critical point the Hessian annihilates every tangent t of the scaling orbit: a K x N ReLU network whose units
    are all live has at least K N zero modes. Elsewhere H t is the gradient, with its sign changed on the incoming
    entries, so the count is right only as far as the gradient is small; see `Spectra.gradient_norm`.

    Args:
        spectra: with eigenvectors.
        symmetry: that of the network, `network.spec.symmetry`. That of a ReLU network serves its smoothed one too,
            whose tangents are flat but for a curvature that shrinks as one over the sharpness.
        params: the flat parameters the spectra belong to.
        tolerance: an eigenvalue is zero if its magnitude is at most this share of the largest. The default, about the
            root of the float64 epsilon, stands well above the rounding of Hessian and decomposition (some 1e-13) and
            well below the curvatures of interest. A fit whose gradient has not vanished needs a larger one: see
            `ZeroModes.tangent_curvature`.

    Raises:
        ValueError: the spectra have no eigenvectors.
    """
    if spectra.eigenvectors is None:
        raise ValueError("zero modes need eigenvectors; compute them with spectra(objective, params, vectors=True).")
    values = spectra.eigenvalues
    finite = np.isfinite(values).all(axis=1)
    bound = tolerance * np.abs(values).max(axis=1, keepdims=True)
    null = np.abs(values) <= bound
    zero, negative = (np.where(finite, which.sum(axis=1), -1) for which in (null, values < -bound))
    scaling = np.full(len(values), -1)
    explained, curvature = np.full((2, len(values)), np.nan)
    for fit in np.flatnonzero(finite):
        basis = _orthonormal_rows(symmetry.scaling_directions(params[fit]))
        cosines = basis @ spectra.eigenvectors[fit]
        scaling[fit] = len(basis)
        explained[fit] = (cosines[:, null[fit]] ** 2).sum()
        curvature[fit] = _norm(cosines * _relative(values[fit]))
    return ZeroModes(zero, negative, scaling, explained, curvature)


def leading_entries(network: Network, directions: Float[np.ndarray, "F P"], count: int = 3) -> list[tuple[str, ...]]:
    """Names of the entries of largest weight in each direction, largest first; none where it is not finite.

    For the directions that descend most steeply: `leading_entries(network, spectra.eigenvectors[:, :, 0])`.
    """
    order = np.argsort(-np.abs(directions), axis=1, kind="stable")[:, :count]
    names = network.entry_names
    return [
        tuple(names[entry] for entry in row) if np.isfinite(direction).all() else ()
        for row, direction in zip(order, directions, strict=True)
    ]


def _orthonormal_rows(tangents):
    # Every tangent has length one before the rank is taken, so that it does not depend on the size of the weights.
    length = norm(tangents)[:, None]
    unit = tangents[length[:, 0] > 0] / length[length[:, 0] > 0]
    _, singular, rows = np.linalg.svd(unit, full_matrices=False)
    return rows[singular > max(unit.shape) * np.finfo(np.float64).eps * singular.max(initial=0.0)]


def _norm(matrix):
    return np.linalg.svd(matrix, compute_uv=False).max(initial=0.0)


def _relative(eigenvalues):
    largest = np.abs(eigenvalues).max()
    return eigenvalues / largest if largest > 0 else eigenvalues
