"""What an ensemble shows of its loss landscape: arrays in, arrays out. It takes parameters from anywhere."""

from jaxland.landscape.basin import Jittered, jitter, returned
from jaxland.landscape.distances import direction_cosines, distances_to, output_distances, pair_distances, random_pairs
from jaxland.landscape.knots import most_knots, piecewise_linear
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
from jaxland.landscape.piecewise import FunctionMoments, PiecewiseLinear, function_distances, function_moments
from jaxland.landscape.symmetrise import Symmetrised, fix_signs, sort_units, symmetrise

__all__ = [
    "Bands",
    "FunctionMoments",
    "Jittered",
    "NebSettings",
    "PiecewiseLinear",
    "Symmetrised",
    "arc_lengths",
    "direction_cosines",
    "distances_to",
    "energies_of",
    "fix_signs",
    "function_distances",
    "function_moments",
    "gaps",
    "interpolate",
    "jitter",
    "most_knots",
    "output_distances",
    "outputs",
    "pair_distances",
    "piecewise_linear",
    "random_pairs",
    "refine",
    "relax",
    "returned",
    "sort_units",
    "straight_bands",
    "symmetrise",
    "turning_angles",
]
