"""The look that all figures share."""

import inspect

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from jaxland.plots import in_three_dimensions, legend_below, new_figure, own_axes, panel_letters, render, style
from jaxland.plots.style import COLORS, dash_of


def test_letters_of_panels_meet_no_title_however_long():
    figure, axes = new_figure(2, width=3.0, height=2.0)
    panels = [in_three_dimensions(axes[0]), axes[1]]
    for ax in panels:
        ax.set_title("a title that is longer than the axes under it are wide")
    _letters_are_clear(figure, panels, "ab")


def test_a_letter_goes_up_with_a_title_that_an_exponent_lifts():
    with style():
        figure, axes = new_figure(2, letters=False)
        panel_letters(axes, "xy")
        for ax in axes:
            ax.plot([0, 1e152])
            ax.set_title("a title that is longer than the axes under it are wide")
        _letters_are_clear(figure, axes, "xy")


def _letters_are_clear(figure, panels, letters):
    figure.draw_without_rendering()
    for letter, ax in zip(letters, panels, strict=True):
        (mark,) = ax.texts
        assert mark.get_text() == letter
        assert not mark.get_window_extent().overlaps(ax.title.get_window_extent())
        assert figure.bbox.y0 <= mark.get_window_extent().y0 <= mark.get_window_extent().y1 <= figure.bbox.y1


def test_a_legend_below_keeps_clear_of_labels_of_several_lines():
    with style():
        figure, (ax,) = new_figure(width=2.0, height=2.0)
        ax.plot([0, 1], label="a")
        ax.set_xticks([0, 1], ["one\nof three\nlines", "two"])
        ax.set_xlabel("a label\nof two")
        legend = legend_below(ax)
        figure.draw_without_rendering()
        shown = legend.get_window_extent()
    assert shown.y1 < ax.xaxis.get_tightbbox().y0
    assert shown.y0 >= figure.bbox.y0


def test_a_legend_below_is_no_wider_than_the_place_of_its_axes():
    with style():
        figure, axes = new_figure(3)
        for ax, label in zip(axes, ("a", "short", "of such a length that it fits into no third"), strict=True):
            for number in range(3):
                ax.plot([0, number], label=f"{number}: {label}")
            legend_below(ax, ncols=3)
        figure.draw_without_rendering()
        found = [ax.get_legend() for ax in axes]
    assert all(each.get_window_extent().width <= figure.bbox.width / 3 for each in found)
    assert [len({text.get_window_extent().x0 for text in each.get_texts()}) for each in found] == [3, 2, 1]
    assert [each.get_texts()[0].get_text().count("\n") for each in found] == [0, 0, 1]


def test_there_is_a_letter_for_every_panel_or_a_refusal():
    _, axes = new_figure(2, letters=False)
    with pytest.raises(ValueError, match="2 axes need as many letters; got 1"):
        panel_letters(axes, "a")


def test_figures_are_as_wide_as_a_column_or_a_page():
    widths = [new_figure(columns)[0].get_size_inches()[0] for columns in (1, 2, 3)]
    np.testing.assert_allclose(widths, [3.4, 7, 7])
    np.testing.assert_allclose(new_figure(width="page")[0].get_size_inches()[0], 7)
    np.testing.assert_allclose(new_figure(2, width="column")[0].get_size_inches()[0], 3.4)
    with pytest.raises(ValueError, match=r"unknown width .colum.\. Did you mean .column."):
        new_figure(width="colum")


def test_text_has_seven_to_nine_points_as_journals_ask():
    with style():
        _, axes = new_figure(2)
        for ax in axes:
            ax.plot([0, 1], label="a")
            ax.set(title="title", xlabel="x", ylabel="y")
            ax.legend()
        sizes = {text.get_fontsize() for ax in axes for text in ax.findobj(lambda each: hasattr(each, "get_fontsize"))}
    assert min(sizes) >= 7
    assert max(sizes) <= 9


def test_a_figure_keeps_the_look_it_was_made_in_wherever_it_is_saved():
    def drawn():
        figure, (ax,) = new_figure()
        ax.plot([0, 1], color="C1")
        return figure

    with style():
        inside, later = render(drawn(), "png"), drawn()
    assert render(later, "png") == inside
    assert render(drawn(), "png") != inside


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_figure_is_rendered_to_the_same_bytes(kind):
    def rendered():
        figure, (ax,) = new_figure()
        ax.plot([0, 1])
        return render(figure, kind)

    with style():
        assert rendered() == rendered()


def test_colours_stay_apart_for_the_colour_blind_and_dashes_in_grey():
    seen = _lightness_and_hue(_linear(np.array([to_rgb(color) for color in COLORS])) @ _DEUTERANOPIA.T)
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[np.triu_indices(len(COLORS), 1)]
    assert apart.min() > 15
    # What is as light as another in grey has other dashes.
    assert len({str(dash_of(index)) for index in range(len(COLORS))}) == len(COLORS)


# Machado, Oliveira and Fernandes, A physiologically-based model for simulation of color vision deficiency (2009).
_DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
# Of sRGB under D65, IEC 61966-2-1.
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def _linear(rgb):
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _lightness_and_hue(linear):
    """CIE L*a*b* of linear RGB."""
    ratio = np.clip(linear, 0, 1) @ _XYZ.T / _XYZ.sum(axis=1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def test_what_draws_is_given_one_axes_and_says_so():
    figure, axes = new_figure(1)
    given = inspect.unwrap(own_axes)  # without the checks of types that tests have and users have not
    with pytest.raises(TypeError, match=r"one Axes; got 1 in a list\. .*figure, \(ax,\) = "):
        given(axes)
    assert given(axes[0]) is axes[0]
    with pytest.raises(TypeError, match="one Axes"):
        given(figure)


def test_fonts_of_a_pdf_are_such_as_journals_take():
    figure, (ax,) = new_figure()
    ax.set_title("words")
    pdf = render(figure, "pdf")
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
