"""A plane of parameter space: contour maps, stationary points, ways of descent, basins of attraction."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from scipy.spatial import KDTree

from jaxland.plots.style import legend_below, own_axes

# By index: minimum, saddle, maximum.
_MARKERS = (("*", "#ffffff", 90), ("X", "#ffb000", 45), ("s", "#d55e00", 30))
_KINDS = ("minimum", "saddle", "maximum")
_PIXELS = 240


def contour_map(
    first: Float[np.ndarray, "A"],
    second: Float[np.ndarray, "B"],
    loss: Float[np.ndarray, "A B"],
    *,
    labels: tuple[str, str],
    title: str = "Loss",
    quantity: str = "loss",
    floor: float = 1e-4,
    ax: Axes | None = None,
) -> Axes:
    """Draws a loss over a plane by filled contours, evenly spaced in its logarithm.

    Args:
        first, second: coordinates of the grid.
        loss: on the grid; losses that are not finite leave a hole.
        labels: of the two coordinates.
        title: of the axes.
        quantity: named beside the colours.
        floor: losses below it have one colour, and the bar an arrow.
        ax: where to draw.
    """
    ax = own_axes(ax)
    shown = np.ma.masked_invalid(loss)
    top = float(shown.max())
    levels = np.geomspace(min(floor, top / 2), top * 1.0001, 25)
    below = bool(shown.min() < levels[0])
    filled = ax.contourf(
        first,
        second,
        shown.T,
        levels=levels,
        norm=LogNorm(),
        cmap="viridis",
        extend="min" if below else "neither",
        zorder=0,
    )
    ax.contour(first, second, shown.T, levels=levels[::2], colors="white", linewidths=0.4, alpha=0.5)
    powers = 10.0 ** np.arange(np.ceil(np.log10(levels[0])), np.log10(top))
    bar = ax.figure.colorbar(filled, ax=ax, label=quantity, ticks=[*powers, top])
    bar.ax.set_yticklabels([*(f"$10^{{{round(np.log10(power))}}}$" for power in powers), f"{top:.2g}"])
    bar.ax.minorticks_off()
    ax.grid(False)
    ax.set(title=title, xlabel=labels[0], ylabel=labels[1])
    return ax


def mark_stationary(points: Float[np.ndarray, "M 2"], index: Int[np.ndarray, "M"], *, ax: Axes) -> Axes:
    """Marks minima, saddles and maxima of a plane; those outside the axes' limits are left out.

    Args:
        points: places.
        index: negative eigenvalues of the Hessian of each: 0, 1 or 2.
        ax: where to draw; its limits are kept.
    """
    limits = (ax.get_xlim(), ax.get_ylim())
    inside = np.all(
        [(low <= each) & (each <= high) for each, (low, high) in zip(points.T, limits, strict=True)], axis=0
    )
    for kind, (marker, color, size) in enumerate(_MARKERS):
        chosen = points[inside & (index == kind)]
        if len(chosen):
            ax.scatter(*chosen.T, marker=marker, s=size, color=color, edgecolors="black", zorder=4, label=_KINDS[kind])
    ax.set(xlim=limits[0], ylim=limits[1])
    if inside.any():
        ax.legend(facecolor="white", frameon=True, framealpha=0.85, loc="upper right")
    return ax


def descent_path(path: Float[np.ndarray, "S 2"], *, color: str = "#111111", label: str = "", ax: Axes) -> list[Line2D]:
    """Draws a way of descent on a plane, its start and its end; returns the line, the start and the end."""
    # A rim of white, so that the line is seen on light and on dark.
    rim = [withStroke(linewidth=3, foreground="white")]
    (line,) = ax.plot(*path.T, color=color, lw=1.3, zorder=5, path_effects=rim)
    (start,) = ax.plot(*path[:1].T, "o", color="white", mec=color, mew=1.5, ms=6, zorder=6)
    (end,) = ax.plot(*path[-1:].T, "o", color=color, mec="white", ms=6, zorder=7)
    if label:
        ax.annotate(
            label,
            tuple(path[0]),
            xytext=(7, 7),
            textcoords="offset points",
            color=color,
            fontsize=9,
            weight="bold",
            path_effects=rim,
            zorder=8,
        )
    return [line, start, end]


def basin_map(
    starts: Float[np.ndarray, "F 2"],
    basin: Int[np.ndarray, "F"],
    names: Sequence[str],
    colors: Sequence[str],
    *,
    labels: tuple[str, str],
    title: str = "Basins of attraction",
    ax: Axes | None = None,
) -> Axes:
    """Paints a plane of starts by where they end; every pixel takes the colour of the nearest start.

    Args:
        starts: F points that fill a rectangle.
        basin: where each ends, an index into `names`.
        names, colors: of the basins.
        labels: of the two coordinates.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    pixels, extent = _nearest(starts)
    shades = ListedColormap(list(colors))
    ax.imshow(
        basin[pixels], origin="lower", extent=extent, aspect="auto", cmap=shades, vmin=-0.5, vmax=len(names) - 0.5
    )
    shares = np.bincount(basin, minlength=len(names)) / max(len(basin), 1)
    handles = [
        Line2D([], [], marker="s", ls="", ms=7, color=color, label=f"{name}: {share:.1%}")
        for name, color, share in zip(names, colors, shares, strict=True)
    ]
    ax.grid(False)
    ax.set(title=title, xlabel=labels[0], ylabel=labels[1])
    legend_below(ax, handles=handles)
    return ax


def duration_map(
    starts: Float[np.ndarray, "F 2"],
    epochs: Float[np.ndarray, "F"],
    reached: Bool[np.ndarray, "F"],
    *,
    labels: tuple[str, str],
    span: tuple[float, float] | None = None,
    title: str = "Epochs to converge",
    ax: Axes | None = None,
) -> Axes:
    """Paints a plane of starts by how long they take, grey where they do not arrive; a pixel shows the nearest start.

    Args:
        starts: F points that fill a rectangle.
        epochs: how long each took.
        reached: whether it arrived at all.
        labels: of the two coordinates.
        span: fewest and most epochs of the colours, for maps that are to be compared; those of the starts by default.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    pixels, extent = _nearest(starts)
    shown = np.ma.masked_where(~reached[pixels], np.maximum(epochs[pixels], 1))
    ax.set_facecolor("#bbbbbb")
    low, high = span or (None, None)
    if reached.any():
        image = ax.imshow(shown, origin="lower", extent=extent, aspect="auto", cmap="cividis", norm=LogNorm(low, high))
        ax.figure.colorbar(image, ax=ax, label="epochs")
    ax.grid(False)
    ax.set(title=title, xlabel=labels[0], ylabel=labels[1], xlim=extent[:2], ylim=extent[2:])
    return ax


def _nearest(starts):
    """For each pixel of a picture the number of the nearest start, and the picture's extent."""
    low, high = starts.min(axis=0), starts.max(axis=0)
    steps = (np.arange(_PIXELS) + 0.5) / _PIXELS
    x, y = np.meshgrid(steps, steps)
    # Distances in shares of the picture, as the eye sees them.
    _, pixels = KDTree((starts - low) / (high - low)).query(np.stack([x.ravel(), y.ravel()], axis=1))
    return pixels.reshape(x.shape), (low[0], high[0], low[1], high[1])
