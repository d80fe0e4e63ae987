"""Knots of piecewise-linear fits: how many an ensemble has, and where."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots.style import COLORS, LABELS, TARGET_COLOR, own_axes
from jaxland.statistics import Histogram

# A mark further out than this many times the counts is shown on a logarithmic continuation of the axis.
_FAR = 3
_STEPS = [digit * 10**power for power in range(9) for digit in (1, 2, 5)]


def knot_counts(
    histograms: Mapping[str, Histogram],
    *,
    target: int | None = None,
    most: int | None = None,
    title: str = "Knots of the fits",
    ax: Axes | None = None,
) -> Axes:
    """Draws the distribution of the number of interior knots of each ensemble's fits.

    Where the possible maximum lies far out, the axis goes on logarithmically beyond the counts and the target.

    Args:
        histograms: interior knots of the fits of each ensemble, in bins of width one about the integers; fits whose
            knots are not known counted as invalid.
        target: interior knots of the target, where it has any.
        most: the most a network of this architecture can have, see `jaxland.landscape.most_knots`.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    largest = max((histogram.largest for histogram in histograms.values() if histogram.total), default=0.0)
    for name, histogram in histograms.items():
        if histogram.total:
            filled = 1 + np.flatnonzero(histogram.counts)[-1:].sum()
            heights = histogram.counts[:filled] / histogram.total
            _outlined(ax, heights, histogram.edges[: filled + 1], name, f"n = {histogram.total:,}")
    marks = ((target, "the target", "--"), (most, "most possible", ":"))
    for count, label, line in marks:
        if count is not None:
            ax.axvline(count, ymax=0.68, color="black", ls=line, lw=1.4, label=f"{label}: {count:,}")
    ticks = _ticks(max(largest, target or 0, 1))
    furthest = most or 0
    if furthest > _FAR * ticks[-1]:
        _continue_logarithmically(ax, ticks, furthest)
    else:
        ax.set_xlim(-0.5, 1.05 * max(ticks[-1], furthest))
    ax.set(title=title, xlabel="interior knots", ylabel="share of fits")
    ax.set_ylim(0, 1.45 * ax.get_ylim()[1])  # room for the legend
    ax.legend()
    return ax


def _ticks(largest):
    step = next(step for step in _STEPS if largest <= 8 * step)
    return np.arange(0, largest + step, step)


def _continue_logarithmically(ax, ticks, most):
    linear = float(ticks[-1])
    decades = np.log10(most / linear)
    ax.set_xscale("symlog", linthresh=linear, linscale=2 * decades)
    powers = 10.0 ** np.arange(np.ceil(np.log10(4 * linear)), np.log10(most / 3))
    ax.set_xticks([*ticks, *powers, most])
    ax.set_xticks([], minor=True)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.set_xlim(-0.5, most * 10 ** (0.08 * decades))
    ax.axvspan(linear, ax.get_xlim()[1], color="black", alpha=0.04, lw=0)


def knot_positions(
    histograms: Mapping[str, Histogram],
    *,
    target: Float[np.ndarray, "knots"] | None = None,
    title: str = "Where the knots of the fits are",
    ax: Axes | None = None,
) -> Axes:
    """Draws the density of the positions of each ensemble's interior knots, with those of a target as ticks.

    Args:
        histograms: positions of the interior knots of all fits of each ensemble, in equal bins over the interval.
        target: positions of the target's knots, where it has any.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for name, histogram in histograms.items():
        if histogram.total:
            density = histogram.counts / (histogram.total * np.diff(histogram.edges))
            _outlined(ax, density, histogram.edges, name, f"{histogram.total:,} knots")
    if target is not None:
        height, foot = np.full(len(target), 0.025), ax.get_xaxis_transform()
        ax.plot(target, height, "|", transform=foot, color=TARGET_COLOR, ms=12, mew=1.2, label="knots of the target")
    ax.set(title=title, xlabel="x", ylabel="density of interior knots")
    ax.set_ylim(0, 1.3 * ax.get_ylim()[1])  # room for the legend
    ax.legend()
    return ax


def _outlined(ax, heights, edges, name, size):
    color = COLORS.get(name)
    ax.stairs(heights, edges, fill=True, color=color, alpha=0.35)
    ax.stairs(heights, edges, color=color, lw=1.0, label=f"{LABELS.get(name, name)} ({size})")
