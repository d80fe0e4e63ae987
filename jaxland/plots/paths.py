"""Bands along a landscape: energies and turns against the distance along the path."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots.style import own_axes


def path_energies(
    lengths: Float[np.ndarray, "B I"],
    energies: Float[np.ndarray, "B I"],
    *,
    color: str = "C0",
    title: str = "Energies along the paths",
    ylabel: str = "mean squared error",
    ax: Axes | None = None,
) -> Axes:
    """Draws the energy of every path against the distance along it, and their median.

    Args:
        lengths: distance of each image from the start of its path, from `jaxland.landscape.arc_lengths`.
        energies: of the images.
        color: of the paths.
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
    ax.plot(between_lengths, between_energies, color="#b0452c", lw=0.9, label="on the lines between images")
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
    title: str = "Turns along the paths",
    ax: Axes | None = None,
) -> Axes:
    """Draws the angle at every inner image: the first path as a line, the median and middle half of all as a band.

    Args:
        lengths: distance of the inner images of each path from its start: `arc_lengths(images)[:, 1:-1]`.
        angles: at these, in radians, from `jaxland.landscape.turning_angles`.
        color: of median and band.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    share = np.linspace(0, 1, 101)
    scaled = [np.interp(share, x / x[-1], np.nan_to_num(a)) for x, a in zip(lengths, angles, strict=True)]
    typical = share * np.median([x[-1] for x in lengths])
    low, middle, high = np.quantile(scaled, [0.25, 0.5, 0.75], axis=0)
    ax.fill_between(typical, low, high, color=color, alpha=0.25, lw=0, label=f"middle half of {len(lengths)} paths")
    ax.plot(typical, middle, color=color, lw=1.8, label="their median")
    ax.plot(lengths[0], angles[0], color="black", lw=0.8, label="one path")
    ax.axhline(np.pi / 2, color="#888888", ls=":", lw=1, label="a right angle")
    ax.set(title=title, xlabel="distance along the path", ylabel="angle between steps, radians")
    ax.set_ylim(0, 1.4 * max(np.pi / 2, max(np.nanmax(a) for a in angles)))  # room for the legend
    ax.legend()
    return ax
