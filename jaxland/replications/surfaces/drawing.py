"""Where descents end, as this study draws it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from jaxland.plots import own_axes, surface_contours

_KINDS = ("#ffffff", "#111111", "#ff2fd0", "#d00000")


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
    """Draws starting points on a surface, with a colour for what their descents come to.

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
    for index, (name, color) in enumerate(zip(names, _KINDS, strict=False)):
        own = starts[kinds == index]
        if len(own):
            ax.plot(*own.T, "o", ms=5, color=color, mec="black", mew=0.4, label=f"{name} ({len(own):,})")
    ax.legend(loc="upper right", frameon=True, framealpha=0.85)
    return ax
