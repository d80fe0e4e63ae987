"""One look for all figures, and rendering them."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from string import ascii_lowercase
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TARGET_COLOR = "#444444"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Those of Okabe and Ito (2008), which the colour-blind can tell apart, but for their yellow, faint on white."""
_DASHES = ("-", (0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (1, 1)), (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 2)))

_STYLE: dict[str, Any] = {
    "axes.prop_cycle": cycler(color=COLORS),
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.hashsalt": "jaxland",
}


@contextmanager
def style() -> Iterator[None]:
    """Within it figures are drawn in jaxland's look; global settings are untouched."""
    with matplotlib.rc_context(_STYLE):  # pyright: ignore[reportArgumentType]
        yield


def new_figure(
    columns: int = 1, *, rows: int = 1, width: float = 6.4, height: float = 4.0, projection: str | None = None
) -> tuple[Figure, list[Any]]:
    """A figure with axes side by side, row after row; it belongs to no window and needs no closing.

    Where there are several axes, each has a letter.

    Args:
        columns: how many axes in a row.
        rows: how many rows.
        width, height: of each of the axes, in inches.
        projection: of the axes, such as `"3d"`; flat by default.
    """
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False, subplot_kw={"projection": projection}).ravel())
    for letter, ax in zip(ascii_lowercase, axes, strict=False) if len(axes) > 1 else ():
        mark_panel(ax, letter)
    return figure, axes


def in_three_dimensions(ax: Axes) -> Any:
    """Puts three-dimensional axes in the place of flat ones of `new_figure`, and returns them."""
    figure, place, letters = ax.figure, ax.get_subplotspec(), [each.get_text() for each in ax.texts]
    ax.remove()
    solid = figure.add_subplot(place, projection="3d")
    for letter in letters:
        mark_panel(solid, letter)
    return solid


def mark_panel(ax: Axes, letter: str) -> None:
    """Writes the letter of a panel at its upper left corner, above the title, which may be of any length."""
    place = {"xycoords": "axes fraction", "xytext": (-4, 21), "textcoords": "offset points"}
    ax.annotate(letter, (0, 1), **place, fontsize=11, fontweight="bold", annotation_clip=False)


def color_of(label: str, index: int, colors: Mapping[str, str] | None) -> str:
    """The colour of a group: that given for its label, else the usual one of its place."""
    return (colors or {}).get(label, f"C{index}")


def dash_of(index: int) -> Any:
    """The dashes of the lines of a group, by its place, so that lines can be told apart in grey too."""
    return _DASHES[index % len(_DASHES)]


def own_axes(ax: Axes | None) -> Axes:
    """`ax`, or the axes of a new figure."""
    return ax if ax is not None else new_figure()[1][0]


def render(figure: Figure, kind: str) -> bytes:
    """The figure as PNG or SVG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
