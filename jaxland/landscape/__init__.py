"""What an ensemble shows of its loss landscape: arrays in, arrays out. It takes parameters from anywhere."""

from jaxland.landscape.basin import Jittered, jitter, returned
from jaxland.landscape.distances import (
    direction_cosines,
    distances_to,
    output_distances,
    pair_distances,
    random_pairs,
)
from jaxland.landscape.outputs import outputs
from jaxland.landscape.symmetrise import Symmetrised, fix_signs, sort_units, symmetrise

__all__ = [
    "Jittered",
    "Symmetrised",
    "direction_cosines",
    "distances_to",
    "fix_signs",
    "jitter",
    "output_distances",
    "outputs",
    "pair_distances",
    "random_pairs",
    "returned",
    "sort_units",
    "symmetrise",
]
