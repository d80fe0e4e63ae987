"""Networks moved, within what their symmetry makes equal, to where they are nearest to others."""

from jaxland.landscape.matching.alignment import align
from jaxland.landscape.matching.merging import Merged, merge
from jaxland.landscape.matching.orbits import Matched, OrbitDistances, match, orbit_distances

__all__ = ["Matched", "Merged", "OrbitDistances", "align", "match", "merge", "orbit_distances"]
