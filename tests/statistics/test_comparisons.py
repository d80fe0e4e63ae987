"""Paired tests against SciPy and statsmodels on arrays paired by hand."""

import gc
import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from jaxland.statistics import paired_tests

LEVELS = ("adam", "momentum", "sgd")
SEEDS = 14


@pytest.fixture(scope="module", autouse=True)
def _nothing_to_collect():
    """statsmodels collects garbage at every correction of p-values, among all that other tests have left."""
    gc.freeze()
    yield
    gc.unfreeze()


def _fits(seed=0):
    rng = np.random.default_rng(seed)
    loss = rng.normal(size=SEEDS) + 0.4 * rng.normal(size=(3, SEEDS)) + np.array([[0.0], [0.3], [0.5]])
    table = pd.DataFrame(
        [(level, seed, loss[i, seed]) for i, level in enumerate(LEVELS) for seed in range(SEEDS)],
        columns=["optimizer", "seed", "loss"],
    )
    return loss, table.sample(frac=1, random_state=seed)


def _tested(table, **options):
    return paired_tests(table, value="loss", factor="optimizer", pairing="seed", **options)


def test_every_number_is_that_of_scipy_and_statsmodels():
    loss, table = _fits()
    found = _tested(table)
    assert list(zip(found["level"], found["against"], strict=True)) == list(itertools.combinations(LEVELS, 2))
    for row, (one, other) in zip(found.itertuples(), itertools.combinations(range(3), 2), strict=True):
        difference = loss[one] - loss[other]
        student, wilcoxon = stats.ttest_rel(loss[one], loss[other]), stats.wilcoxon(loss[one], loss[other])
        assert (row.t_statistic, row.t_p) == pytest.approx(tuple(student))
        assert (row.wilcoxon_statistic, row.wilcoxon_p) == pytest.approx(tuple(wilcoxon))
        assert row.mean_difference == pytest.approx(difference.mean())
        assert row.median_difference == pytest.approx(np.median(difference))
        assert row.cohens_d == pytest.approx(student.statistic / np.sqrt(SEEDS))
        low, high = stats.quantile_test(difference, p=0.5).confidence_interval()
        assert (row.low, row.high) == (low, high)
        assert (row.pairs, row.left_out, row.not_finite) == (SEEDS, 0, 0)
    for test, correction in itertools.product(("wilcoxon", "t"), ("holm", "fdr_bh", "bonferroni")):
        adjusted = _tested(table, correction=correction)[f"{test}_p_adjusted"]
        np.testing.assert_allclose(adjusted, multipletests(found[f"{test}_p"], method=correction)[1])


def test_rank_biserial_is_the_share_of_favourable_rank_sums():
    """Kerby (2014): the differences 1, 2, 3, -4 have ranks 1, 2, 3 for and 4 against; one of zero has none."""
    differences = np.array([1.0, 2, 3, -4, 0])
    table = pd.DataFrame(
        {"optimizer": ["a"] * 5 + ["b"] * 5, "seed": [*range(5)] * 2, "loss": [*differences, *[0.0] * 5]}
    )
    assert _tested(table)["rank_biserial"].item() == pytest.approx((1 + 2 + 3 - 4) / 10)
    mirrored = _tested(table.assign(loss=-table["loss"])).iloc[0]
    assert (mirrored["rank_biserial"], mirrored["median_difference"]) == (-0.2, -1)


def test_a_baseline_is_what_all_others_are_compared_with():
    _, table = _fits()
    found, pairs = _tested(table, baseline="momentum"), _tested(table).set_index(["level", "against"])
    assert found[["level", "against"]].to_numpy().tolist() == [["adam", "momentum"], ["sgd", "momentum"]]
    forth, back = found["t_statistic"]
    assert forth == pytest.approx(pairs.loc[("adam", "momentum"), "t_statistic"])
    assert back == pytest.approx(-pairs.loc[("momentum", "sgd"), "t_statistic"])
    np.testing.assert_allclose(found["t_p_adjusted"], multipletests(found["t_p"], method="holm")[1])


def test_what_has_no_partner_or_is_not_finite_is_counted():
    loss, table = _fits()
    is_adam, is_sgd = table["optimizer"] == "adam", table["optimizer"] == "sgd"
    table.loc[is_adam & table["seed"].isin([2]), "loss"] = np.nan
    table.loc[is_sgd & table["seed"].isin([2, 5]), "loss"] = np.inf
    table = table[~((table["optimizer"] == "momentum") & table["seed"].isin([5, 9]))]
    found = _tested(table).set_index(["level", "against"])
    counts = found[["pairs", "left_out", "not_finite"]]
    assert counts.loc[("adam", "momentum")].tolist() == [11, 3, 1]
    assert counts.loc[("adam", "sgd")].tolist() == [12, 2, 2]
    assert counts.loc[("momentum", "sgd")].tolist() == [11, 3, 1]
    kept = [seed for seed in range(SEEDS) if seed not in (2, 5, 9)]
    assert found.loc[("adam", "momentum"), "wilcoxon_p"] == pytest.approx(
        stats.wilcoxon(loss[0, kept], loss[1, kept]).pvalue
    )


def test_several_columns_pair():
    """Seeds alone name four values each, one of every width."""
    rng = np.random.default_rng(1)
    rows = list(itertools.product(("a", "b"), (5, 10, 20, 40), range(3)))
    table = pd.DataFrame(rows, columns=["optimizer", "width", "seed"]).assign(loss=rng.normal(size=24))
    found = paired_tests(table, value="loss", factor="optimizer", pairing=["width", "seed"])
    assert found["pairs"].item() == 12
    split = [table.loc[table["optimizer"] == level, "loss"].to_numpy() for level in "ab"]
    assert found["t_p"].item() == pytest.approx(stats.ttest_rel(*split).pvalue)
    with pytest.raises(ValueError, match=r"several values for optimizer='a', seed=.*Name all columns"):
        _tested(table)


def test_equal_values_are_no_evidence_and_are_not_corrected_for():
    _, table = _fits()
    twin = table[table["optimizer"] == "adam"].assign(optimizer="twin")
    found = _tested(pd.concat([table, twin])).set_index(["level", "against"])
    same = found.loc[("adam", "twin")]
    assert same[["wilcoxon_p", "rank_biserial", "median_difference"]].tolist() == [1, 0, 0]
    assert same[["t_p", "t_p_adjusted", "cohens_d"]].isna().all()
    others = found["t_p"].dropna()
    assert len(others) == 5
    np.testing.assert_allclose(found["t_p_adjusted"].dropna(), multipletests(others, method="holm")[1])


@pytest.mark.parametrize("seeds", [0, 1])
def test_no_pair_or_a_single_one(seeds):
    table = pd.DataFrame({"optimizer": ["a", "b"], "seed": [0, 1 - seeds], "loss": [1.0, 2.0]})
    found = _tested(table).iloc[0]
    assert (found["pairs"], found["left_out"]) == (seeds, 2 - 2 * seeds)
    assert np.isnan(found["t_p"])
    assert found["median_difference"] == -1 if seeds else np.isnan(found["median_difference"])


def test_levels_may_be_categories_and_numbers():
    _, table = _fits()
    order = pd.Categorical(table["optimizer"], categories=["sgd", "adam", "unused", "momentum"])
    found = _tested(table.assign(optimizer=order))
    assert found[["level", "against"]].to_numpy().tolist() == [
        ["sgd", "adam"],
        ["sgd", "momentum"],
        ["adam", "momentum"],
    ]
    rates = table["optimizer"].map({"adam": 0.1, "momentum": 0.01, "sgd": 1.0})
    assert _tested(table.assign(optimizer=rates))["level"].tolist() == [0.01, 0.01, 0.1]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"factor": "optimiser"}, "no column 'optimiser'; it has"),
        ({}, {"pairing": "optimizer"}, "each column has one part to play"),
        ({}, {"pairing": []}, "pairing must name at least one column"),
        ({}, {"baseline": "lion"}, "baseline must be a level of 'optimizer', one of .*; got 'lion'"),
        ({}, {"correction": "none"}, "correction must be one that statsmodels.*; got 'none'"),
        ({"optimizer": "adam", "seed": range(42)}, {}, "'optimizer' has fewer than two levels"),
        ({"seed": np.nan}, {}, "column 'seed' is empty in 42 of 42 rows"),
    ],
)
def test_bad_arguments_are_refused(change, options, message):
    table = _fits()[1].assign(**change)
    with pytest.raises(ValueError, match=message):
        paired_tests(table, **{"value": "loss", "factor": "optimizer", "pairing": "seed", **options})
