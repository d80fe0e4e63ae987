"""Curves of losses where fits stop early: each step has the quantiles of those that are left."""

import numpy as np

from jaxland.plots import new_figure, training_curves
from jaxland.studies.general import curves

STEPS = np.arange(0, 50, 10)
LOSSES = np.random.default_rng(0).uniform(0.5, 1, (7, 5)).astype(np.float32)
STOPPED = LOSSES.copy()
for _fit, _stop in enumerate((2, 2, 3, 3, 4, 4, 4)):
    STOPPED[_fit, _stop:] = np.nan


def test_quantiles_are_of_the_fits_that_are_left_and_say_how_many():
    frame = curves._frame("a", STEPS, STOPPED)
    assert frame["fits"].tolist() == [7, 7, 5, 3, 0]
    expected = [np.median(column[~np.isnan(column)]) for column in STOPPED.T[:4]]
    np.testing.assert_allclose(frame["loss_median"][:4], expected, rtol=1e-7)
    np.testing.assert_allclose(frame["loss_q25"][2], np.quantile(STOPPED[2:, 2].astype(float), 0.25))
    assert frame["loss_median"].isna().tolist() == [False] * 4 + [True]
    assert curves._told(frame) == f"{expected[0]:.3g} to {expected[3]:.3g} of the last 3 of 7 fits, at step 30"
    whole = curves._frame("a", STEPS, LOSSES)
    assert curves._told(whole) == f"{np.median(LOSSES[:, 0]):.3g} to {np.median(LOSSES[:, 4]):.3g}"
    assert curves._told(curves._frame("a", STEPS, np.full((3, 5), np.nan))) == "has none"


def test_all_ensembles_with_a_loss_are_drawn_and_what_is_not_finite_is_left_out():
    diverged = LOSSES.copy()
    diverged[0, 3:] = np.inf
    most = np.where(np.arange(7)[:, None] < 6, np.float32(np.inf), LOSSES)
    told = curves._frame("b", STEPS, most)
    assert told["fits"].tolist() == [7] * 5
    assert not np.isfinite(told["loss_q75"]).any()
    figures = curves._figures(
        {"stopped": (STEPS, STOPPED), "diverged": (STEPS, diverged), "none": (STEPS, diverged * np.nan)}
    )
    lines = [ax.lines[0].get_ydata() for ax in figures["training"].axes if ax.lines]
    assert [np.isfinite(line).tolist() for line in lines] == [[True] * 4 + [False], [True] * 5]
    np.testing.assert_allclose(lines[1][3], np.median(diverged[1:, 3].astype(float)))
    _, (ax,) = new_figure()
    assert len(training_curves(STEPS, {"a": STOPPED}, ax=ax).collections) == 1
