"""One look for all figures, and rendering them."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TARGET_COLOR = "#444444"

_STYLE: dict[str, Any] = {
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

    Args:
        columns: how many axes in a row.
        rows: how many rows.
        width, height: of each of the axes, in inches.
        projection: of the axes, such as `"3d"`; flat by default.
    """
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False, subplot_kw={"projection": projection}).ravel())


def color_of(label: str, index: int, colors: Mapping[str, str] | None) -> str:
    """The colour of a group: that given for its label, else the usual one of its place."""
    return (colors or {}).get(label, f"C{index}")


def own_axes(ax: Axes | None) -> Axes:
    """`ax`, or the axes of a new figure."""
    return ax if ax is not None else new_figure()[1][0]


def render(figure: Figure, kind: str) -> bytes:
    """The figure as PNG or SVG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
