"""Drawings of networks."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots.style import own_axes


def network_diagram(
    widths: Sequence[int],
    weights: Sequence[Float[np.ndarray, "_ _"]],
    *,
    title: str = "Network",
    ax: Axes | None = None,
) -> Axes:
    """Draws units as circles and weights as lines, bold where they are not zero.

    Args:
        widths: units of each layer, inputs first.
        weights: the matrix between each pair of layers, (outputs, inputs).
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    places = [[(layer, (width - 1) / 2 - unit) for unit in range(width)] for layer, width in enumerate(widths)]
    for layer, matrix in enumerate(weights):
        for (out, inp), weight in np.ndenumerate(matrix):
            (x0, y0), (x1, y1) = places[layer][inp], places[layer + 1][out]
            bold = weight != 0
            ax.plot(
                [x0, x1],
                [y0, y1],
                color="#222222" if bold else "#cccccc",
                lw=1.6 if bold else 0.5,
                zorder=bold,
            )
    for x, y in (place for layer in places for place in layer):
        ax.plot(x, y, "o", ms=14, mfc="white", mec="#222222", zorder=3)
    ax.set(title=title, xticks=range(len(widths)), yticks=[])
    ax.set_xticklabels(["input", *(f"layer {k}" for k in range(1, len(widths) - 1)), "output"], fontsize=8)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return ax
