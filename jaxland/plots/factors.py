"""What becomes of fits over the levels of a factor."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from jaxland.plots.style import color_of, dash_of, legend_below, own_axes

if TYPE_CHECKING:
    import pandas

# Levels so many times apart are drawn on a logarithmic axis.
_DECADES = 100
# Between what is drawn at one level, where levels are no numbers and one apart.
_APART = 0.08


def factor_curves(
    table: "pandas.DataFrame",
    factor: str,
    *,
    value: str = "loss",
    by: str | None = None,
    band: float = 0.5,
    colors: Mapping[str, str] | None = None,
    ylabel: str | None = None,
    yscale: str = "log",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws a result over the levels of a factor: the median of the fits at each, and a band of their middle share.

    Fits that have no finite value are counted as worse than all others, so a curve ends where half have none.

    Args:
        table: one row a fit, such as `sweep.table`.
        factor: name of the column along the axis, which is logarithmic where its numbers span two decades. What is no
            number is drawn in the order of the table, and not joined by lines.
        value: name of the column of results.
        by: name of a column of which each level is a curve of its own.
        band: share of the fits within the band, 0 to 1.
        colors: of the curves, by level; the others take the next of the usual ones.
        ylabel: quantity and unit; `value` by default.
        yscale: kind of the axis, as matplotlib names it.
        title: of the axes.
        ax: where to draw.

    Raises:
        ValueError: there is no such column, or `band` is out of range.
    """
    for name in (factor, value, *([] if by is None else [by])):
        if name not in table.columns:
            raise ValueError(f"the table has no column {name!r}; it has {', '.join(map(str, table.columns))}.")
    if not 0 <= band <= 1:
        raise ValueError(f"band must be a share between 0 and 1; got {band}.")
    ax = own_axes(ax)
    levels, places, xscale = _axis(table, factor)
    curves = {"all": table} if by is None else {str(level): rows for level, rows in table.groupby(by, sort=False)}
    for index, (label, rows) in enumerate(curves.items()):
        fits = [rows[value].to_numpy(np.float64)[(rows[factor] == level).to_numpy()] for level in levels]
        held = [bool(len(each)) for each in fits]
        low, middle, high = np.transpose([_quantiles(each, band) for each in fits if len(each)])
        color, x = color_of(label, index, colors), places[held]
        counted = f"median and middle {band:.0%} of {_count(fits)}"
        name = counted if by is None else f"{by} {label}: {counted}"
        if xscale is None:
            x = x + _APART * (index - (len(curves) - 1) / 2)
            ax.errorbar(x, middle, [middle - low, high - middle], fmt="o", capsize=4, color=color, label=name)
            continue
        ax.fill_between(x, low, high, color=color, alpha=0.2, lw=0)
        ax.plot(x, middle, "o", ls=dash_of(index), ms=3.5, lw=1.6, color=color, label=name)
    if xscale is None:
        ax.set_xticks(places, [str(level) for level in levels])
    else:
        ax.set_xscale(xscale)
    ax.set(title=f"{value} over {factor}" if title is None else title, xlabel=factor, ylabel=ylabel or value)
    ax.set_yscale(yscale)
    legend_below(ax)
    return ax


def _axis(table: "pandas.DataFrame", factor: str) -> tuple[np.ndarray, np.ndarray, str | None]:
    """The levels, where they stand, and the kind of the axis; None where they are no numbers."""
    levels = table.dropna(subset=[factor])[factor].to_numpy()
    if levels.dtype.kind not in "iuf":
        found = np.array(list(dict.fromkeys(levels)), object)
        return found, np.arange(len(found)), None
    found = np.unique(levels)
    wide = len(found) > 1 and found[0] > 0 and found[-1] >= _DECADES * found[0]
    return found, found, "log" if wide else "linear"


def _quantiles(values: np.ndarray, band: float) -> np.ndarray:
    # Values of fits, not between two: one of these may be infinite.
    shares = [0.5 - band / 2, 0.5, 0.5 + band / 2]
    found = np.quantile(np.where(np.isfinite(values), values, np.inf), shares, method="inverted_cdf")
    return np.where(np.isfinite(found), found, np.nan)


def _count(fits: list[np.ndarray]) -> str:
    counts = sorted({len(each) for each in fits if len(each)})
    return f"{counts[0]} fits" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} fits"
