"""Histograms of ensembles, side by side in one axes."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from jaxland.plots.style import COLORS, LABELS, own_axes
from jaxland.statistics import Histogram


def compared_histograms(
    histograms: Mapping[str, Histogram],
    *,
    title: str,
    xlabel: str,
    bins: int = 120,
    reference: tuple[float, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the histogram of each ensemble as shares a bin, over the range that holds 99.9 % of all values.

    Args:
        histograms: one for each ensemble, with equal edges.
        title: of the axes.
        xlabel: quantity and unit.
        bins: about how many bins to draw.
        reference: a value to be marked, with its label.
        ax: where to draw.
    """
    ax = own_axes(ax)
    drawn = {name: histogram for name, histogram in histograms.items() if histogram.total}
    low = min((histogram.quantile(0.0005) for histogram in drawn.values()), default=0.0)
    high = max((histogram.quantile(0.9995) for histogram in drawn.values()), default=1.0)
    for name, histogram in drawn.items():
        shown = histogram.coarsen(low, high, bins)
        color = COLORS.get(name)
        share = shown.counts / histogram.total
        label = f"{LABELS.get(name, name)} (n = {histogram.total:,})"
        ax.stairs(share, shown.edges, fill=True, color=color, alpha=0.35)
        ax.stairs(share, shown.edges, color=color, lw=1.0, label=label)
    if reference is not None:
        ax.axvline(reference[0], color="#444444", ls="--", lw=1, label=reference[1])
    ax.set(title=title, xlabel=xlabel, ylabel="share of values a bin")
    ax.set_ylim(bottom=0)
    if not np.isclose(low, high):
        pad = 0.03 * (high - low)
        ax.set_xlim(low - pad, high + pad)
    ax.legend()
    return ax
