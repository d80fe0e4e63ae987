"""Figures: arrays or tables in, matplotlib Axes out; nothing is ever shown."""

from jaxland.plots.animation import animate
from jaxland.plots.basin import basin_scatter
from jaxland.plots.curves import all_fits, dense_curve, fit_curve, target_curve, tube
from jaxland.plots.diagram import network_diagram
from jaxland.plots.histograms import compared_histograms
from jaxland.plots.knots import knot_counts, knot_positions
from jaxland.plots.paths import path_angles, path_energies, path_outputs, path_with_interpolation
from jaxland.plots.spectra import spectra_band, spectrum
from jaxland.plots.strips import paired_strips, strips, training_curves
from jaxland.plots.style import COLORS, LABELS, new_figure, render, style
from jaxland.plots.surfaces import (
    descent_3d,
    descent_contours,
    descent_ends,
    explained_variance,
    surface_3d,
    surface_contours,
    surface_gallery,
    surface_paths,
)
from jaxland.plots.trees import barrier_matrix, disconnectivity_graph, leaf_order

__all__ = [
    "COLORS",
    "LABELS",
    "all_fits",
    "animate",
    "barrier_matrix",
    "basin_scatter",
    "compared_histograms",
    "dense_curve",
    "descent_3d",
    "descent_contours",
    "descent_ends",
    "disconnectivity_graph",
    "explained_variance",
    "fit_curve",
    "knot_counts",
    "knot_positions",
    "leaf_order",
    "network_diagram",
    "new_figure",
    "paired_strips",
    "path_angles",
    "path_energies",
    "path_outputs",
    "path_with_interpolation",
    "render",
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
    "tube",
]
