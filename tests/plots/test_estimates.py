"""What is drawn of estimates, distributions and calibration is what the tables say."""

import numpy as np
import pandas as pd
import pytest

from jaxland.plots import (
    bootstrap_distribution,
    coverage_curve,
    distribution_bands,
    modality,
    new_figure,
    paired_differences,
    quantile_ranges,
    reliability_diagram,
    render,
    style,
    variance_shares,
)
from jaxland.statistics import (
    bootstrap_interval,
    dip_test,
    ecdf,
    interval_coverage,
    paired_tests,
    quantile_intervals,
    reliability,
    variance_components,
)

RNG = np.random.default_rng(0)
LOSSES = RNG.lognormal(size=60)
FITS = pd.DataFrame(
    [(level, seed, RNG.normal() + place) for place, level in enumerate("abc") for seed in range(12)],
    columns=["optimizer", "seed", "loss"],
)
PROBABILITIES = RNG.dirichlet(np.ones(3), size=200)
LABELS = RNG.integers(0, 3, 200)
PREDICTIONS, TARGETS = RNG.normal(size=(50, 40)), RNG.normal(size=40)

QUANTILES = quantile_intervals(LOSSES, (0.5, 0.9, 0.999))
PAIRED = paired_tests(FITS, value="loss", factor="optimizer", pairing="seed")
BOOTSTRAP = bootstrap_interval(LOSSES, np.mean, seed=0, resamples=200)
DIP = dip_test(LOSSES, seed=0, simulations=20)
COMPONENTS = variance_components(FITS, value="loss", factors=["optimizer", "seed"])
RELIABILITY = reliability(PROBABILITIES, LABELS, bins=6)
COVERAGE = interval_coverage(PREDICTIONS, TARGETS)

_DRAWINGS = {
    "quantiles": lambda ax: quantile_ranges({"adam": QUANTILES}, ylabel="loss", ax=ax),
    "bands": lambda ax: distribution_bands({"adam": ecdf(LOSSES)}, xlabel="loss", ax=ax),
    "bootstrap": lambda ax: bootstrap_distribution(BOOTSTRAP, xlabel="mean loss", ax=ax),
    "paired": lambda ax: paired_differences(PAIRED, xlabel="difference of losses", ax=ax),
    "modality": lambda ax: modality(LOSSES, DIP, xlabel="loss", ax=ax),
    "variance": lambda ax: variance_shares(COMPONENTS, ax=ax),
    "reliability": lambda ax: reliability_diagram({"adam": RELIABILITY}, ax=ax),
    "coverage": lambda ax: coverage_curve({"adam": COVERAGE}, ax=ax),
}


@pytest.mark.parametrize("name", _DRAWINGS)
def test_a_figure_has_title_labels_and_legend_and_is_drawn(name):
    with style():
        figure, (ax,) = new_figure()
        assert _DRAWINGS[name](ax) is ax
        assert render(figure, "png").startswith(b"\x89PNG")
    assert ax.get_title()
    assert ax.get_xlabel()
    assert ax.get_legend().get_texts()


def test_bars_of_quantiles_reach_their_bounds_and_arrows_stand_for_none():
    ax = quantile_ranges({"adam": QUANTILES, "sgd": QUANTILES.iloc[:1]}, ylabel="loss")
    bars = np.array(ax.collections[0].get_segments())
    np.testing.assert_allclose(bars[:2, :, 1], QUANTILES[["low", "high"]].to_numpy()[:2])
    assert np.isinf(QUANTILES["high"].iloc[2])
    np.testing.assert_allclose(bars[2, :, 1], QUANTILES.loc[2, ["low", "quantile"]].to_numpy(float))
    arrows = [line for line in ax.lines if line.get_marker() == "^" and len(line.get_xdata())]
    np.testing.assert_allclose(arrows[0].get_ydata(), QUANTILES["quantile"].iloc[2])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["adam (n = 60)", "sgd (n = 60)"]
    np.testing.assert_allclose(ax.collections[1].get_segments()[0][:, 0], 0.15)


def test_steps_of_the_distribution_function_are_those_of_the_table():
    table = ecdf(np.append(LOSSES, np.inf))
    ax = distribution_bands({"adam": table}, xlabel="loss")
    np.testing.assert_allclose(ax.lines[0].get_xydata(), table.iloc[:-1][["value", "share"]])
    assert ax.lines[0].get_ydata()[-1] == pytest.approx(60 / 61)
    many = ecdf(np.arange(50_000.0))
    drawn = distribution_bands({"adam": many}, xlabel="loss").lines[0].get_xydata()
    assert len(drawn) <= 1000
    np.testing.assert_allclose(drawn[:, 1], (drawn[:, 0] + 1) / 50_000)
    assert drawn[-1, 1] == 1


def test_the_bootstrap_shows_every_resample_and_the_interval():
    ax = bootstrap_distribution(BOOTSTRAP, xlabel="mean loss")
    bars, span = ax.patches[:-1], ax.patches[-1]
    assert sum(bar.get_height() for bar in bars) == 200
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx((BOOTSTRAP.low, BOOTSTRAP.high))
    assert ax.lines[0].get_xdata()[0] == BOOTSTRAP.value


def test_differences_stand_in_the_order_of_the_table_with_their_p_values():
    ax = paired_differences(PAIRED.assign(left_out=[0, 2, 0]), xlabel="difference", test="t")
    np.testing.assert_allclose(ax.lines[0].get_xydata(), np.stack([PAIRED["median_difference"], [2, 1, 0]], axis=1))
    np.testing.assert_allclose([each[:, 0] for each in ax.collections[0].get_segments()], PAIRED[["low", "high"]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a - b", "a - c", "b - c"]
    assert ax.texts[1].get_text() == f"p = {PAIRED['t_p_adjusted'][1]:.2g}\n12 pairs, 2 left out"


def test_levels_without_a_pair_are_named_all_the_same():
    none = paired_tests(FITS.assign(loss=np.nan), value="loss", factor="optimizer", pairing="seed")
    ax = paired_differences(none, xlabel="difference")
    assert ax.texts[0].get_text() == "p = nan\n0 pairs, 12 left out"
    assert render(ax.figure, "png")


def test_the_dip_is_told_beside_the_modal_interval():
    ax = modality(LOSSES, DIP, xlabel="loss")
    span = ax.patches[-1]
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx((DIP.low, DIP.high))
    assert f"one mode: dip = {DIP.dip:.3g},\np = {DIP.p_value.value:.2g}" in ax.get_legend().get_texts()[-1].get_text()


def test_bars_are_shares_of_the_variance():
    ax = variance_shares(COMPONENTS)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(COMPONENTS["share"].tolist())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["optimizer\n3", "seed\n12", "residual\n36"]
    none = variance_shares(COMPONENTS.assign(share_low=np.nan, share_high=np.nan))
    assert [text.get_text() for text in none.get_legend().get_texts()] == ["share of the variance"]


def test_points_of_the_reliability_diagram_are_filled_bins():
    ax = reliability_diagram({"adam": RELIABILITY})
    filled = RELIABILITY[RELIABILITY["count"] > 0]
    assert len(filled) < len(RELIABILITY)
    np.testing.assert_allclose(ax.lines[1].get_xydata(), filled[["confidence", "accuracy"]])
    np.testing.assert_allclose(np.array(ax.collections[0].get_segments())[:, :, 1], filled[["low", "high"]], atol=1e-12)
    assert ax.patches[0].get_data().values.sum() == pytest.approx(1)


def test_points_of_the_coverage_curve_are_in_order_of_level():
    ax = coverage_curve({"adam": COVERAGE.iloc[::-1]})
    np.testing.assert_allclose(ax.lines[1].get_xydata(), COVERAGE[["level", "coverage"]])
