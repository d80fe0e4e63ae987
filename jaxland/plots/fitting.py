"""What can be known of a figure only when it is drawn: words that are too long, and legends that hide what is drawn."""

import re
from itertools import pairwise
from weakref import WeakSet

import numpy as np
from matplotlib.axes import Axes
from matplotlib.category import StrCategoryFormatter, StrCategoryLocator
from matplotlib.collections import Collection, LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter
from matplotlib.transforms import Bbox, IdentityTransform, ScaledTranslation, Transform

_BELOW = 3.0
"""Points between an axis and the legend below it."""
_GAP = 6.0
"""Points between words of neighbours."""
_CLEAR = 2.0
"""Points of a line or a mark beside its middle."""
_MOST_PARTS = 5000
"""Of a collection or a line that a legend might hide; of more, evenly spread ones are looked at."""
_TURN = 35
"""Degrees."""
_BELOW_AXES: WeakSet[Legend] = WeakSet()
_PIECES = tuple(
    re.compile(rf"(?:[^\s{ends}]|[{ends}](?=[\d\s]|$))*[\s{ends}]*" if ends else r"\S+\s*|\s+")
    for ends in ("", "_/,", "_/,=-")
)
"""What stays in one line: words; where these are too long, parts of names; and parts of these."""
_ROUNDS, _MOST_LINES = 3, 2


def fit_figure(figure: Figure) -> None:
    """Breaks titles and labels that reach into the next panel, turns names that meet, and moves legends off the data.

    Only legends whose place matplotlib chose are moved, to below their axes. What fits stays as it is.
    """
    flat = [ax for ax in figure.axes if ax.name == "rectilinear" and ax.get_visible()]
    engine = figure.get_layout_engine()
    if not any(map(_wants_room, flat)):
        return
    # What is broken changes the sizes of the axes, and with them the room of all others.
    for legend in (ax.get_legend() for ax in flat):
        if legend is not None and _is_free(legend):
            # It lies within the axes or goes below, and is no reason to make them small.
            legend.set_in_layout(False)
    for _ in range(_ROUNDS):
        if engine is not None:
            engine.execute(figure)
        if not sum(map(_fit, flat)):
            return


def _fit(ax: Axes) -> bool:
    """Whether anything was changed."""
    changed = _break_titles(ax) | _part_names(ax)
    legend = ax.get_legend()
    if changed and legend is not None and legend in _BELOW_AXES:
        # What it hangs below has become higher.
        legend.set_bbox_to_anchor((0.5, 0.0), below(ax)[0])
    return _free_legend(ax) or changed


def _wants_room(ax: Axes) -> bool:
    cell = _cell(ax)
    words = [*_titles(ax), *ax.get_xticklabels()] if _is_named(ax) else _titles(ax)
    total = sum(each.get_window_extent().width for each in ax.get_xticklabels()) if _is_named(ax) else 0.0
    wide = any(each.get_window_extent().width > 0.6 * cell.width for each in words)
    tall = ax.yaxis.label.get_window_extent().height > 0.6 * cell.height
    return bool(wide or tall or total > 0.6 * cell.width or _is_free(ax.get_legend()))


def _titles(ax: Axes) -> list[Text]:
    return [each for each in (ax.title, ax.xaxis.label) if each.get_text() and each.get_visible()]


def _is_named(ax: Axes) -> bool:
    return isinstance(ax.xaxis.get_major_formatter(), (FixedFormatter, FuncFormatter, StrCategoryFormatter)) and (
        isinstance(ax.xaxis.get_major_locator(), (FixedLocator, StrCategoryLocator))
    )


def _is_free(legend: Legend | None) -> bool:
    return legend is not None and legend.get_visible() and legend._loc_real == 0  # pyright: ignore


def _cell(ax: Axes) -> Bbox:
    """The place that its figure has for the axes and their words."""
    whole, spec = ax.figure.bbox, ax.get_subplotspec()
    if spec is None:
        return Bbox.from_extents(whole.x0, whole.y0, whole.x1, whole.y1)
    rows, columns, first, last = spec.get_geometry()
    width, height = whole.width / columns, whole.height / rows
    across, down = (first % columns, last % columns), (first // columns, last // columns)
    return Bbox.from_extents(
        whole.x0 + across[0] * width,
        whole.y1 - (down[1] + 1) * height,
        whole.x0 + (across[1] + 1) * width,
        whole.y1 - down[0] * height,
    )


def _break_titles(ax: Axes) -> bool:
    broken = [break_lines(each, _room(ax, 0)) for each in _titles(ax)]
    label = ax.yaxis.label
    if label.get_text() and label.get_rotation() % 180 == 90:
        broken.append(break_lines(label, _room(ax, 1), label.get_window_extent().height))
    return any(broken)


def _room(ax: Axes, along: int) -> float:
    """Dots for words at the middle of the axes, across or up: they may reach halfway to those of a neighbour."""
    low, high = ax.bbox.intervalx if along == 0 else ax.bbox.intervaly
    ends = ax.figure.bbox.intervalx if along == 0 else ax.figure.bbox.intervaly
    before, after = low - ends[0], ends[1] - high
    for other in ax.figure.axes:
        box, away = other.bbox, (other.bbox.intervaly if along == 0 else other.bbox.intervalx)
        own = ax.bbox.intervaly if along == 0 else ax.bbox.intervalx
        if other is ax or away[1] <= own[0] or own[1] <= away[0]:
            continue
        first, last = box.intervalx if along == 0 else box.intervaly
        if last <= low:
            before = min(before, (low - last) / 2)
        elif first >= high:
            after = min(after, (first - high) / 2)
    gap = _GAP * ax.figure.dpi / 72
    return max(high - low + 2 * min(before, after) - gap, gap)


def break_lines(words: Text, room: float, length: float | None = None) -> bool:
    """Breaks words into lines no longer than `room` dots, where they are longer; whether that changed them."""
    length = words.get_window_extent().width if length is None else length
    share = room / max(length, 1e-9)
    # A formula may have blanks, and cannot be broken there.
    if share >= 1 or "$" in (text := words.get_text()):
        return False
    letters = max(int(share * max(map(len, text.split("\n")))), 1)
    words.set_text("\n".join("\n".join(lines_of(line, letters)) for line in text.split("\n")))
    return words.get_text() != text


def lines_of(text: str, letters: int, words: bool = False) -> list[str]:
    """As few lines as hold so many letters each, about equally long: a last word alone would be lost.

    Lines end at blanks and within names such as `width-16_rate-0.1`, of which those of ensembles are; words that are
    longer are broken too, unless all words are to stay whole.
    """
    for pieces in _PIECES[:1] if words else (*_PIECES, re.compile(rf".{{1,{max(letters, 1)}}}")):
        parts = pieces.findall(text)
        lines = _filled(parts, letters)
        if max(map(len, lines), default=0) <= letters:
            break
    evener = (_filled(parts, fewer) for fewer in range(1, letters))
    return next((even for even in evener if len(even) <= len(lines)), lines) or [text]


def _filled(pieces: list[str], letters: int) -> list[str]:
    lines = [""]
    for piece in pieces:
        if lines[-1] and len((lines[-1] + piece).rstrip()) > letters:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines if line.strip()]


def _part_names(ax: Axes) -> bool:
    """Breaks names at ticks of the x axis that meet, and turns them where that does not part them."""
    if not _is_named(ax) or any(each.get_rotation() for each in ax.get_xticklabels()):
        return False
    shown = ax.get_xticklabels()
    if len(shown) < 2 or not _meet(shown):
        return False
    places, names = ax.get_xticks(), [each.get_text() for each in shown]
    low, high = ax.get_xlim()
    apart = ax.bbox.width * np.diff(np.sort(places)).min() / abs(high - low)
    room = apart - _GAP / 2 * ax.figure.dpi / 72
    broken = []
    for name, each in zip(names, shown, strict=True):
        letters = max(int(room / max(each.get_window_extent().width, 1e-9) * max(map(len, name.split("\n")))), 1)
        broken.append("\n".join("\n".join(lines_of(line, letters, words=True)) for line in name.split("\n")))
    ax.set_xticks(places, broken)
    if _meet(ax.get_xticklabels()) or max(map(_lines, broken)) > _MOST_LINES + max(map(_lines, names)):
        ax.set_xticks(places, [", ".join(name.split("\n")) for name in names])
        line = 1.2 * float(shown[0].get_fontsize()) * ax.figure.dpi / 72
        turn = _TURN if apart * np.sin(np.radians(_TURN)) >= line else 90
        for each in ax.get_xticklabels():
            each.set(rotation=turn, ha="right", va="top" if turn == _TURN else "center", rotation_mode="anchor")
    return True


def _lines(words: str) -> int:
    return words.count("\n") + 1


def _meet(words: list[Text]) -> bool:
    boxes = [each.get_window_extent() for each in words if each.get_text()]
    return any(one.x1 + 1 > other.x0 for one, other in pairwise(sorted(boxes, key=lambda box: box.x0)))


def _free_legend(ax: Axes) -> bool:
    legend = ax.get_legend()
    if legend is None or not _is_free(legend):
        return False
    box, axes = legend.get_window_extent(), ax.bbox
    inside = axes.x0 <= box.x0 and box.x1 <= axes.x1 and axes.y0 <= box.y0 and box.y1 <= axes.y1
    if inside and not hides(box.padded(_CLEAR * ax.figure.dpi / 72), ax):
        return False
    legend.set_in_layout(True)
    legend.set_loc("upper center")
    break_legend(legend, hang(legend, ax))
    return True


def hang(legend: Legend, ax: Axes) -> float:
    """Hangs a legend below the labels of the x axis, whatever becomes of these; the dots that it has across."""
    place, room = below(ax)
    legend.set_bbox_to_anchor((0.5, 0.0), place)
    # The pad would be added to the distance, in units of the text.
    legend.borderaxespad = 0.0
    _BELOW_AXES.add(legend)
    return room


def hides(box: Bbox, ax: Axes) -> bool:
    """Whether a line, an area or a point that is drawn in the axes is within the box, in dots."""
    for line in ax.lines:
        path = line.get_transform().transform_path(line.get_path())
        points = np.asarray(path.vertices)
        if line.get_linestyle() != "None" and len(points) > 1 and path.intersects_bbox(box, filled=False):
            return True
        if line.get_marker() not in ("None", None, "", " ") and _within(points, box):
            return True
    for patch in ax.patches:
        if patch.get_transform().transform_path(patch.get_path()).intersects_bbox(box, filled=True):
            return True
    return any(_collection_hides(each, box) for each in ax.collections if each.get_visible())


def _collection_hides(drawn: Collection, box: Bbox) -> bool:
    if isinstance(drawn, PathCollection):
        places = np.ma.filled(np.ma.asarray(drawn.get_offsets(), float), np.nan)
        return _within(drawn.get_offset_transform().transform(places), box)
    paths, to_dots, area = drawn.get_paths(), drawn.get_transform(), not isinstance(drawn, LineCollection)
    some = [path for path in paths[:: max(len(paths) // _MOST_PARTS, 1)] if np.size(path.vertices)]
    return any(to_dots.transform_path(path).intersects_bbox(box, filled=area) for path in some)


def _within(points: np.ndarray, box: Bbox) -> bool:
    x, y = np.asarray(points).T
    return bool(((box.x0 < x) & (x < box.x1) & (box.y0 < y) & (y < box.y1)).any())


def below(ax: Axes) -> tuple[Transform, float]:
    """Where a legend below the labels of the x axis hangs from, and the dots that it has across."""
    labels = ax.xaxis.get_tightbbox()
    down = (ax.bbox.y0 - labels.y0) * 72 / ax.figure.dpi if labels is not None else 0.0
    place = ScaledTranslation(0, -(max(down, 0) + _BELOW) / 72, ax.figure.dpi_scale_trans)
    return (ax.transAxes or IdentityTransform()) + place, _cell(ax).width


def break_legend(legend: Legend, room: float) -> None:
    """Breaks entries of a legend in one column into lines, so that it is no wider than `room` dots."""
    frame = legend.get_window_extent().width - max(each.get_window_extent().width for each in legend.get_texts())
    for each in legend.get_texts():
        break_lines(each, room - frame)
