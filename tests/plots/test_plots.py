import subprocess
import sys

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from jaxland.plots import (
    all_fits,
    basin_map,
    basin_scatter,
    compared_histograms,
    disconnectivity_graph,
    error_curves,
    fit_curve,
    network_diagram,
    new_figure,
    paired_strips,
    render,
    share_curves,
    sharpness_curves,
    spectra_band,
    spectrum,
    strips,
    style,
    target_curve,
    training_curves,
    tube,
    weight_paths,
)
from jaxland.statistics import Histogram

X = np.linspace(-1, 1, 50)
HISTOGRAM = Histogram.spanning(0, 1, 100).add(np.random.default_rng(0).random(1000))
SPECTRA = np.random.default_rng(1).normal(size=(200, 30)) ** 9


_DRAWINGS = {
    "target": lambda ax: target_curve(X, X**2, ax=ax),
    "fit": lambda ax: fit_curve(X, X**2, X, label="fit", color="C0", ax=ax),
    "all fits": lambda ax: all_fits(X, np.stack([X, -X]), f=X**2, color="C0", ax=ax),
    "loss curves": lambda ax: training_curves(np.arange(50), {"a": np.ones((3, 50))}, reference=(0.5, "smooth"), ax=ax),
    "tube": lambda ax: tube(X, X**2, X, np.ones(50), label="mean", color="C0", ax=ax),
    "errors": lambda ax: error_curves(np.arange(50), {"test set": X**2}, mark=(3.0, "best"), ax=ax),
    "sharpness": lambda ax: sharpness_curves(np.arange(50), {"float32": X}, 0.5, rises={"float32": 30.0}, ax=ax),
    "shares": lambda ax: share_curves(
        np.array([0.1, 1.0]), {"h = 3": np.array([[0.5, 0.4, 0.6], [np.nan] * 3])}, xlabel="rate", ylabel="share", ax=ax
    ),
    "histograms": lambda ax: compared_histograms({"momentum": HISTOGRAM}, title="t", xlabel="loss", ax=ax),
    "spectrum": lambda ax: spectrum({"momentum": SPECTRA[0], "W_f": SPECTRA[1]}, ax=ax),
    "band": lambda ax: spectra_band({"momentum": SPECTRA, "W_f": SPECTRA[:1]}, ax=ax),
    "basin": lambda ax: basin_scatter(X + 1, np.exp(X), X < 0, ax=ax),
    "basins of a plane": lambda ax: basin_map(
        np.stack(np.meshgrid(X, X), axis=-1).reshape(-1, 2),
        np.arange(2500) % 2,
        ["one", "two"],
        ["C0", "C1"],
        labels=("a", "b"),
        ax=ax,
    ),
    "weights": lambda ax: weight_paths(np.arange(50), np.outer(np.arange(50), X), ax=ax),
    "tree": lambda ax: disconnectivity_graph(
        np.arange(3.0), np.array([[0, 1, 3, 2], [3, 2, 4, 3.0]]), highlighted=0, ax=ax
    ),
}


@pytest.mark.parametrize("name", _DRAWINGS)
def test_a_figure_has_title_labels_and_legend(name):
    with style():
        _, (ax,) = new_figure()
        assert _DRAWINGS[name](ax) is ax
        assert ax.get_title()
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.get_legend() is not None


@pytest.mark.parametrize("size", [(2.3, 2.1), (3.4, 2.5)])
@pytest.mark.parametrize("name", _DRAWINGS)
def test_a_legend_hides_no_label_of_an_axis_however_small_the_panel_is(name, size):
    with style():
        figure, (ax,) = new_figure(width=size[0], height=size[1])
        _DRAWINGS[name](ax)
        figure.draw_without_rendering()
        legend = ax.get_legend().get_window_extent()
        for labels in (ax.xaxis.label, *ax.get_xticklabels()):
            assert not legend.overlaps(labels.get_window_extent()), labels


def test_axes_are_made_where_none_are_given():
    assert target_curve(X, X).get_figure() is not None


def test_histogram_shows_every_value_in_range():
    ax = compared_histograms({"momentum": HISTOGRAM}, title="t", xlabel="x")
    drawn = ax.patches[0].get_data()
    assert (drawn.values * np.diff(drawn.edges)).sum() == pytest.approx(1, abs=0.002)


def test_the_legend_of_a_histogram_shows_the_area_that_is_drawn():
    ax = compared_histograms({"momentum": HISTOGRAM, "adam": HISTOGRAM}, title="t", xlabel="x")
    for entry, drawn in zip(ax.get_legend().legend_handles, ax.patches, strict=True):
        assert isinstance(entry, Rectangle)
        assert (entry.get_facecolor(), entry.get_edgecolor()) == (drawn.get_facecolor(), drawn.get_edgecolor())
        assert entry.get_fill()


def test_the_smallest_value_of_a_histogram_is_on_the_axis_and_told():
    # So far from the others that the middle 99.9 % end above it.
    rare = Histogram.spanning(0, 10, 1000).add(np.array([0.5, *np.linspace(5, 9, 20_000)]))
    common = Histogram.spanning(0, 10, 1000).add(np.linspace(4, 8, 20_000))
    values = {"rare": rare, "common": common}
    assert compared_histograms(values, title="t", xlabel="x").get_xlim()[0] > 3
    ax = compared_histograms(values, title="t", xlabel="x", smallest=True)
    assert [line.get_xdata()[0] for line in ax.lines] == [0.5, 4.0]
    assert ax.get_xlim()[0] < 0.5
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert [each for each in told if "smallest" in each] == ["the smallest: 0.5", "the smallest: 4"]


def test_spectrum_shows_every_eigenvalue_and_counts_the_negative_ones():
    values = np.array([3.0, -1e-9, 0.0, 1e-12, 100.0, -0.5, -2.0])
    ax = spectrum({"$W_f$": values}, colors={"$W_f$": "#444444"})
    points = ax.lines[0]
    np.testing.assert_array_equal(points.get_ydata(), np.sort(values))
    np.testing.assert_array_equal(points.get_xdata(), np.arange(1, 8))
    assert (points.get_label(), points.get_color()) == ("$W_f$: 2 below the band", "#444444")
    low, high = ax.get_ylim()
    assert low <= -2
    assert high >= 100


def test_band_holds_the_quantiles_of_each_rank_and_leaves_out_broken_fits():
    broken = np.concatenate([SPECTRA, np.full((3, 30), np.nan)])
    ax = spectra_band({"adadelta": broken, "none": broken[200:]})
    median = ax.lines[0]
    np.testing.assert_allclose(median.get_ydata(), np.median(np.sort(SPECTRA, axis=1), axis=0))
    assert "(n = 200)" in median.get_label()
    low, high = np.quantile(np.sort(SPECTRA, axis=1)[:, -1], [0.05, 0.95])
    corners = ax.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(np.unique(corners[corners[:, 0] == 30, 1]), [low, high])


def test_ensembles_without_a_finite_spectrum_give_empty_axes():
    ax = spectra_band({"momentum": np.full((2, 30), np.nan)})
    assert not ax.get_lines()[0].get_label().startswith("momentum")


def test_strips_show_every_value_and_the_median_of_each_group():
    ax = strips({"a": np.array([1.0, 2, 9]), "none": np.zeros(0), "b": np.array([4.0])}, ylabel="loss", color="C0")
    points = [line.get_ydata().tolist() for line in ax.lines if line.get_marker() == "o"]
    medians = [line.get_ydata().tolist() for line in ax.lines if line.get_marker() != "o"]
    assert points == [[1, 2, 9], [], [4]]
    assert medians == [[2, 2], [4, 4]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a\nn = 3", "none\nn = 0", "b\nn = 1"]


def test_paired_strips_join_what_belongs_together():
    ax = paired_strips({"before": np.array([1.0, 2, 6]), "after": np.array([3.0, np.nan, 5])}, ylabel="", color="C0")
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines], [[1, 3], [2, np.nan], [6, 5], [2, 4]])


def test_diagram_makes_live_weights_bold():
    weights = [np.array([[1.0], [0.0]]), np.array([[0.5, 0.0]])]
    ax = network_diagram([1, 2, 1], weights)
    widths = sorted(line.get_linewidth() for line in ax.lines if len(line.get_xdata()) == 2)
    assert widths == [0.4, 0.4, 1.2, 1.2]


def test_diagram_draws_bias_units_where_they_are_asked_for():
    weights = [np.ones((2, 1)), np.ones((1, 2))]
    plain, with_biases = (network_diagram([1, 2, 1], weights, biases=biases) for biases in (False, True))
    places = [
        line.get_xydata()[0].tolist() for line in with_biases.lines[len(plain.lines) :] if len(line.get_xdata()) == 1
    ]
    assert places == [[0, -1.5], [1, -1.5]]
    leads_to = [line.get_xydata()[1].tolist() for line in with_biases.lines if line.get_linestyle() == "--"]
    assert leads_to == [[1, 0.5], [1, -0.5], [2, 0]]


def test_errors_too_large_to_be_drawn_are_told():
    ax = error_curves(np.arange(4), {"e": np.array([1.0, 1e99, 1e101, np.inf])})
    assert np.isfinite(ax.lines[0].get_ydata()).tolist() == [True, True, False, False]
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "above $10^{100}$ from 2"


def test_values_beyond_the_window_of_a_histogram_are_told():
    histogram = Histogram.spanning(0, 10, 100).add(np.linspace(0.05, 9.95, 100))
    drawn = compared_histograms({"a": histogram}, title="", xlabel="", window=(0, 8))
    assert drawn.get_legend().get_texts()[0].get_text() == "a (n = 100, 20.0% beyond)"
    whole = compared_histograms({"a": histogram}, title="", xlabel="", window=(0, 10))
    assert whole.get_legend().get_texts()[0].get_text() == "a (n = 100)"


def test_weights_are_drawn_by_quantiles_and_some_as_lines():
    weights = np.outer([0.0, 1.0, 2.0], np.arange(101))
    ax = weight_paths(np.arange(3), weights, named=3)
    *lines, median = ax.lines
    assert [line.get_ydata()[-1] for line in lines] == [0, 100, 200]
    np.testing.assert_array_equal(median.get_ydata(), [0, 50, 100])


def test_a_figure_is_rendered_to_the_same_bytes_each_time():
    def draw():
        with style():
            figure, (ax,) = new_figure()
            target_curve(X, X**2, ax=ax)
            return render(figure, "png"), render(figure, "svg")

    first = draw()
    assert first == draw()
    assert first[0].startswith(b"\x89PNG")


def test_style_leaves_global_settings_alone():
    import matplotlib

    before = matplotlib.rcParams["axes.grid"]
    with style():
        assert matplotlib.rcParams["axes.grid"] is True
    assert matplotlib.rcParams["axes.grid"] == before


def test_pyplot_is_not_imported():
    code = "import sys, jaxland.plots; assert 'matplotlib.pyplot' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_errors_that_overflow_are_left_out():
    ax = error_curves(np.arange(6), {"e": np.array([1, 10, 0, 1e99, 1e120, np.nan])})
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1, 10, np.nan, 1e99, np.nan, np.nan])
    assert render(ax.figure, "png")


@pytest.mark.parametrize(("scale", "first"), [("log", 1), ("linear", 0)])
def test_epoch_zero_is_shown_on_either_scale(scale, first):
    ax = error_curves(np.array([0, 10, 100]), {"e": np.array([1.0, 0.1, 0.01])}, xscale=scale)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [first, 10, 100])
    assert ax.get_legend() is None


def test_rows_of_a_figure():
    figure, axes = new_figure(3, rows=2, width=2.0, height=1.5)
    assert len(axes) == 6
    assert figure.get_size_inches().tolist() == [6.0, 3.0]
    assert axes[3].get_subplotspec().rowspan.start == 1
