"""What only this study draws: many teeth, outputs along a path, and the knots of the fits."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from jaxland.replications.sawtooth.palette import COLORS, DASHES, LABELS
from jaxland.statistics import Histogram

# A mark further out than this many times the counts is shown on a logarithmic continuation of the axis.
_FAR = 3
_STEPS = [digit * 10**power for power in range(9) for digit in (1, 2, 5)]


def dense_curve(
    x: Float[np.ndarray, "N"],
    f: Float[np.ndarray, "N"],
    *,
    window: tuple[float, float],
    title: str = "Target",
    ax: Axes,
) -> None:
    """Draws what a function with more teeth than the eye can tell apart sweeps, and above it a window in which it can.

    Args:
        x: the knots of the function, so that no tooth is missed.
        f: its values there.
        window: the part of x shown enlarged.
        title: of the axes.
        ax: where to draw.
    """
    low, high = float(np.min(f)), float(np.max(f))
    # Between the lines through its highest and its lowest points lie all of its teeth.
    before, after = np.append(f[:1], f[:-1]), np.append(f[1:], f[-1:])
    up, down = (f >= before) & (f >= after), (f <= before) & (f <= after)
    ax.fill_between(x, np.interp(x, x[up], f[up]), np.interp(x, x[down], f[down]), color=COLORS["W_f"], alpha=0.3, lw=0)
    for each in (up, down):
        ax.plot(x[each], f[each], color=COLORS["W_f"], lw=0.8)
    ax.set(title=title, xlabel="x", ylim=(low - 0.05 * (high - low), high + 1.4 * (high - low)))
    ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= high])
    # The axis ends with the function: the window above has one of its own.
    ax.spines["left"].set_bounds(ax.get_ylim()[0], high)
    ax.set_ylabel("f(x)", y=(0.5 * (low + high) - ax.get_ylim()[0]) / np.ptp(ax.get_ylim()))
    ax.grid(False)
    inset = ax.inset_axes((0.07, 0.6, 0.9, 0.2))
    inside = (x >= window[0]) & (x <= window[1])
    inset.plot(x[inside], f[inside], color=COLORS["W_f"], lw=1.0)
    inset.set(xlim=window)
    inset.tick_params(labelsize=7, bottom=False, labelbottom=False, labeltop=True)
    inset.locator_params(nbins=4)
    inset.set_title(f"{inside.sum() - 1} of the {len(x) - 1:,} pieces", fontsize=7.5)
    # A bracket above the window, so that what leads to the inset does not cross the curve.
    top = float(np.max(f[inside], initial=low)) + 0.02 * (high - low)
    ax.indicate_inset((window[0], top, np.ptp(window), 0.02 * (high - low)), inset, edgecolor="black", alpha=0.8)


def output_series(
    x: Float[np.ndarray, "N"],
    target: Float[np.ndarray, "N"],
    curves: Float[np.ndarray, "K N"],
    lengths: Float[np.ndarray, "K"],
    *,
    title: str = "Output along the path",
    ax: Axes,
) -> None:
    """Draws the output at some images, each shifted up, from the start of the path at the bottom to its end.

    Args:
        x: points, increasing.
        target: drawn thinly behind every output.
        curves: outputs of K images.
        lengths: distance of each of them from the start of the path.
        title: of the axes.
        ax: where to draw.
    """
    beside = x[-1] + 0.01 * (x[-1] - x[0])
    shift = 0.75 * np.ptp(target)
    shades = Normalize(0, lengths[-1] or 1.0)
    for index, (curve, length) in enumerate(zip(curves, lengths, strict=True)):
        ax.plot(x, target + index * shift, color=COLORS["W_f"], lw=0.5, alpha=0.35)
        ax.plot(x, curve + index * shift, color=colormaps["viridis"](0.85 * float(shades(length))), lw=1.4)
        ax.annotate(f"{length:.1f}", (beside, curve[-1] + index * shift), fontsize=7, annotation_clip=False)
    ax.set(title=title, xlabel="x", ylabel="output, shifted", yticks=[])
    ax.annotate("distance", (beside, curve[-1] + (len(lengths) - 0.6) * shift), fontsize=7, annotation_clip=False)


def knot_counts(
    histograms: Mapping[str, Histogram],
    *,
    target: int | None = None,
    most: int | None = None,
    title: str = "Knots of the fits",
    ax: Axes,
) -> None:
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
    largest = max((histogram.largest for histogram in histograms.values() if histogram.total), default=0.0)
    for name, histogram in histograms.items():
        if histogram.total:
            filled = 1 + np.flatnonzero(histogram.counts)[-1:].sum()
            heights = histogram.counts[:filled] / histogram.total
            _outlined(ax, heights, histogram.edges[: filled + 1], name, f"n = {histogram.total:,}", DASHES[name])
    marks = ((target, "the target", "--"), (most, "most possible", ":"))
    for count, label, line in marks:
        if count is not None:
            ax.axvline(count, ymax=0.62, color="black", ls=line, lw=1.4, label=f"{label}: {count:,}")
    ticks = _ticks(max(largest, target or 0, 1))
    furthest = most or 0
    if furthest > _FAR * ticks[-1]:
        _continue_logarithmically(ax, ticks, furthest)
    else:
        ax.set_xlim(-0.5, 1.05 * max(ticks[-1], furthest))
    ax.set(title=title, xlabel="interior knots", ylabel="share of fits")
    ax.set_ylim(0, 1.6 * ax.get_ylim()[1])  # room for the legend
    ax.legend(loc="upper center")


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
    ax.axvspan(linear, ax.get_xlim()[1], color="black", alpha=0.06, lw=0)
    place = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points"}
    ax.annotate("logarithmic from here", (linear, 0), xytext=(4, 4), fontsize=7, **place)


def knot_positions(
    histograms: Mapping[str, Histogram],
    *,
    target: Float[np.ndarray, "knots"] | None = None,
    title: str = "Where the knots of the fits are",
    ax: Axes,
) -> None:
    """Draws the density of the positions of each ensemble's interior knots, over those of a target.

    Args:
        histograms: positions of the interior knots of all fits of each ensemble, in equal bins over the interval.
        target: positions of the target's knots, where it has any.
        title: of the axes.
        ax: where to draw.
    """
    if target is not None:
        for index, knot in enumerate(target):
            label = "knots of the target" if index == 0 else None
            ax.axvline(knot, color=COLORS["W_f"], lw=0.6, ls=":", alpha=0.8, zorder=0, label=label)
    for name, histogram in histograms.items():
        if histogram.total:
            density = histogram.counts / (histogram.total * np.diff(histogram.edges))
            _outlined(ax, density, histogram.edges, name, f"{histogram.total:,} knots", "-")
    ax.grid(False, axis="x")
    ax.set(title=title, xlabel="x", ylabel="density of knots", xlim=(-1.02, 1.02))
    ax.set_ylim(0, 1.3 * ax.get_ylim()[1])  # room for the legend
    ax.legend(ncols=2)


def _outlined(ax, heights, edges, name, size, dashes):
    color = COLORS[name]
    look = {"fc": (color, 0.35), "ec": color, "ls": dashes, "lw": 0.8}
    ax.stairs(heights, edges, fill=True, label=f"{LABELS[name]} ({size})", **look)
