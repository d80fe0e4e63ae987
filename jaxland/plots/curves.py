"""Functions of one variable: targets, fits, and ensembles of fits."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots.style import TARGET_COLOR, own_axes


def target_curve(
    x: Float[np.ndarray, "N"],
    f: Float[np.ndarray, "N"],
    *,
    label: str = "f",
    title: str = "Target",
    ax: Axes | None = None,
) -> Axes:
    """Draws the target f(x)."""
    ax = own_axes(ax)
    ax.plot(x, f, color=TARGET_COLOR, lw=1.2, label=label)
    ax.set(title=title, xlabel="x", ylabel="f(x)")
    ax.legend()
    return ax


def fit_curve(
    x: Float[np.ndarray, "N"],
    f: Float[np.ndarray, "N"],
    fit: Float[np.ndarray, "N"],
    *,
    label: str,
    color: str,
    title: str = "One fit",
    ax: Axes | None = None,
) -> Axes:
    """Draws one fit over the target."""
    ax = own_axes(ax)
    ax.plot(x, f, color=TARGET_COLOR, lw=0.8, alpha=0.7, label="f")
    ax.plot(x, fit, color=color, lw=1.5, label=label)
    ax.set(title=title, xlabel="x", ylabel="output")
    ax.legend()
    return ax


def tube(
    x: Float[np.ndarray, "N"],
    f: Float[np.ndarray, "N"],
    mean: Float[np.ndarray, "N"],
    deviation: Float[np.ndarray, "N"],
    *,
    label: str,
    color: str,
    title: str = "Mean fit and standard deviation",
    ax: Axes | None = None,
) -> Axes:
    """Draws the mean of many fits and the tube of one standard deviation about it."""
    ax = own_axes(ax)
    ax.plot(x, f, color=TARGET_COLOR, lw=0.8, alpha=0.6, label="f")
    ax.fill_between(
        x, mean - deviation, mean + deviation, color=color, alpha=0.25, lw=0, label="± 1 standard deviation"
    )
    ax.plot(x, mean, color=color, lw=1.5, label=label)
    ax.set(title=title, xlabel="x", ylabel="output")
    ax.legend()
    return ax


def all_fits(
    x: Float[np.ndarray, "N"],
    fits: Float[np.ndarray, "F N"],
    *,
    color: str,
    f: Float[np.ndarray, "N"] | None = None,
    title: str = "The fits one by one",
    ax: Axes | None = None,
) -> Axes:
    """Draws every fit as a thin line, over the target where it is given."""
    ax = own_axes(ax)
    if f is not None:
        ax.plot(x, f, color=TARGET_COLOR, lw=0.5, alpha=0.35, label="f")
    for index, fit in enumerate(fits):
        ax.plot(x, fit, color=color, lw=0.7, alpha=0.5, label=f"{len(fits)} fits" if index == 0 else None)
    ax.set(title=title, xlabel="x", ylabel="output")
    ax.legend()
    return ax


def predictions(
    targets: Float[np.ndarray, "N O"],
    outputs: Float[np.ndarray, "N O"],
    *,
    title: str = "Outputs over targets",
    ax: Axes | None = None,
) -> Axes:
    """Draws what one fit computes over what it should, each output in its own colour; a good fit is the diagonal."""
    ax = own_axes(ax)
    for index, (wanted, found) in enumerate(zip(targets.T, outputs.T, strict=True)):
        label = f"output {index}" if targets.shape[1] > 1 else None
        ax.plot(wanted, found, "o", ms=3, alpha=0.5, mew=0, label=label)
    ends = [float(targets.min()), float(targets.max())]
    ax.plot(ends, ends, color=TARGET_COLOR, lw=1)
    ax.set(title=title, xlabel="target", ylabel="output")
    if targets.shape[1] > 1:
        ax.legend()
    return ax
