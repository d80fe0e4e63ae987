"""Where descents end, as this study draws it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from jaxland.plots import legend_below, own_axes, surface_contours

_KINDS = (("o", "#ffffff"), ("s", "#111111"), ("D", "#cc79a7"), ("X", "#d55e00"))


def descent_ends(
    a: Float[np.ndarray, "A"],
    b: Float[np.ndarray, "B"],
    loss: Float[np.ndarray, "B A"],
    starts: Float[np.ndarray, "F 2"],
    kinds: Int[np.ndarray, "F"],
    names: Sequence[str],
    *,
    title: str = "Starting points by where they end",
    labels: tuple[str, str] = ("first coordinate", "second coordinate"),
    ax: Axes | None = None,
) -> Axes:
    """Draws starting points on a surface, with a colour and a marker for what their descents come to.

    Args:
        a, b, loss, labels: see `surface_3d`.
        starts: coordinates.
        kinds: of the ends, as indices in `names`.
        names: of the kinds.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    surface_contours(a, b, loss, title=title, labels=labels, zlabel=None, ax=ax)
    ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())
    for index, (name, (marker, color)) in enumerate(zip(names, _KINDS, strict=False)):
        own = starts[kinds == index]
        if len(own):
            ax.plot(*own.T, marker, ms=4, color=color, mec="black", mew=0.4, label=f"{name} ({len(own):,})")
    # Below, for starting points are all over the axes.
    legend_below(ax, ncols=len(names), columnspacing=1, handletextpad=0.2)
    return ax
