"""How high the loss rises on straight lines between networks, and on chains of them."""

import numpy as np
from jaxtyping import Float

from jaxland._names import lookup
from jaxland.landscape.neb import arc_lengths, energies_of, interpolate, straight_bands
from jaxland.problems import Evaluate

# Entries of the images made at once.
_AT_ONCE = 2**23


def linear_barriers(
    evaluate: Evaluate,
    first: Float[np.ndarray, "B P"] | Float[np.ndarray, "P"],
    second: Float[np.ndarray, "B P"] | Float[np.ndarray, "P"],
    points: int = 25,
    *,
    above: str = "line",
) -> Float[np.ndarray, "B"]:
    """Barriers on the straight lines between two networks each.

    The largest difference, over evenly spaced points of the line, of the loss and

    - `"line"`: what it would be if it went straight from one end to the other (Entezari et al. 2022, definition of the
      error barrier);
    - `"mean"`: the mean of both ends (Frankle et al. 2020, linear interpolation instability);
    - `"higher"`: the higher end, which is what has to be climbed from there.

    The first and the last are zero if the line rises nowhere. Lines say as much of the order and scale of units as of
    the landscape; `match` takes both out before.

    Args:
        evaluate: losses and gradients of many points, such as `jaxland.training.gradients` or
            `jaxland.problems.gradients_of`.
        first: one end of each line, or one (P,) of all.
        second: the other, likewise.
        points: on each line, both ends included.
        above: what the barrier is measured from.

    Raises:
        ValueError: fewer than three points, ends that do not match, or another name.

    References:
        Frankle, Dziugaite, Roy and Carbin (2020), Linear mode connectivity and the lottery ticket hypothesis.
        Entezari, Sedghi, Saukh and Neyshabur (2022), The role of permutation invariance in linear mode connectivity.
    """
    return path_barriers(evaluate, straight_bands(first, second, 3)[:, [0, -1]], points, above=above)


def path_barriers(
    evaluate: Evaluate, bands: Float[np.ndarray, "B I P"], points: int = 25, *, above: str = "line"
) -> Float[np.ndarray, "B"]:
    """Barriers on chains of straight lines: those of `linear_barriers`, over all pieces of a band.

    Args:
        evaluate: losses and gradients of many points.
        bands: two images each at least, such as `relax` gives.
        points: on each piece, both ends included.
        above: what the barrier is measured from; a line goes from one end of the band to the other by arc length.

    Raises:
        ValueError: fewer than three points, bands of another shape, or another name.
    """
    bands = np.asarray(bands, np.float64)
    if bands.ndim != 3 or bands.shape[1] < 2:
        raise ValueError(f"bands must have shape (bands, images, parameters), two images at least; got {bands.shape}.")
    if points < 3:
        raise ValueError(f"a barrier needs at least three points, two of them ends; got {points}.")
    base = lookup("base of a barrier", above, _BASES)
    rows = max(1, _AT_ONCE // (bands.shape[1] * points * max(bands.shape[2], 1)))
    parts = [_heights(evaluate, bands[at : at + rows], points, base) for at in range(0, len(bands), rows)]
    return np.concatenate([np.zeros(0), *parts])


def _heights(evaluate, bands, points, base):
    images = interpolate(bands, points - 2)
    losses, lengths = energies_of(evaluate, images), arc_lengths(images)
    # Between two networks that are one there is no way to go.
    share = np.divide(lengths, lengths[:, -1:], out=np.zeros_like(lengths), where=lengths[:, -1:] > 0)
    return (losses - base(losses[:, :1], losses[:, -1:], share)).max(axis=1)


_BASES = {
    "line": lambda first, last, share: first * (1 - share) + last * share,
    "mean": lambda first, last, share: (first + last) / 2,
    "higher": lambda first, last, share: np.maximum(first, last),
}
