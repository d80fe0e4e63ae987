"""Sharpness along the unstable runs, and the epoch of the rise against precision and execution."""

import numpy as np
from matplotlib.figure import Figure

from jaxland.plots import delay_by_precision, new_figure, sharpness_curves
from jaxland.replications.two_layer.rounding.cases import Measured
from jaxland.replications.two_layer.rounding.executions import Executions


def figures(found: list[Measured], executions: Executions) -> dict[str, Figure]:
    """By file stem."""
    return {
        **{f"sharpness-{each.case.run.name}": _case(each) for each in found},
        "rounding-executions": _executions(executions),
    }


def _case(each: Measured) -> Figure:
    figure, (left, right) = new_figure(2, width=5.6)
    run = each.case.run
    rises = {rises.arithmetic.label: int(rises.epoch[0]) for rises in each.rises if rises.epoch[0] >= 0}
    title = f"Sharpness along {run.label}"
    sharpness_curves(each.epochs, each.sharpness, each.bound, rises=rises, title=title, ax=left)
    digits = [-np.log10(rises.arithmetic.roundoff) for rises in each.rises]
    delay_by_precision(
        np.array(digits),
        [rises.epoch[rises.epoch >= 0] for rises in each.rises],
        predicted=np.array([rises.predicted for rises in each.rises]),
        labels=[rises.arithmetic.label for rises in each.rises],
        crossing=each.crossing("float64"),
        exact=each.exact,
        title="When the loss rises, against the precision",
        ax=right,
    )
    return figure


def _executions(executions: Executions) -> Figure:
    figure, (ax,) = new_figure(width=5.6)
    for index, (dtype, epochs) in enumerate(executions.rise.items()):
        both = (executions.crossing >= 0) & (epochs >= 0)
        ax.plot(executions.crossing[both], epochs[both], "o", ms=4, alpha=0.7, color=f"C{index}", label=dtype)
    ends = np.array(ax.get_xlim())
    ax.plot(ends, ends, color="#444444", ls="--", lw=1, label="no delay")
    run = executions.case.run
    ax.set(
        title=f"{len(executions.crossing)} new executions of {run.label}",
        xlabel="epoch at which the sharpness exceeds 2 / rate",
        ylabel="epoch at which the loss rises",
    )
    ax.legend()
    return figure
