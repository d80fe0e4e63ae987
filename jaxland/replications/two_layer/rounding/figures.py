"""Sharpness along the unstable runs, and the epoch of the rise against precision and execution."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxland.plots import legend_below, new_figure, sharpness_curves
from jaxland.replications.two_layer.rounding.cases import Measured
from jaxland.replications.two_layer.rounding.executions import Executions

_MARKERS = "osD^vP"


def figures(found: list[Measured], executions: Executions) -> dict[str, Figure]:
    """By file stem."""
    return {
        **{f"sharpness-{each.case.run.name}": _case(each) for each in found},
        "rounding-executions": _executions(executions),
    }


def _case(each: Measured) -> Figure:
    figure, (left, right) = new_figure(2, height=3.0)
    run = each.case.run
    rises = {rises.arithmetic.label: int(rises.epoch[0]) for rises in each.rises if rises.epoch[0] >= 0}
    title = f"Sharpness along {run.label}"
    sharpness_curves(each.epochs, each.sharpness, each.bound, rises=rises, title=title, ax=left)
    _draw_delays(each, right)
    return figure


def _draw_delays(each: Measured, ax: Axes) -> None:
    """The epochs at which the loss rises against the precision of the arithmetic, and what linear theory has for it."""
    digits = [-np.log10(rises.arithmetic.roundoff) for rises in each.rises]
    for index, (place, rises) in enumerate(zip(digits, each.rises, strict=True)):
        epochs = rises.epoch[rises.epoch >= 0]
        label = f"{rises.arithmetic.label}: {len(epochs)} order{'s' if len(epochs) != 1 else ''}"
        ax.plot(
            np.full(len(epochs), place),
            epochs,
            _MARKERS[index % 6],
            ms=3.5,
            alpha=0.6,
            mew=0,
            color=f"C{index}",
            label=label,
        )
    ax.plot(digits, [rises.predicted for rises in each.rises], "x--", color="black", ms=6, lw=1, label="linear theory")
    crossing = each.crossings["float64"]
    ax.axhline(crossing, color="#444444", ls=":", lw=1, label=f"sharpness exceeds 2 / rate: {crossing:g}")
    if np.isfinite(each.exact):
        label = f"linear theory, exact arithmetic: {each.exact:g}"
        ax.axhline(each.exact, color="#888888", ls="-.", lw=1, label=label)
    title, xlabel = "When the loss rises, against the precision", "digits: $-\\log_{10}$ of the roundoff"
    ax.set(title=title, xlabel=xlabel, ylabel="epoch")
    legend_below(ax, ncols=2)


def _executions(executions: Executions) -> Figure:
    figure, (ax,) = new_figure()
    for index, (dtype, epochs) in enumerate(executions.rise.items()):
        both = (executions.crossing >= 0) & (epochs >= 0)
        ax.plot(
            executions.crossing[both],
            epochs[both],
            _MARKERS[index],
            ms=3,
            alpha=0.7,
            mew=0,
            color=f"C{index}",
            label=dtype,
        )
    ends = np.array(ax.get_xlim())
    ax.plot(ends, ends, color="#444444", ls="--", lw=1, label="no delay")
    run = executions.case.run
    ax.set(
        title=f"{len(executions.crossing)} executions of {run.label}",
        xlabel="epoch at which the sharpness exceeds 2 / rate",
        ylabel="epoch at which the loss rises",
    )
    ax.legend()
    return figure
