"""The basin of a minimum: what becomes of fits that start near it."""

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from jaxland.plots.style import legend_below, own_axes
from jaxland.statistics import LogisticFit, binned_shares, logistic_fit, lowess

_LOWESS_COLOR, _CHANCE_COLOR = "#d55e00", "#0072b2"
# A share of 0.2: with more the curve could not follow the edge of a basin.
_LOWESS_FRACTION = 0.2
# What float32 can tell from a loss of zero, for outputs of order one.
_SMALLEST_LOSS = 1e-16


def basin_scatter(
    distance: Float[np.ndarray, "F"],
    loss: Float[np.ndarray, "F"],
    returned: Bool[np.ndarray, "F"],
    *,
    title: str = "Basin of a minimum",
    bins: int = 20,
    highest: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws final losses of retrained fits over the norm of the noise they started with, and the chance to return.

    Figure 12 of Gamst and Walker. The loss axis is logarithmic and the LOWESS curve is that of the logarithm: fits
    that returned and fits that did not lie many powers of ten apart. The right axis shows the chance to return: shares
    in bins of distance with 95 % Wilson intervals, and a logistic fit where one exists, else the reason in the legend.

    Args:
        distance: L2 norm of the noise.
        loss: after retraining; those that are not finite are counted and not drawn, those below 1e-16 are drawn there.
        returned: which fits are back at their minimum.
        title: of the axes.
        bins: of equal width, for the shares.
        highest: losses up to which a linear axis goes, for minima that are not zero; those above are counted. By
            default the axis is logarithmic and holds all.
        ax: where to draw.
    """
    ax = own_axes(ax)
    distance, loss = np.asarray(distance, np.float64), np.asarray(loss, np.float64)
    shown = np.where(np.isfinite(loss), np.maximum(loss, _SMALLEST_LOSS), np.nan)
    ax.set(title=title, xlabel="L2 norm of the noise", ylabel="loss after retraining")
    _draw_losses(ax, distance, shown, highest)
    _draw_chance(ax, distance, returned, bins)
    return ax


def _draw_losses(ax, distance, loss, highest):
    finite = np.isfinite(loss)
    missing = f", {(~finite).sum():,} not finite" if not finite.all() else ""
    if highest is not None:
        above = int((loss > highest).sum())
        missing += f", {above:,} above" if above else ""
        loss = np.where(loss > highest, np.nan, loss)
    label = f"fits (n = {finite.sum():,}{missing})"
    # Thousands of points: they fade with their number, and are one image in vector formats.
    alpha = float(np.clip(10 / np.sqrt(max(len(loss), 1)), 0.12, 0.8))
    ax.scatter(distance, loss, s=5, color="#555555", alpha=alpha, lw=0, rasterized=True, label=label)
    curve = lowess(distance, np.log10(loss), fraction=_LOWESS_FRACTION)
    ax.plot(curve.x, 10**curve.y, color=_LOWESS_COLOR, lw=1.8, label="LOWESS of log loss")
    if highest is None:
        ax.set_yscale("log")
    else:
        ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)


def _draw_chance(ax, distance, returned, bins):
    twin = ax.twinx()
    twin.grid(False)
    twin.spines["right"].set_visible(True)
    twin.set(ylim=(-0.03, 1.03), ylabel="share of fits that return")
    twin.yaxis.label.set_color(_CHANCE_COLOR)
    twin.tick_params(axis="y", colors=_CHANCE_COLOR)
    finite = distance[np.isfinite(distance)]
    edges = np.linspace(0, finite.max(initial=0) or 1, bins + 1)
    shares = binned_shares(distance, returned, edges)
    errors = np.clip([shares.share - shares.low, shares.high - shares.share], 0, None)
    centres = (edges[:-1] + edges[1:]) / 2
    twin.errorbar(
        centres,
        shares.share,
        yerr=errors,
        fmt="o",
        ms=4,
        mfc="white",
        color=_CHANCE_COLOR,
        lw=1,
        capsize=2,
        label="share that return, in bins (95 %)",
    )
    fit = logistic_fit(distance, returned)
    grid = np.linspace(0, edges[-1], 401)
    twin.plot(grid, fit.probability(grid), color=_CHANCE_COLOR, lw=1.8, ls="--", label=_chance_label(fit))
    handles = [*ax.get_legend_handles_labels()[0], *twin.get_legend_handles_labels()[0]]
    legend = legend_below(ax, handles=handles)
    for points in legend.findobj(PathCollection):
        points.set(alpha=0.9, sizes=[14])


def _chance_label(fit: LogisticFit):
    if fit.status == "ok" and fit.slope_interval[0] < 0 < fit.slope_interval[1]:
        return f"logistic fit: {fit.message}"
    if fit.status == "ok":
        width = fit.half_interval[1] - fit.half
        if fit.half_interval[0] < 0:
            return f"logistic fit: one half within {fit.half_interval[1]:.2g} (95 %)"
        return f"logistic fit: one half at {fit.half:.3g} ± {width:.1g} (95 %)"
    if fit.status == "all zero":
        return f"chance to return: zero (none of {fit.count:,} returned)"
    if fit.status == "all one":
        return f"chance to return: one (all of {fit.count:,} returned)"
    if fit.status == "separable":
        return f"no logistic fit, separable: changes between {fit.gap[0]:.3g} and {fit.gap[1]:.3g}"
    return f"no logistic fit, {fit.status}: {fit.message}"
