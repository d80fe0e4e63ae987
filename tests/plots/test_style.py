"""The look that all figures share."""

from jaxland.plots import in_three_dimensions, new_figure


def test_letters_of_panels_meet_no_title_however_long():
    figure, axes = new_figure(2, width=3.0, height=2.0)
    panels = [in_three_dimensions(axes[0]), axes[1]]
    for ax in panels:
        ax.set_title("a title that is longer than the axes under it are wide")
    figure.draw_without_rendering()
    for letter, ax in zip("ab", panels, strict=True):
        (mark,) = ax.texts
        assert mark.get_text() == letter
        assert not mark.get_window_extent().overlaps(ax.title.get_window_extent())
        assert figure.bbox.y0 <= mark.get_window_extent().y0 <= mark.get_window_extent().y1 <= figure.bbox.y1
