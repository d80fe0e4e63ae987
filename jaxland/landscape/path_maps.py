"""Maps of paths through parameter space: principal components, and t-SNE."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxland._scaling import exponent, norm
from jaxland._short import in_short


class PrincipalMap(NamedTuple):
    """Paths in the plane of their two leading principal components.

    Attributes:
        points: of each fit at each step.
        explained: share of the variance along each of the two.
    """

    points: Float[np.ndarray, "F S 2"]
    explained: Float[np.ndarray, "2"]

    __repr__ = in_short


def principal_map(paths: Float[np.ndarray, "F S P"]) -> PrincipalMap:
    """Projects all places of all paths on the two leading principal components of them together.

    That a path looks smooth on such a map says little: of a random walk in many dimensions the k-th component explains
    6 / (pi k)^2 of the variance, 61 % and 15 %, and it looks smooth there too (Antognini and Sohl-Dickstein 2018).

    Raises:
        ValueError: the paths have fewer than two places or dimensions, or are not finite.
    """
    from sklearn.decomposition import PCA

    flat = _places(paths)
    model = PCA(2, svd_solver="covariance_eigh" if flat.shape[1] < len(flat) else "full")
    points = model.fit_transform(flat)
    return PrincipalMap(points.reshape(*paths.shape[:2], 2), model.explained_variance_ratio_.astype(np.float64))


def tsne_map(
    paths: Float[np.ndarray, "F S P"], *, perplexity: float = 30.0, seed: int = 0
) -> Float[np.ndarray, "F S 2"]:
    """One t-SNE map (van der Maaten and Hinton 2008) of all places of all paths.

    The same arguments give the same map on one machine and version of scikit-learn. Distances between maps made
    separately mean nothing.

    Args:
        paths: of F fits at S steps.
        perplexity: effective number of neighbours; less than the number of places.
        seed: of the optimisation; it starts from the principal components.

    Raises:
        ValueError: the perplexity is too large for so few places, or the paths are not finite.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    flat = _places(paths)
    if not 1 <= perplexity < len(flat):
        raise ValueError(f"perplexity must be at least 1 and less than the {len(flat)} places; got {perplexity}.")
    model = TSNE(2, perplexity=perplexity, random_state=seed, init="pca")
    # On one thread: sums in one order, and no threads that wait for each other where processors are shared.
    with threadpool_limits(1):
        points = model.fit_transform(flat)
    return points.reshape(*paths.shape[:2], 2).astype(np.float64)


def random_walks_like(paths: Float[np.ndarray, "F S P"], seed: int = 0) -> Float[np.ndarray, "F S P"]:
    """Random walks from the same places, with steps of the same lengths in directions drawn at random.

    They show what of a picture of the paths has to do with where they lead.
    """
    steps = np.diff(np.asarray(paths, np.float64), axis=1)
    lengths = norm(steps)[..., None]
    directions = np.random.default_rng(seed).normal(size=steps.shape)
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    return np.concatenate([paths[:, :1], paths[:, :1] + np.cumsum(lengths * directions, axis=1)], axis=1)


def directedness(paths: Float[np.ndarray, "F S P"]) -> Float[np.ndarray, "F"]:
    """Squared distance from start to end over the sum of the squared steps of each path.

    One in the mean for a random walk, the number of steps for a straight line of equal steps; NaN without a move.
    """
    paths = np.asarray(paths, np.float64)
    paths = np.ldexp(paths, -exponent(paths, (1, 2)))
    squares = (np.diff(paths, axis=1) ** 2).sum(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        return ((paths[:, -1] - paths[:, 0]) ** 2).sum(axis=1) / squares


def _places(paths: Float[np.ndarray, "F S P"]) -> Float[np.ndarray, "FS P"]:
    flat = np.asarray(paths, np.float64).reshape(-1, paths.shape[2])
    if min(flat.shape) < 2:
        raise ValueError(f"a map needs at least two places in two dimensions; got paths of shape {paths.shape}.")
    if not np.isfinite(flat).all():
        raise ValueError("a path is not finite; leave out fits that diverged.")
    return flat
