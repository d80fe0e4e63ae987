"""Figures 1, 2, 5 and 6, and one figure for each highlighted run."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxland.plots import error_curves, fit_curve, network_diagram, new_figure, target_curve
from jaxland.replications.two_layer.descent import Descent
from jaxland.replications.two_layer.source import HIGH, LOW, TARGETS, Run, run_named

_X = np.linspace(LOW, HIGH, 401)
_FORMULAS = {"f1": r"$f_1(x) = \exp(x/5)$", "f2": r"$f_2(x) = \sin(x)\,(25 - x^2)$"}


def figures(found: Mapping[Run, Descent]) -> dict[str, Figure]:
    """All of them, by file stem."""
    return {
        "figure-01-targets": _targets(),
        "figure-02-network": _network(),
        "figure-05-sizes": _compared(found, [("f1", size, 0.1, 1000) for size in (2, 3, 5, 8)]),
        "figure-06-sizes": _compared(found, [("f2", 3, 0.1, 1000), ("f2", 6, 0.1, 1000), ("f2", 8, 0.1, 1200)]),
        **{f"run-{run.name}": run_figure(run, descent) for run, descent in found.items()},
    }


def _targets() -> Figure:
    figure, axes = new_figure(2, width=4.8, height=3.4)
    for ax, (name, target) in zip(axes, TARGETS.items(), strict=True):
        target_curve(_X, target(_X), label=_FORMULAS[name], title=f"Target ${name[0]}_{name[1]}$", ax=ax)
    return figure


def _network() -> Figure:
    figure, (ax,) = new_figure(width=4.4, height=3.6)
    ones = [np.ones((5, 1)), np.ones((1, 5))]
    network_diagram([1, 5, 1], ones, title="h = 6: five sigmoid units; the bias units are not drawn", ax=ax)
    return figure


def _compared(found: Mapping[Run, Descent], runs: list[tuple[str, int, float, int]]) -> Figure:
    figure, (left, right) = new_figure(2, width=5.6)
    chosen = [run_named(*each) for each in runs]
    longest = max((found[run] for run in chosen), key=lambda each: len(each.epochs))
    errors = {f"h = {run.hidden}": _padded(found[run].error, len(longest.epochs)) for run in chosen}
    error_curves(longest.epochs, errors, title="Error on the test set", ax=left)
    target = TARGETS[chosen[0].target](_X)
    right.plot(_X, target, color="#444444", lw=1.0, label=f"${chosen[0].target[0]}_{chosen[0].target[1]}$")
    for index, run in enumerate(chosen):
        right.plot(_X, found[run].learned(-1, _X), lw=1.2, color=f"C{index}", label=f"h = {run.hidden}")
    right.set(title="Learned functions at the end", xlabel="x", ylabel="output")
    right.legend()
    return figure


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([values, np.full(length - len(values), np.nan)])


def run_figure(run: Run, descent: Descent) -> Figure:
    """Error, learned function at the end and at the best epoch, and the evolution of U and V."""
    figure, axes = new_figure(3, rows=2, width=4.6, height=3.3)
    overflow = descent.last_finite < len(descent.epochs) - 1
    descent = descent.until(int(descent.epochs[descent.last_finite]))
    best, last = descent.best, len(descent.epochs) - 1
    figure.suptitle(f"{run.label}" + (f": overflow after epoch {descent.epochs[-1]}" if overflow else ""))
    errors = {"test set": descent.error, "training set": descent.train_error}
    mark = (float(descent.epochs[best]), f"best: {descent.error[best]:.4g} at epoch {descent.epochs[best]:,}")
    error_curves(descent.epochs, errors, mark=mark, ylabel="half the mean squared error", ax=axes[0])
    end = "at the last finite epoch" if overflow else "at the end"
    for ax, index, when in ((axes[1], last, end), (axes[2], best, "at the best epoch")):
        title = f"Learned function {when}, {descent.epochs[index]:,}"
        learned = descent.learned(index, _X)
        fit_curve(_X, TARGETS[run.target](_X), learned, label="network", color="C0", title=title, ax=ax)
    u, v = descent.weights
    units = range(run.hidden - 1)
    logarithmic = 1e10 if overflow else None
    for column, ax in enumerate(axes[3:5]):
        names, title = [f"$U_{{{unit},{column}}}$" for unit in units], f"Evolution of $U_{{i,{column}}}$"
        draw_weights(descent.epochs, u[:, :, column], names, log_beyond=logarithmic, title=title, ax=ax)
    names = [f"$V_{{{unit}}}$" for unit in range(run.hidden)]
    draw_weights(descent.epochs, v, names, log_beyond=logarithmic, title="Evolution of $V$", ax=axes[5])
    return figure


def draw_weights(
    epochs: Int[np.ndarray, "S"],
    weights: Float[np.ndarray, "S K"],
    names: Sequence[str],
    *,
    log_beyond: float | None,
    title: str,
    ax: Axes,
) -> None:
    """Draws each of K weights over the epochs; the legend stands beside the axes.

    Args:
        epochs: at which they were taken.
        weights: there.
        names: of the weights.
        log_beyond: weights of a larger magnitude are drawn on a logarithmic scale, for runs that overflow.
        title: of the axes.
        ax: where to draw.
    """
    for index, name in enumerate(names):
        # Ten colours, then the same with dashes.
        style = "-" if index < 10 else "--"
        ax.plot(epochs, weights[:, index], lw=1.2, ls=style, color=f"C{index % 10}", label=name)
    ax.set(title=title, xlabel="epoch", ylabel="weight", xlim=(0, epochs[-1]))
    if log_beyond is not None and np.nanmax(np.abs(weights)) > log_beyond:
        _log_beyond(ax, log_beyond, np.nanmin(weights), np.nanmax(weights))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, handlelength=1.2)


def _log_beyond(ax: Axes, bound: float, lowest: float, highest: float) -> None:
    """Ticks stand at zero and at three powers of ten a side: matplotlib's own crowd around the linear part."""
    ax.set_yscale("symlog", linthresh=bound)
    powers = 10.0 ** np.linspace(0, np.log10(max(-lowest, highest)), 4)[1:].astype(int)
    ax.set_yticks([tick for tick in (*-powers[::-1], 0.0, *powers) if lowest <= tick <= highest or tick == 0])
    ax.minorticks_off()
    ax.set_ylim(min(10 * lowest, -bound), max(10 * highest, bound))
