"""One run of gradient descent: its error and its sharpness; and what many runs do against a setting."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from jaxland.plots.style import dash_of, legend_below, own_axes

# Errors beyond it are not drawn.
_MOST = 1e100
_MARKERS = "os^Dv"


def error_curves(
    epochs: Int[np.ndarray, "S"],
    errors: Mapping[str, Float[np.ndarray, "S"]],
    *,
    mark: tuple[float, str] | None = None,
    xscale: str = "linear",
    title: str = "Error",
    ylabel: str = "error",
    ax: Axes | None = None,
) -> Axes:
    """Draws errors of a run over its epochs on a logarithmic axis.

    What is not positive, or exceeds 1e100, is left out: a run on its way to overflow has shown enough by then, and
    where it is left out is told.

    Args:
        epochs: at which they were taken, counting from 0.
        errors: by label; a single curve needs no legend.
        mark: an epoch to be marked, with its label.
        xscale: `"linear"`, or `"log"`, where epoch 0 stands at 1.
        title, ylabel: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    first = 1 if xscale == "log" else 0
    errors = {label: np.asarray(values, np.float64) for label, values in errors.items()}  # float32 ends below 1e100
    for index, (label, values) in enumerate(errors.items()):
        shown = np.where((values > 0) & (values < _MOST), values, np.nan)
        ax.plot(np.maximum(epochs, first), shown, lw=1.2, ls=dash_of(index), color=f"C{index}", label=label)
    if mark is not None:
        ax.axvline(mark[0], color="#444444", ls=":", lw=1, label=mark[1])
    clipped = np.any([np.nan_to_num(values, posinf=np.inf) >= _MOST for values in errors.values()], axis=0)
    if clipped.any():
        from_here = int(epochs[np.argmax(clipped)])
        ax.axvspan(
            from_here, epochs[-1], color="#888888", alpha=0.15, lw=0, label=f"above $10^{{100}}$ from {from_here:,}"
        )
    ax.set(title=title, xlabel="epoch", ylabel=ylabel, xscale=xscale, yscale="log", xlim=(first, epochs[-1]))
    if len(errors) > 1 or mark is not None or clipped.any():
        ax.legend()
    return ax


def sharpness_curves(
    epochs: Int[np.ndarray, "S"],
    sharpness: Mapping[str, Float[np.ndarray, "S"]],
    bound: float,
    *,
    rises: Mapping[str, float] | None = None,
    title: str = "Sharpness",
    ax: Axes | None = None,
) -> Axes:
    """Draws the sharpness along runs beside 2 / rate, above which gradient descent is unstable.

    Args:
        epochs: at which it was taken.
        sharpness: of each run, by label.
        bound: 2 / rate.
        rises: by the same labels, the epoch at which the run's loss first rises; those without one are left out.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for index, (label, values) in enumerate(sharpness.items()):
        # Runs are one until rounding parts them: a thinner line on a thicker one leaves both to be seen.
        width = 0.7 + 0.5 * (len(sharpness) - 1 - index)
        ax.plot(epochs, values, lw=width, ls=dash_of(index), color=f"C{index}", label=label)
        if rises is not None and label in rises:
            ax.axvline(rises[label], color=f"C{index}", ls=":", lw=1.2, label=f"{label}: the loss rises")
    ax.axhline(bound, color="#444444", ls="--", lw=1, label=f"2 / rate = {bound:g}")
    ax.set(title=title, xlabel="epoch", ylabel="largest eigenvalue of the Hessian", xlim=(0, epochs[-1]))
    # Entries that would hide what they explain: curves and marks fill the axes.
    legend_below(ax, ncols=2)
    return ax


def share_curves(
    x: Float[np.ndarray, "K"],
    shares: Mapping[str, Float[np.ndarray, "K 3"]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "Shares",
    ax: Axes | None = None,
) -> Axes:
    """Draws shares, or other estimates, with their intervals against a positive setting on a logarithmic axis.

    Args:
        x: values of the setting.
        shares: value, lower and upper bound at each, by label; NaN where there is none.
        xlabel, ylabel, title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for index, (label, values) in enumerate(shares.items()):
        value, low, high = values.T
        ax.fill_between(x, low, high, color=f"C{index}", alpha=0.18, lw=0)
        # Marks that lie close leave no dashes to be seen between them.
        look = {"marker": _MARKERS[index % len(_MARKERS)], "ls": dash_of(index), "color": f"C{index}"}
        ax.plot(x, value, ms=3.5, lw=1.2, label=label, **look)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, xscale="log", xlim=(0.9 * np.min(x), 1.1 * np.max(x)))
    ax.legend()
    return ax
