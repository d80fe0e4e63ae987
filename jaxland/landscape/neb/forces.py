"""What moves one band: gradients across it, springs, and steps in units of the curvature that its images met."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxland.landscape.neb.band import tangents


class Forces(NamedTuple):
    """The forces on the inner images of one band."""

    tangent: Float[Array, "inner P"]
    along: Float[Array, "inner"]
    """The slope of the loss along the tangent."""
    force: Float[Array, "inner P"]
    """Minus the gradient across the band; at an image that climbs also the gradient along it."""
    residual: Float[Array, "inner"]
    """The norm of what has to vanish: the gradient across the band, and the whole gradient at an image that climbs."""


def forces(images, energies, slopes, climbs: Bool[Array, "inner"]) -> Forces:
    """The forces on a band of images (I, P) with energies (I,), slopes (inner, P) and, at most, one that climbs."""
    tangent = tangents(images, energies)
    along = jnp.sum(slopes * tangent, axis=1)
    across = along[:, None] * tangent - slopes
    force = jnp.where(climbs[:, None], across + along[:, None] * tangent, across)
    return Forces(tangent, along, force, jnp.linalg.norm(jnp.where(climbs[:, None], slopes, across), axis=1))


def steps(images, energies, found: Forces, climbs, curvature, spring, bend) -> Float[Array, "inner P"]:
    """Where the images of a band go: Newton's step with one curvature for each image, springs included.

    A force changes with its own image by the curvature there. But it also changes with the tangent, hence with the
    neighbour uphill, by the slope along the band over the gap to that neighbour, and this part grows with the number of
    images: explicit steps have to be shorter the more images there are, and where they are not, bands kink. So the
    steps are solved for together, an upwind scheme with implicit steps.

    Along the band each image goes half the way to the middle of its neighbours.

    Args:
        images: (I, P), both ends included.
        energies: of them.
        found: the forces.
        climbs: which image does; it feels no springs.
        curvature: of each inner image.
        spring: of the springs across the band, loss over squared distance.
        bend: angle in degrees from which they pull, see `NebSettings.bend`.
    """
    differences = jnp.diff(images, axis=0)
    lengths = jnp.linalg.norm(differences, axis=1)
    pull = differences[1:] - differences[:-1]
    pull_across = pull - jnp.sum(pull * found.tangent, axis=1, keepdims=True) * found.tangent
    product = lengths[1:] * lengths[:-1]
    cosine = jnp.sum(differences[1:] * differences[:-1], axis=1) / jnp.where(product > 0, product, 1.0)
    switch = (1 + jnp.cos(jnp.pi * jnp.clip(cosine / jnp.cos(jnp.radians(bend)), 0.0, 1.0))) / 2
    # A band that turns back on itself is no path: there the springs are as stiff as the surface.
    folded = jnp.clip(-2 * cosine, 0.0, 1.0)
    # A path of least energy may turn sharply, even back, at a minimum between two saddles.
    lowest = (energies[1:-1] <= energies[2:]) & (energies[1:-1] <= energies[:-2])
    stiff = jnp.where(lowest, 0.0, jnp.minimum(spring * switch / curvature + folded / 2, 0.5))
    evened = (lengths[1:] - lengths[:-1])[:, None] / 2 * found.tangent + stiff[:, None] * pull_across
    return _implicit(energies, lengths, found, climbs, curvature) + jnp.where(climbs[:, None], 0.0, evened)


def _implicit(energies, lengths, found: Forces, climbs, curvature):
    up_ahead, up_behind = energies[2:] > energies[1:-1], energies[:-2] > energies[1:-1]
    wind = jnp.where(climbs, 0.0, jnp.abs(found.along)) / curvature
    lengths = jnp.where(lengths > 0, lengths, jnp.inf)
    ahead = jnp.where(up_ahead & ~up_behind, wind / lengths[1:], 0.0)
    behind = jnp.where(up_behind & ~up_ahead, wind / lengths[:-1], 0.0)
    # Ends do not move, so the first image has nothing behind it and the last nothing ahead.
    above, below = (-ahead).at[-1].set(0.0), (-behind).at[0].set(0.0)
    return jax.lax.linalg.tridiagonal_solve(below, 1 + ahead + behind, above, found.force / curvature[:, None])
