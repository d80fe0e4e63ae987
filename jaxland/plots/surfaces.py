"""Loss surfaces: seen from the side, from above, by the dozen, and with what descends on them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from jaxland.plots.style import PAGE, dash_of, legend_below, new_figure, own_axes

# Grows evenly in lightness, so that what is higher is lighter in grey too.
_COLORMAP = "viridis"
# Seen on every height of the colour map, and told apart by their dashes too.
_PATHS = (("#d00000", "-"), ("#111111", "--"), ("#ff2fd0", "-."))
_VIEW = {"elev": 32, "azim": -50}
_LEVELS = 24
# Least share of a colour bar between two of its ticks.
_APART = 0.12
_RIM = [withStroke(linewidth=3, foreground="white")]
# Heights and colours go with the square root of the loss above the lowest: valleys, where descents end, are flat.
_POWER = 0.5
_LABELS = ("first coordinate", "second coordinate")
_ABOVE = 5


def surface_3d(
    a: Float[np.ndarray, "A"],
    b: Float[np.ndarray, "B"],
    loss: Float[np.ndarray, "B A"],
    *,
    title: str = "Loss surface",
    labels: tuple[str, str] = _LABELS,
    zlabel: str = "loss",
    alpha: float = 1.0,
    cmap: str = _COLORMAP,
    ax: Any = None,
) -> Any:
    """Draws a surface in perspective.

    Args:
        a, b: coordinates of the grid, `Surface.a` and `Surface.b`.
        loss: on the grid; NaN leaves a hole.
        title: of the axes.
        labels: of the coordinates.
        zlabel: what the loss is.
        alpha: opacity; what is drawn on the surface later shows through the lower.
        cmap: the colours, as matplotlib names them.
        ax: three-dimensional axes, such as those of `new_figure(projection="3d")`.
    """
    ax = ax if ax is not None else new_figure(projection="3d", width=4.4, height=3.8)[1][0]
    norm = PowerNorm(_POWER, *_bounds(loss))
    grid = np.meshgrid(a, b)
    ax.plot_surface(*grid, loss, cmap=cmap, norm=norm, rstride=1, cstride=1, lw=0, alpha=alpha, zorder=1)
    ax.computed_zorder = False
    ax.view_init(**_VIEW)
    ax.set(title=title)
    ax.set_xlabel(labels[0], labelpad=1)
    ax.set_ylabel(labels[1], labelpad=1)
    ax.set_zlabel(zlabel, labelpad=2)
    ax.tick_params(axis="both", pad=0)
    ax.tick_params(axis="z", pad=2)
    # The layout engine does not see the label of the third axis, and would cut it off.
    ax.set_box_aspect((1, 1, 0.72), zoom=0.86)
    return ax


def _bounds(loss) -> tuple[float, float]:
    """Lowest and highest finite loss, kept apart where they differ by no more than rounding."""
    known = loss[np.isfinite(loss)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return low, max(high, low + (1e-9 * abs(low) or (0.0 if high > low else 1.0)))


def surface_contours(
    a: Float[np.ndarray, "A"],
    b: Float[np.ndarray, "B"],
    loss: Float[np.ndarray, "B A"],
    *,
    minima: Float[np.ndarray, "M 2"] | None = None,
    saddles: Float[np.ndarray, "K 2"] | None = None,
    title: str = "Loss surface",
    labels: tuple[str, str] = _LABELS,
    zlabel: str | None = "loss",
    span: tuple[float, float] | None = None,
    cmap: str = _COLORMAP,
    ax: Axes | None = None,
) -> Axes:
    """Draws a surface from above, with lines of equal loss.

    Args:
        a, b, loss, title, labels: see `surface_3d`.
        minima, saddles: coordinates of what is to be marked, such as those of `Features`.
        zlabel: of the colour bar; None leaves the bar away.
        span: lowest and highest loss of the colours, for surfaces that are to be compared; those of this by default.
        cmap: the colours, as matplotlib names them.
        ax: where to draw.
    """
    ax = own_axes(ax)
    low, high = span or _bounds(loss)
    levels = low + (high - low) * np.linspace(0, 1, _LEVELS) ** (1 / _POWER)
    # Rounding must not put the extremes beyond the first and the last level.
    levels[[0, -1]] += np.array([-1, 1]) * 1e-4 * (levels[1] - levels[0])
    known = np.ma.masked_invalid(loss)
    filled = ax.contourf(a, b, known, levels, cmap=cmap, norm=PowerNorm(_POWER, low, high))
    ax.contour(a, b, known, levels=levels[1:-1], colors="black", linewidths=0.4, alpha=0.6)
    for places, marker, label in ((minima, "v", "local minimum"), (saddles, "X", "saddle")):
        if places is not None and len(places):
            ax.plot(*np.transpose(places), marker, color="white", mec="black", ms=6, lw=0, label=label, zorder=_ABOVE)
            ax.legend(loc="upper right", framealpha=0.85, frameon=True)
    ax.grid(False)
    ax.set(title=title, xlabel=labels[0], ylabel=labels[1])
    if zlabel is not None:
        ax.figure.colorbar(filled, ax=ax, label=zlabel, format="%.4g", ticks=_ticks(low, high))
    return ax


def _ticks(low: float, high: float) -> list[float]:
    """The lowest, and round numbers above it that stand apart on the bar."""
    found = [low]
    for tick in MaxNLocator(10).tick_values(low, high):
        share, last = (((each - low) / (high - low)) ** _POWER for each in (max(tick, low), found[-1]))
        if share - last > _APART and tick <= high:
            found.append(float(tick))
    return found


def surface_paths(
    paths: Float[np.ndarray, "M S 2"], names: Sequence[str], *, heights: Float[np.ndarray, "M S"] | None = None, ax: Any
) -> Any:
    """Draws paths onto a surface; a ring is where a path begins, a dot where it ends.

    Args:
        paths: coordinates.
        names: of the paths, for the legend.
        heights: losses along them, for three-dimensional axes.
        ax: with the surface.
    """
    for index, (path, name) in enumerate(zip(paths, names, strict=True)):
        points = path.T if heights is None else np.vstack([path.T, heights[index]])
        color, dashes = _PATHS[index % len(_PATHS)]
        ax.plot(*points, color=color, ls=dashes, lw=1.5, label=name, zorder=_ABOVE, path_effects=_RIM)
        ax.plot(*points[:, :1], "o", color=color, mfc="none", mew=1.4, ms=6, zorder=_ABOVE)
        ax.plot(*points[:, -1:], "o", color=color, mec="white", ms=6, zorder=_ABOVE)
    return ax


def surface_gallery(
    a: Float[np.ndarray, "A"],
    b: Float[np.ndarray, "B"],
    losses: Float[np.ndarray, "K B A"],
    titles: Sequence[str],
    *,
    columns: int = 6,
    heading: str = "",
    labels: tuple[str, str] = _LABELS,
    zlabel: str = "loss",
) -> Figure:
    """Draws many surfaces over one window from above, each with its own colours from its lowest to its highest loss.

    Below its title stands what these are: a surface may be one colour because nearly all of it is as high.

    Args:
        a, b, labels: see `surface_3d`.
        losses: of the surfaces.
        titles: of the surfaces.
        columns: surfaces in a row.
        heading: of the figure.
        zlabel: what the loss is.
    """
    columns = min(columns, len(losses))
    rows = -(-len(losses) // columns)
    figure, axes = new_figure(columns, rows=rows, width=PAGE / columns, height=1.25 + 0.7 / rows, letters=False)
    for index, (ax, loss, title) in enumerate(zip(axes, losses, titles, strict=False)):
        low, high = _bounds(loss)
        told = f"{title}\n{low:.4g} to {high:.4g}"
        surface_contours(a, b, loss, title=told, labels=("", ""), zlabel=None, ax=ax)
        ax.title.set_fontsize(7)
        ax.tick_params(labelsize=7, labelleft=index % columns == 0, labelbottom=index + columns >= len(losses))
    for ax in axes[len(losses) :]:
        ax.set_axis_off()
    shades = ScalarMappable(PowerNorm(_POWER, 0, 1), _COLORMAP)
    bar = figure.colorbar(shades, ax=axes, ticks=[0, 1], location="bottom", shrink=0.4, aspect=40, label=zlabel)
    bar.ax.set_xticklabels(["lowest", "highest"])
    figure.suptitle(heading, fontsize=9)
    figure.supxlabel(labels[0], fontsize=8)
    figure.supylabel(labels[1], fontsize=8)
    return figure


def explained_variance(
    shares: Float[np.ndarray, "M K"],
    names: Sequence[str],
    *,
    most: int = 10,
    title: str = "Variance of trajectories",
    ax: Axes | None = None,
) -> Axes:
    """Draws the share of a trajectory's variance along its first principal directions, added up.

    Beside it stands what a random walk in very many dimensions comes to, 6 / (pi k)^2 along direction k: a share as
    large as that says nothing about a trajectory.

    Args:
        shares: `PrincipalPlane.explained` of each trajectory.
        names: of the trajectories.
        most: how many directions to show.
        title: of the axes.
        ax: where to draw.

    References:
        Antognini and Sohl-Dickstein, PCA of high dimensional random walks with comparison to neural network training
        (2018), section 3.
    """
    ax = own_axes(ax)
    number = np.arange(1, min(most, shares.shape[1]) + 1)
    walk = np.cumsum(6 / (np.pi * number) ** 2)
    for index, (share, name) in enumerate(zip(shares, names, strict=True)):
        ax.plot(number, np.cumsum(share)[: len(number)], "o", ls=dash_of(index), ms=3.5, label=name)
    ax.plot(number, walk, "--", color="black", lw=1, label="random walk")
    ax.axvline(2, color="black", ls=":", lw=1, label="shown in a plane")
    ax.set(title=title, xlabel="principal directions", ylabel="share of the variance", xticks=number, ylim=(None, 1.02))
    ax.legend()
    return ax


def descent_3d(
    a: Float[np.ndarray, "A"],
    b: Float[np.ndarray, "B"],
    loss: Float[np.ndarray, "B A"],
    steps: Sequence[int],
    paths: Float[np.ndarray, "M S 2"],
    heights: Float[np.ndarray, "M S"],
    names: Sequence[str],
    *,
    zlabel: str = "loss",
    unit: str = "step",
    **options: Any,
) -> tuple[Figure, Callable[[int], None]]:
    """A surface in perspective on which points descend.

    Args:
        a, b, loss: see `surface_3d`.
        steps: optimizer steps at which the paths are known.
        paths, names: see `surface_paths`.
        heights: losses along the paths.
        zlabel: what the loss is.
        unit: what the steps are called.
        options: further arguments of `surface_3d`.

    Returns:
        The figure, and what draws it at a place of `steps`: both are what `animate` takes.
    """
    figure, (ax,) = new_figure(projection="3d", width=4.4, height=3.8)
    surface_3d(a, b, loss, ax=ax, alpha=0.8, zlabel=zlabel, **options)
    # Beyond the grid there is no surface on which a path could lie.
    outside = np.asarray(((paths < [a.min(), b.min()]) | (paths > [a.max(), b.max()])).any(axis=-1))
    seen = np.where(outside[..., None], np.nan, paths)
    trails = []
    for index, name in enumerate(names):
        color, dashes = _PATHS[index % len(_PATHS)]
        (trail,) = ax.plot([], [], [], color=color, ls=dashes, lw=1.6, label=name, zorder=_ABOVE)
        (point,) = ax.plot([], [], [], "o", color=color, ms=6, mec="white", zorder=_ABOVE + 1)
        trails.append((trail, point))
    legend = ax.legend(loc="upper left", bbox_to_anchor=(0, 0.98), frameon=True, framealpha=0.85)
    limits = ax.get_xlim(), ax.get_ylim(), ax.get_zlim()

    def draw(index: int) -> None:
        for (trail, point), path, height in zip(trails, seen, heights, strict=True):
            trail.set_data_3d(*path[: index + 1].T, height[: index + 1])
            point.set_data_3d(*path[index : index + 1].T, height[index : index + 1])
        for text, name, height, gone in zip(legend.get_texts(), names, heights, outside[:, index], strict=True):
            text.set_text(f"{name}: {height[index]:.4f}{', outside' if gone else ''}")
        legend.set_title(f"{zlabel} at {unit} {steps[index]:,}")
        ax.set(xlim=limits[0], ylim=limits[1], zlim=limits[2])

    draw(0)
    return figure, draw


def descent_contours(
    a: Float[np.ndarray, "A"],
    b: Float[np.ndarray, "B"],
    loss: Float[np.ndarray, "B A"],
    steps: Sequence[int],
    paths: Float[np.ndarray, "M S 2"],
    heights: Float[np.ndarray, "M S"],
    names: Sequence[str],
    *,
    in_plane: Float[np.ndarray, "M S"] | None = None,
    zlabel: str = "loss",
    unit: str = "step",
    **options: Any,
) -> tuple[Figure, Callable[[int], None]]:
    """A surface from above on which points descend, beside their losses.

    Args:
        a, b, loss, steps, paths, heights, names: see `descent_3d`.
        in_plane: losses that the surface shows below the points, where their true losses are others; dotted.
        zlabel: what the loss is.
        unit: what the steps are called.
        options: further arguments of `surface_contours`.

    Returns:
        The figure, and what draws it at a place of `steps`: both are what `animate` takes.
    """
    figure, (ax, curves) = new_figure(2, width="screen", height=2.9)
    surface_contours(a, b, loss, ax=ax, zlabel=zlabel, **options)
    ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())
    shown = np.asarray(steps)
    moving = []
    for index, (path, height) in enumerate(zip(paths, heights, strict=True)):
        color, dashes = _PATHS[index % len(_PATHS)]
        (trail,) = ax.plot([], [], color=color, ls=dashes, lw=1.5, zorder=_ABOVE, path_effects=_RIM)
        (point,) = ax.plot([], [], "o", color=color, ms=6, mec="white", zorder=_ABOVE + 1)
        # All of it faintly, from the first picture on: what is to come is no secret, and the axes are never empty.
        curves.plot(shown, height, color=color, lw=1.0, alpha=0.25)
        (curve,) = curves.plot([], [], color=color, ls=dashes, lw=1.4, label=names[index])
        (head,) = curves.plot([], [], "o", color=color, ms=4, mec="white", zorder=_ABOVE, clip_on=False)
        moving += [(trail, *path.T, False), (point, *path.T, True)]
        moving += [(curve, shown, height, False), (head, shown, height, True)]
        if in_plane is not None:
            (below,) = curves.plot([], [], color=color, ls=(0, (1, 1)), lw=2.2, alpha=0.5)
            moving.append((below, shown, in_plane[index], False))
    every = heights if in_plane is None else np.concatenate([heights, in_plane])
    margin = 0.05 * (np.ptp(every) or 1.0)
    curves.set(xlim=(0, shown[-1] * 1.1), ylim=(every.min() - margin, every.max() + margin))
    # Linear up to the first step, for zero has no logarithm.
    curves.set_xscale("symlog", linthresh=1)
    curves.set(xlabel=unit, ylabel=zlabel)
    if in_plane is not None:
        curves.plot([], [], color="black", ls=(0, (1, 1)), lw=2.2, alpha=0.5, label="as the plane shows them")
    # Below, for the first curve to fall is high wherever a legend would be.
    legend = legend_below(curves, ncols=2)

    def draw(index: int) -> None:
        for line, x, y, last in moving:
            first = index if last else 0
            line.set_data(x[first : index + 1], y[first : index + 1])
        for text, name, height in zip(legend.get_texts(), names, heights, strict=False):
            text.set_text(f"{name}: {height[index]:.4f}")
        curves.set_title(f"{zlabel} at {unit} {steps[index]:,}")

    draw(0)
    return figure, draw
