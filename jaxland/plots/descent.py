"""One run of gradient descent: its error, its weights, its sharpness; and what many runs do against a setting."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from jaxland.plots.style import own_axes


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

    What is not positive, or exceeds 1e100, is left out: a run on its way to overflow has shown enough by then.

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
    for index, (label, values) in enumerate(errors.items()):
        shown = np.where((values > 0) & (values < 1e100), values, np.nan)
        ax.plot(np.maximum(epochs, first), shown, lw=1.2, color=f"C{index}", label=label)
    if mark is not None:
        ax.axvline(mark[0], color="#444444", ls=":", lw=1, label=mark[1])
    ax.set(title=title, xlabel="epoch", ylabel=ylabel, xscale=xscale, yscale="log", xlim=(first, epochs[-1]))
    if len(errors) > 1 or mark is not None:
        ax.legend()
    return ax


def weight_curves(
    epochs: Int[np.ndarray, "S"],
    weights: Float[np.ndarray, "S K"],
    names: Sequence[str],
    *,
    log_beyond: float | None = None,
    title: str = "Weights",
    ax: Axes | None = None,
) -> Axes:
    """Draws each of K weights over the epochs; the legend stands beside the axes.

    Args:
        epochs: at which they were taken.
        weights: there.
        names: of the weights.
        log_beyond: weights of a larger magnitude are drawn on a logarithmic scale, for runs that overflow.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for index, name in enumerate(names):
        # Ten colours, then the same with dashes.
        style = "-" if index < 10 else "--"
        ax.plot(epochs, weights[:, index], lw=1.2, ls=style, color=f"C{index % 10}", label=name)
    ax.set(title=title, xlabel="epoch", ylabel="weight", xlim=(0, epochs[-1]))
    if log_beyond is not None and np.nanmax(np.abs(weights)) > log_beyond:
        _log_beyond(ax, log_beyond, np.nanmin(weights), np.nanmax(weights))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, handlelength=1.2)
    return ax


def _log_beyond(ax: Axes, bound: float, lowest: float, highest: float) -> None:
    """Ticks stand at zero and at three powers of ten a side: matplotlib's own crowd around the linear part."""
    ax.set_yscale("symlog", linthresh=bound)
    powers = 10.0 ** np.linspace(0, np.log10(max(-lowest, highest)), 4)[1:].astype(int)
    ax.set_yticks([tick for tick in (*-powers[::-1], 0.0, *powers) if lowest <= tick <= highest or tick == 0])
    ax.minorticks_off()
    ax.set_ylim(min(10 * lowest, -bound), max(10 * highest, bound))


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
        ax.plot(epochs, values, lw=1.2, color=f"C{index}", label=label)
        if rises is not None and label in rises:
            ax.axvline(rises[label], color=f"C{index}", ls=":", lw=1.2, label=f"{label}: the loss rises")
    ax.axhline(bound, color="#444444", ls="--", lw=1, label=f"2 / rate = {bound:g}")
    ax.set(title=title, xlabel="epoch", ylabel="largest eigenvalue of the Hessian", xlim=(0, epochs[-1]))
    _legend_below(ax)
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
        ax.plot(x, value, "o-", ms=3.5, lw=1.2, color=f"C{index}", label=label)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, xscale="log", xlim=(0.9 * np.min(x), 1.1 * np.max(x)))
    ax.legend()
    return ax


def delay_by_precision(
    digits: Float[np.ndarray, "A"],
    rises: Sequence[Int[np.ndarray, "_"]],
    *,
    predicted: Float[np.ndarray, "A"],
    labels: Sequence[str],
    crossing: float,
    exact: float = np.nan,
    title: str = "When the loss rises",
    ax: Axes | None = None,
) -> Axes:
    """Draws the epochs at which the loss rises against the precision of the arithmetic.

    Args:
        digits: minus the decimal logarithm of the roundoff of each of A arithmetics.
        rises: epochs in each of them, one for each order of summation or other repetition.
        predicted: the epoch in each by a theory; NaN where there is none.
        labels: names of the arithmetics.
        crossing: the epoch at which the sharpness exceeds 2 / rate.
        exact: the epoch the theory has for exact arithmetic; NaN if none.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for index, (place, epochs) in enumerate(zip(digits, rises, strict=True)):
        label = f"{labels[index]}: {len(epochs)} order{'s' if len(epochs) != 1 else ''}"
        ax.plot(np.full(len(epochs), place), epochs, "o", ms=5, alpha=0.6, mew=0, color=f"C{index}", label=label)
    ax.plot(digits, predicted, "x--", color="black", ms=6, lw=1, label="linear theory")
    ax.axhline(crossing, color="#444444", ls=":", lw=1, label=f"sharpness exceeds 2 / rate: {crossing:g}")
    if np.isfinite(exact):
        ax.axhline(exact, color="#888888", ls="-.", lw=1, label=f"linear theory, exact arithmetic: {exact:g}")
    ax.set(title=title, xlabel="digits: $-\\log_{10}$ of the roundoff", ylabel="epoch")
    _legend_below(ax)
    return ax


def _legend_below(ax):
    # Entries that would hide what they explain: curves and marks fill the axes.
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8)
