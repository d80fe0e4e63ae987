"""Estimates with their intervals: quantiles, any statistic by the bootstrap, paired differences, shares of variance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.axes import Axes

from jaxland.plots.style import TARGET_COLOR, color_of, legend_below, own_axes
from jaxland.statistics import BootstrapInterval

if TYPE_CHECKING:
    import pandas as pd

_RESAMPLES_COLOR = "#7f7f7f"


def quantile_ranges(
    tables: "Mapping[str, pd.DataFrame]",
    *,
    ylabel: str,
    colors: Mapping[str, str] | None = None,
    title: str = "Quantiles with their intervals",
    yscale: str = "linear",
    ax: Axes | None = None,
) -> Axes:
    """Draws quantiles of several groups side by side, each with its interval; an arrow stands for an infinite bound.

    Args:
        tables: what `statistics.quantile_intervals` found for each group, by label.
        ylabel: quantity and unit.
        colors: of the groups, by label; the others take the next of the usual ones.
        title: of the axes.
        yscale: kind of the axis, as matplotlib names it.
        ax: where to draw.
    """
    ax = own_axes(ax)
    levels = sorted({level for table in tables.values() for level in table["level"]})
    aside = 0.6 / max(len(tables), 1)
    for index, (name, table) in enumerate(tables.items()):
        place = np.searchsorted(levels, table["level"]) + aside * (index - (len(tables) - 1) / 2)
        value, low, high = (table[column].to_numpy() for column in ("quantile", "low", "high"))
        color = color_of(name, index, colors)
        # Up to the quantile where there is no bound: the arrow says that there is none.
        bars = np.stack([value - np.where(np.isinf(low), value, low), np.where(np.isinf(high), value, high) - value])
        label = f"{name} (n = {table['count'].iloc[0]:,})"
        ax.errorbar(place, value, yerr=bars, fmt="o", ms=5, capsize=3, color=color, lw=1.4, label=label)
        for marker, unbounded in (("v", np.isinf(low)), ("^", np.isinf(high))):
            ax.plot(place[unbounded], value[unbounded], marker, ms=11, mfc="none", color=color)
    ax.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
    ax.set_xlim(-0.6, len(levels) - 0.4)
    ax.grid(axis="x", visible=False)
    ax.set(title=title, xlabel="level of the quantile", ylabel=ylabel, yscale=yscale)
    ax.legend()
    return ax


def bootstrap_distribution(
    found: BootstrapInterval, *, xlabel: str, title: str = "Statistic of resampled fits", ax: Axes | None = None
) -> Axes:
    """Draws a statistic of all resamples as a histogram, with the statistic of the sample and its interval.

    Args:
        found: what `statistics.bootstrap_interval` returns.
        xlabel: the statistic and its unit.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    bins = int(np.clip(4 * np.cbrt(len(found.distribution)), 10, 80))
    label = f"{len(found.distribution):,} resamples of {found.count:,}"
    ax.hist(found.distribution, bins=bins, color=_RESAMPLES_COLOR, alpha=0.45, lw=0, label=label)
    interval = f"{found.confidence:.0%} interval ({'BCa' if found.method == 'bca' else found.method})"
    ax.axvspan(found.low, found.high, color="C0", alpha=0.15, lw=0, label=interval)
    ax.axvline(found.value, color="C0", lw=2, label=f"of the sample: {found.value:.4g}")
    ax.set(title=title, xlabel=xlabel, ylabel="resamples per bin")
    ax.set_ylim(0, 1.3 * ax.get_ylim()[1])  # room for the legend
    ax.legend()
    return ax


def paired_differences(
    table: "pd.DataFrame",
    *,
    xlabel: str,
    test: Literal["wilcoxon", "t"] = "wilcoxon",
    title: str = "Paired differences",
    ax: Axes | None = None,
) -> Axes:
    """Draws the median difference of each two levels with its interval; p-values and numbers of pairs stand beside.

    An interval without a bound, of few pairs, leads out of the axes.

    Args:
        table: what `statistics.paired_tests` returns.
        xlabel: quantity and unit of the differences.
        test: whose adjusted p-values are given.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    place = np.arange(len(table))[::-1]
    middle = table["median_difference"].to_numpy()
    bounds = table[["low", "high"]].to_numpy().T
    reach = np.abs(np.concatenate([middle, bounds[np.isfinite(bounds)]]))
    limit = 1.08 * float(np.nanmax(reach, initial=0.0)) or 1.0
    ax.hlines(place, np.clip(bounds[0], -2 * limit, None), np.clip(bounds[1], None, 2 * limit), color="C0", lw=1.6)
    ax.plot(middle, place, "o", ms=6, color="C0", label="median difference and interval")
    ax.axvline(0, color=TARGET_COLOR, ls="--", lw=1, label="no difference")
    ax.set_yticks(
        place, [f"{level} - {against}" for level, against in zip(table["level"], table["against"], strict=True)]
    )
    for height, (_, row) in zip(place, table.iterrows(), strict=True):
        ax.text(1.02, height, _beside(row, test), transform=ax.get_yaxis_transform(), va="center", fontsize=7)
    ax.set(title=title, xlabel=xlabel, xlim=(-limit, limit), ylim=(-0.6, len(table) - 0.4))
    ax.grid(axis="y", visible=False)
    legend_below(ax, ncols=2)
    return ax


def _beside(row, test):
    lost = f", {row['left_out']:,} left out" if row["left_out"] else ""
    return f"p = {row[f'{test}_p_adjusted']:.2g}\n{row['pairs']:,} pairs{lost}"


def variance_shares(
    table: "pd.DataFrame", *, title: str = "What the variance is due to", ax: Axes | None = None
) -> Axes:
    """Draws the share of each component in the whole variance as a bar, with its interval where it has one.

    Args:
        table: what `statistics.variance_components` returns.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    place = np.arange(len(table))[::-1]
    share, low, high = (table[column].to_numpy() for column in ("share", "share_low", "share_high"))
    ax.barh(place, share, height=0.6, color="C0", alpha=0.45, lw=0, label="share of the variance")
    if np.isfinite(low).any():
        bars = np.stack([share - low, high - share])
        ax.errorbar(share, place, xerr=bars, fmt="none", ecolor="C0", lw=1.4, capsize=3, label="interval, jackknife")
    ax.axvline(0, color=TARGET_COLOR, lw=0.8)
    ax.set_yticks(
        place, [f"{name}\n{levels:,}" for name, levels in zip(table["component"], table["levels"], strict=True)]
    )
    ax.set(title=title, xlabel="share of the variance", ylabel="component and its levels")
    # What lies beyond is no share: bounds of little worth would squeeze all else.
    ax.set_xlim(max(-0.5, min(-0.02, 1.1 * np.nanmin(np.append(low, share)))), 1.02)
    ax.grid(axis="y", visible=False)
    legend_below(ax, ncols=2)
    return ax
