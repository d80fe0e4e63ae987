"""Panels, words and legends of any figure find room: nothing meets, whatever the width and the words."""

import numpy as np
import pytest
from geometry import assert_readable, meeting

from jaxland.plots import (
    compared_histograms,
    distribution_rows,
    factor_curves,
    height_of_rows,
    new_figure,
    shared_legend,
    strips,
    style,
    training_curves,
    training_rows,
)
from jaxland.plots.fitting import lines_of
from jaxland.statistics import Histogram

STEPS = np.arange(100)
LONG = "width=16, optimizer=adam, learning_rate=0.1"


@pytest.mark.parametrize(
    ("columns", "rows", "width"), [(2, 1, "column"), (3, 1, "page"), (4, 1, "page"), (2, 2, "column"), (3, 1, "screen")]
)
def test_panels_that_do_not_fit_side_by_side_go_below(columns, rows, width):
    with style():
        figure, axes = new_figure(columns, rows=rows, width=width)
        for ax in axes:
            ax.plot(STEPS, 1e-3 * STEPS)
            ax.set(title="How losses fall in training", xlabel="steps of the optimizer", ylabel="mean squared error")
        assert_readable(figure, width=1.2)
    assert len(axes) == columns * rows


def test_the_order_of_axes_stays_where_a_row_is_broken():
    _, axes = new_figure(3, rows=2, width="column", letters=False)
    places = [ax.get_subplotspec().rowspan.start for ax in axes]
    assert places == [0, 1, 2, 3, 4, 5]
    figure, axes = new_figure(5, width="page")
    assert [(ax.get_subplotspec().rowspan.start, ax.get_subplotspec().colspan.start) for ax in axes] == [
        *((0, column) for column in range(3)),
        *((1, column) for column in range(2)),
    ]
    assert len(figure.axes) == 5
    assert len({ax.get_subplotspec().rowspan.start for ax in new_figure(8, width=0.9)[1]}) == 1


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_titles_and_labels_longer_than_their_place_are_broken(columns):
    with style():
        figure, axes = new_figure(columns)
        for ax in axes:
            ax.set(title=f"{LONG}: the best 8 fits of all", xlabel=f"distance with {LONG}", ylabel=f"loss with {LONG}")
        assert_readable(figure)
        kept = new_figure()[1][0]
        kept.set(title="Losses", xlabel="step")
        kept.figure.draw_without_rendering()
    assert [ax.get_title().replace("\n", " ") for ax in axes] == [f"{LONG}: the best 8 fits of all"] * columns
    assert (kept.get_title(), kept.get_xlabel()) == ("Losses", "step")


@pytest.mark.parametrize("count", [2, 4, 9])
@pytest.mark.parametrize("width", ["column", "page"])
def test_names_of_groups_do_not_meet(width, count):
    with style():
        figure, (ax,) = new_figure(width=width)
        names = [f"optimizer={name}, rate={index}" for index, name in enumerate(["adam", "sgd", "adadelta"] * 3)]
        strips({name: np.array([1.0, 2.0, 9.0]) for name in names[:count]}, ylabel="loss", color="C0", ax=ax)
        figure.draw_without_rendering()
        turned = [each for each in ax.get_xticklabels() if each.get_rotation()]
        # Boxes of turned words meet where the words do not.
        assert turned or meeting(figure) == []
        assert len(turned) in (0, count)
        if turned:
            apart = np.diff([each.get_window_extent().x1 for each in turned]).min()
            height = turned[0].get_fontsize() * figure.dpi / 72
            assert all("\n" not in each.get_text() for each in turned)
            assert apart * np.sin(np.radians(turned[0].get_rotation())) >= height


def _falling(names):
    return {name: np.geomspace(1, 1e-3, 100)[None] * np.full((9, 1), 1 + index) for index, name in enumerate(names)}


LEGENDS = {
    "curves": lambda ax: training_curves(STEPS, _falling([LONG, "b"]), ax=ax),
    "lines everywhere": lambda ax: (ax.plot(np.sin(STEPS[:, None] * [1, 2, 3]), label=["a", "b", "c"]), ax.legend()),
    "points everywhere": lambda ax: (
        ax.scatter(STEPS % 10, STEPS // 10, label="a"), ax.legend()
    ),
    "bars": lambda ax: (ax.bar(range(5), [5, 5, 4, 5, 5], label=LONG), ax.legend()),
    "histograms": lambda ax: compared_histograms(
        {name: Histogram.spanning(0, 1, 100).add(np.linspace(0, 1, 1000)) for name in (LONG, f"{LONG}5", "c")},
        title="Losses",
        xlabel="loss",
        ax=ax,
    ),
}  # fmt: skip


@pytest.mark.parametrize("width", ["column", "page"])
@pytest.mark.parametrize("name", LEGENDS)
def test_a_legend_that_would_hide_what_is_drawn_goes_below(name, width):
    with style():
        figure, axes = new_figure(1 if width == "column" else 3, width=width)
        for ax in axes:
            LEGENDS[name](ax)
        assert_readable(figure)


def test_a_legend_stays_where_there_is_room_and_where_it_was_put():
    with style():
        figure, (free, put) = new_figure(2)
        for ax in (free, put):
            ax.plot(STEPS, STEPS, label="a")
        free.legend()
        put.legend(loc="upper right")
        figure.draw_without_rendering()
        for ax in (free, put):
            assert ax.bbox.y0 < ax.get_legend().get_window_extent().y0


def test_one_legend_of_several_panels_grows_the_figure_and_leaves_the_panels():
    with style():
        figure, axes = new_figure(2)
        for ax in axes:
            for index in range(5):
                ax.plot(STEPS, STEPS * index, label=f"{LONG}{index}, seeds of all pairs and of the first eight")
            ax.legend()
        before = figure.get_figheight()
        legend = shared_legend(figure, axes[0])
        assert_readable(figure)
    assert [each.get_text()[: len(LONG) + 1] for each in legend.get_texts()] == [f"{LONG}{index}" for index in range(5)]
    assert figure.get_figheight() > before
    assert all(ax.get_legend() is None for ax in axes)


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize("width", [3.4, 7.0])
def test_rows_can_be_read_in_a_column_and_on_a_page(width, count):
    names = [f"{LONG}{index}" for index in range(count)]
    with style():
        for draw in (
            lambda ax: distribution_rows(dict.fromkeys(names, STEPS + 1.0), xlabel="loss", xscale="log", ax=ax),
            lambda ax: training_rows({name: (STEPS, np.geomspace(1, 1e-3, 100)) for name in names}, ax=ax),
        ):
            figure, (ax,) = new_figure(width=width, height=height_of_rows(names, width) + 0.4)
            assert draw(ax) is ax
            assert_readable(figure)


def test_levels_without_a_number_stand_apart():
    pandas = pytest.importorskip("pandas")
    names = ["stochastic gradient descent", "adam with weight decay", "adadelta", "conjugate gradients"]
    table = pandas.DataFrame({"optimizer": names * 5, "loss": np.linspace(1, 2, 20)})
    with style():
        figure, (ax,) = new_figure()
        factor_curves(table, "optimizer", ax=ax)
        assert_readable(figure)


def test_lines_are_as_few_as_hold_the_words_and_about_equally_long():
    assert lines_of("one two three four", 10) == ["one two", "three four"]
    assert lines_of("adadelta of all", 5, words=True) == ["adadelta", "of", "all"]
    assert lines_of("aaa bbb ccc d", 11) == ["aaa bbb", "ccc d"]
    assert lines_of("short", 10) == ["short"]
    assert lines_of("width-16_optimizer-adam_rate-1e-05", 20) == ["width-16_", "optimizer-adam_", "rate-1e-05"]
    assert lines_of("optimizer-adadelta rate=-0.1", 10) == ["optimizer-", "adadelta", "rate=-0.1"]
    assert "".join(lines_of("x" * 50, 10)) == "x" * 50
    assert max(map(len, lines_of("x" * 50, 10))) == 10
