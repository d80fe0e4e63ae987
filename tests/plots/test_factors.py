import numpy as np
import pandas as pd
import pytest

from jaxland.plots import factor_curves, new_figure, render, style

RNG = np.random.default_rng(0)
RATES = np.array([1e-3, 1e-2, 1e-1])


def _table(**changes):
    rows = [(name, rate, seed) for name in ("sgd", "adam") for rate in RATES for seed in range(9)]
    table = pd.DataFrame(rows, columns=["optimizer", "rate", "seed"])
    return table.assign(loss=RNG.lognormal(size=len(table)), **changes)


def _draw(table, factor, **options):
    with style():
        figure, (ax,) = new_figure()
        assert factor_curves(table, factor, ax=ax, **options) is ax
        render(figure, "png")
    return ax, [text.get_text() for text in ax.get_legend().get_texts()]


def test_medians_and_bands_are_those_of_the_fits():
    table = _table()
    ax, legend = _draw(table, "rate", by="optimizer")
    # Of nine values the fifth is the median, the third and the seventh bound the middle half.
    ordered = np.sort(table["loss"].to_numpy().reshape(2, 3, 9))
    for index in range(2):
        np.testing.assert_array_equal(ax.lines[index].get_xydata(), np.stack([RATES, ordered[index, :, 4]], axis=1))
        corners = {tuple(point) for point in ax.collections[index].get_paths()[0].vertices}
        assert {(rate, ordered[index, place, k]) for place, rate in enumerate(RATES) for k in (2, 6)} <= corners
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "log", "rate", "loss")
    assert legend == [f"optimizer {name}: median and middle 50% of 9 fits" for name in ("sgd", "adam")]


def test_fits_without_a_finite_value_are_the_worst():
    table = _table()
    few, most = (table["rate"] == 0.01) & (table["seed"] < 2), (table["rate"] == 0.1) & (table["seed"] < 5)
    table.loc[few | most, "loss"] = np.nan
    ax, _ = _draw(table, "rate", by="optimizer")
    for line, name in zip(ax.lines, ("sgd", "adam"), strict=True):
        rest = np.sort(table.query(f"optimizer == '{name}' and rate == 0.01 and seed > 1")["loss"])
        assert line.get_ydata()[1] == rest[4]
        assert np.isnan(line.get_ydata()[2])


def test_axes_follow_the_levels():
    assert _draw(_table(rate=np.tile([1.0, 2.0, 5.0], 18)), "rate")[0].get_xscale() == "linear"
    ax, legend = _draw(_table(), "optimizer")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["sgd", "adam"]
    assert legend == ["median and middle 50% of 27 fits"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"factor": "width"}, "no column 'width'; it has optimizer, rate, seed, loss"),
        ({"value": "best_loss"}, "no column 'best_loss'"),
        ({"by": "width"}, "no column 'width'"),
        ({"band": 50}, "between 0 and 1; got 50"),
    ],
)
def test_what_cannot_be_drawn_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        factor_curves(_table(), **{"factor": "rate", **given})
