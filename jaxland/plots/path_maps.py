"""Paths in parameter space, drawn on a map of two dimensions."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from jaxland.plots.style import own_axes

_MOST_NAMED = 10


def path_map(
    points: Float[np.ndarray, "F S 2"],
    steps: Int[np.ndarray, "S"],
    *,
    names: Sequence[str] = (),
    title: str = "Paths of fits",
    axis: str = "component",
    step: str = "epoch",
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draws the paths of F fits, every place coloured by its step.

    Args:
        points: of each fit at each step, as `principal_map` or `tsne_map` gives them.
        steps: at which the places were taken.
        names: of the fits, written at their ends; by default their numbers, where there are few.
        title: of the axes.
        axis: what the two dimensions are called.
        step: what a step is called.
        colorbar: whether to draw one.
        ax: where to draw.
    """
    ax = own_axes(ax)
    few = len(points) <= _MOST_NAMED
    for path in points:
        ax.plot(*path.T, color="black", lw=0.5, alpha=0.3, zorder=1)
    flat = points.reshape(-1, 2)
    size = 6 if flat.shape[0] < 4_000 else 3
    dots = ax.scatter(*flat.T, c=np.tile(steps, len(points)), cmap="viridis", s=size, lw=0, zorder=2)
    ax.scatter(*points[:, 0].T, marker="o", s=18 if few else 12, fc="none", ec="black", lw=1, label="start", zorder=3)
    ax.scatter(*points[:, -1].T, marker="x", s=18 if few else 12, color="#d55e00", lw=1.2, label="end", zorder=3)
    if few and len(points) > 1:
        for name, path in zip(names or [str(index) for index in range(len(points))], points, strict=True):
            ax.annotate(name, path[-1], xytext=(5, 4), textcoords="offset points", fontsize=7, zorder=4)
    ax.set(title=title, xlabel=f"{axis} 1", ylabel=f"{axis} 2")
    ax.margins(0.08)
    ax.legend(loc="best")
    figure = ax.get_figure()
    if colorbar and figure is not None:
        figure.colorbar(dots, ax=ax, label=step, shrink=0.85)
    return ax
