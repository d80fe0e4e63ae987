import numpy as np
import pytest

from jaxland.plots import new_figure, path_angles, path_energies, path_with_interpolation, render, style

LENGTHS = np.cumsum(np.random.default_rng(0).random((5, 12)), axis=1) - 0.3
LENGTHS[:, 0] = 0
ENERGIES = 1 + np.sin(LENGTHS)
ANGLES = np.random.default_rng(1).random((5, 10))

DRAWINGS = {
    "energies": lambda ax: path_energies(LENGTHS, ENERGIES, ylabel="cross-entropy", ax=ax),
    "angles": lambda ax: path_angles(LENGTHS[:, 1:-1], ANGLES, ax=ax),
    "one path": lambda ax: path_with_interpolation(LENGTHS[0], ENERGIES[0], LENGTHS[0], ENERGIES[0], ax=ax),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_has_title_labels_and_legend(name):
    with style():
        figure, (ax,) = new_figure()
        assert DRAWINGS[name](ax) is ax
        assert render(figure, "png")
    assert ax.get_title()
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert ax.get_legend() is not None


def test_every_path_and_the_median_are_drawn():
    ax = path_energies(LENGTHS, ENERGIES, ylabel="cross-entropy")
    *paths, median = ax.lines
    for path, length, energy in zip(paths, LENGTHS, ENERGIES, strict=True):
        np.testing.assert_array_equal(path.get_xydata(), np.stack([length, energy], axis=1))
    assert median.get_xdata()[-1] == np.median(LENGTHS[:, -1])
    assert median.get_ydata()[-1] == pytest.approx(np.median(ENERGIES[:, -1]))
    assert ax.get_ylabel() == "cross-entropy"


def test_angles_are_drawn_by_their_median_over_the_share_of_the_way():
    lengths = [np.array([1.0, 2.0, 4.0]), np.array([10.0, 20.0, 40.0]), np.array([1.0, 2.0, 4.0])]
    ax = path_angles(lengths, [np.full(3, 0.1), np.full(3, 0.5), np.full(3, 0.2)], label="sgd")
    (median,) = ax.lines
    np.testing.assert_allclose(median.get_ydata(), 0.2)
    assert median.get_label() == "sgd: median of 3 paths and its interval"
    assert ax.get_xlim() == (0, 1)


def test_paths_that_end_above_the_axis_are_counted():
    ax = path_energies(LENGTHS, np.r_[ENERGIES[:-1], 10 + ENERGIES[-1:]], highest=5)
    assert ax.get_ylim()[1] == 5
    assert ax.get_legend().get_texts()[-1].get_text() == "1 end above"
