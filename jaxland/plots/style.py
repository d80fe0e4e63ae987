"""One look for all figures, and rendering them."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil
from string import ascii_lowercase
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from jaxland._names import lookup
from jaxland.plots.fitting import break_legend, fit_figure, hang
from jaxland.plots.ticks import log_ticks

TARGET_COLOR = "#444444"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Those of Okabe and Ito (2008), which the colour-blind can tell apart, but for their yellow, faint on white."""
COLUMN, PAGE, SCREEN = 3.4, 7.0, 5.2
"""Widths of a column and of a page of a journal, in inches: no figure need be made smaller there, nor its text.

And that of a film, which is looked at from farther off: as many dots show its text half as large again.
"""
_WIDTHS = {"column": COLUMN, "page": PAGE, "screen": SCREEN}
_LEAST_WIDTH = 2.1
"""Inches that axes need for their labels and themselves; where a row has fewer for each, some go below."""
_MARGIN = 0.1
_SMALLEST_HEIGHT, _SHAPE = 2.1, 0.74
_TICKS, _NARROW = 6, 3.0
_SHOWN = 100
"""Points an inch of a figure in a notebook."""
_DASHES = ("-", (0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (1, 1)), (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 2)))

_STYLE: dict[str, Any] = {
    "axes.prop_cycle": cycler(color=COLORS),
    "figure.dpi": 150,
    "savefig.dpi": 220,
    "font.size": 8,
    "axes.titlesize": 8.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.linewidth": 0.5,
    "axes.titlepad": 4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.handlelength": 2.2,
    "legend.labelspacing": 0.35,
    "svg.hashsalt": "jaxland",
}


# Fonts as journals take them; matplotlib's own choice, type 3, many refuse.
_FONTS = {"pdf.fonttype": 42, "ps.fonttype": 42}


class _Picture(Figure):
    """A figure that belongs to no window, that a notebook shows as a picture, and that keeps the look it was made in.

    Colours such as C0 and the sizes of ticks are looked up when a figure is saved, not when it is drawn.
    """

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._look: Any = {name: value for name, value in matplotlib.rcParams.items() if name in _STYLE} | _FONTS

    def draw(self, renderer: Any) -> None:
        for ax in self.axes:
            log_ticks(ax)
        fit_figure(self)
        super().draw(renderer)

    def savefig(self, *args: Any, **options: Any) -> None:
        with matplotlib.rc_context(self._look):
            super().savefig(*args, **options)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = self.get_size_inches() * _SHOWN
        # In twice as many points as it takes, for fine screens.
        return render(self, "png", dpi=2 * _SHOWN), {"width": round(width), "height": round(height)}


@contextmanager
def style() -> Iterator[None]:
    """Within it figures are drawn in jaxland's look; global settings are untouched."""
    with matplotlib.rc_context(_STYLE):  # pyright: ignore[reportArgumentType]
        yield


def new_figure(
    columns: int = 1,
    *,
    rows: int = 1,
    width: float | str | None = None,
    height: float | None = None,
    projection: str | None = None,
    letters: bool = True,
) -> tuple[Figure, list[Any]]:
    """A figure with axes side by side, row after row; it belongs to no window and needs no closing.

    A notebook shows it, and any of its axes, as a picture.

    Args:
        columns: how many axes in a row.
        rows: how many rows.
        width: of each of the axes, in inches; or `"column"` or `"page"` of a journal, or `"screen"`, which the whole
            figure fills. By default one of the axes fills a column, and several side by side fill a page. Where a row
            of so many leaves each less than 2.1 inches, it is broken into several; the order of the axes is the same.
        height: of each of the axes, in inches; by default three quarters of their width, and enough for their text.
        projection: of the axes, such as `"3d"`; flat by default.
        letters: whether each of several axes gets one.

    Raises:
        ValueError: the width is neither a number nor one of these.
    """
    if width is None:
        width = "column" if columns == 1 else "page"
    lines, wanted = 1, columns
    if isinstance(width, str):
        whole = lookup("width", width, _WIDTHS)
        lines = ceil(columns / max(int(whole / _LEAST_WIDTH), 1))
        columns = ceil(columns / lines)
        width = whole / columns
    height = height or max(_SHAPE * width, _SMALLEST_HEIGHT)
    figure = _Picture(figsize=(width * columns, height * rows * lines), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows * lines, columns, squeeze=False, subplot_kw={"projection": projection})
    each_row = grid.reshape(rows, lines * columns)
    for ax in each_row[:, wanted:].ravel():
        ax.remove()
    axes = list(each_row[:, :wanted].ravel())
    for ax in axes:
        # Labels of more ticks would meet on axes so small.
        ax.xaxis.get_major_locator().set_params(nbins=_TICKS if width > _NARROW else _TICKS - 2)
        ax._repr_png_ = figure._repr_png_
    if letters and len(axes) > 1:
        panel_letters(axes)
    return figure, axes


def in_three_dimensions(ax: Axes) -> Any:
    """Puts three-dimensional axes in the place of flat ones of `new_figure`, and returns them."""
    figure, place, letters = ax.figure, ax.get_subplotspec(), [each.get_text() for each in ax.texts]
    ax.remove()
    solid: Any = figure.add_subplot(place, projection="3d")
    if isinstance(figure, _Picture):
        solid._repr_png_ = figure._repr_png_
    for letter in letters:
        panel_letters([solid], letter)
    return solid


def panel_letters(axes: Sequence[Axes], letters: Sequence[str] = ascii_lowercase) -> None:
    """Writes a letter at the upper left corner of each of the axes, above the title, wherever that goes.

    Args:
        axes: the panels, in the order of the letters; `new_figure` has lettered its own.
        letters: at least as many; those of the alphabet by default.

    Raises:
        ValueError: there are more axes than letters.
    """
    if len(letters) < len(axes):
        raise ValueError(f"{len(axes)} axes need as many letters; got {len(letters)}: leave letters out for some.")
    for ax, letter in zip(axes, letters, strict=False):
        # The title goes up where an exponent stands above the axis, and the letter with it.
        place = {"xycoords": ("axes fraction", ax.title), "xytext": (-4, 3), "textcoords": "offset points"}
        ax.annotate(letter, (0, 1), **place, ha="right", fontsize=9, fontweight="bold", annotation_clip=False)


def legend_below(ax: Axes, *, ncols: int = 1, **options: Any) -> Legend:
    """Puts the legend below the labels of the x axis, where it hides neither them nor what is drawn.

    Args:
        ax: with its labels, whose height is taken as it is now: that in points stays, however small the axes become.
            Where those of `new_figure` are broken into lines when they are drawn, the legend goes down with them.
        ncols: columns of entries; fewer where the place of the axes in the figure is too narrow for them, and in one
            column entries are broken into lines.
        options: further arguments of `ax.legend`.
    """
    for columns in range(ncols, 0, -1):
        legend = ax.legend(loc="upper center", ncols=columns, **options)
        room = hang(legend, ax)
        if legend.get_window_extent().width <= room:
            return legend
    break_legend(legend, room)
    return legend


def shared_legend(figure: Figure, ax: Axes, *, ncols: int = 4) -> Legend:
    """Gives a figure of several panels one legend, below all of them, and grows the figure by its height.

    Args:
        figure: with panels of which each shows the same groups.
        ax: the panel whose entries it has; the legends of all panels are taken away.
        ncols: columns of entries; fewer where the figure is too narrow, and in one column entries are broken.
    """
    entries = ax.get_legend_handles_labels()
    for panel in figure.axes:
        if (own := panel.get_legend()) is not None:
            own.remove()
    room = figure.bbox.width - figure.dpi * _MARGIN
    for columns in range(min(ncols, len(entries[0])), 0, -1):
        legend = figure.legend(*entries, loc="outside lower center", ncols=columns)
        if columns == 1 or legend.get_window_extent().width <= room:
            break
        legend.remove()
    break_legend(legend, room)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + legend.get_window_extent().height / figure.dpi)
    return legend


def color_of(label: str, index: int, colors: Mapping[str, str] | None) -> str:
    """The colour of a group: that given for its label, else the usual one of its place."""
    return (colors or {}).get(label, f"C{index}")


def dash_of(index: int) -> Any:
    """The dashes of the lines of a group, by its place, so that lines can be told apart in grey too.

    Where colours begin anew they are others: no two of 49 groups have both in common.
    """
    return _DASHES[(index + index // len(COLORS)) % len(_DASHES)]


def own_axes(ax: Axes | None) -> Axes:
    """`ax`, or the axes of a new figure.

    Raises:
        TypeError: `ax` is several, or no axes at all.
    """
    if ax is not None and not isinstance(ax, Axes):
        found = f"{len(ax)} in a {type(ax).__name__}" if hasattr(ax, "__len__") else repr(ax)
        raise TypeError(f"ax must be one Axes; got {found}. new_figure returns a list of them: figure, (ax,) = ...")
    return ax if ax is not None else new_figure()[1][0]


def render(figure: Figure, kind: str, **options: Any) -> bytes:
    """The figure as `"png"`, `"svg"` or `"pdf"`, the same bytes for the same figure; options are those of `savefig`."""
    buffer = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {"Software": None})
    figure.savefig(buffer, format=kind, metadata=metadata, **options)
    return buffer.getvalue()
