"""Placebo tests: where the real labels stand among placebos, p-values of many tests, and their power."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots.style import dash_of, legend_below, own_axes
from jaxland.statistics import PermutationPValue, distribution_band

_REAL, _PLACEBO = "#d55e00", "#7f7f7f"


def null_distribution(
    null: Float[np.ndarray, "M"],
    real: float,
    p_value: PermutationPValue,
    *,
    xlabel: str,
    starts: Float[np.ndarray, "R"] | None = None,
    title: str = "Real labels among placebos",
    ax: Axes | None = None,
) -> Axes:
    """Draws a statistic of placebos as a histogram, and where that of the real labels stands.

    Args:
        null: of the placebos; infinite ones are counted in the legend.
        real: of the real labels.
        p_value: of the test.
        xlabel: the statistic.
        starts: of each real fit, drawn as ticks on the axis.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    finite = null[np.isfinite(null)]
    lost = len(null) - len(finite)
    label = f"{len(null):,} placebos" + (f", {lost:,} of them diverged" if lost else "")
    if len(finite):
        bins = int(np.clip(4 * np.cbrt(len(finite)), 10, 80))
        ax.hist(finite, bins=bins, color=_PLACEBO, alpha=0.45, lw=0, label=label)
    if np.isfinite(real):
        ax.axvline(real, color=_REAL, lw=2, label=f"real labels: p = {p_value.value:.2g}")
    if starts is not None and len(starts) > 1:
        shown = starts[np.isfinite(starts)]
        low = 0.035 * ax.get_ylim()[1]
        ax.plot(shown, np.full(len(shown), low), "|", ms=10, mew=1.6, color=_REAL, label=f"its {len(starts)} starts")
    ax.set(title=title, xlabel=xlabel, ylabel="placebos per bin")
    ax.set_ylim(0, 1.3 * ax.get_ylim()[1])  # room for the legend
    ax.legend()
    return ax


def p_value_distributions(
    p_values: Mapping[str, Float[np.ndarray, "_"]],
    *,
    title: str = "p-values of many tests",
    confidence: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draws the distribution function of p-values beside that of the uniform distribution.

    Args:
        p_values: of each group of tests; under the null hypothesis those with ties broken at random are uniform.
        title: of the axes.
        confidence: of the band of Dvoretzky, Kiefer and Wolfowitz about the diagonal, for the smallest group.
        ax: where to draw.
    """
    ax = own_axes(ax)
    band = distribution_band(min(map(len, p_values.values())), confidence)
    line = np.array([0.0, 1.0])
    ax.fill_between(line, line - band, line + band, color="black", alpha=0.08, lw=0, label=f"uniform, {confidence:.0%}")
    ax.plot(line, line, color="black", lw=0.8)
    for index, (name, values) in enumerate(p_values.items()):
        ordered = np.sort(values)
        share = np.arange(len(values) + 1) / len(values)
        ax.step(
            np.r_[0, ordered, 1],
            np.r_[share, 1],
            where="post",
            color=f"C{index}",
            ls=dash_of(index),
            lw=1.4,
            label=name,
        )
    ax.set(title=title, xlabel="p", ylabel="share of p-values up to p", xlim=(0, 1), ylim=(0, 1))
    legend_below(ax)
    return ax
