"""What an ensemble shows of its loss landscape: arrays in, arrays out. It takes parameters from anywhere."""

from jaxland.landscape.barriers import barrier_tree, lowest_passes, pass_heights, spanning_tree
from jaxland.landscape.basin import Jittered, jitter, returned
from jaxland.landscape.distances import direction_cosines, distances_to, output_distances, pair_distances, random_pairs
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
from jaxland.landscape.losses import losses
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
from jaxland.landscape.path_maps import PrincipalMap, directedness, principal_map, random_walks_like, tsne_map
from jaxland.landscape.piecewise import FunctionMoments, PiecewiseLinear, function_distances, function_moments
from jaxland.landscape.symmetrise import Symmetrised, fix_signs, sort_units, symmetrise

__all__ = [
    "Bands",
    "Eigenpairs",
    "ExtremeEigenvalues",
    "FunctionMoments",
    "Jittered",
    "NebSettings",
    "PiecewiseLinear",
    "PrincipalMap",
    "Spectra",
    "SpectralDensity",
    "Symmetrised",
    "TraceEstimate",
    "ZeroModes",
    "arc_lengths",
    "barrier_tree",
    "directedness",
    "direction_cosines",
    "distances_to",
    "energies_of",
    "extreme_eigenvalues",
    "fix_signs",
    "function_distances",
    "function_moments",
    "gaps",
    "hessian_trace",
    "hessians",
    "interpolate",
    "jitter",
    "leading_entries",
    "losses",
    "lowest_passes",
    "most_knots",
    "output_distances",
    "outputs",
    "pair_distances",
    "pass_heights",
    "piecewise_linear",
    "principal_map",
    "random_pairs",
    "random_walks_like",
    "refine",
    "relax",
    "returned",
    "sort_units",
    "spanning_tree",
    "spectra",
    "spectral_density",
    "straight_bands",
    "symmetrise",
    "tsne_map",
    "turning_angles",
    "zero_modes",
]
