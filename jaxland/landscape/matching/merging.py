"""One network of several: the mean of networks that have been matched to each other."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxland._short import in_short
from jaxland.landscape.matching.alignment import ROUNDING, checked_fits, nearest
from jaxland.landscape.matching.enumeration import search_of
from jaxland.landscape.symmetrise import representatives
from jaxland.networks import Network

# Each change brings members nearer to each other, and a few turns have been enough.
_TURNS = 1_000


class Merged(NamedTuple):
    """A mean, and what it is the mean of."""

    params: Float[np.ndarray, "P"]
    members: Float[np.ndarray, "F P"]
    """The fits at minimum energy, their units exchanged so that they are near to each other."""

    __repr__ = in_short


def merge(network: Network, params: Float[np.ndarray, "F P"], *, exact: bool = True) -> Merged:
    """The mean of fits that are brought to minimum energy and matched to each other.

    All are matched to the first; then each in turn to the mean of the others, until none moves. Every move lowers the
    sum of squared distances of all pairs, so this ends; it is the lowest that no exchange of a single member improves,
    as far as `align` finds the nearest. Copies of one network under its symmetry merge to its minimum-energy
    representative. The mean need not do what its members do: look at its loss.

    Args:
        network: declares its symmetry, see `declare_symmetry`.
        params: flat parameters, one fit at least.
        exact: whether to look through all exchanges where that is possible; see `align` for what it costs.

    Returns:
        Mean and members in the dtype of `params`.

    Raises:
        ValueError: shapes do not fit, the network declares no symmetry, or a fit is not finite.

    References:
        Ainsworth, Hayase and Srinivasa (2023), Git Re-Basin, algorithm 3 (MergeMany), which takes the members in random
        order from where they are.
    """
    params = checked_fits(network, params)
    lost = np.flatnonzero(~np.isfinite(params).all(axis=1))
    if not len(params) or len(lost):
        trouble = f"fits {', '.join(map(str, lost[:5]))} are not" if len(lost) else "there are none"
        raise ValueError(f"fits to merge must be finite, one at least; {trouble}. Leave out those that diverged.")
    layers = network.spec.symmetry.layers
    search = search_of(layers, network.size, exact=exact)
    members = representatives(network.spec.symmetry, params).params
    members[1:] = nearest(layers, search, members[1:], np.broadcast_to(members[0], members[1:].shape)).params
    for _ in range(_TURNS):
        if not _turned(layers, search, members):
            break
    return Merged(members.mean(axis=0, dtype=np.float64).astype(members.dtype), members)


def _turned(layers, search, members):
    """Matches each member to the mean of the others, in place; whether one moved."""
    wide, changed = members.astype(np.float64), False
    for place in range(len(members) if len(members) > 1 else 0):
        goal = (wide.sum(axis=0) - wide[place]) / (len(members) - 1)
        moved = nearest(layers, search, members[[place]], goal[None]).params[0]
        gain = (moved.astype(np.float64) - wide[place]) @ goal
        if gain > ROUNDING * np.linalg.norm(goal) * np.linalg.norm(wide[place]):
            members[place], wide[place], changed = moved, moved, True
    return changed
