"""Scores of ensembles against double loops, integrals and closed forms."""

import inspect
import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from jaxland.statistics import crps, gaussian_nll

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("members", [1, 2, 5, 40])
def test_crps_is_the_double_loop(members):
    predictions, targets = RNG.normal(size=(members, 6)), RNG.normal(size=6)
    predictions[0, 0] = targets[0]
    predictions[-1, 1] = predictions[0, 1]
    for fair in (False, True) if members > 1 else (False,):
        pairs = members * (members - 1 if fair else members)
        expected = [
            np.mean([abs(x - y) for x in column]) - sum(abs(a - b) for a in column for b in column) / (2 * pairs)
            for column, y in zip(predictions.T, targets, strict=True)
        ]
        np.testing.assert_allclose(crps(predictions, targets, fair=fair), expected, atol=1e-14)


def test_crps_is_the_integral_of_the_squared_distance_to_a_step():
    members, target = np.sort(RNG.normal(size=9)), 0.3
    ends = np.sort([*members, target])
    value = sum(
        integrate.quad(lambda z: (np.mean(members <= z) - (target <= z)) ** 2, low, high)[0]
        for low, high in itertools.pairwise(ends)
    )
    assert crps(members[:, None], np.array([target])).item() == pytest.approx(value)


def test_crps_of_many_normal_members_is_the_closed_form():
    """Gneiting and Raftery (2007), eq. 21."""
    members = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    targets = np.array([-2.0, 0.0, 0.7])
    closed = targets * (2 * stats.norm.cdf(targets) - 1) + 2 * stats.norm.pdf(targets) - 1 / np.sqrt(np.pi)
    np.testing.assert_allclose(crps(2 * members[:, None] + 5 + np.zeros(3), 2 * targets + 5), 2 * closed, rtol=1e-3)


def test_a_fair_score_does_not_depend_on_the_number_of_members_in_the_mean():
    few, many = RNG.normal(size=(3, 40_000)), RNG.normal(size=(30, 40_000))
    targets = RNG.normal(size=40_000)
    fair = [crps(each, targets, fair=True) for each in (few, many)]
    error = np.hypot(*(each.std() / 200 for each in fair))
    assert abs(fair[0].mean() - fair[1].mean()) < 3 * error
    assert crps(few, targets).mean() - crps(many, targets).mean() > 10 * error


def test_members_far_from_zero_lose_no_digits():
    predictions, targets = RNG.normal(size=(50, 4)), RNG.normal(size=4)
    far = 2.0**40
    moved = crps((predictions + far) - far, targets)
    np.testing.assert_allclose(crps(predictions + far, targets + far), moved, rtol=1e-3)
    np.testing.assert_allclose(crps(predictions.astype(np.float32), targets), crps(predictions, targets), rtol=1e-5)


def test_few_points_at_a_time_give_the_same(monkeypatch):
    predictions, targets = RNG.normal(size=(30, 17)), RNG.normal(size=17)
    whole = crps(predictions, targets), gaussian_nll(predictions, targets)
    monkeypatch.setattr("jaxland.statistics.scores._HELD", 100)
    parts = crps(predictions, targets), gaussian_nll(predictions, targets)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)


def test_the_order_of_members_and_of_points_does_not_matter():
    predictions, targets = RNG.normal(size=(30, 17)), RNG.normal(size=17)
    members, points = RNG.permutation(30), RNG.permutation(17)
    for score in (crps, gaussian_nll):
        moved = score(predictions[members][:, points], targets[points])
        np.testing.assert_allclose(moved, score(predictions, targets)[points], rtol=1e-12)


def test_gaussian_nll_is_that_of_scipy():
    predictions, targets = 3 + RNG.normal(size=(12, 5)), RNG.normal(size=5)
    expected = -stats.norm.logpdf(targets, predictions.mean(axis=0), predictions.std(axis=0, ddof=1))
    np.testing.assert_allclose(gaussian_nll(predictions, targets), expected)


def test_members_that_agree():
    assert gaussian_nll(np.full((3, 2), 0.1), np.array([0.1, 2.0])).tolist() == [-np.inf, np.inf]
    assert crps(np.ones((3, 2)), np.array([1.0, 3.0])).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [
        (np.zeros((3, 4)), np.zeros(3), r"got \(3, 4\) and \(3,\)"),
        (np.zeros((3, 4, 2)), np.zeros((4, 2)), "Ravel points that have several outputs"),
        (np.array([[0.0, np.nan], [1, 2], [np.inf, np.nan]]), np.zeros(2), "2 of 3 members predict what is not finite"),
        (np.zeros((3, 2)), np.array([0, np.nan]), "1 of 2 targets are not finite"),
        (np.zeros((1, 2)), np.zeros(2), "a spread needs at least two members"),
    ],
)
def test_bad_predictions_are_refused(predictions, targets, message):
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(gaussian_nll)(predictions, targets)


def test_a_fair_score_of_one_member_is_refused():
    with pytest.raises(ValueError, match="a fair score needs at least two members"):
        crps(np.zeros((1, 2)), np.zeros(2), fair=True)
