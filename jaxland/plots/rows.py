"""Many groups: one row for each, its name at the left."""

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize

from jaxland.plots.fitting import lines_of
from jaxland.plots.style import PAGE, TARGET_COLOR, legend_below, own_axes

_LETTERS, _COLUMN_LETTERS = 48, 20
"""Of a name in a line, on a page and in a column."""
_ROW, _LINE, _FRAME = 0.2, 0.13, 1.0
"""Inches of a row, of a line of its name, and of what is above and below all rows."""
_BINS, _PEAK = 60, 0.85
_UNSEEN = 0.0005
_QUARTERS = (0.25, 0.5, 0.75)
_CELLS = 400
_APART = 0.1
_NARROW = 5.0
"""Inches of a figure in which names have shorter lines."""


def height_of_rows(names: Iterable[str], width: float = PAGE) -> float:
    """Height of axes of rows in which every name has room, in inches, in a figure of a width in inches."""
    names = list(names)
    lines = max((len(_lines(name, width)) for name in names), default=1)
    return _FRAME + max(len(names), 3) * max(_ROW, 0.04 + _LINE * lines)


def distribution_rows(
    groups: Mapping[str, Float[np.ndarray, "F"]],
    *,
    xlabel: str,
    color: str = "C0",
    xscale: str = "linear",
    title: str = "Distributions",
    names: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draws many groups as rows: the density of each, as high as all others at its peak, its median and middle half.

    Args:
        groups: finite values by name, in the order from above; positive on a logarithmic axis, of whose logarithms the
            densities then are. What the axis leaves out is less than a thousandth of every group.
        xlabel: quantity and unit.
        color: of the densities.
        xscale: `"linear"` or `"log"`.
        title: of the axes.
        names: whether they are written; panels beside others need them once.
        ax: where to draw; `height_of_rows` tells what height the names take.
    """
    ax = own_axes(ax)
    shown = {name: np.log10(values) if xscale == "log" else values for name, values in groups.items()}
    ends = np.array([np.quantile(values, [_UNSEEN, 1 - _UNSEEN]) for values in shown.values() if len(values)])
    low, high = (ends[:, 0].min(), ends[:, 1].max()) if len(ends) else (0.0, 1.0)
    pad = max(0.02 * (high - low), 1e-6 * max(abs(low), abs(high)), 1e-12)
    edges = np.linspace(low - pad, high + pad, _BINS + 1)
    there = 10**edges if xscale == "log" else edges
    for row, values in enumerate(shown.values()):
        if not len(values):
            continue
        counts, _ = np.histogram(values, edges)
        top = row + 0.4 - _PEAK * np.append(counts, 0) / max(counts.max(), 1)
        first = row == 0
        label = "density, scaled to its peak" if first else None
        ax.fill_between(there, row + 0.4, top, step="post", color=color, alpha=0.4, lw=0, label=label)
        quarter, middle, third = (10**each if xscale == "log" else each for each in np.quantile(values, _QUARTERS))
        label = "middle half" if first else None
        ax.plot([quarter, third], [row + 0.4] * 2, color=TARGET_COLOR, lw=2.2, solid_capstyle="butt", label=label)
        label = "median" if first else None
        ax.plot(middle, row + 0.4, "o", color="white", mec="black", mew=0.8, ms=3.5, zorder=3, label=label)
    ax.set(title=title, xlabel=xlabel, xscale=xscale, xlim=(there[0], there[-1]))
    _name_rows(ax, groups, names)
    if names:
        legend_below(ax, ncols=3)
    return ax


def training_rows(
    curves: "Mapping[str, tuple[Int[np.ndarray, 'T'], Float[np.ndarray, 'T']]]",
    *,
    quantity: str = "median loss",
    scale: str = "log",
    title: str = "Losses in training",
    ax: Axes | None = None,
) -> Axes:
    """Draws what becomes of many groups in training as rows: one colour for each step, none where nothing is known.

    Args:
        curves: steps, in ascending order, and the value of the group at each, by name, in the order from above; groups
            may have steps of their own. Not finite where there is none; positive on a logarithmic scale.
        quantity: and unit, beside the colours.
        scale: of the colours, `"linear"` or `"log"`.
        title: of the axes.
        ax: where to draw; `height_of_rows` tells what height the names take.
    """
    ax = own_axes(ax)
    known = np.concatenate([values[np.isfinite(values)] for _, values in curves.values()] or [np.zeros(0)])
    low, high = (known.min(), known.max()) if len(known) else (1.0, 1.0)
    norm = LogNorm(low, high) if scale == "log" and low < high else Normalize(low, high)
    for row, (steps, values) in enumerate(curves.values()):
        # No eye sees more, and no file should hold them.
        some = np.unique(np.linspace(0, len(steps) - 1, _CELLS).astype(int))
        edges = np.concatenate([steps[some[:1]], (steps[some[1:]] + steps[some[:-1]]) / 2, steps[some[-1:]]])
        cells = np.ma.masked_invalid(values[some])[None]
        ax.pcolormesh(edges, [row - 0.42, row + 0.42], cells, norm=norm, cmap="viridis", rasterized=True)
    ax.set(title=title, xlabel="step", xlim=(0, max((steps[-1] for steps, _ in curves.values()), default=1)))
    _name_rows(ax, curves, True)
    ax.grid(False)
    # As far below as under axes of any height.
    look = {"location": "bottom", "aspect": 40, "pad": _APART / max(ax.figure.bbox.height / ax.figure.dpi, 1)}
    bar = ax.figure.colorbar(ScalarMappable(norm, "viridis"), ax=ax, label=quantity, **look)
    bar.ax.minorticks_off()
    return ax


def _name_rows(ax: Axes, names: Iterable[str], written: bool) -> None:
    names = list(names)
    width = ax.figure.bbox.width / ax.figure.dpi
    told = ["\n".join(_lines(name, width)) for name in names] if written else [""] * len(names)
    ax.set_yticks(range(len(names)), told)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)


def _lines(name: str, width: float) -> list[str]:
    return lines_of(name, _LETTERS if width >= _NARROW else _COLUMN_LETTERS)
