"""What an ensemble shows of its loss landscape: arrays in, arrays out. It takes parameters from anywhere."""

from jaxland.landscape.distances import direction_cosines, distances_to, pair_distances, random_pairs
from jaxland.landscape.knots import most_knots, piecewise_linear
from jaxland.landscape.outputs import outputs
from jaxland.landscape.piecewise import FunctionMoments, PiecewiseLinear, function_distances, function_moments
from jaxland.landscape.symmetrise import Symmetrised, fix_signs, sort_units, symmetrise

__all__ = [
    "FunctionMoments",
    "PiecewiseLinear",
    "Symmetrised",
    "direction_cosines",
    "distances_to",
    "fix_signs",
    "function_distances",
    "function_moments",
    "most_knots",
    "outputs",
    "pair_distances",
    "piecewise_linear",
    "random_pairs",
    "sort_units",
    "symmetrise",
]
