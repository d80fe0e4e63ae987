"""What an ensemble shows of its loss landscape: arrays in, arrays out. It takes parameters from anywhere."""

from jaxland.landscape.distances import direction_cosines, distances_to, pair_distances, random_pairs
from jaxland.landscape.outputs import outputs
from jaxland.landscape.symmetrise import Symmetrised, fix_signs, sort_units, symmetrise

__all__ = [
    "Symmetrised",
    "direction_cosines",
    "distances_to",
    "fix_signs",
    "outputs",
    "pair_distances",
    "random_pairs",
    "sort_units",
    "symmetrise",
]
