"""What only the sawtooth study draws."""

import numpy as np
import pytest

from jaxland.plots import new_figure, render, style
from jaxland.replications.sawtooth.drawing import dense_curve, knot_counts, knot_positions, output_series
from jaxland.statistics import Histogram

X = np.linspace(3, 7, 30)
COUNTS = Histogram.spanning(-0.5, 49.5, 50).add(np.array([0.0, 3, 3, 7, 21]))
HISTOGRAM = Histogram.spanning(0, 1, 100).add(np.random.default_rng(0).random(1000))


def _drawn(draw, *values, **options):
    _, (ax,) = new_figure()
    draw(*values, ax=ax, **options)
    assert all((ax.get_title(), ax.get_xlabel(), ax.get_ylabel()))
    return ax


@pytest.mark.parametrize(("most", "scale"), [(63, "linear"), (7775, "symlog")])
def test_knot_counts_show_every_fit_and_both_marks(most, scale):
    ax = _drawn(knot_counts, {"momentum": COUNTS, "adam": Histogram.spanning(-0.5, 49.5, 50)}, target=31, most=most)
    heights, edges, _ = ax.patches[0].get_data()
    np.testing.assert_allclose(heights[[0, 3, 7, 21]], [0.2, 0.4, 0.2, 0.2])
    assert (edges[0], edges[-1]) == (-0.5, 21.5)
    assert ax.get_xscale() == scale
    assert [line.get_xdata()[0] for line in ax.lines] == [31, most]
    assert ax.get_xlim()[1] > most


def test_knots_of_fits_to_data_without_knots():
    ax = _drawn(knot_counts, {"momentum": COUNTS})
    assert len(ax.lines) == 0
    assert ax.get_xlim()[1] > 21
    assert len(_drawn(knot_positions, {"adam": HISTOGRAM}).lines) == 0


def test_knot_positions_are_a_density():
    ax = _drawn(knot_positions, {"adam": HISTOGRAM}, target=np.linspace(0, 1, 5))
    heights, edges, _ = ax.patches[0].get_data()
    assert (heights * np.diff(edges)).sum() == pytest.approx(1)
    np.testing.assert_array_equal([line.get_xdata()[0] for line in ax.lines], np.linspace(0, 1, 5))


def test_a_dense_curve_shows_what_it_sweeps_and_the_window_enlarged():
    knots = np.linspace(-1, 1, 101)
    slope = 0.1 * knots
    ax = _drawn(dense_curve, knots, slope + np.arange(101) % 2.0, window=(knots[40], knots[52]))
    upper, lower = ax.lines
    np.testing.assert_allclose(upper.get_ydata(), 1 + slope[1::2])
    np.testing.assert_allclose(lower.get_ydata(), slope[::2])
    (inset,) = ax.child_axes
    np.testing.assert_array_equal(inset.lines[0].get_xdata(), knots[40:53])
    assert inset.get_title() == "12 of the 100 pieces"
    # The axis of the function ends below the window and its labels.
    ax.figure.draw_without_rendering()
    ends = ax.spines["left"].get_window_extent()
    assert ends.y1 < inset.get_tightbbox().y0
    assert max(tick.get_window_extent().y1 for tick in ax.get_yticklabels()) < inset.get_tightbbox().y0


def test_distances_stand_right_of_the_curves_wherever_x_lies():
    curves = np.stack([X * 0, X, X**2])
    with style():
        figure, (ax,) = new_figure()
        output_series(X, X, curves, np.array([0.0, 1.5, 4.0]), ax=ax)
        assert render(figure, "png")
    assert [text.get_text() for text in ax.texts] == ["0.0", "1.5", "4.0", "distance"]
    assert all(X[-1] < text.xy[0] < X[-1] + 0.1 * np.ptp(X) for text in ax.texts)
    for line, curve, shift in zip(ax.lines[1::2], curves, 0.75 * np.ptp(X) * np.arange(3), strict=True):
        np.testing.assert_allclose(line.get_ydata(), curve + shift)
