"""Figures that every study gets can be read, whether it has one ensemble or forty, and whatever these are called."""

import numpy as np
import optax
import pytest
from geometry import assert_readable, panels

import jaxland as jl
from jaxland.plots import style
from jaxland.studies.general import best, curves, distances, losses
from jaxland.studies.general.shown import ROWS, medians_of

RNG = np.random.default_rng(0)
STEPS = np.arange(0, 2001, 10)
KINDS = {"parameters": 8.0, "symmetrised": 5.0, "outputs": 0.3}


def _names(count, long):
    optimizers, rates = ("adam", "sgd", "adadelta"), 10.0 ** -np.arange(20)
    if not long:
        return [f"adam-{index}" for index in range(count)]
    return [f"width-{2 ** (index % 7)}_optimizer-{optimizers[index % 3]}_learning-rate-{rates[index // 3]:g}"
            for index in range(count)]  # fmt: skip


def _losses(names):
    return {name: np.sort(10 ** RNG.normal(-2 - index % 4, 0.3, 50)) for index, name in enumerate(names)}


def _curves(names):
    found = {}
    for index, name in enumerate(names):
        values = RNG.uniform(0.5, 1, (9, 1)) * np.exp(-STEPS / 300 / (1 + index % 4)) + 1e-4
        if index % 5 == 4:  # fits that stopped
            values[:, 120:] = np.nan
        found[name] = (STEPS, values)
    return found


def _distances(names):
    return {
        kind: {name: RNG.gamma(9, scale / 9, 200) * (1 + index % 4) for index, name in enumerate(names)}
        for kind, scale in KINDS.items()
    }


FIGURES = {
    "losses": lambda names: losses._figure(_losses(names), "loss"),
    "training": lambda names: curves._figures(_curves(names))["training"],
    "distances": lambda names: distances._figure(_distances(names)),
}
CHEAP = [(1, True), (3, True), (12, False), (40, True)]
DEAR = [(count, long) for count in (1, 2, 3, 6, 12, 20, 40) for long in (False, True) if (count, long) not in CHEAP]


@pytest.mark.parametrize(("count", "long"), [*CHEAP, *(pytest.param(*each, marks=pytest.mark.slow) for each in DEAR)])
@pytest.mark.parametrize("figure", FIGURES)
def test_figures_can_be_read_with_few_ensembles_and_with_many(figure, count, long):
    names = _names(count, long)
    with style():
        drawn = FIGURES[figure](names)
        assert drawn.get_figwidth() in (3.4, 7.0)
        assert_readable(drawn)
    # Every name is there, however many lines it takes.
    told = " ".join("".join(each.get_text().split()) for each in drawn.findobj(lambda each: hasattr(each, "get_text")))
    assert [name for name in names if name not in told] == []


def test_rows_are_the_ensembles_in_order_and_their_medians():
    found = _losses(_names(6, False))
    (ax,) = losses._figure(found, "loss").axes
    assert [label.get_text() for label in ax.get_yticklabels()] == list(found)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    medians = [line for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in medians], [10 ** np.median(np.log10(each))
                               for each in found.values()])  # fmt: skip
    halves = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]
    np.testing.assert_allclose(halves, [10 ** np.quantile(np.log10(each), [0.25, 0.75]) for each in found.values()])


def test_a_picture_of_many_curves_has_the_median_of_each_at_each_step():
    found = _curves(_names(20, False))
    ax, _ = curves._figures(found)["training"].axes
    for mesh, (_, values) in zip(ax.collections, found.values(), strict=True):
        known = np.isfinite(values[0])
        np.testing.assert_array_equal(np.ma.getmaskarray(mesh.get_array())[0], ~known)
        np.testing.assert_allclose(mesh.get_array()[0][known], np.median(values[:, known], axis=0))


def test_panels_of_curves_have_one_axis_of_losses():
    drawn = panels(curves._figures(_curves(_names(5, False)))["training"])
    assert len(drawn) == 5
    assert len({ax.get_ylim() for ax in drawn}) == 1


def test_ensembles_beyond_those_that_are_drawn_are_told():
    names = _names(ROWS + 1, False)
    medians = {name: float(index + 1) for index, name in enumerate(names)}
    assert medians_of(medians, {}) == f"1 (adam-0) to {ROWS + 1} (adam-{ROWS}), of {ROWS + 1} ensembles; " + (
        f"the first {ROWS} are drawn")  # fmt: skip
    few = dict(list(medians.items())[:2])
    assert medians_of(few, {"adam-0": "1 (8 fits)", "adam-1": "2"}) == "adam-0 1 (8 fits); adam-1 2"
    (ax,) = losses._figure(dict(list(_losses(names).items())[:ROWS]), "loss").axes
    assert len(ax.get_yticks()) == ROWS


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_best_fits_can_be_read_whatever_the_ensemble_is_called(outputs):
    x = np.linspace(-1, 1, 30)
    ensemble = jl.Ensemble(
        jl.mlp([1, 4, outputs], "tanh"),
        jl.Problem(x, np.stack([np.sin(3 * x)] * outputs, axis=1)),
        optax.sgd(0.1),
        steps=1,
    )
    params = RNG.normal(size=(8, ensemble.network.size))
    with style():
        assert_readable(best._figure(_names(3, True)[-1], ensemble, params))
