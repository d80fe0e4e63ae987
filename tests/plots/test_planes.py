import numpy as np

from jaxland.plots import (
    basin_map,
    contour_map,
    descent_path,
    duration_map,
    mark_stationary,
    new_figure,
    render,
)

AXIS = np.linspace(-2, 2, 21)
BOWL = AXIS[:, None] ** 2 + 3 * AXIS[None] ** 2 + 1e-6
LABELS = ("u", "v")
RNG = np.random.default_rng(0)


def test_a_contour_map_has_levels_evenly_spaced_in_the_logarithm():
    ax = contour_map(AXIS, AXIS, BOWL, labels=LABELS, floor=1e-3)
    levels = ax.collections[0].levels
    np.testing.assert_allclose(np.diff(np.log(levels)), np.log(levels[1] / levels[0]))
    assert levels[0] == 1e-3
    assert levels[-1] >= BOWL.max()
    assert (ax.get_xlabel(), ax.get_ylabel()) == LABELS
    assert len(render(ax.figure, "png")) > 1000


def test_the_first_coordinate_runs_to_the_right():
    """A loss that is large only where the first coordinate is: its highest contours stand on the right."""
    loss = 10.0 ** (AXIS[:, None] + 0 * AXIS)
    filled = contour_map(AXIS, AXIS, loss, labels=LABELS, floor=1e-2).collections[0]
    drawn = [path.vertices[:, 0] for path in filled.get_paths() if len(path.vertices)]
    assert drawn[-1].min() > 1
    assert drawn[0].max() < -1


def test_holes_are_left_where_a_loss_is_not_finite():
    loss = BOWL.copy()
    loss[:5] = np.nan
    filled = contour_map(AXIS, AXIS, loss, labels=LABELS).collections[0]
    assert min(path.vertices[:, 0].min() for path in filled.get_paths() if len(path.vertices)) >= AXIS[5]


def test_stationary_points_outside_are_left_out_and_limits_kept():
    ax = contour_map(AXIS, AXIS, BOWL, labels=LABELS)
    mark_stationary(np.array([[0.0, 0.0], [1.0, 1.0], [9.0, 0.0]]), np.array([0, 1, 1]), ax=ax)
    assert ax.get_xlim() == (-2, 2)
    shown = {
        each.get_label(): each.get_offsets() for each in ax.collections if each.get_label() in ("minimum", "saddle")
    }
    assert {name: len(places) for name, places in shown.items()} == {"minimum": 1, "saddle": 1}


def test_a_path_has_its_ends():
    _, (ax,) = new_figure()
    path = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]])
    line, start, end = descent_path(path, label="a", ax=ax)
    np.testing.assert_array_equal(line.get_xydata(), path)
    np.testing.assert_array_equal(start.get_xydata(), path[:1])
    np.testing.assert_array_equal(end.get_xydata(), path[-1:])
    assert ax.texts[0].get_text() == "a"


def test_pixels_have_the_colour_of_the_nearest_start():
    starts = RNG.uniform([-5, 0], [5, 100], (3000, 2))
    basin = (starts[:, 0] > 0).astype(int) + (starts[:, 1] > 50)
    ax = basin_map(starts, basin, ("a", "b", "c"), ("red", "green", "blue"), labels=LABELS)
    (image,) = ax.images
    pixels = np.asarray(image.get_array())
    assert pixels[10, 10] == 0
    assert pixels[10, -10] == 1
    assert pixels[-10, 10] == 1
    assert pixels[-10, -10] == 2
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[0] == f"a: {(basin == 0).mean():.1%}"


def test_three_fill_a_page_and_leave_each_other_room():
    starts = RNG.uniform([-5, 0], [5, 100], (300, 2))
    figure, axes = new_figure(3, height=3.1)
    for ax in axes:
        names = ("global minimum", "other minimum", "neither")
        basin_map(starts, np.zeros(300, int), names, ("red", "green", "blue"), labels=LABELS, title="300 starts", ax=ax)
    render(figure, "png")  # a warning, which fails here, says where axes have no room
    assert all(ax.get_position().width > 0.15 for ax in axes)


def test_what_never_arrives_is_masked():
    starts = RNG.uniform(0, 1, (500, 2))
    reached = starts[:, 0] < 0.5
    ax = duration_map(starts, np.where(reached, 100.0, np.nan), reached, labels=LABELS)
    shown = ax.images[0].get_array()
    assert shown[:, :80].mask.sum() == 0
    assert shown[:, -80:].mask.all()
    assert not duration_map(starts, np.full(500, np.nan), np.zeros(500, bool), labels=LABELS).images


def test_losses_below_the_floor_are_told_by_an_arrow():
    axis = np.linspace(0, 1, 5)
    for low, told in ((1e-6, "min"), (1e-2, "neither")):
        ax = contour_map(axis, axis, np.geomspace(low, 1, 25).reshape(5, 5), labels=("a", "b"), floor=1e-3)
        assert ax.figure.axes[1]._colorbar.extend == told


def test_maps_of_durations_that_are_compared_have_one_scale():
    starts = np.random.default_rng(0).random((20, 2))
    ax = duration_map(starts, np.full(20, 50.0), np.ones(20, bool), labels=("a", "b"), span=(10, 1000))
    assert ax.images[0].get_clim() == (10, 1000)
