"""Training as it goes on: losses on several data sets, and weights."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from jaxland.plots.style import own_axes


def learning_curves(
    steps: Int[np.ndarray, "T"],
    curves: Mapping[str, Float[np.ndarray, "F T"]],
    *,
    reference: tuple[float, str] | None = None,
    title: str = "Losses in training",
    xlabel: str = "epoch",
    ax: Axes | None = None,
) -> Axes:
    """Draws each group's losses over the steps, on a linear axis: median, the middle 90 %, and one fit as an example.

    Args:
        steps: at which losses were taken.
        curves: losses of the fits of each group; fit 0 is the example.
        reference: a value to be marked, with its label.
        title: of the axes.
        xlabel: what a step is called.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for index, (name, values) in enumerate(curves.items()):
        low, middle, high = np.nanquantile(values, [0.05, 0.5, 0.95], axis=0)
        color = f"C{index}"
        if len(values) > 1:
            ax.fill_between(steps, low, high, color=color, alpha=0.2, lw=0)
            ax.plot(steps, values[0], color=color, lw=0.8, ls=":")
        ax.plot(steps, middle, color=color, lw=1.8, label=name)
    if reference is not None:
        ax.axhline(reference[0], color="#444444", ls="--", lw=1, label=reference[1])
    ax.set(title=title, xlabel=xlabel, ylabel="mean squared error", xlim=(steps[0], steps[-1]))
    ax.legend()
    return ax


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
