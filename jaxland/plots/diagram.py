"""Drawings of networks."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots.style import COLORS, own_axes

_BIAS_COLOR = COLORS[0]


def network_diagram(
    widths: Sequence[int],
    weights: Sequence[Float[np.ndarray, "_ _"]],
    *,
    biases: bool = False,
    title: str = "Network",
    ax: Axes | None = None,
) -> Axes:
    """Draws units as circles and weights as lines, bold where they are not zero.

    Args:
        widths: units of each layer, inputs first.
        weights: the matrix between each pair of layers, (outputs, inputs).
        biases: draws the unit of each layer whose output is always 1, in blue and below the others, where it has
            weights to all of the next.
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
                lw=1.2 if bold else 0.4,
                zorder=bold,
            )
    for x, y in (place for layer in places for place in layer):
        ax.plot(x, y, "o", ms=9, mfc="white", mec="#222222", zorder=3)
    for layer in range(len(widths) - 1 if biases else 0):
        below = -(max(widths[:-1]) - 1) / 2 - 1
        for x1, y1 in places[layer + 1]:
            ax.plot([layer, x1], [below, y1], color=_BIAS_COLOR, ls="--", lw=1.0, zorder=1)
        ax.plot(layer, below, "s", ms=9, mfc=_BIAS_COLOR, mec="#222222", zorder=3)
        ax.annotate("1", (layer, below), color="white", ha="center", va="center", fontsize=7, zorder=4)
    ax.set(title=title, xticks=range(len(widths)), yticks=[])
    ax.set_xticklabels(["input", *(f"layer {k}" for k in range(1, len(widths) - 1)), "output"])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return ax
