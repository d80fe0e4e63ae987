import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import optimize
from statsmodels.stats.anova import anova_lm

from jaxland.statistics import two_way_components, variance_components

pytestmark = pytest.mark.sampled


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


@pytest.mark.slow
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


def _crossed(random, shape, deviations, replicates):
    """A table with factors a, b, ... whose components are the squares of the deviations, keyed by their axes."""
    values = np.zeros((*shape, replicates))
    for subset, deviation in deviations.items():
        sizes = [size if axis in subset else 1 for axis, size in enumerate((*shape, replicates))]
        values = values + deviation * random.normal(size=sizes)
    places = np.indices(values.shape).reshape(values.ndim, -1)
    names = [*"abc"[: len(shape)], "seed"]
    return pd.DataFrame({**dict(zip(names, places, strict=True)), "loss": values.ravel()})


def test_one_factor_against_the_analysis_of_variance_of_statsmodels():
    table = _crossed(np.random.default_rng(0), (6,), {(0,): 1.0, (0, 1): 0.5}, 5)
    found = variance_components(table, value="loss", factors=["a"]).set_index("component")
    squares = anova_lm(smf.ols("loss ~ C(a)", table).fit())["mean_sq"]
    assert found.loc["residual", "variance"] == pytest.approx(squares["Residual"])
    assert found.loc["a", "variance"] == pytest.approx((squares["C(a)"] - squares["Residual"]) / 5)
    assert found["levels"].tolist() == [6, 30]


def test_three_factors_against_mean_squares_of_statsmodels():
    """Expected mean squares of a crossed design by hand: Searle, Casella and McCulloch (1992), section 4.7."""
    table = _crossed(np.random.default_rng(1), (4, 3, 5), {(0,): 1.0, (1, 2): 0.7, (0, 1, 2, 3): 0.5}, 2)
    found = variance_components(table, value="loss", factors=list("abc")).set_index("component")["variance"]
    squares = anova_lm(smf.ols("loss ~ C(a) * C(b) * C(c)", table).fit())["mean_sq"]
    rest, all_three = squares["Residual"], squares["C(a):C(b):C(c)"]
    ab, ac, bc = (squares[f"C({x}):C({y})"] for x, y in ("ab", "ac", "bc"))
    assert found["residual"] == pytest.approx(rest)
    assert found["a:b:c"] == pytest.approx((all_three - rest) / 2)
    assert found["b:c"] == pytest.approx((bc - all_three) / (2 * 4))
    assert found["a"] == pytest.approx((squares["C(a)"] - ab - ac + all_three) / (2 * 3 * 5))
    assert found.index.tolist() == ["a", "b", "c", "a:b", "a:c", "b:c", "a:b:c", "residual"]


def test_without_interactions_these_are_in_the_rest():
    table = _crossed(np.random.default_rng(2), (5, 4), {(0,): 1.0, (0, 1): 0.5, (0, 1, 2): 0.5}, 3)
    found = variance_components(table, value="loss", factors=["a", "b"], interactions=False).set_index("component")
    squares = anova_lm(smf.ols("loss ~ C(a) + C(b)", table).fit())["mean_sq"]
    assert found.loc["residual", "variance"] == pytest.approx(squares["Residual"])
    assert found.loc["b", "variance"] == pytest.approx((squares["C(b)"] - squares["Residual"]) / 15)


def test_one_value_a_cell_is_the_two_way_design():
    table = _crossed(np.random.default_rng(3), (7, 5), {(0,): 1.0, (0, 1): 0.5}, 1)
    found = variance_components(table.sample(frac=1, random_state=0), value="loss", factors=["a", "b"])
    components = two_way_components(table["loss"].to_numpy().reshape(7, 5))
    for row, axis in zip(found.itertuples(), range(3), strict=True):
        estimate = components.estimate(lambda *parts, axis=axis: parts[axis])
        assert (row.variance, row.low, row.high) == pytest.approx(tuple(estimate))
        share = components.estimate(lambda *parts, axis=axis: parts[axis] / sum(parts))
        assert (row.share, row.share_low, row.share_high) == pytest.approx(tuple(share))
    assert found["component"].tolist() == ["a", "b", "residual"]


def _log_likelihood(variances, table):
    """Restricted, written with the whole covariance matrix: Searle, Casella and McCulloch (1992), section 6.6."""
    a, b, values = table["a"].to_numpy(), table["b"].to_numpy(), table["loss"].to_numpy()
    same_a, same_b = a[:, None] == a, b[:, None] == b
    covariance = np.tensordot(variances, [same_a, same_b, same_a & same_b, np.eye(len(values))], 1)
    inverse = np.linalg.inv(covariance)
    mean = inverse.sum(axis=0) @ values / inverse.sum()
    away = values - mean
    return -(np.linalg.slogdet(covariance)[1] + np.log(inverse.sum()) + away @ inverse @ away) / 2


def test_an_unbalanced_table_has_the_components_of_the_largest_restricted_likelihood():
    table = _crossed(np.random.default_rng(4), (6, 5), {(0,): 1.0, (1,): 0.8, (0, 1): 0.6, (0, 1, 2): 0.5}, 3)
    table = table.sample(frac=0.85, random_state=1)
    found = variance_components(table, value="loss", factors=["a", "b"])
    best = optimize.minimize(
        lambda logarithms: -_log_likelihood(np.exp(logarithms), table), np.log(found["variance"]), method="Nelder-Mead"
    )
    np.testing.assert_allclose(found["variance"], np.exp(best.x), rtol=1e-3)
    assert set(found["method"]) == {"REML"}
    assert found[["low", "high", "share_low", "share_high"]].isna().all(axis=None)


def test_restricted_likelihood_against_statsmodels():
    table = _crossed(np.random.default_rng(7), (9,), {(0,): 1.0, (0, 1): 0.5}, 6).sample(frac=0.7, random_state=0)
    fit = smf.mixedlm("loss ~ 1", table, groups="a").fit(reml=True)
    found = variance_components(table, value="loss", factors=["a"])["variance"]
    np.testing.assert_allclose(found, [fit.cov_re.iloc[0, 0], fit.scale], rtol=1e-3)


def test_restricted_likelihood_of_a_balanced_table_has_its_mean_squares_where_none_is_negative():
    table = _crossed(np.random.default_rng(8), (6, 5), {(0,): 1.0, (1,): 0.8, (0, 1): 0.6, (0, 1, 2): 0.5}, 2)
    balanced = variance_components(table, value="loss", factors=["a", "b"])["variance"]
    # A value that says nothing: one more of a cell, and its mean. The likelihood hardly moves.
    extra = pd.concat([table] * 40, ignore_index=True)
    many = variance_components(extra, value="loss", factors=["a", "b"])["variance"]
    one_less = variance_components(extra.iloc[1:], value="loss", factors=["a", "b"])["variance"]
    np.testing.assert_allclose(one_less, many, rtol=5e-3)
    assert (balanced > 0).all()


def test_components_that_are_not_there_are_zero():
    random = np.random.default_rng(9)
    table = _crossed(random, (8, 6), {(0, 1, 2): 1.0}, 4).iloc[1:]
    found = [
        variance_components(table.assign(loss=random.normal(size=len(table))), value="loss", factors=["a", "b"])
        for _ in range(20)
    ]
    components = np.array([each["variance"] for each in found])
    assert (components >= 0).all()
    assert 0.25 < np.mean(components[:, :2] == 0) < 0.85
    assert components[:, -1].mean() == pytest.approx(1, abs=0.06)


def test_a_factor_with_two_levels_has_an_estimate_and_no_interval():
    table = _crossed(np.random.default_rng(5), (2, 6), {(0,): 1.0, (0, 1, 2): 0.5}, 2)
    found = variance_components(table, value="loss", factors=["a", "b"])
    assert found["low"].isna().all()
    assert found["share"].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "factors", "message"),
    [
        (lambda table: table, ["a", "width"], "no column 'width'"),
        (lambda table: table, [], "factors must name at least one"),
        (lambda table: table.assign(loss=np.inf), ["a"], "24 of 24 values of column 'loss' are not finite"),
        (lambda table: table.assign(loss=2.5), ["a"], "all values of column 'loss' are equal"),
        (lambda table: table.assign(b=0), ["a", "b"], "factor 'b' has a single level, 0; leave it out"),
        (lambda table: table.assign(a=np.nan), ["a"], "column 'a' is empty in 24 of 24 rows"),
        (lambda table: table[(table["b"] == 0) & (table["seed"] == 0)], ["a"], "one value for each level"),
    ],
)
def test_bad_tables_are_refused(change, factors, message):
    table = change(_crossed(np.random.default_rng(6), (4, 3), {(0,): 1.0}, 2))
    with pytest.raises(ValueError, match=message):
        variance_components(table, value="loss", factors=factors)
