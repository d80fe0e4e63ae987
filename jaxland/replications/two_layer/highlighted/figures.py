"""Figures 1, 2, 5 and 6, and one figure for each highlighted run."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.scale import SymmetricalLogTransform

from jaxland.plots import dash_of, error_curves, fit_curve, network_diagram, new_figure, target_curve
from jaxland.replications.two_layer.descent import Descent
from jaxland.replications.two_layer.source import HIGH, LOW, RUNS, TARGETS, Run, run_named

SIZES = {
    "figure-05-sizes": [("f1", size, 0.1, 1000) for size in (2, 3, 5, 8)],
    "figure-06-sizes": [("f2", 3, 0.1, 1000), ("f2", 6, 0.1, 1000), ("f2", 8, 0.1, 1200)],
}
"""The runs that are compared, by the figure."""
_X = np.linspace(LOW, HIGH, 401)
# About two widths of a line, and one, as shares of the axes: what is narrower and higher is drawn by what it sweeps.
_NARROW, _FLAT = 0.02, 0.01
_COLORS = 7
_FORMULAS = {"f1": r"$f_1(x) = \exp(x/5)$", "f2": r"$f_2(x) = \sin(x)\,(25 - x^2)$"}


def figures(found: Mapping[Run, Descent]) -> dict[str, Figure]:
    """All of them, by file stem."""
    return {
        "figure-01-targets": _targets(),
        "figure-02-network": _network(),
        **{stem: _compared(found, sizes) for stem, sizes in SIZES.items()},
        **{f"run-{run.name}": run_figure(run, descent) for run, descent in found.items()},
    }


def captions(runs: pd.DataFrame) -> dict[str, str]:
    """A sentence for each figure, from `runs.csv`."""
    rows = {str(row["run"]): row for row in runs.to_dict("records")}
    ranges = {name: (float(target(_X).min()), float(target(_X).max())) for name, target in TARGETS.items()}
    spans = " and ".join(f"{name} runs from {low:.3g} to {high:.3g}" for name, (low, high) in ranges.items())
    ends, lowest = (
        "; ".join(f"h = {run.hidden} {rows[run.name][column]:.2g}" for run in map(_named, sizes))
        for column, sizes in (("error", SIZES["figure-05-sizes"]), ("best_error", SIZES["figure-06-sizes"]))
    )
    return {
        "figure-01-targets": f"The two targets on [{LOW:g}, {HIGH:g}]: {spans}.",
        "figure-02-network": "The network with h = 6: five sigmoid units, and in blue the bias units, always 1.",
        "figure-05-sizes": f"Sizes of the network for f1, at rate 0.1: errors after 1,000 epochs {ends}.",
        "figure-06-sizes": f"Sizes of the network for f2, at rate 0.1: smallest errors {lowest}.",
        **{f"run-{run.name}": _told(run, rows[run.name]) for run in RUNS if run.name in rows},
    }


def _told(run: Run, row: dict) -> str:
    words = f"({run.target}, {run.hidden}, {run.rate:g}, {run.epochs}), {run.figure} of the source: "
    if row["first_rise"] < 0:
        return f"{words}the error never rises, and ends at {row['error']:.3g}."
    best = f"the smallest error is {row['best_error']:.3g} at epoch {row['best_epoch']:,}"
    overflow = row["last_finite_epoch"] < run.epochs
    end = f"overflows after {row['last_finite_epoch']:,}" if overflow else f"ends at {row['error']:.3g}"
    return f"{words}{best}; the error first rises at {row['first_rise']:,} and {end}."


def _targets() -> Figure:
    figure, axes = new_figure(2, height=2.4)
    for ax, (name, target) in zip(axes, TARGETS.items(), strict=True):
        target_curve(_X, target(_X), label=_FORMULAS[name], title=f"Target ${name[0]}_{name[1]}$", ax=ax)
    return figure


def _network() -> Figure:
    figure, (ax,) = new_figure()
    ones = [np.ones((5, 1)), np.ones((1, 5))]
    network_diagram([1, 5, 1], ones, biases=True, title="h = 6: five sigmoid units and a bias unit", ax=ax)
    return figure


def _compared(found: Mapping[Run, Descent], runs: list[tuple[str, int, float, int]]) -> Figure:
    figure, (left, right) = new_figure(2)
    chosen = [_named(each) for each in runs]
    longest = max((found[run] for run in chosen), key=lambda each: len(each.epochs))
    errors = {f"h = {run.hidden}": _padded(found[run].error, len(longest.epochs)) for run in chosen}
    error_curves(longest.epochs, errors, title="Error on the test set", ax=left)
    target = TARGETS[chosen[0].target](_X)
    right.plot(_X, target, color="#444444", lw=1.0, label=f"${chosen[0].target[0]}_{chosen[0].target[1]}$")
    for index, run in enumerate(chosen):
        right.plot(
            _X, found[run].learned(-1, _X), lw=1.2, ls=dash_of(index), color=f"C{index}", label=f"h = {run.hidden}"
        )
    right.set(title="Learned functions at the end", xlabel="x", ylabel="output")
    right.legend()
    return figure


def _named(numbers: tuple[str, int, float, int]) -> Run:
    return run_named(*numbers)


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([values, np.full(length - len(values), np.nan)])


def run_figure(run: Run, descent: Descent) -> Figure:
    """Error, learned function at the end and at the best epoch, and the evolution of U and V."""
    figure, axes = new_figure(3, rows=2)
    overflow = descent.last_finite < len(descent.epochs) - 1
    descent = descent.until(int(descent.epochs[descent.last_finite]))
    best, last = descent.best, len(descent.epochs) - 1
    told = f", {run.figure} of the source" + (f": overflow after epoch {descent.epochs[-1]}" if overflow else "")
    figure.suptitle(f"{run.label}{told}", fontsize=9)
    errors = {"test set": descent.error, "training set": descent.train_error}
    mark = (float(descent.epochs[best]), f"best: {descent.error[best]:.3g} at {descent.epochs[best]:,}")
    error_curves(descent.epochs, errors, mark=mark, ylabel="half the mean\nsquared error", ax=axes[0])
    end = "last finite epoch" if overflow else "end"
    start = "best epoch" if best else "start, the best"
    for ax, index, when in ((axes[1], last, end), (axes[2], best, start)):
        title = f"Output at the {when}" + (f", {descent.epochs[index]:,}" if index else "")
        learned = descent.learned(index, _X)
        fit_curve(_X, TARGETS[run.target](_X), learned, label="network", color="C0", title=title, ax=ax)
    u, v = descent.weights
    logarithmic = 1e10 if overflow else None
    for column, ax in enumerate(axes[3:5]):
        title = f"Evolution of $U_{{i,{column}}}$"
        draw_weights(descent.epochs, u[:, :, column], log_beyond=logarithmic, title=title, ax=ax)
    draw_weights(descent.epochs, v, log_beyond=logarithmic, title="Evolution of $V_i$", ax=axes[5])
    # One for all three: a unit has one colour.
    handles = axes[5].get_legend_handles_labels()[0]
    if any(ax.collections for ax in axes[3:]):
        handles.append(Patch(color="#888888", alpha=0.2, lw=0, label="swept"))
    axes[5].legend(handles=handles, title="$i$", loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.8)
    return figure


def draw_weights(
    epochs: Int[np.ndarray, "S"],
    weights: Float[np.ndarray, "S K"],
    *,
    log_beyond: float | None,
    title: str,
    ax: Axes,
) -> None:
    """Draws each of K weights over the epochs; where one swings faster than can be seen, it is what it sweeps.

    Args:
        epochs: at which they were taken.
        weights: there.
        log_beyond: weights of a larger magnitude are drawn on a logarithmic scale, for runs that overflow.
        title: of the axes.
        ax: where to draw.
    """
    bound = log_beyond if log_beyond is not None and np.nanmax(np.abs(weights)) > log_beyond else None
    scale = np.asarray if bound is None else SymmetricalLogTransform(10, bound, 1).transform
    whole = np.ptp(scale(np.array([np.nanmin(weights), np.nanmax(weights)]))) or 1.0
    for index, weight in enumerate(weights.T):
        color, dashes = f"C{index % _COLORS}", dash_of(index)
        low, high, unseen = _swept(epochs, weight, lambda values: scale(values) / whole)
        ax.plot(epochs, low, lw=1.0, ls=dashes, color=color, label=f"{index}")
        if unseen.any():
            ax.plot(epochs, np.where(unseen, high, np.nan), lw=1.0, ls=dashes, color=color)
            # Faint: the weights of one layer often sweep the same, and lie on each other.
            ax.fill_between(epochs, low, high, where=unseen, color=color, alpha=0.05, lw=0)
    ax.set(title=title, xlabel="epoch", ylabel="weight", xlim=(0, epochs[-1]))
    if bound is not None:
        _log_beyond(ax, bound, np.nanmin(weights), np.nanmax(weights))


def _swept(epochs: Int[np.ndarray, "S"], weight: Float[np.ndarray, "S"], height: Callable):
    """The lines through the lowest and the highest points where a weight swings unseen, else itself; and where that is.

    Swings are unseen if two of them, four turns on, are as narrow together, and higher than a line, on the axes.
    """
    rises = np.sign(np.diff(weight))
    down, up = (1 + np.flatnonzero((rises[:-1] == -side) & (rises[1:] == side)) for side in (1, -1))
    turns = np.unique(np.concatenate([[0, len(weight) - 1], down, up]))
    unseen = np.zeros(len(weight), bool)
    for first, last in zip(turns, turns[4:], strict=False):
        unseen[first : last + 1] |= epochs[last] - epochs[first] <= 2 * _NARROW * epochs[-1]
    if not unseen.any():
        return weight, weight, unseen
    low, high = (np.interp(epochs, epochs[ends], weight[ends]) for ends in (down, up))
    low, high = np.minimum(low, weight), np.maximum(high, weight)  # beyond the first and the last of them
    unseen &= height(high) - height(low) > _FLAT
    return np.where(unseen, low, weight), np.where(unseen, high, weight), unseen


def _log_beyond(ax: Axes, bound: float, lowest: float, highest: float) -> None:
    """Ticks stand at zero and at powers of ten clear of it: matplotlib's own crowd around the linear part."""
    ax.set_yscale("symlog", linthresh=bound)
    powers = 10.0 ** np.linspace(np.log10(bound), np.log10(max(-lowest, highest)), 4)[1:].astype(int)
    ax.set_yticks([tick for tick in (*-powers[::-1], 0.0, *powers) if lowest <= tick <= highest or tick == 0])
    ax.minorticks_off()
    ax.set_ylim(min(10 * lowest, -bound), max(10 * highest, bound))
