"""Bands along a landscape: energies and turns against the distance along the path."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots.style import legend_below, own_axes
from jaxland.statistics import Estimate


def path_energies(
    lengths: Float[np.ndarray, "B I"],
    energies: Float[np.ndarray, "B I"],
    *,
    color: str = "C0",
    highest: float | None = None,
    title: str = "Energies along the paths",
    ylabel: str = "mean squared error",
    ax: Axes | None = None,
) -> Axes:
    """Draws the energy of every path against the distance along it, and their median.

    Args:
        lengths: distance of each image from the start of its path, from `jaxland.landscape.arc_lengths`.
        energies: of the images.
        color: of the paths.
        highest: energies up to which the axis goes; how many paths end above is told. By default it holds all.
        title: of the axes.
        ylabel: what the energy is, with its unit.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for length, energy in zip(lengths, energies, strict=True):
        ax.plot(length, energy, color=color, lw=0.6, alpha=max(0.15, 0.9 / len(lengths) ** 0.5))
    share = np.linspace(0, 1, 201)
    resampled = [np.interp(share, x / x[-1], y) for x, y in zip(lengths, energies, strict=True)]
    typical = share * np.median(lengths[:, -1])
    ax.plot(typical, np.median(resampled, axis=0), color="black", lw=1.8, label=f"median of {len(lengths)} paths")
    if highest is not None and (above := int((energies[:, -1] > highest).sum())):
        ax.plot([], [], " ", label=f"{above} end above")
    ax.set_ylim(top=highest)
    ax.set(title=title, xlabel="distance along the path", ylabel=ylabel)
    ax.legend()
    return ax


def path_with_interpolation(
    lengths: Float[np.ndarray, "I"],
    energies: Float[np.ndarray, "I"],
    between_lengths: Float[np.ndarray, "J"],
    between_energies: Float[np.ndarray, "J"],
    *,
    color: str = "C0",
    title: str = "One path",
    ylabel: str = "mean squared error",
    ax: Axes | None = None,
) -> Axes:
    """Draws one path with the energies of the points on the straight lines between its images.

    Args:
        lengths: distance of each image from the start of the path.
        energies: of the images.
        between_lengths: the same of the images and of points between them, from `jaxland.landscape.interpolate`.
        between_energies: of these; what lies above four times the highest image is cut off.
        color: of the path.
        title: of the axes.
        ylabel: what the energy is, with its unit.
        ax: where to draw.
    """
    ax = own_axes(ax)
    ax.plot(between_lengths, between_energies, color="#d55e00", ls="--", lw=0.9, label="between images")
    ax.plot(lengths, energies, "o-", ms=3, lw=1.2, color=color, label="images")
    ax.set(title=title, xlabel="distance along the path", ylabel=ylabel)
    ax.set_ylim(0, min(1.1 * between_energies.max(), 4 * energies.max()))
    ax.legend()
    return ax


def path_angles(
    lengths: Sequence[Float[np.ndarray, "I"]] | Float[np.ndarray, "B I"],
    angles: Sequence[Float[np.ndarray, "I"]] | Float[np.ndarray, "B I"],
    *,
    color: str = "C0",
    label: str = "",
    dashes: Any = "-",
    title: str = "Turns along the paths",
    ax: Axes | None = None,
) -> Axes:
    """Draws the angle at the inner images against the share of the way: the median of all paths and its 95 % interval.

    Args:
        lengths: distance of the inner images of each path from its start: `arc_lengths(images)[:, 1:-1]`.
        angles: at these, in radians, from `jaxland.landscape.turning_angles`.
        color, dashes: of the median.
        label: of the paths, before their number.
        title: of the axes.
        ax: where to draw; paths of several kinds may share it.
    """
    ax = own_axes(ax)
    share = np.linspace(0, 1, 101)
    scaled = np.array([np.interp(share, x / x[-1], np.nan_to_num(a)) for x, a in zip(lengths, angles, strict=True)])
    middle, low, high = np.transpose([Estimate.quantile(each) for each in scaled.T])
    # A few paths have no bound on one side: there is none to draw.
    ax.fill_between(share, low, high, where=np.isfinite(low) & np.isfinite(high), color=color, alpha=0.25, lw=0)
    counted = f"median of {len(scaled)} paths and its interval"
    ax.plot(share, middle, color=color, ls=dashes, lw=1.4, label=f"{label}: {counted}" if label else counted)
    ax.set(title=title, xlabel="share of the way", ylabel="angle between steps, radians")
    ax.set(xlim=(0, 1), ylim=(0, max(ax.get_ylim()[1], 1.25 * np.max(middle), np.pi / 2)))
    legend_below(ax)
    return ax
