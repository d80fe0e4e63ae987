import numpy as np
import pytest

from jaxland.plots import (
    descent_3d,
    descent_contours,
    explained_variance,
    new_figure,
    render,
    style,
    surface_3d,
    surface_contours,
    surface_gallery,
    surface_paths,
)

A, B = np.linspace(-2, 2, 9), np.linspace(-1, 1, 7)
LOSS = A[None, :] ** 2 + 2 * B[:, None] ** 2
HOLE = np.where(LOSS > 4, np.nan, LOSS)
STEPS = [0, 1, 10, 100]
PATHS = np.array([[[-2, 1], [-1, 0.5], [0, 0], [0, 0]], [[2, 1], [1, 1], [3, 1], [4, 1]]], float)
HEIGHTS = PATHS[:, :, 0] ** 2 + 2 * PATHS[:, :, 1] ** 2
NAMES = ["one", "two"]


@pytest.mark.parametrize("loss", [LOSS, HOLE, np.full_like(LOSS, 3.0), np.full_like(LOSS, np.nan)])
def test_surfaces_with_holes_and_without_height_are_drawn(loss):
    with style():
        for ax in (surface_3d(A, B, loss, zlabel="cost"), surface_contours(A, B, loss, zlabel="cost")):
            assert render(ax.figure, "png")
            assert ax.get_title()
            assert ax.get_xlabel()
            assert ax.get_ylabel()


def test_a_surface_has_one_face_for_every_four_points():
    (faces,) = surface_3d(A, B, LOSS).collections
    assert len(faces.get_facecolor()) == (len(A) - 1) * (len(B) - 1)


def test_marks_and_levels():
    ax = surface_contours(A, B, LOSS, minima=np.array([[0.0, 0.0]]), saddles=np.zeros((0, 2)))
    (mark,) = ax.lines
    assert mark.get_xydata().tolist() == [[0, 0]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["local minimum"]
    levels = ax.collections[0].levels
    # The lowest and the highest point are inside; levels lie closer where the loss is low.
    assert levels[0] < LOSS.min() < LOSS.max() < levels[-1]
    assert (np.diff(levels, 2) > 0).all()


def test_paths_have_a_ring_and_a_dot():
    ax = surface_paths(PATHS, NAMES, ax=surface_contours(A, B, LOSS))
    line, ring, dot = ax.lines[:3]
    np.testing.assert_array_equal(line.get_xydata(), PATHS[0])
    np.testing.assert_array_equal(ring.get_xydata(), PATHS[0, :1])
    np.testing.assert_array_equal(dot.get_xydata(), PATHS[0, -1:])
    assert render(surface_paths(PATHS, NAMES, heights=HEIGHTS, ax=surface_3d(A, B, LOSS)).figure, "png")


def test_a_gallery_has_a_place_for_each():
    figure = surface_gallery(A, B, np.stack([LOSS] * 7), [f"seed {k}" for k in range(7)], columns=3, heading="Seven")
    *panels, bar = figure.axes
    assert len(panels) == 9
    assert [ax.get_title() for ax in panels[:7]] == [
        f"seed {k}\n{LOSS.min():.4g} to {LOSS.max():.4g}" for k in range(7)
    ]
    assert [ax.axison for ax in panels[7:]] == [False, False]
    assert [text.get_text() for text in bar.get_xticklabels()] == ["lowest", "highest"]
    assert render(figure, "png")


def test_explained_variance_adds_up_beside_a_random_walk():
    ax = explained_variance(np.array([[0.7, 0.2, 0.1]]), ["a"])
    own, walk = ax.lines[:2]
    np.testing.assert_allclose(own.get_ydata(), [0.7, 0.9, 1])
    np.testing.assert_allclose(walk.get_ydata()[:2], [6 / np.pi**2, 7.5 / np.pi**2])


def test_the_random_walk_is_that_of_many_dimensions():
    walk = np.cumsum(np.random.default_rng(0).normal(size=(150, 2000)), axis=0)
    values = np.linalg.svd(walk - walk.mean(axis=0), compute_uv=False) ** 2
    shown = explained_variance(np.array([values / values.sum()]), ["walk"]).lines
    np.testing.assert_allclose(shown[0].get_ydata(), shown[1].get_ydata(), atol=0.03)


def test_a_descent_in_perspective_ends_where_the_grid_ends():
    figure, draw = descent_3d(A, B, LOSS, STEPS, PATHS, HEIGHTS, NAMES, zlabel="cost", unit="epoch")
    draw(2)
    ax = figure.axes[0]
    trail, _, other, _ = ax.lines
    np.testing.assert_array_equal(np.transpose(trail.get_data_3d()), np.column_stack([PATHS[0, :3], HEIGHTS[0, :3]]))
    assert np.isnan(other.get_data_3d()[0][2])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["one: 0.0000", "two: 11.0000, outside"]
    assert ax.get_legend().get_title().get_text() == "cost at epoch 10"
    assert render(figure, "png")


def test_a_descent_from_above_shows_both_losses():
    figure, draw = descent_contours(A, B, LOSS, STEPS, PATHS, HEIGHTS, NAMES, in_plane=HEIGHTS + 1)
    ax, curves = figure.axes[:2]
    draw(0)
    # What is to come is there faintly from the first picture on, and a point where it begins.
    whole, curve, head, below = curves.lines[:4]
    np.testing.assert_array_equal(whole.get_xydata(), np.column_stack([STEPS, HEIGHTS[0]]))
    np.testing.assert_array_equal(head.get_xydata(), [[STEPS[0], HEIGHTS[0, 0]]])
    draw(1)
    np.testing.assert_array_equal(head.get_xydata(), [[STEPS[1], HEIGHTS[0, 1]]])
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), PATHS[0, :2])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), PATHS[0, 1:2])
    np.testing.assert_array_equal(below.get_ydata(), HEIGHTS[0, :2] + 1)
    texts = [text.get_text() for text in curves.get_legend().get_texts()]
    assert (texts[0], texts[-1]) == ("one: 1.5000", "as the plane shows them")
    assert curves.get_title() == "loss at step 1"
    draw(3)
    assert curve.get_xdata().tolist() == STEPS
    assert render(figure, "png")


def test_axes_in_rows_and_in_perspective():
    figure, axes = new_figure(2, rows=3)
    assert len(axes) == 6
    assert figure.axes == axes
    assert new_figure(projection="3d")[1][0].name == "3d"


def test_surfaces_that_are_compared_have_one_scale():
    drawn = surface_contours(A, B, LOSS, span=(-1.0, 2 * LOSS.max()))
    low, high = drawn.collections[0].get_clim()
    assert (low, high) == (-1.0, 2 * LOSS.max())


def test_ticks_of_a_colour_bar_are_round_and_apart():
    figure, (ax,) = new_figure()
    surface_contours(A, B, 5.6341 + LOSS, ax=ax)
    first, *others = figure.axes[1].get_yticks()
    assert first == pytest.approx(5.6341)
    np.testing.assert_allclose(others, np.round(others, 2))
    assert len(others) > 2
