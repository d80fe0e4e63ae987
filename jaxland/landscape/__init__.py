"""What an ensemble shows of its loss landscape: arrays in, arrays out. It takes parameters from anywhere."""

from jaxland.landscape.distances import direction_cosines, distances_to, pair_distances, random_pairs
from jaxland.landscape.neb import (
    Bands,
    NebSettings,
    arc_lengths,
    energies_of,
    gaps,
    interpolate,
    refine,
    relax,
    straight_bands,
    turning_angles,
)
from jaxland.landscape.outputs import outputs
from jaxland.landscape.symmetrise import Symmetrised, fix_signs, sort_units, symmetrise

__all__ = [
    "Bands",
    "NebSettings",
    "Symmetrised",
    "arc_lengths",
    "direction_cosines",
    "distances_to",
    "energies_of",
    "fix_signs",
    "gaps",
    "interpolate",
    "outputs",
    "pair_distances",
    "random_pairs",
    "refine",
    "relax",
    "sort_units",
    "straight_bands",
    "symmetrise",
    "turning_angles",
]
