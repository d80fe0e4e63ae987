"""The geometry of bands: chains of images between two points of parameter space."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxland._scaling import norm
from jaxland._types import AnyArray
from jaxland.problems import Evaluate


def straight_bands(
    start: Float[np.ndarray, "B P"] | Float[np.ndarray, "P"],
    stop: Float[np.ndarray, "B P"] | Float[np.ndarray, "P"],
    images: int,
) -> Float[np.ndarray, "B I P"]:
    """Bands of evenly spaced images on straight lines, both ends included.

    Args:
        start: where each band begins, or one point (P,) where all do.
        stop: where each ends, likewise.
        images: I, of each band.

    Raises:
        ValueError: fewer than three images, or ends that do not match.
    """
    start, stop = np.asarray(start, np.float64), np.asarray(stop, np.float64)
    if start.ndim < stop.ndim:
        start = np.repeat(start[None], len(stop), axis=0)
    elif stop.ndim < start.ndim:
        stop = np.repeat(stop[None], len(start), axis=0)
    if images < 3:
        raise ValueError(f"a band needs at least three images, two of them its ends; got {images}.")
    if start.shape != stop.shape or start.ndim != 2:
        raise ValueError(
            "start and stop must have one shape (bands, parameters), or one of them (parameters,); got "
            f"{start.shape} and {stop.shape}. A single band joins start[None] and stop[None]."
        )
    share = np.linspace(0, 1, images)[:, None]
    return start[:, None] * (1 - share) + stop[:, None] * share


def tangents(images: Float[AnyArray, "I P"], energies: Float[AnyArray, "I"]) -> Float[Array, "I-2 P"]:
    """Unit tangents at the inner images of one band: the improved tangent.

    The difference to the neighbour of higher energy; at an extremum along the band both differences, weighted by those
    of the energies. Where all three energies are equal the weights vanish, and the plain sum is taken. Differences are
    raw, not normalised, so a band with unequal gaps leans to the longer one.

    References:
        Henkelman and Jonsson, J. Chem. Phys. 113, 9978 (2000), equations 8 to 11.
    """
    steps = jnp.diff(images, axis=0)
    ahead, behind = steps[1:], steps[:-1]
    rise_ahead, rise_behind = energies[2:] - energies[1:-1], energies[:-2] - energies[1:-1]
    larger = jnp.maximum(jnp.abs(rise_ahead), jnp.abs(rise_behind))
    smaller = jnp.minimum(jnp.abs(rise_ahead), jnp.abs(rise_behind))
    uphill_ahead = energies[2:] > energies[:-2]
    slope = (rise_ahead > 0) & (rise_behind < 0) | (rise_ahead < 0) & (rise_behind > 0)
    weight_ahead = jnp.where(slope, uphill_ahead, jnp.where(uphill_ahead, larger, smaller))
    weight_behind = jnp.where(slope, ~uphill_ahead, jnp.where(uphill_ahead, smaller, larger))
    level = larger == 0
    total = jnp.where(level, 1.0, weight_ahead + weight_behind)
    weight_ahead = jnp.where(level, 0.5, weight_ahead / total)[:, None]
    weight_behind = jnp.where(level, 0.5, weight_behind / total)[:, None]
    direction = weight_ahead * ahead + weight_behind * behind
    norm = jnp.linalg.norm(direction, axis=-1, keepdims=True)
    return direction / jnp.where(norm > 0, norm, 1.0)


def gaps(images: Float[np.ndarray, "B I P"]) -> Float[np.ndarray, "B I-1"]:
    """Distances between successive images."""
    return norm(np.diff(images, axis=1))


def arc_lengths(images: Float[np.ndarray, "B I P"]) -> Float[np.ndarray, "B I"]:
    """Distance along each band from its start, in units of parameter space."""
    return np.pad(np.cumsum(gaps(images), axis=1), ((0, 0), (1, 0)))


def turning_angles(images: Float[np.ndarray, "B I P"]) -> Float[np.ndarray, "B I-2"]:
    """Angles between successive difference vectors, in radians: 0 where a band goes straight on.

    Differences of length zero give NaN.
    """
    steps = np.diff(images, axis=1)
    with np.errstate(invalid="ignore"):
        unit = steps / norm(steps)[..., None]
    # The arc sine of half the chord keeps its digits at small angles, the arc cosine of the product does not.
    chord = np.linalg.norm(unit[:, 1:] - unit[:, :-1], axis=-1)
    return 2 * np.arcsin(np.minimum(chord / 2, 1.0))


def interpolate(images: Float[np.ndarray, "B I P"], between: int) -> Float[np.ndarray, "B J P"]:
    """Bands with `between` more points on the straight line between each two images; J = (I - 1)(between + 1) + 1."""
    share = np.arange(between + 1)[:, None] / (between + 1)
    inner = images[:, :-1, None] * (1 - share) + images[:, 1:, None] * share
    bands, count, _, size = inner.shape
    return np.concatenate([inner.reshape(bands, count * (between + 1), size), images[:, -1:]], axis=1)


def energies_of(evaluate: Evaluate, images: Float[np.ndarray, "B I P"]) -> Float[np.ndarray, "B I"]:
    """The loss of every image."""
    return evaluate(images.reshape(-1, images.shape[-1]))[0].reshape(images.shape[:2])


def refine(evaluate: Evaluate, images: Float[np.ndarray, "B I P"], count: int) -> Float[np.ndarray, "B J P"]:
    """Inserts images where a band is known least: where its energy changes most or its gap is widest; J = I + count.

    Each of the `count` images goes to the middle of the segment with the largest score, which is the largest of three
    shares: of the band's range of energies, the difference of the segment's ends and the height of its middle over
    its higher end; and of twice the mean gap, the segment's length.
    """
    return np.stack([_refine_one(evaluate, band, count) for band in np.asarray(images, np.float64)])


def _refine_one(evaluate, band, count):
    energies = evaluate(band)[0]
    for _ in range(count):
        middles = (band[:-1] + band[1:]) / 2
        heights = evaluate(middles)[0]
        lengths = norm(np.diff(band, axis=0))
        change = np.maximum(np.abs(np.diff(energies)), heights - np.maximum(energies[1:], energies[:-1]))
        scale = np.ptp(energies) or change.max() or 1.0
        score = np.maximum(change / scale, lengths / (2 * lengths.mean() or 1.0))
        at = int(np.argmax(score))
        band = np.insert(band, at + 1, middles[at], axis=0)
        energies = np.insert(energies, at + 1, heights[at])
    return band
