"""Distances and directions between fits."""

import numpy as np
from jaxtyping import Float, Int

from jaxland._scaling import norm
from jaxland.networks import Network, outputs

# Rows worked on at a time; bounds memory at about 8 MB a thousand parameters.
_ROWS = 8192


def random_pairs(count: int, pairs: int, seed: int = 0) -> Int[np.ndarray, "pairs 2"]:
    """Draws pairs of different indices below `count`, uniformly and with replacement.

    Raises:
        ValueError: `count` is below two.
    """
    if count < 2:
        raise ValueError(f"pairs need at least two fits; got {count}.")
    rng = np.random.default_rng(seed)
    first = rng.integers(count, size=pairs)
    return np.stack([first, (first + rng.integers(1, count, size=pairs)) % count], axis=1)


def pair_distances(params: Float[np.ndarray, "F P"], pairs: Int[np.ndarray, "pairs 2"]) -> Float[np.ndarray, "pairs"]:
    """L2 distances between the fits of each pair, in float64.

    Raises:
        ValueError: a pair names a fit that is not there.
    """
    params = np.asarray(params)
    pairs = checked_pairs(np.asarray(pairs), len(params))
    blocks = (pairs[at : at + _ROWS] for at in range(0, len(pairs), _ROWS))
    parts = [norm(params[i].astype(np.float64) - params[j]) for i, j in (b.T for b in blocks)]
    return np.concatenate(parts) if parts else np.zeros(0)


def checked_pairs(pairs: Int[np.ndarray, "pairs 2"], count: int) -> Int[np.ndarray, "pairs 2"]:
    """Pairs of fits that are there.

    Raises:
        ValueError: a pair names a fit that is not there.
    """
    if pairs.size and not (0 <= pairs.min() <= pairs.max() < count):
        raise ValueError(f"pairs must name fits 0 to {count - 1}; got {pairs.min()} to {pairs.max()}.")
    return pairs


def distances_to(params: Float[np.ndarray, "F P"], reference: Float[np.ndarray, "P"]) -> Float[np.ndarray, "F"]:
    """L2 distances of fits to one point, in float64.

    Raises:
        ValueError: the point has not the P entries of the fits.
    """
    params, reference = np.asarray(params), np.asarray(reference, np.float64)
    if params.ndim != 2 or reference.shape != params.shape[1:]:
        raise ValueError(
            "params must have shape (fits, P) and reference (P,), one point for all; got "
            f"{params.shape} and {reference.shape}."
        )
    parts = [norm(params[at : at + _ROWS].astype(np.float64) - reference) for at in range(0, len(params), _ROWS)]
    return np.concatenate(parts) if parts else np.zeros(0)


def output_distances(
    network: Network,
    params: Float[np.ndarray, "F P"],
    reference: Float[np.ndarray, "P"],
    x: Float[np.ndarray, "N D"] | Float[np.ndarray, "N"],
) -> Float[np.ndarray, "F"]:
    """Root-mean-square differences between the outputs of fits and of one other, over points and outputs, in float64.

    Unlike distances of parameters they do not depend on symmetries, of which a network may have more than it declares.

    Args:
        network: of all of them.
        params: the fits; one that is not finite gives a distance that is not.
        reference: the other.
        x: points at which they are compared.

    Raises:
        ValueError: `params` or `reference` does not fit the network.
    """
    params = np.asarray(params)
    target = outputs(network, np.asarray(reference, np.float64)[None], x)
    parts = [
        np.sqrt(((outputs(network, params[at : at + _ROWS].astype(np.float64), x) - target) ** 2).mean(axis=(1, 2)))
        for at in range(0, len(params), _ROWS)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def direction_cosines(
    pair_distance: Float[np.ndarray, "pairs"],
    first: Float[np.ndarray, "pairs"],
    second: Float[np.ndarray, "pairs"],
) -> Float[np.ndarray, "pairs"]:
    """Dot products of the unit directions from a point to the two fits of each pair, by the law of cosines.

    Args:
        pair_distance: distance between the fits.
        first: distance of each pair's first fit to the point.
        second: distance of its second.
    """
    return (first**2 + second**2 - pair_distance**2) / (2 * first * second)
