"""What an ensemble shows of its loss landscape: arrays in, arrays out. It takes parameters from anywhere."""

from jaxland.landscape.distances import direction_cosines, distances_to, pair_distances, random_pairs
from jaxland.landscape.hessian import Spectra, ZeroModes, hessians, leading_entries, spectra, zero_modes
from jaxland.landscape.lanczos import (
    Eigenpairs,
    ExtremeEigenvalues,
    SpectralDensity,
    TraceEstimate,
    extreme_eigenvalues,
    hessian_trace,
    spectral_density,
)
from jaxland.landscape.outputs import outputs
from jaxland.landscape.symmetrise import Symmetrised, fix_signs, sort_units, symmetrise

__all__ = [
    "Eigenpairs",
    "ExtremeEigenvalues",
    "Spectra",
    "SpectralDensity",
    "Symmetrised",
    "TraceEstimate",
    "ZeroModes",
    "direction_cosines",
    "distances_to",
    "extreme_eigenvalues",
    "fix_signs",
    "hessian_trace",
    "hessians",
    "leading_entries",
    "outputs",
    "pair_distances",
    "random_pairs",
    "sort_units",
    "spectra",
    "spectral_density",
    "symmetrise",
    "zero_modes",
]
