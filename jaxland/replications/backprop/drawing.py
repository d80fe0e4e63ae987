"""How fast methods arrive, and where descent ends over the learning rate: figures of this study."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots import dash_of, legend_below, own_axes


def arrival_curves(
    groups: Mapping[str, Float[np.ndarray, "F"]],
    budgets: Mapping[str, int],
    *,
    xlabel: str = "evaluations",
    title: str = "Share of starts that have arrived",
    ax: Axes | None = None,
) -> Axes:
    """Draws for each method the share of its starts that have arrived over the work done for each.

    Data profiles of More and Wild, Benchmarking derivative-free optimization algorithms (2009), for one problem.

    Args:
        groups: the work each start took, by the name of the method; NaN where it never arrived.
        budgets: the work at which each method was stopped, by its name.
        xlabel: unit of the work.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    for place, (name, work) in enumerate(groups.items()):
        arrived = np.sort(np.maximum(work[np.isfinite(work)], 1))
        share = np.arange(len(arrived) + 1) / max(len(work), 1)
        x = np.concatenate([[1], arrived, [max(budgets[name], 1)]])
        y = np.concatenate([share, share[-1:]])
        style = {"ls": dash_of(place), "color": f"C{place % 7}"}
        ax.step(x, y, where="post", lw=1.3, **style, label=f"{name}: {share[-1]:.0%}")
        ax.plot(x[-1:], y[-1:], "|", ms=6, color=f"C{place % 7}")
    ax.set(title=title, xlabel=xlabel, ylabel="share", xscale="log", ylim=(-0.02, 1.02))
    ax.set_xlim(left=1)
    legend_below(ax, ncols=2)
    return ax


def orbit_diagram(
    rates: Float[np.ndarray, "F"],
    values: Float[np.ndarray, "F S"],
    *,
    ylabel: str,
    bounds: Mapping[str, float] | None = None,
    title: str = "Where descent ends",
    ax: Axes | None = None,
) -> Axes:
    """Draws what each fit visits at its last steps over its learning rate: a point where it rests, many where not.

    Args:
        rates: one a fit.
        values: of a parameter, at the last S steps.
        ylabel: name of the parameter.
        bounds: rates to be marked, by label.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    wide = np.repeat(rates, values.shape[1])
    ax.plot(wide, values.ravel(), ".", ms=1.5, mew=0, color="#0072b2", alpha=0.7, rasterized=True)
    for place, (label, rate) in enumerate((bounds or {}).items()):
        ax.axvline(rate, color=f"C{place + 1}", ls=dash_of(place + 1), lw=1.2, label=label)
    ax.set(title=title, xlabel="learning rate", ylabel=ylabel, xscale="log", xlim=(rates.min(), rates.max()))
    if bounds:
        ax.legend(loc="lower left", frameon=True, facecolor="white", framealpha=1, edgecolor="none")
    return ax
