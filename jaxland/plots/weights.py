"""Weights as training goes on."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from jaxland.plots.style import own_axes


def weight_paths(
    steps: Int[np.ndarray, "T"],
    weights: Float[np.ndarray, "T K"],
    *,
    colors: Sequence[int] | Int[np.ndarray, "K"] | None = None,
    title: str = "Weights in training",
    xlabel: str = "epoch",
    ax: Axes | None = None,
) -> Axes:
    """Draws every weight over the steps.

    Args:
        steps: at which weights were kept.
        weights: K of them.
        colors: a group for each weight, such as its unit; those of a group have one colour.
        title: of the axes.
        xlabel: what a step is called.
        ax: where to draw.
    """
    ax = own_axes(ax)
    groups = np.zeros(weights.shape[1]) if colors is None else np.asarray(colors, np.float64)
    lines = [np.column_stack([steps, column]) for column in weights.T]
    ax.add_collection(LineCollection(lines, array=groups, cmap="turbo", lw=0.7, alpha=0.8))
    ax.autoscale_view()
    ax.set(title=title, xlabel=xlabel, ylabel="weight", xlim=(steps[0], steps[-1]))
    return ax
