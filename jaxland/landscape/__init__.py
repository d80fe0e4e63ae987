"""What an ensemble shows of its loss landscape: arrays in, arrays out. It takes parameters from anywhere."""

from jaxland.landscape.barriers import barrier_tree, lowest_passes, pass_heights, spanning_tree
from jaxland.landscape.basin import Jittered, jitter, returned
from jaxland.landscape.distances import direction_cosines, distances_to, output_distances, pair_distances, random_pairs
from jaxland.landscape.duplicates import duplicate_units
from jaxland.landscape.hessian import Spectra, ZeroModes, hessians, leading_entries, spectra, zero_modes
from jaxland.landscape.knots import most_knots, piecewise_linear
from jaxland.landscape.lanczos import (
    Eigenpairs,
    ExtremeEigenvalues,
    SpectralDensity,
    TraceEstimate,
    extreme_eigenvalues,
    hessian_trace,
    spectral_density,
)
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
from jaxland.landscape.stability import first_rise, log_deviation, sharpness
from jaxland.landscape.stationary import StationaryPoints, stationary_points
from jaxland.landscape.symmetrise import Symmetrised, fix_signs, sort_units, symmetrise

__all__ = [
    "Bands",
    "Eigenpairs",
    "ExtremeEigenvalues",
    "FunctionMoments",
    "Jittered",
    "NebSettings",
    "PiecewiseLinear",
    "Spectra",
    "SpectralDensity",
    "StationaryPoints",
    "Symmetrised",
    "TraceEstimate",
    "ZeroModes",
    "arc_lengths",
    "barrier_tree",
    "direction_cosines",
    "distances_to",
    "duplicate_units",
    "energies_of",
    "extreme_eigenvalues",
    "first_rise",
    "fix_signs",
    "function_distances",
    "function_moments",
    "gaps",
    "hessian_trace",
    "hessians",
    "interpolate",
    "jitter",
    "leading_entries",
    "log_deviation",
    "lowest_passes",
    "most_knots",
    "output_distances",
    "outputs",
    "pair_distances",
    "pass_heights",
    "piecewise_linear",
    "random_pairs",
    "refine",
    "relax",
    "returned",
    "sharpness",
    "sort_units",
    "spanning_tree",
    "spectra",
    "spectral_density",
    "stationary_points",
    "straight_bands",
    "symmetrise",
    "turning_angles",
    "zero_modes",
]
