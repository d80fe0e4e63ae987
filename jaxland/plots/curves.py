"""Functions of one variable: targets, fits, and ensembles of fits."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots.style import TARGET_COLOR, own_axes


def target_curve(
    x: Float[np.ndarray, "N"],
    f: Float[np.ndarray, "N"],
    *,
    label: str = "f, the output of $W_f$",
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
    ax.plot(x, fit, color=color, lw=1.8, label=label)
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
    ax.plot(x, mean, color=color, lw=1.8, label=label)
    ax.set(title=title, xlabel="x", ylabel="output")
    ax.legend()
    return ax


def dense_curve(
    x: Float[np.ndarray, "N"],
    f: Float[np.ndarray, "N"],
    *,
    window: tuple[float, float],
    title: str = "Target",
    ax: Axes | None = None,
) -> Axes:
    """Draws a function with more teeth than the eye can tell apart, and above it a window in which it can.

    Args:
        x: the knots of the function, so that no tooth is missed.
        f: its values there.
        window: the part of x shown enlarged.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    low, high = float(np.min(f)), float(np.max(f))
    ax.plot(x, f, color=TARGET_COLOR, lw=0.6)
    ax.set(title=title, xlabel="x", ylabel="f(x)", ylim=(low - 0.05 * (high - low), high + 1.1 * (high - low)))
    ax.yaxis.set_label_coords(-0.1, 0.24)
    ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= high])
    inset = ax.inset_axes((0.07, 0.6, 0.9, 0.28))
    inside = (x >= window[0]) & (x <= window[1])
    inset.plot(x[inside], f[inside], color=TARGET_COLOR, lw=1.2)
    inset.set(xlim=window)
    inset.tick_params(labelsize=8, bottom=False, labelbottom=False, labeltop=True)
    inset.locator_params(nbins=4)
    inset.set_title(f"{inside.sum() - 1} of the {len(x) - 1:,} pieces", fontsize=9)
    # A bracket above the window, so that what leads to the inset does not cross the curve.
    top = float(np.max(f[inside], initial=low)) + 0.02 * (high - low)
    ax.indicate_inset((window[0], top, np.ptp(window), 0.02 * (high - low)), inset, edgecolor="black", alpha=0.8)
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
