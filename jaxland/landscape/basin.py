"""How far a minimum can be pushed before training no longer leads back to it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxland._scaling import norm
from jaxland._short import in_short


class Jittered(NamedTuple):
    """Starting points about a minimum."""

    params: Float[np.ndarray, "*M count P"]
    distance: Float[np.ndarray, "*M count"]
    """L2 norm of the noise added to each."""

    __repr__ = in_short


def jitter(minimum: Float[np.ndarray, "*M P"], count: int, radius: float, seed: int = 0) -> Jittered:
    """Adds noise to a minimum, with L2 norms uniform in [0, radius] and directions uniform on the sphere.

    Gamst and Walker, section 4.8. Jitter i of minimum m is a function of the minimum, the radius and (seed, m, i):
    asking for more jitters, or for those of more minima, gives the same first ones, bit for bit. Norms are uniform,
    so jitters are far denser near the minimum than points drawn uniformly from the ball would be.

    Args:
        minimum: one minimum (P,), or M of them (M, P), whose noises are independent.
        count: jitters of each minimum.
        radius: largest norm, in the units of the parameters.
        seed: of the noise.

    Returns:
        Parameters in float64 and the norms of the noise. A minimum that is not finite gives jitters that are not.

    Raises:
        ValueError: a count below one, a radius that is not positive and finite, or more than two axes.
    """
    minimum = np.asarray(minimum, np.float64)
    if minimum.ndim not in (1, 2):
        raise ValueError(f"minimum must have shape (P,) or (M, P); got {minimum.shape}.")
    if count < 1:
        raise ValueError(f"count must be at least 1; got {count}.")
    if not 0 < radius < np.inf:
        raise ValueError(f"radius must be positive and finite; got {radius}.")
    if minimum.ndim == 1:
        return _jitter_one(minimum, count, radius, np.random.SeedSequence(seed, spawn_key=(0,)))
    streams = [np.random.SeedSequence(seed, spawn_key=(m,)) for m in range(len(minimum))]
    drawn = [_jitter_one(point, count, radius, stream) for point, stream in zip(minimum, streams, strict=True)]
    params = np.reshape([each.params for each in drawn], (len(minimum), count, minimum.shape[1]))
    return Jittered(params, np.reshape([each.distance for each in drawn], (len(minimum), count)))


def _jitter_one(minimum, count, radius, stream):
    # Directions and norms have streams of their own, so that neither's first numbers depend on `count`.
    for_directions, for_norms = (np.random.default_rng(child) for child in stream.spawn(2))
    noise = for_directions.standard_normal((count, len(minimum)))
    distance = radius * for_norms.random(count)
    return Jittered(minimum + noise * (distance / norm(noise))[:, None], distance)


def returned(
    loss: Float[np.ndarray, "*M F"],
    reference_loss: float | np.floating | Float[np.ndarray, "*M"] = 0.0,
    separation: Float[np.ndarray, "*M F"] | None = None,
    *,
    loss_tolerance: float,
    separation_tolerance: float | None = None,
) -> Bool[np.ndarray, "*M F"]:
    """Says which fits have come back to their minimum.

    A fit has returned if its loss is within `loss_tolerance` of the minimum's and, where separations are given, its
    output is within `separation_tolerance` of the minimum's output.

    - For a global minimum of loss zero the loss says it all: the mean squared error *is* the squared separation. Most
      fits of the sawtooth that return have 1e-11 to 1e-7 after 20,000 steps of gradient descent and most others more
      than 1e-4, but those between are on their way down a canyon, and return later: always name the steps along with
      a share that returned.
    - For a local minimum it does not: minima of other shapes have the same loss, so give the separations, from
      `output_distances`. Train such a minimum to the end before its reference loss is taken: a minimum that is still
      falling lies apart from its own retrained self.

    Distances between parameters are no criterion. A ReLU network's minima are not isolated points, and noise that
    swaps the rank of two units of almost equal norm puts a returned fit far away after symmetrisation.

    Args:
        loss: final losses of the retrained fits, of one minimum (F,) or of M (M, F).
        reference_loss: of the minimum, or of each (M,).
        separation: root-mean-square differences between the outputs of fit and minimum.
        loss_tolerance: in units of the loss, which only the user knows: 1e-5 for the sawtooth.
        separation_tolerance: in units of the output; needed where separations are given.

    Returns:
        A truth value for each fit; a loss or separation that is not a number has not returned.

    Raises:
        ValueError: separations without their tolerance.
    """
    if separation is not None and separation_tolerance is None:
        raise ValueError("separations need a separation_tolerance, in units of the output.")
    near = np.abs(np.asarray(loss, np.float64) - np.asarray(reference_loss)[..., None]) < loss_tolerance
    return near if separation is None else near & (separation < separation_tolerance)
