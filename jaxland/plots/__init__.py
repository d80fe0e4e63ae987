"""Figures: arrays or tables in, matplotlib Axes out; nothing is ever shown."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.plots.animation import animate
    from jaxland.plots.basin import basin_scatter
    from jaxland.plots.calibration import coverage_curve, reliability_diagram
    from jaxland.plots.curves import all_fits, fit_curve, predictions, target_curve, tube
    from jaxland.plots.descent import error_curves, share_curves, sharpness_curves
    from jaxland.plots.diagram import network_diagram
    from jaxland.plots.estimates import (
        bootstrap_distribution,
        paired_differences,
        quantile_ranges,
        variance_shares,
    )
    from jaxland.plots.factors import factor_curves
    from jaxland.plots.histograms import compared_histograms, distribution_bands, distributions, modality
    from jaxland.plots.path_maps import path_map
    from jaxland.plots.paths import path_angles, path_energies, path_with_interpolation
    from jaxland.plots.placebo import null_distribution, p_value_distributions
    from jaxland.plots.planes import (
        basin_map,
        contour_map,
        descent_path,
        duration_map,
        mark_stationary,
    )
    from jaxland.plots.rows import distribution_rows, height_of_rows, training_rows
    from jaxland.plots.spectra import spectra_band, spectrum
    from jaxland.plots.strips import paired_strips, strips, training_curves
    from jaxland.plots.style import (
        dash_of,
        in_three_dimensions,
        legend_below,
        new_figure,
        own_axes,
        panel_letters,
        render,
        shared_legend,
        style,
    )
    from jaxland.plots.surfaces import (
        descent_3d,
        descent_contours,
        explained_variance,
        surface_3d,
        surface_contours,
        surface_gallery,
        surface_paths,
    )
    from jaxland.plots.ticks import log_ticks
    from jaxland.plots.trees import barrier_matrix, disconnectivity_graph, leaf_order
    from jaxland.plots.weights import weight_paths

__all__ = [
    "all_fits",
    "animate",
    "barrier_matrix",
    "basin_map",
    "basin_scatter",
    "bootstrap_distribution",
    "compared_histograms",
    "contour_map",
    "coverage_curve",
    "dash_of",
    "descent_3d",
    "descent_contours",
    "descent_path",
    "disconnectivity_graph",
    "distribution_bands",
    "distribution_rows",
    "distributions",
    "duration_map",
    "error_curves",
    "explained_variance",
    "factor_curves",
    "fit_curve",
    "height_of_rows",
    "in_three_dimensions",
    "leaf_order",
    "legend_below",
    "log_ticks",
    "mark_stationary",
    "modality",
    "network_diagram",
    "new_figure",
    "null_distribution",
    "own_axes",
    "p_value_distributions",
    "paired_differences",
    "paired_strips",
    "panel_letters",
    "path_angles",
    "path_energies",
    "path_map",
    "path_with_interpolation",
    "predictions",
    "quantile_ranges",
    "reliability_diagram",
    "render",
    "share_curves",
    "shared_legend",
    "sharpness_curves",
    "spectra_band",
    "spectrum",
    "strips",
    "style",
    "surface_3d",
    "surface_contours",
    "surface_gallery",
    "surface_paths",
    "target_curve",
    "training_curves",
    "training_rows",
    "tube",
    "variance_shares",
    "weight_paths",
]

__getattr__, __dir__ = attach(__name__, __file__)
