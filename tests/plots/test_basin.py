import numpy as np
import pytest

from jaxland.plots import basin_scatter, new_figure, render, style
from jaxland.statistics import binned_shares, logistic_fit, lowess

RNG = np.random.default_rng(0)
DISTANCE = 2 * RNG.random(500)
RETURNED = RNG.random(500) < 1 / (1 + np.exp(20 * (DISTANCE - 0.4)))
LOSS = np.where(RETURNED, 1e-8, 4e-3) * RNG.lognormal(sigma=0.3, size=500)


def _draw(distance, loss, returned):
    with style():
        figure, (ax,) = new_figure()
        assert basin_scatter(distance, loss, returned, title="momentum", ax=ax) is ax
        render(figure, "png")
    losses, chance = figure.axes
    return losses, chance, [" ".join(text.get_text().split()) for text in ax.get_legend().get_texts()]


def test_what_is_drawn_is_what_was_computed():
    losses, chance, legend = _draw(DISTANCE, LOSS, RETURNED)
    np.testing.assert_allclose(losses.collections[0].get_offsets(), np.stack([DISTANCE, LOSS], axis=1))
    curve = lowess(DISTANCE, np.log10(LOSS), fraction=0.2)
    np.testing.assert_allclose(losses.lines[0].get_xydata(), np.stack([curve.x, 10**curve.y], axis=1))
    shares = binned_shares(DISTANCE, RETURNED, np.linspace(0, DISTANCE.max(), 21))
    points, logistic = chance.lines[0], chance.lines[-1]
    np.testing.assert_allclose(points.get_ydata(), shares.share)
    bars = np.array(chance.collections[0].get_segments())
    np.testing.assert_allclose(bars[:, :, 1], np.stack([shares.low, shares.high], axis=1), atol=1e-12)
    fit = logistic_fit(DISTANCE, RETURNED)
    np.testing.assert_allclose(logistic.get_ydata(), fit.probability(logistic.get_xdata()))
    assert losses.get_yscale() == "log"
    assert legend[0] == "fits (n = 500)"
    assert any(label.startswith(f"logistic fit: one half at {fit.half:.3g} ±") for label in legend)
    for ax in (losses, chance):
        assert ax.get_ylabel()


def test_legend_lies_outside_the_data():
    losses, _, _ = _draw(DISTANCE, LOSS, RETURNED)
    frame = losses.get_legend().get_window_extent()
    assert frame.y1 < losses.get_window_extent().y0
    assert frame.y0 >= 0


@pytest.mark.parametrize(
    ("returned", "label"),
    [
        (np.zeros(500, bool), "chance to return: zero (none of 500 returned)"),
        (np.ones(500, bool), "chance to return: one (all of 500 returned)"),
        (DISTANCE < 0.5, "no logistic fit, separable: changes between "),
    ],
)
def test_legend_says_why_there_is_no_curve(returned, label):
    _, _, legend = _draw(DISTANCE, LOSS, returned)
    assert any(text.startswith(label) for text in legend)


def test_no_trend_is_said():
    _, _, legend = _draw(np.arange(8.0), np.ones(8), np.arange(8) % 3 == 0)
    assert any("no trend" in text for text in legend)


def test_diverged_fits_are_counted_and_not_drawn():
    loss = LOSS.copy()
    loss[:3], loss[3] = np.nan, 0.0
    losses, _, legend = _draw(DISTANCE, loss, RETURNED)
    assert legend[0] == "fits (n = 497, 3 not finite)"
    shown = losses.collections[0].get_offsets()
    assert shown[np.isfinite(shown).all(axis=1), 1].min() == 1e-16


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_fits(count):
    _draw(DISTANCE[:count], LOSS[:count], RETURNED[:count])
    _, _, legend = _draw(DISTANCE[:count], LOSS[:count] * np.nan, np.zeros(count, bool))
    assert legend[0].startswith("fits (n = 0")


def test_losses_above_the_axis_are_counted():
    losses = np.array([1.0, 1.1, 1.2, 9.0])
    with style():
        _, (ax,) = new_figure()
        basin_scatter(np.arange(4.0), losses, np.array([True, True, False, False]), highest=2.0, ax=ax)
    assert ax.get_yscale() == "linear"
    assert np.isfinite(ax.collections[0].get_offsets()[:, 1].filled(np.nan)).tolist() == [True, True, True, False]
    assert "fits (n = 4, 1 above)" in [text.get_text() for text in ax.get_legend().get_texts()]
