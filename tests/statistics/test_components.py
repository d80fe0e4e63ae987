import numpy as np
import pytest

from jaxland.statistics import two_way_components


def _planted(random, rows, columns, deviations):
    """A matrix whose components are the squares of the deviations, in expectation."""
    a, b, c = deviations
    return a * random.normal(size=(rows, 1)) + b * random.normal(size=columns) + c * random.normal(size=(rows, columns))


def test_against_mean_squares_by_hand():
    values = np.add.outer([0.0, 2, 4], [0.0, 1, 2])
    found = two_way_components(values)
    np.testing.assert_allclose([found.rows, found.columns, found.both], [4, 1, 0], atol=1e-12)
    values[0, 0] += 9
    # Residuals of a single 9 in a 3 x 3 table: 4 at its place, -2 beside, 1 elsewhere; squares 16 + 4*4 + 4*1 = 36.
    assert two_way_components(values).both == pytest.approx(36 / 4)


def test_planted_components_are_found_without_bias():
    random, deviations = np.random.default_rng(0), (0.3, 0.15, 0.55)
    found = [two_way_components(_planted(random, 12, 9, deviations)) for _ in range(600)]
    components = np.array([[each.rows, each.columns, each.both] for each in found])
    error = components.std(axis=0) / np.sqrt(len(components))
    assert (np.abs(components.mean(axis=0) - np.square(deviations)) < 3.5 * error).all()


def _bimodal(random, size):
    """Two modes, chosen by the sum of hidden effects of row, column and pair."""
    return np.where(_planted(random, size, size, (0.5, 0.27, 0.82)) < -0.6, 1.5, 0.0)


@pytest.mark.parametrize(
    "draw", [lambda random: _planted(random, 24, 24, (0.3, 0.15, 0.55)), lambda random: _bimodal(random, 24)]
)
def test_intervals_hold_the_truth(draw):
    """Nominal 95 %. The estimates have no bias, so that the truth is their mean over many other samples."""
    random = np.random.default_rng(1)
    truth = _truth(draw, random)
    hits = np.zeros(3)
    trials = 150
    for _ in range(trials):
        found = two_way_components(draw(random))
        for index in range(3):
            estimate = found.estimate(lambda *parts, index=index: parts[index])
            hits[index] += estimate.low <= truth[index] <= estimate.high
    assert (hits / trials > 0.88).all()


def _truth(draw, random):
    means = [two_way_components(draw(random)) for _ in range(400)]
    return np.mean([[each.rows, each.columns, each.both] for each in means], axis=0)


def test_functions_of_components():
    found = two_way_components(_planted(np.random.default_rng(2), 40, 30, (0.3, 0.0, 0.1)))
    share = found.estimate(lambda rows, columns, both: rows / (rows + columns + both))
    assert share.value == pytest.approx(found.rows / found.total)
    assert 0.5 < share.low < share.value < share.high
    assert found.estimate(lambda rows, columns, both: rows, 0.5).high < found.estimate(lambda *parts: parts[0]).high
    # A variance that is not there has an interval about zero.
    columns = found.estimate(lambda rows, columns, both: columns)
    assert columns.low < 0 < columns.high


@pytest.mark.parametrize(
    ("values", "message"),
    [(np.zeros((2, 5)), "at least three rows"), (np.full((3, 3), np.nan), "9 of 9 values are not finite")],
)
def test_bad_designs_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        two_way_components(values)
