"""What an ensemble shows of its loss landscape: arrays in, arrays out. It takes parameters from anywhere."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.landscape.barriers import barrier_tree, lowest_passes, pass_heights, spanning_tree
    from jaxland.landscape.basin import Jittered, jitter, returned
    from jaxland.landscape.coefficients import (
        LearningCoefficients,
        Volumes,
        basin_volumes,
        local_learning_coefficients,
    )
    from jaxland.landscape.curvature import Curvature, empirical_fisher, gauss_newton, hessian_of
    from jaxland.landscape.distances import (
        direction_cosines,
        distances_to,
        output_distances,
        pair_distances,
        random_pairs,
    )
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
        largest_eigenvalues,
        spectral_density,
    )
    from jaxland.landscape.lines import linear_barriers, path_barriers
    from jaxland.landscape.losses import losses
    from jaxland.landscape.matching import Matched, Merged, OrbitDistances, align, match, merge, orbit_distances
    from jaxland.landscape.minima import DistinctMinima, distinct_minima
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
    from jaxland.landscape.path_maps import PrincipalMap, directedness, principal_map, random_walks_like, tsne_map
    from jaxland.landscape.piecewise import FunctionMoments, PiecewiseLinear, function_distances, function_moments
    from jaxland.landscape.posteriors import Gaussians, Laplace, laplace, swag
    from jaxland.landscape.stability import first_rise, log_deviation, sharpness
    from jaxland.landscape.stationary import StationaryPoints, saddle_points, stationary_points
    from jaxland.landscape.surfaces import (
        Features,
        InPlane,
        Plane,
        PrincipalPlane,
        Surface,
        SurfaceTree,
        coordinate_plane,
        features_table,
        filter_directions,
        in_plane,
        losses_at,
        nonconvexity,
        plane_losses,
        plane_through,
        random_plane,
        surface,
        surface_features,
        surface_tree,
        trajectory_plane,
    )
    from jaxland.landscape.symmetrise import Symmetrised, fix_signs, sort_units, symmetrise
    from jaxland.networks.outputs import outputs

__all__ = [
    "Bands",
    "Curvature",
    "DistinctMinima",
    "Eigenpairs",
    "ExtremeEigenvalues",
    "Features",
    "FunctionMoments",
    "Gaussians",
    "InPlane",
    "Jittered",
    "Laplace",
    "LearningCoefficients",
    "Matched",
    "Merged",
    "NebSettings",
    "OrbitDistances",
    "PiecewiseLinear",
    "Plane",
    "PrincipalMap",
    "PrincipalPlane",
    "Spectra",
    "SpectralDensity",
    "StationaryPoints",
    "Surface",
    "SurfaceTree",
    "Symmetrised",
    "TraceEstimate",
    "Volumes",
    "ZeroModes",
    "align",
    "arc_lengths",
    "barrier_tree",
    "basin_volumes",
    "coordinate_plane",
    "directedness",
    "direction_cosines",
    "distances_to",
    "distinct_minima",
    "duplicate_units",
    "empirical_fisher",
    "energies_of",
    "extreme_eigenvalues",
    "features_table",
    "filter_directions",
    "first_rise",
    "fix_signs",
    "function_distances",
    "function_moments",
    "gaps",
    "gauss_newton",
    "hessian_of",
    "hessian_trace",
    "hessians",
    "in_plane",
    "interpolate",
    "jitter",
    "laplace",
    "largest_eigenvalues",
    "leading_entries",
    "linear_barriers",
    "local_learning_coefficients",
    "log_deviation",
    "losses",
    "losses_at",
    "lowest_passes",
    "match",
    "merge",
    "most_knots",
    "nonconvexity",
    "orbit_distances",
    "output_distances",
    "outputs",
    "pair_distances",
    "pass_heights",
    "path_barriers",
    "piecewise_linear",
    "plane_losses",
    "plane_through",
    "principal_map",
    "random_pairs",
    "random_plane",
    "random_walks_like",
    "refine",
    "relax",
    "returned",
    "saddle_points",
    "sharpness",
    "sort_units",
    "spanning_tree",
    "spectra",
    "spectral_density",
    "stationary_points",
    "straight_bands",
    "surface",
    "surface_features",
    "surface_tree",
    "swag",
    "symmetrise",
    "trajectory_plane",
    "tsne_map",
    "turning_angles",
    "zero_modes",
]

__getattr__, __dir__ = attach(__name__, __file__)
