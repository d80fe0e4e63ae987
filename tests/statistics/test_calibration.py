"""Calibration against scikit-learn and plain loops."""

import inspect

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

import jaxland as jl
from jaxland.statistics import (
    calibration_error,
    classification_scores,
    interval_coverage,
    reliability,
    wilson_interval,
)

RNG = np.random.default_rng(0)
MEMBERS = RNG.dirichlet(np.full(4, 0.5), size=(7, 300))
LABELS = RNG.integers(0, 4, 300)
MEAN = MEMBERS.mean(axis=0)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_bins_are_those_of_scikit_learn(strategy):
    found = reliability(MEMBERS, LABELS, bins=8, strategy=strategy)
    sure, right = MEAN.max(axis=1), MEAN.argmax(axis=1) == LABELS
    accuracy, confidence = calibration_curve(right, sure, n_bins=8, strategy=strategy)
    filled = found[found["count"] > 0]
    # Quantiles of scikit-learn and ours differ in which bin the value on an edge is counted.
    np.testing.assert_allclose(filled["accuracy"], accuracy, atol=0.04 if strategy == "quantile" else 1e-12)
    np.testing.assert_allclose(filled["confidence"], confidence, atol=0.01 if strategy == "quantile" else 1e-12)
    assert found["count"].sum() == 300
    for row in filled.itertuples():
        inside = (sure >= row.bin_low) & ((sure < row.bin_high) | (row.bin_high == found["bin_high"].iloc[-1]))
        assert (row.count, row.accuracy) == (inside.sum(), pytest.approx(right[inside].mean()))
        assert (row.low, row.high) == pytest.approx(wilson_interval(int(right[inside].sum()), int(inside.sum())))
    assert found.loc[found["count"] == 0, ["confidence", "accuracy", "low", "high"]].isna().all(axis=None)


def test_scores_are_those_of_their_definitions():
    found = classification_scores(MEMBERS, LABELS, bins=10)
    assert found.nll == pytest.approx(log_loss(LABELS, MEAN))
    squares = [(p - (c == label)) ** 2 for row, label in zip(MEAN, LABELS, strict=True) for c, p in enumerate(row)]
    assert found.brier == pytest.approx(sum(squares) / 300)
    sure, right = MEAN.max(axis=1), MEAN.argmax(axis=1) == LABELS
    places = np.minimum((sure * 10).astype(int), 9)
    apart = [(places == k).sum() * abs(right[places == k].mean() - sure[places == k].mean()) for k in np.unique(places)]
    assert found.calibration_error == pytest.approx(sum(apart) / 300)
    assert (found.accuracy, found.confidence, found.points) == (right.mean(), pytest.approx(sure.mean()), 300)
    alone = classification_scores(MEAN, LABELS, bins=10)
    assert alone[:6] == pytest.approx(found[:6])
    assert found.intervals["accuracy"] == pytest.approx(wilson_interval(int(right.sum()), 300))
    each = -np.log(MEAN[np.arange(300), LABELS])
    t = stats.ttest_1samp(each, 0).confidence_interval(0.95)
    assert found.intervals["nll"] == pytest.approx((t.low, t.high))
    narrow = classification_scores(MEAN, LABELS, level=0.5).intervals
    for name, (low, high) in found.intervals.items():
        assert low < narrow[name][0] < getattr(found, name) < narrow[name][1] < high


def test_scores_of_predictions_that_are_certain():
    probabilities = np.eye(3)[[0, 1, 2, 0]]
    right = classification_scores(probabilities, np.array([0, 1, 2, 0]))
    assert right[:6] == (0, 0, 0, 1, 1, 4)
    wrong = classification_scores(probabilities, np.array([1, 1, 2, 0]))
    assert (wrong.nll, wrong.brier, wrong.accuracy) == (np.inf, 0.5, 0.75)
    assert wrong.intervals["nll"][1] == np.inf
    assert wrong.calibration_error == 0.25


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Points of three kinds, whose scores are known: the mean over all is."""
    kinds = np.array([[0.7, 0.3], [0.5, 0.5], [0.9, 0.1]])
    truth = np.mean([np.sum(p * -np.log(p)) for p in kinds])
    inside = 0
    for _ in range(300):
        probabilities = kinds[RNG.integers(0, 3, 150)]
        labels = (RNG.random(150) > probabilities[:, 0]).astype(int)
        low, high = classification_scores(probabilities, labels, level=0.8).intervals["nll"]
        inside += low < truth < high
    assert stats.binomtest(inside, 300, 0.8).pvalue > 0.001


def test_labels_drawn_from_the_probabilities_are_calibrated():
    probabilities = RNG.dirichlet(np.ones(3), size=20_000)
    labels = (RNG.random((20_000, 1)) > np.cumsum(probabilities, axis=1)).sum(axis=1)
    table = reliability(probabilities, labels, bins=10)
    assert calibration_error(table) < 0.012
    filled = table[table["count"] > 0]
    assert ((filled["low"] < filled["confidence"]) & (filled["confidence"] < filled["high"])).mean() > 0.7


def test_equally_sure_points_share_a_bin():
    table = reliability(np.tile([0.25, 0.75], (40, 1)), np.zeros(40, int), bins=5, strategy="quantile")
    assert table[["bin_low", "bin_high", "count"]].to_numpy().tolist() == [[0, 1, 40]]
    assert calibration_error(table) == 0.75
    two = reliability(np.repeat([[0.25, 0.75], [0.4, 0.6]], 20, axis=0), np.zeros(40, int), strategy="quantile")
    assert two["count"].sum() == 40


def test_float32_softmax_is_accepted():
    logits = RNG.normal(size=(50, 10)).astype(np.float32)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert classification_scores(probabilities, np.zeros(50, np.uint8)).points == 50


@pytest.mark.parametrize(
    ("probabilities", "labels", "options", "message"),
    [
        (MEAN[:, 0], LABELS, {}, r"shape \(members, points, classes\).*Stack a single probability p"),
        (MEAN, LABELS[:-1], {}, r"got \(300, 4\) and \(299,\)"),
        (MEAN - 0.3, LABELS, {}, "must sum to one; the smallest is -0.*Take the softmax of logits"),
        (MEAN * np.nan, LABELS, {}, "the smallest is nan"),
        (MEAN, LABELS + 1, {}, r"labels must be whole numbers from 0 to 3; got \[1 2 3 4\]"),
        (MEAN, LABELS / 2, {}, "labels must be whole numbers"),
        (MEAN, LABELS, {"bins": 0}, "bins must be at least 1; got 0"),
        (MEAN[:0], LABELS[:0], {}, "there are no points"),
    ],
)
def test_bad_probabilities_and_labels_are_refused(probabilities, labels, options, message):
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(reliability)(probabilities, labels, **options)


def test_coverage_of_targets_drawn_as_the_members_is_the_level():
    draws = np.random.default_rng(1).normal(size=(20, 4000))
    found = interval_coverage(draws[1:], draws[0], (0.3, 0.5, 0.9))
    for row in found.itertuples():
        assert stats.binomtest(round(row.coverage * 4000), 4000, row.level).pvalue > 0.01
        assert (row.low, row.high) == pytest.approx(wilson_interval(round(row.coverage * 4000), 4000))
    # 19 members: that of level 0.9 is their whole range.
    assert found["coverage"].iloc[-1] == np.mean(
        (draws[1:].min(axis=0) <= draws[0]) & (draws[0] <= draws[1:].max(axis=0))
    )
    assert found["width"].iloc[-1] == pytest.approx(np.ptp(draws[1:], axis=0).mean())


def test_few_points_at_a_time_give_the_same(monkeypatch):
    predictions, targets = RNG.normal(size=(30, 17)), RNG.normal(size=17)
    whole = interval_coverage(predictions, targets, (0.5, 0.8))
    monkeypatch.setattr("jaxland.statistics.scores._HELD", 100)
    pd.testing.assert_frame_equal(interval_coverage(predictions, targets, (0.5, 0.8)), whole)


def test_levels_beyond_the_members_are_refused():
    with pytest.raises(ValueError, match=r"10 members have central intervals of level 0\.818 at most; got 0\.9"):
        interval_coverage(RNG.normal(size=(10, 5)), np.zeros(5), (0.5, 0.9))
    with pytest.raises(ValueError, match="levels must lie between 0 and 1; got 95"):
        interval_coverage(RNG.normal(size=(10, 5)), np.zeros(5), (95,))


def test_labels_may_be_a_column_as_class_numbers_makes_them():
    column = jl.problems.class_numbers(np.array(["a", "b", "b"]))
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    assert classification_scores(probabilities, column) == classification_scores(probabilities, column[:, 0])
    pd.testing.assert_frame_equal(reliability(probabilities, column), reliability(probabilities, column[:, 0]))
