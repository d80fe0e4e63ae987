"""What can be seen in a figure, found by where its words stand and where it has ink."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def assert_readable(figure: Figure, width: float = 1.0, height: float = 0.6) -> None:
    """No words meet or leave the figure, no legend hides what is drawn, and no axes are smaller than so many inches."""
    FigureCanvasAgg(figure)
    figure.canvas.draw()
    # From here on all stays where it is, whatever is hidden.
    figure.set_layout_engine("none")
    small = [ax for ax in panels(figure) if ax.bbox.width < width * figure.dpi or ax.bbox.height < height * figure.dpi]
    assert small == []
    assert meeting(figure) == []
    assert [each.get_text() for each in words(figure) if not _inside(each, figure)] == []
    assert hidden(figure) == []


def panels(figure: Figure) -> list:
    """Axes but for those of colours."""
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]


def words(figure: Figure) -> list[Text]:
    """All that are drawn."""
    left_out = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            rounding = 1e-6 * (high - low)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low - rounding <= tick.get_loc() <= high + rounding:
                    left_out |= {tick.label1, tick.label2}
    found = figure.findobj(lambda each: isinstance(each, Text) and each.get_visible() and each.get_text().strip() != "")
    return [each for each in dict.fromkeys(found) if each not in left_out]


def meeting(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of words whose boxes overlap."""
    found = [(each, box) for each in words(figure) for box in _lines(each)]
    shown, boxes = [each for each, _ in found], np.array([box for _, box in found])
    # Boxes have room for what goes below the line and above small letters.
    slack = 0.2 * min(each.get_fontsize() for each in shown) * figure.dpi / 72
    x0, y0, x1, y1 = boxes.T
    across = (x0[:, None] < x1 - 0.5) & (x0 < x1[:, None] - 0.5)
    other = np.array([each is not one for one in shown for each in shown]).reshape(len(shown), -1)
    up = (y0[:, None] < y1 - slack) & (y0 < y1[:, None] - slack)
    first, second = np.nonzero(np.triu(across & up & other, 1))
    return [(shown[i].get_text(), shown[j].get_text()) for i, j in zip(first, second, strict=True)]


def hidden(figure: Figure) -> list:
    """Legends where there is ink without them; grids may be hidden."""
    legends = [each for ax in figure.axes if (each := ax.get_legend()) is not None] + list(figure.legends)
    boxes = [each.get_window_extent().extents for each in legends]
    for each in legends:
        each.set_visible(False)
    for ax in figure.axes:
        ax.grid(False)
        ax.minorticks_off()
    figure.canvas.draw()
    seen = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3]
    inside = [seen[max(int(y0), 0) : int(y1), max(int(x0), 0) : int(x1)] for x0, y0, x1, y1 in boxes]
    return [each for each, box in zip(legends, inside, strict=True) if (box < 250).any()]


def _inside(each: Text, figure: Figure) -> bool:
    box, whole = each.get_window_extent(), figure.bbox
    return box.x0 >= -1 and box.y0 >= -1 and box.x1 <= whole.x1 + 1 and box.y1 <= whole.y1 + 1


def _lines(words: Text) -> list[tuple[float, float, float, float]]:
    """The box of each line of words, but one where they are turned."""
    box, lines = words.get_window_extent(), words.get_text().split("\n")
    if words.get_rotation() or len(lines) == 1:
        return [box.extents]
    share = {"left": 0.0, "center": 0.5, "right": 1.0}[words.get_horizontalalignment()]
    height, found = box.height / len(lines), []
    for place, line in enumerate(lines):
        width = (
            Text(0, 0, line, fontproperties=words.get_fontproperties(), figure=words.figure).get_window_extent().width
        )
        left, top = box.x0 + share * (box.width - width), box.y1 - place * height
        found.append((left, top - height, left + width, top))
    return found
