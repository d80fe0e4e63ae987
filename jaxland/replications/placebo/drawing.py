"""The power of tests, as this study draws it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots import dash_of, legend_below, own_axes


class Curve(NamedTuple):
    """Values against another variable, with the bounds of their intervals."""

    value: Float[np.ndarray, "K"]
    low: Float[np.ndarray, "K"]
    high: Float[np.ndarray, "K"]


def power_curves(
    strength: Float[np.ndarray, "K"],
    powers: Mapping[str, Curve],
    *,
    level: float,
    xlabel: str,
    title: str = "Power",
    ax: Axes | None = None,
) -> Axes:
    """Draws the share of tests that reject, against the strength of what there is to be found.

    Args:
        strength: increasing; where it is zero the share should be the level.
        powers: of each test, with intervals.
        level: of the tests.
        xlabel: of the strength.
        title: of the axes.
        ax: where to draw.
    """
    ax = own_axes(ax)
    ax.axhline(level, color="black", ls="--", lw=1, label=f"level {level:g}")
    # Points are set a little apart, so that no interval hides another.
    step = 0.008 * np.ptp(strength)
    for index, (name, curve) in enumerate(powers.items()):
        x = strength + step * (index - (len(powers) - 1) / 2)
        bars = np.abs(np.stack([curve.value - curve.low, curve.high - curve.value]))
        ax.errorbar(
            x,
            curve.value,
            bars,
            fmt="osD"[index % 3],
            ls=dash_of(index),
            ms=3.5,
            lw=1.2,
            capsize=2,
            color=f"C{index}",
            label=name,
        )
    ax.set(title=title, xlabel=xlabel, ylabel="share of tests that reject", ylim=(-0.03, 1.03))
    ax.set_yticks(np.linspace(0, 1, 6))
    legend_below(ax)
    return ax
