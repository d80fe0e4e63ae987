"""Histograms of ensembles, side by side in one axes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots.style import TARGET_COLOR, color_of, dash_of, legend_below, own_axes
from jaxland.statistics import DipTest, Histogram

if TYPE_CHECKING:
    import pandas as pd

_LEVELS = 1000
_UNSAID = 2e-3
"""Share of values outside the range shown that need not be told."""


def compared_histograms(
    histograms: Mapping[str, Histogram],
    *,
    title: str,
    xlabel: str,
    colors: Mapping[str, str] | None = None,
    reference: tuple[float, str] | None = None,
    window: tuple[float, float] | None = None,
    smallest: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draws the histogram of each ensemble as a density: its area is the share of all its values.

    Args:
        histograms: one for each ensemble, by its label, with equal edges.
        title: of the axes.
        xlabel: quantity and unit.
        colors: of the ensembles, by label; the others take the next of the usual ones.
        reference: a value to be marked, with its label.
        window: range to be shown; by default that of the middle 99.9 % of all values. The share beyond is told where it
            is more than that.
        smallest: whether the axis begins at the smallest value of all, and that of each ensemble is marked and told.
        ax: where to draw.
    """
    ax = own_axes(ax)
    drawn = {name: histogram for name, histogram in histograms.items() if histogram.total}
    low, high = window or _range_of(drawn)
    if smallest:
        low = min([low, *(histogram.smallest for histogram in drawn.values())])
    for index, (name, histogram) in enumerate(drawn.items()):
        shown = histogram.coarsen(low, high, _bins(histogram.total))
        color = color_of(name, index, colors)
        density = shown.counts / (histogram.total * np.diff(shown.edges))
        label = f"{name} (n = {histogram.total:,}{_beyond(histogram, low, high)})"
        look = {"fc": (color, 0.35), "ec": color, "ls": dash_of(index), "lw": 1.2}
        ax.stairs(density, shown.edges, fill=True, label=label, **look)
        if smallest:
            mark = {"ls": "", "marker": "v^Dso"[index % 5], "ms": 5, "mec": "white", "mew": 0.5, "zorder": 3}
            told = f"the smallest: {histogram.smallest:.3g}"
            # Above the axis by their own size, which no scale of the density changes.
            ax.plot(histogram.smallest, 0.02, color=color, transform=ax.get_xaxis_transform(), label=told, **mark)
    if reference is not None:
        ax.axvline(reference[0], color="#444444", ls="--", lw=1, label=reference[1])
    ax.set(title=title, xlabel=xlabel, ylabel="density")
    rows = len(ax.get_legend_handles_labels()[0])
    ax.set_ylim(0, (1 + 0.1 * rows) * ax.get_ylim()[1])  # room for the legend
    # Limits that differ by rounding alone would be one to matplotlib, which widens them by units of its own.
    if high - low > 1e-9 * max(abs(low), abs(high)):
        pad = 0.03 * (high - low)
        ax.set_xlim(low - pad, high + pad)
    ax.legend()
    return ax


def distributions(
    groups: Mapping[str, Float[np.ndarray, "F"]],
    *,
    xlabel: str,
    colors: Mapping[str, str] | None = None,
    title: str = "Share of fits up to a value",
    xscale: str = "linear",
    ax: Axes | None = None,
) -> Axes:
    """Draws the empirical distribution function of each group.

    Args:
        groups: finite values by label, in any order; positive on a logarithmic axis.
        xlabel: quantity and unit.
        colors: of the groups, by label; the others take the next of the usual ones.
        title: of the axes.
        xscale: kind of the axis, as matplotlib names it.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for index, (name, values) in enumerate(groups.items()):
        color = color_of(name, index, colors)
        levels = np.linspace(0, 1, min(len(values), _LEVELS))  # no eye, and no file, can take a million steps
        quantiles = np.quantile(values, levels, method="inverted_cdf")
        ax.step(
            quantiles,
            levels,
            where="post",
            color=color,
            ls=dash_of(index),
            lw=1.6,
            label=f"{name} (n = {len(values):,})",
        )
    ax.set(title=title, xlabel=xlabel, ylabel="share", xscale=xscale)
    ax.legend()
    return ax


def distribution_bands(
    tables: "Mapping[str, pd.DataFrame]",
    *,
    xlabel: str,
    colors: Mapping[str, str] | None = None,
    title: str = "Share of fits up to a value, with a band",
    xscale: str = "linear",
    ax: Axes | None = None,
) -> Axes:
    """Draws the empirical distribution function of each group with the band for the true one.

    Args:
        tables: what `statistics.ecdf` found for each group, by label; infinite values are in the shares and not drawn.
        xlabel: quantity and unit.
        colors: of the groups, by label; the others take the next of the usual ones.
        title: of the axes.
        xscale: kind of the axis, as matplotlib names it.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for index, (name, table) in enumerate(tables.items()):
        color, finite = color_of(name, index, colors), table[np.isfinite(table["value"])]
        shares = np.asarray(finite["share"])
        rows = np.unique(np.searchsorted(shares, np.linspace(0, shares.max(initial=0), _LEVELS)))
        shown = finite.iloc[rows[rows < len(finite)]]
        ax.fill_between(shown["value"], shown["low"], shown["high"], step="post", color=color, alpha=0.2, lw=0)
        label = f"{name} (n = {table['count'].iloc[0]:,})"
        ax.step(shown["value"], shown["share"], where="post", color=color, ls=dash_of(index), lw=1.6, label=label)
    ax.set(title=title, xlabel=xlabel, ylabel="share", xscale=xscale, ylim=(0, 1))
    ax.legend()
    return ax


def modality(
    values: Float[np.ndarray, "F"],
    test: DipTest,
    *,
    xlabel: str,
    title: str = "One mode or several",
    ax: Axes | None = None,
) -> Axes:
    """Draws values as a histogram with the result of the dip test and the modal interval that it found.

    Args:
        values: finite.
        test: what `statistics.dip_test` found for them.
        xlabel: quantity and unit.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    ax.hist(values, bins=_bins(len(values)), color="C0", alpha=0.45, lw=0, label=f"{len(values):,} fits")
    ax.axvspan(test.low, test.high, color=TARGET_COLOR, alpha=0.12, lw=0, label="modal interval")
    p_value = test.p_value
    found = f"one mode: dip = {test.dip:.3g},\np = {p_value.value:.2g} ({p_value.low:.2g} to {p_value.high:.2g})"
    ax.plot([], [], " ", label=found)
    ax.set(title=title, xlabel=xlabel, ylabel="fits per bin")
    legend_below(ax)
    return ax


def _beyond(histogram, low, high):
    share = 1 - histogram.coarsen(low, high, 1).counts.sum() / histogram.total
    return f", {share:.1%} beyond" if share > _UNSAID else ""


def _range_of(histograms):
    low = min((histogram.quantile(0.0005) for histogram in histograms.values()), default=0.0)
    return low, max((histogram.quantile(0.9995) for histogram in histograms.values()), default=1.0)


def _bins(values):
    # Grows like the cube root, as the best width of a histogram does (Scott 1979), up to what an eye can tell apart.
    return int(np.clip(4 * np.cbrt(values), 20, 120))
