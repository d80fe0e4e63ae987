"""Weights as training goes on."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from jaxland.plots.style import TARGET_COLOR, legend_below, own_axes


def weight_paths(
    steps: Int[np.ndarray, "T"],
    weights: Float[np.ndarray, "T K"],
    *,
    named: int = 10,
    title: str = "Weights in training",
    xlabel: str = "epoch",
    ax: Axes | None = None,
) -> Axes:
    """Draws the median of the weights at each step, the middle half and the middle 90 % of them, and some as lines.

    Args:
        steps: at which weights were kept.
        weights: K of them.
        named: how many are drawn as lines: evenly over the order of the weights at the last step, ends included.
        title: of the axes.
        xlabel: what a step is called.
        ax: where to draw.
    """
    ax = own_axes(ax)
    count = weights.shape[1]
    q5, q25, middle, q75, q95 = np.quantile(weights, (0.05, 0.25, 0.5, 0.75, 0.95), axis=1)
    ax.fill_between(steps, q5, q95, color="C0", alpha=0.15, lw=0, label=f"middle 90 % of {count:,}")
    ax.fill_between(steps, q25, q75, color="C0", alpha=0.3, lw=0, label="middle half")
    ordered = np.argsort(weights[-1])
    chosen = ordered[np.unique(np.linspace(0, count - 1, min(named, count)).astype(int))]
    for index, weight in enumerate(chosen):
        label = f"{len(chosen)} of them" if index == 0 else None
        ax.plot(steps, weights[:, weight], color=TARGET_COLOR, lw=0.7, label=label)
    ax.plot(steps, middle, color="C0", lw=1.8, label="median")
    ax.set(title=title, xlabel=xlabel, ylabel="weight", xlim=(steps[0], steps[-1]))
    legend_below(ax, ncols=4, columnspacing=1)
    return ax
