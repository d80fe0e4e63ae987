"""Few fits a group: every value drawn as a point, nothing hidden in bins; and what becomes of them in training."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from jaxland.plots.style import color_of, dash_of, own_axes


def strips(
    groups: Mapping[str, Float[np.ndarray, "F"]],
    *,
    ylabel: str,
    color: str,
    reference: tuple[float, str] | None = None,
    title: str = "Losses",
    ax: Axes | None = None,
) -> Axes:
    """Draws every value of each group beside its median, on a logarithmic axis.

    Args:
        groups: positive values by group, in the order of drawing.
        ylabel: quantity and unit.
        color: of the points.
        reference: a value to be marked, with its label.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for place, values in enumerate(groups.values()):
        ax.plot(place + _spread(len(values)), values, "o", ms=4, color=color, alpha=0.5, mew=0)
        if len(values):
            label = "median" if place == len(groups) - 1 else None
            ax.plot([place - 0.35, place + 0.35], [np.median(values)] * 2, color="black", lw=1.8, label=label)
    if reference is not None:
        ax.axhline(reference[0], color="#444444", ls="--", lw=1, label=reference[1])
    _name_groups(ax, groups)
    ax.set(title=title, ylabel=ylabel, yscale="log")
    ax.legend()
    return ax


def paired_strips(
    groups: Mapping[str, Float[np.ndarray, "F"]],
    *,
    ylabel: str,
    color: str,
    title: str = "Before and after",
    ax: Axes | None = None,
) -> Axes:
    """Draws values that belong together, one of each group, joined by lines, on a logarithmic axis.

    Args:
        groups: positive values by group, in the order of drawing; entry i of all groups belongs together.
        ylabel: quantity and unit.
        color: of points and lines.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    values = np.array(list(groups.values()))
    for index, row in enumerate(values.T):
        label = f"one of {len(values.T)} fits" if index == 0 else None
        ax.plot(range(len(row)), row, "o-", ms=3.5, lw=0.7, color=color, alpha=0.5, label=label)
    ax.plot(range(len(values)), np.nanmedian(values, axis=1), "s-", ms=6, lw=1.8, color="black", label="median")
    _name_groups(ax, groups)
    ax.set(title=title, ylabel=ylabel, yscale="log")
    ax.legend()
    return ax


def training_curves(
    steps: Int[np.ndarray, "T"],
    traces: Mapping[str, Float[np.ndarray, "F T"]],
    *,
    colors: Mapping[str, str] | None = None,
    ylabel: str = "mean squared error",
    xscale: str = "linear",
    yscale: str = "log",
    reference: tuple[float, str] | None = None,
    title: str = "Losses in training",
    ax: Axes | None = None,
) -> Axes:
    """Draws losses, or what else is known of each group's fits, over the steps: median, and middle half as a band.

    Args:
        steps: at which they were taken.
        traces: of the fits of each group, by its label; positive on a logarithmic axis. NaN where a fit has none, as
            after it stopped: each step has the quantiles of those that are left.
        colors: of the groups, by label; the others take the next of the usual ones.
        ylabel: quantity and unit.
        xscale, yscale: kinds of the axes, as matplotlib names them.
        reference: a value to be marked, with its label.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for index, (name, values) in enumerate(traces.items()):
        low, middle, high = quartiles_of_known(values)
        color = color_of(name, index, colors)
        ax.fill_between(steps, low, high, color=color, alpha=0.2, lw=0)
        ax.plot(
            steps,
            middle,
            color=color,
            ls=dash_of(index),
            lw=1.6,
            label=f"{name}: median and middle half of {len(values)}",
        )
    if reference is not None:
        ax.axhline(reference[0], color="#444444", ls="--", lw=1, label=reference[1])
    ax.set(title=title, xlabel="step", ylabel=ylabel, xscale=xscale, yscale=yscale)
    ax.legend()
    return ax


def quartiles_of_known(values: Float[np.ndarray, "F T"]) -> Float[np.ndarray, "3 T"]:
    """Quartiles over the first axis of what is not NaN; NaN where nothing is, or between two that are infinite."""
    found = np.full((3, values.shape[1]), np.nan)
    known = ~np.isnan(values).all(axis=0)
    with np.errstate(invalid="ignore"):
        found[:, known] = np.nanquantile(values[:, known].astype(np.float64), [0.25, 0.5, 0.75], axis=0)
    return found


def _name_groups(ax, groups):
    names = [f"{name}\nn = {len(values)}" for name, values in groups.items()]
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.grid(axis="x", visible=False)


def _spread(count):
    # Golden-section steps: evenly spread in every stretch of neighbours, and the same each time.
    return 0.5 * (np.arange(count) * 0.6180339887498949 % 1 - 0.5)
