"""How far apart networks are, all that computes the same taken as one: distances modulo symmetry, with bounds."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxland._scaling import norm
from jaxland._short import in_short
from jaxland.landscape.distances import checked_pairs
from jaxland.landscape.matching.alignment import blocks, checked, checked_fits, nearest
from jaxland.landscape.matching.enumeration import search_of
from jaxland.landscape.symmetrise import representatives
from jaxland.networks import Network


class Matched(NamedTuple):
    """Fits beside a reference, each the representative that is nearest to it."""

    params: Float[np.ndarray, "F P"]
    """At minimum energy, with their units exchanged; not finite as they were."""
    reference: Float[np.ndarray, "*each P"]
    """At minimum energy, its units sorted: as `symmetrise` has it."""
    distance: Float[np.ndarray, "F"]
    """Between them: an upper bound of the distance modulo symmetry. NaN for fits that are not finite."""
    at_least: Float[np.ndarray, "F"]
    """A lower bound of it; the same number where no exchange is nearer."""

    @property
    def exact(self) -> Bool[np.ndarray, "F"]:
        """Whether no exchange is nearer. Where this is false `distance` may be large between equal networks."""
        return self.distance == self.at_least

    __repr__ = in_short


class OrbitDistances(NamedTuple):
    """Bounds of distances modulo symmetry."""

    distance: Float[np.ndarray, "pairs"]
    """From above, of a match that was found; NaN where a fit is not finite."""
    at_least: Float[np.ndarray, "pairs"]
    """From below; the same number where no exchange is nearer."""

    @property
    def exact(self) -> Bool[np.ndarray, "pairs"]:
        """Whether no exchange is nearer. Where this is false `distance` may be large between equal networks."""
        return self.distance == self.at_least

    __repr__ = in_short


def match(
    network: Network,
    params: Float[np.ndarray, "F P"],
    reference: Float[np.ndarray, "*each P"],
    *,
    exact: bool = True,
) -> Matched:
    """Moves fits to where they are nearest to a reference, by all that their symmetry allows: order, scale and sign.

    The distance modulo symmetry is that of the representatives of least norm, at the best exchange of units and of the
    signs of odd ones; see `orbit_distances` for why. Fit and reference are brought to minimum energy, then aligned; see
    `align` for which networks that is the nearest of all exchanges; `exact` says so of each fit. For others `at_least`
    says how much nearer one could be: linear assignments of each layer by itself, each weight between two layers free
    to take the place that suits it best (Gilmore 1962, Lawler 1963). No function changes.

        matched = landscape.match(net, fits.params, problem.minimum)
        landscape.linear_barriers(evaluate, matched.params, matched.reference)

    Args:
        network: declares its symmetry, see `declare_symmetry`.
        params: flat parameters.
        reference: one (P,) for all fits, or one for each (F, P).
        exact: whether to look through all exchanges where that is possible; see `align` for what it costs.

    Raises:
        ValueError: shapes do not fit, the network declares no symmetry, or a reference is not finite.
    """
    params, reference = checked(network, params, reference)
    symmetry = network.spec.symmetry
    found = representatives(symmetry, params).params
    goals = representatives(symmetry, np.atleast_2d(reference)).params
    finite = np.isfinite(found).all(axis=1)
    bounds = np.full((2, len(found)), np.nan)
    each = np.broadcast_to(goals, found.shape)[finite]
    search = search_of(symmetry.layers, network.size, exact=exact)
    found[finite], bounds[:, finite] = _matched(symmetry.layers, search, found[finite], each)
    return Matched(found, goals.reshape(reference.shape), *bounds)


def orbit_distances(
    network: Network, params: Float[np.ndarray, "F P"], pairs: Int[np.ndarray, "pairs 2"], *, exact: bool = True
) -> OrbitDistances:
    """Distances between the fits of pairs modulo symmetry: order, scale and sign of units.

    Each fit is represented by the member of its orbit under scaling that has least norm, of which there is one. The
    distance is the least between one representative and what exchanges of units, and of the signs of odd ones, make of
    the other. These exchanges are isometries that lead from representatives to representatives, so that it is a metric
    on what differs by more than symmetry: symmetric, zero within an orbit alone, and no way over a third network is
    shorter. The least distance of one vector to the scaling orbit of another is not symmetric, and that between two
    such orbits can be zero for networks that differ, since orbits come near to each other far out.

    `distance` is exact, and `at_least` the same, where `align` is; `exact` says so of each pair. That is the least over
    all exchanges and signs; scales are not searched, for each fit has one representative. Elsewhere both are bounds,
    and two fits may be one network however far apart the upper one has them. They are the same for (i, j) and (j, i)
    and whatever members of their orbits are given, up to rounding and ties of units; of odd units that are no chain
    only the lower one is, for what `symmetrise` makes of two members may differ in signs. `distance` is never more than
    `pair_distances` of the symmetrised fits.

    Args:
        network: declares its symmetry, see `declare_symmetry`.
        params: flat parameters.
        pairs: two fits each, by index, such as `random_pairs` draws.
        exact: whether to look through all exchanges where that is possible; see `align` for what it costs.

    Raises:
        ValueError: shapes do not fit, the network declares no symmetry, or a pair names a fit that is not there.
    """
    params = checked_fits(network, params)
    pairs = checked_pairs(np.asarray(pairs), len(params))
    found = representatives(network.spec.symmetry, params).params
    layers = network.spec.symmetry.layers
    search = search_of(layers, network.size, exact=exact)
    bounds = np.full((2, len(pairs)), np.nan)
    there = np.asarray(np.isfinite(found).all(axis=1))
    finite = np.flatnonzero(there[pairs].all(axis=1))
    for some in blocks(len(finite), network.size):
        rows = finite[some]
        bounds[:, rows] = _matched(layers, search, found[pairs[rows, 1]], found[pairs[rows, 0]])[1]
    return OrbitDistances(*bounds)


def _matched(layers, search, params, goals):
    """Fits moved, and both bounds of their distances."""
    result = nearest(layers, search, params, goals)
    distance = norm(result.params.astype(np.float64) - goals)
    # As shares of the distance, whose square might overflow.
    share = np.divide(result.slack, distance, out=np.zeros_like(distance), where=distance > 0)
    return result.params, (distance, distance * np.sqrt(np.maximum(1 - share**2, 0.0)))
