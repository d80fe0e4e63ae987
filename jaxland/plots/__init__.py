"""Figures: arrays or tables in, matplotlib Axes out; nothing is ever shown."""

from jaxland.plots.curves import fit_curve, target_curve, tube
from jaxland.plots.diagram import network_diagram
from jaxland.plots.histograms import compared_histograms
from jaxland.plots.spectra import spectra_band, spectrum
from jaxland.plots.style import COLORS, LABELS, new_figure, render, style

__all__ = [
    "COLORS",
    "LABELS",
    "compared_histograms",
    "fit_curve",
    "network_diagram",
    "new_figure",
    "render",
    "spectra_band",
    "spectrum",
    "style",
    "target_curve",
    "tube",
]
