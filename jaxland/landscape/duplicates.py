"""Units that do the same thing: equal incoming weights, up to a tolerance."""

import numpy as np
from jaxtyping import Int

from jaxland._scaling import norm
from jaxland.networks import Network


def duplicate_units(
    network: Network, params: np.ndarray, layer: int = 0, *, tolerance: float = 0.05, mirrored: bool = False
) -> Int[np.ndarray, "F units"]:
    """Groups the units of a hidden layer by what they compute.

    Two units are duplicates if their incoming weights, biases among them, differ by at most `tolerance` of the longer
    of the two vectors (L2 norms). Groups are closed under this: units that are duplicates of a third are in one group.

    Args:
        network: its spec must declare the layer, as that of `mlp` does.
        params: flat parameters (F, P).
        layer: which hidden layer, from 0.
        tolerance: largest relative difference of duplicates.
        mirrored: whether opposite incoming weights count as equal. They do the same thing where the activation is odd,
            and where it is odd about a constant, as the sigmoid is: s(-z) = 1 - s(z).

    Returns:
        For each unit the first unit of its group: `(groups == np.arange(units)).sum(axis=1)` counts what is distinct.
        -1 for all units of a fit whose parameters are not finite.

    Raises:
        ValueError: the network has no such layer, or the tolerance is negative.
    """
    layers = network.spec.symmetry.layers
    if not 0 <= layer < len(layers):
        raise ValueError(f"network {network.spec.name!r} declares {len(layers)} hidden layers; there is no {layer}.")
    if tolerance < 0:
        raise ValueError(f"tolerance must not be negative; got {tolerance}.")
    params = np.asarray(params, np.float64)
    finite = np.asarray(np.isfinite(params).all(axis=1))
    incoming = np.where(finite[:, None], params, 0.0)[:, layers[layer].incoming]
    linked = _close(incoming, tolerance, 1)
    if mirrored:
        linked |= _close(incoming, tolerance, -1)
    return np.where(finite[:, None], np.argmax(_closure(linked), axis=2), -1)


def _close(incoming, tolerance, sign):
    difference, length = norm(incoming[:, :, None] - sign * incoming[:, None, :]), norm(incoming)
    return difference <= tolerance * np.maximum(length[:, :, None], length[:, None, :])


def _closure(linked):
    """Which units are joined by a chain of links: paths twice as long at each squaring."""
    for _ in range(int(np.ceil(np.log2(max(linked.shape[-1], 2))))):
        linked = (linked.astype(np.float32) @ linked.astype(np.float32)) > 0
    return linked
