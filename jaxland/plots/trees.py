"""Disconnectivity graphs: which minima are joined at which height."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from jaxland.plots.style import legend_below, own_axes

_HIGHLIGHT_COLOR = "#d55e00"
# More labels than this could not be read.
_MOST_LABELS = 60
# Share of the barriers that the colours span.
_SPANNED = 0.95


def leaf_order(energies: Float[np.ndarray, "M"], merges: Float[np.ndarray, "M_minus_1 4"]) -> Int[np.ndarray, "M"]:
    """The minima from left to right: no branches cross, and of two that join the one with the deeper minimum is left.

    Args:
        energies: of the minima.
        merges: see `disconnectivity_graph`.

    Raises:
        ValueError: energies and merges do not make a tree.
    """
    return np.array(_tree(np.asarray(energies, np.float64), np.asarray(merges))[0][-1])


def disconnectivity_graph(
    energies: Float[np.ndarray, "M"],
    merges: Float[np.ndarray, "M_minus_1 4"],
    *,
    labels: Sequence[str] | None = None,
    highlighted: int | None = None,
    highlighted_label: str = "global minimum",
    window: tuple[float, float] | None = None,
    title: str = "Disconnectivity graph",
    ylabel: str = "energy",
    ax: Axes | None = None,
) -> Axes:
    """Draws the tree of basins: every branch ends below at its minimum and joins the others at the lowest barrier.

    Becker and Karplus (1997); Wales, Miller and Walsh (1998), without their rounding of heights to levels. Two minima
    are joined at the lowest height over which one can go from one to the other.

    Args:
        energies: heights of the minima.
        merges: `scipy.cluster.hierarchy.linkage(heights, "single")` of the condensed matrix of pairwise barrier
            heights, in the unit and from the zero of `energies`. Row k, (i, j, height, leaves), joins trees i and j
            into tree M + k.
        labels: of the minima, below their leaves; not drawn for more than 60.
        highlighted: a minimum to be marked, such as the global one.
        highlighted_label: what it is called in the legend.
        window: heights to be shown, where some minima lie far from the others; how many are not is told.
        title: of the axes.
        ylabel: what the energy is, with its unit.
        ax: where to draw.

    Raises:
        ValueError: energies and merges do not make a tree, a barrier is lower than a minimum it parts, or the number
            of labels is wrong.
    """
    energies, merges = np.asarray(energies, np.float64), np.asarray(merges, np.float64)
    names = _readable(labels, len(energies))
    orders, heights = _tree(energies, merges)
    order = orders[-1]
    places = _places(order, merges)
    branches, joins = _segments(merges, places, heights)
    top = heights.max()
    root = (places[-1], heights[-1])
    rise = 0.04 * (np.ptp(heights) or 1.0)
    branches.append([root, (root[0], top + rise)])
    ax = own_axes(ax)
    ax.add_collection(LineCollection(branches, colors="#222222", lw=1.1, label="branches"))
    ax.add_collection(LineCollection(joins, colors="#222222", lw=1.1, label="joins"))
    if highlighted is not None:
        end = (places[highlighted], energies[highlighted])
        ax.plot(*end, "v", ms=8, color=_HIGHLIGHT_COLOR, mec="#222222", label=highlighted_label, zorder=3)
    _name_leaves(ax, names, places, energies)
    ax.set(title=title, ylabel=ylabel, xlabel="minima, ordered by the tree", xticks=[])
    if highlighted is not None:
        legend_below(ax, handles=[ax.lines[-1]])
    low, high = window or (energies.min() - 3 * rise, top + rise)
    if hidden := int(((energies < low) | (energies > high)).sum()):
        ax.annotate(
            f"{hidden} {'minimum' if hidden == 1 else 'minima'} beyond",
            (0.98, 0.02),
            xycoords="axes fraction",
            ha="right",
            va="bottom",
            fontsize=7,
        )
    margin = 0.8 + 0.02 * len(energies)
    ax.set(xlim=(-margin, len(energies) - 1 + margin), ylim=(low, high))
    ax.grid(False, axis="x")
    ax.spines["bottom"].set_visible(False)
    return ax


def barrier_matrix(
    barriers: Float[np.ndarray, "M M"],
    order: Int[np.ndarray, "M"],
    *,
    labels: Sequence[str] | None = None,
    title: str = "Barriers between minima",
    clabel: str = "barrier height",
    ax: Axes | None = None,
) -> Axes:
    """Draws pairwise barrier heights as a heat map, with minima that are joined low side by side.

    The colours span all but the highest twentieth of the barriers, which would leave the others one colour; what lies
    beyond has the last colour, and the bar an arrow.

    Args:
        barriers: heights; NaN where none is known, drawn hatched. The diagonal is drawn as it is given.
        order: of rows and columns, from `leaf_order`.
        labels: of the minima; not drawn for more than 60.
        title: of the axes.
        clabel: what the heights are, with their unit.
        ax: where to draw.

    Raises:
        ValueError: `order` is not an order of the minima, or the number of labels is wrong.
    """
    if sorted(order) != list(range(len(barriers))):
        raise ValueError(f"order must name each of the {len(barriers)} minima once; got {list(order)}.")
    names = _readable(labels, len(barriers))
    ax = own_axes(ax)
    ordered = np.asarray(barriers, np.float64)[np.ix_(order, order)]
    ax.set_facecolor("white")
    ax.patch.set(hatch="////", edgecolor="#bbbbbb")
    # Cividis grows evenly in lightness, so it survives a black-and-white print.
    between = ordered[~np.eye(len(ordered), dtype=bool) & np.isfinite(ordered)]
    low, high = np.quantile(between, (0, _SPANNED)) if between.size else (0.0, 1.0)
    shown = {"cmap": "cividis", "vmin": low, "vmax": high, "interpolation": "nearest"}
    image = ax.imshow(np.ma.masked_invalid(ordered), **shown)
    beyond = bool(np.nanmin(ordered, initial=low) < low), bool(np.nanmax(ordered, initial=high) > high)
    ends = {(True, True): "both", (True, False): "min", (False, True): "max"}
    ax.figure.colorbar(image, ax=ax, label=clabel, extend=ends.get(beyond, "neither"))
    ticks = range(len(names))
    ax.set(title=title, xlabel="minimum", ylabel="minimum", xticks=ticks, yticks=ticks)
    if names:
        ax.set_xticklabels([names[leaf] for leaf in order], rotation=90, fontsize=6)
        ax.set_yticklabels([names[leaf] for leaf in order], fontsize=6)
    ax.grid(False)
    return ax


def _tree(energies, merges):
    """Leaves of each of the 2 M - 1 subtrees from left to right, and the height of its root."""
    count = len(energies)
    if not count or merges.shape != (count - 1, 4):
        raise ValueError(f"{count} minima need a linkage of shape ({count - 1}, 4); got {merges.shape}.")
    if not (np.isfinite(energies).all() and np.isfinite(merges).all()):
        raise ValueError("energies and merges must be finite; leave out minima without a known barrier.")
    orders = [[leaf] for leaf in range(count)]
    deepest = list(energies)
    heights = np.concatenate([energies, merges[:, 2]])
    slack = 1e-9 * np.ptp(heights)
    for k, (i, j, height) in enumerate(zip(*merges[:, :2].T.astype(int), merges[:, 2], strict=True)):
        if height < max(heights[i], heights[j]) - slack:
            raise ValueError(
                f"merge {k} joins trees {i} and {j} at height {height:.6g}, below their own {heights[i]:.6g} and "
                f"{heights[j]:.6g}; merge heights must be energies of barriers."
            )
        left, right = (i, j) if deepest[i] <= deepest[j] else (j, i)
        orders.append(orders[left] + orders[right])
        deepest.append(deepest[left])
    return orders, heights


def _places(order, merges):
    """Horizontal place of each subtree's root: leaves evenly spaced, joins midway between their two branches."""
    places = np.empty(len(order) + len(merges))
    places[order] = np.arange(len(order))
    for k, (i, j) in enumerate(merges[:, :2].astype(int)):
        places[len(order) + k] = (places[i] + places[j]) / 2
    return places


def _segments(merges, places, heights):
    branches, joins = [], []
    for i, j, height in zip(*merges[:, :2].T.astype(int), merges[:, 2], strict=True):
        branches += [[(places[child], heights[child]), (places[child], height)] for child in (i, j)]
        joins.append([(places[i], height), (places[j], height)])
    return branches, joins


def _readable(labels, count):
    if labels is not None and len(labels) != count:
        raise ValueError(f"labels must have one entry for each of the {count} minima; got {len(labels)}.")
    return list(labels) if labels is not None and count <= _MOST_LABELS else []


def _name_leaves(ax, names, places, energies):
    for leaf, name in enumerate(names):
        ax.annotate(
            name,
            (places[leaf], energies[leaf]),
            xytext=(0, -9),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=6,
            rotation=90 if len(names) > 20 else 0,
        )
