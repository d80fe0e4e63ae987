"""Calibration of ensembles: how often they are right where they are sure, and inside intervals of their spread."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from jaxland.plots.style import TARGET_COLOR, color_of, dash_of, legend_below, own_axes
from jaxland.statistics import calibration_error

if TYPE_CHECKING:
    import pandas as pd


def reliability_diagram(
    tables: "Mapping[str, pd.DataFrame]",
    *,
    colors: Mapping[str, str] | None = None,
    title: str = "Accuracy over confidence",
    ax: Axes | None = None,
) -> Axes:
    """Draws accuracy over confidence bin by bin, with intervals; bars at the bottom are the shares of points in a bin.

    Args:
        tables: what `statistics.reliability` found for each ensemble, by label.
        colors: of the ensembles, by label; the others take the next of the usual ones.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    ax.plot([0, 1], [0, 1], color=TARGET_COLOR, ls="--", lw=1, label="as sure as right")
    for index, (name, table) in enumerate(tables.items()):
        color = color_of(name, index, colors)
        filled = table[table["count"] > 0]
        points = np.sum(filled["count"])
        x, y = np.asarray(filled["confidence"]), np.asarray(filled["accuracy"])
        bars = np.clip([y - filled["low"], filled["high"] - y], 0, None)
        label = f"{name}: calibration error {calibration_error(table):.3f} (n = {points:,})"
        ax.errorbar(x, y, yerr=bars, fmt="o-", ms=4, lw=1.2, capsize=2, color=color, label=label)
        edges = np.append(table["bin_low"], table["bin_high"].iloc[-1])
        ax.stairs(table["count"].to_numpy() / points, edges, fill=True, color=color, alpha=0.2)
    least = min((table.loc[table["count"] > 0, "bin_low"].min() for table in tables.values()), default=0.0)
    ax.set(title=title, xlabel="confidence: probability of the predicted class", ylabel="accuracy")
    ax.set(xlim=(max(least - 0.02, 0), 1.02), ylim=(0, 1.02))
    legend_below(ax)
    return ax


def coverage_curve(
    tables: "Mapping[str, pd.DataFrame]",
    *,
    colors: Mapping[str, str] | None = None,
    title: str = "Targets inside central intervals",
    ax: Axes | None = None,
) -> Axes:
    """Draws the share of targets inside central intervals over the level of these; below the diagonal is too sure.

    Args:
        tables: what `statistics.interval_coverage` found for each ensemble, by label.
        colors: of the ensembles, by label; the others take the next of the usual ones.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    ax.plot([0, 1], [0, 1], color=TARGET_COLOR, ls="--", lw=1, label="as sure as right")
    for index, (name, table) in enumerate(tables.items()):
        color = color_of(name, index, colors)
        table = table.sort_values("level")
        ax.fill_between(table["level"], table["low"], table["high"], color=color, alpha=0.18, lw=0)
        label = f"{name} (n = {table['count'].iloc[0]:,})"
        ax.plot(table["level"], table["coverage"], "o", ls=dash_of(index), ms=4, lw=1.4, color=color, label=label)
    ax.set(
        title=title, xlabel="level of the central interval", ylabel="share of targets inside", xlim=(0, 1), ylim=(0, 1)
    )
    ax.legend(loc="upper left")
    return ax
