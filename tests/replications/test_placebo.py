"""The placebo study: its data and fits against their definitions, its analyses at a tiny scale, its claims planted."""

import numpy as np
import pytest
from replications.tiny import TINY, tiny_config, tiny_settings, trained
from scipy import stats

import jaxland as jl
from jaxland.landscape import hessians
from jaxland.replications.placebo import examples, overview
from jaxland.replications.placebo.data import labelled_data, linear_p_value
from jaxland.store import Parts
from jaxland.studies import STUDIES, Context

CONFIG, FITS = tiny_config("placebo"), TINY["placebo"].fits


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return trained("placebo", tmp_path_factory.mktemp("studies") / "s")


@pytest.fixture(scope="module")
def found(store, tmp_path_factory):
    parts = Parts(tmp_path_factory.mktemp("parts"))
    return {
        name: analysis.find(Context(CONFIG, tiny_settings("placebo", name), store, parts, 2, lambda line: None))
        for name, analysis in STUDIES["placebo"].analyses.items()
    }


def test_labels_have_variance_one_and_the_share_that_is_asked_for():
    x, y = labelled_data([0, 1], 200_000, 5, 0.3)
    explained = (x[:, 0] + x[:, 1] * x[:, 2]) / np.sqrt(2)
    assert np.var(y) == pytest.approx(1, abs=0.02)
    assert np.corrcoef(explained, y[:, 0])[0, 1] ** 2 == pytest.approx(0.3, abs=0.01)
    same, noise = labelled_data([0, 1], 200_000, 5, 0.0)
    np.testing.assert_array_equal(same, x)
    np.testing.assert_allclose(y[:, 0], np.sqrt(0.3) * explained + np.sqrt(0.7) * noise[:, 0], rtol=1e-12)


def test_linear_p_value_is_that_of_the_f_test():
    x, y = labelled_data([3], 60, 4, 0.1)
    statsmodels = pytest.importorskip("statsmodels.api")
    assert linear_p_value(x, y) == pytest.approx(statsmodels.OLS(y, statsmodels.add_constant(x)).fit().f_pvalue)
    values = [linear_p_value(*labelled_data([n], 30, 4)) for n in range(300)]
    assert stats.kstest(values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("name", ["noise", "signal"])
def test_each_fit_is_trained_on_its_own_data_set(store, name):
    (shard,) = store.stream(name, ["fit", "loss", "params"])
    for number in (0, 7):
        problem = CONFIG.problem(number, CONFIG.shares[name])
        alone = jl.fit(CONFIG.network, problem, CONFIG.optimizer, fits=1, first=number, steps=60)
        np.testing.assert_allclose(shard.arrays["params"][number], alone.params[0], rtol=1e-3, atol=1e-4)
        output = np.asarray(CONFIG.network.apply(CONFIG.network.unflatten(shard.arrays["params"][number]), problem.x))
        assert shard.arrays["loss"][number] == pytest.approx(np.mean((output - problem.y) ** 2), rel=1e-4)


def test_losses_on_fresh_data_are_those_of_other_points(store):
    (shard,) = store.stream("signal", ["fit", "params"])
    fresh = overview.fresh_losses(CONFIG, shard.arrays["params"][:, None], shard.arrays["fit"], 0.1)
    assert fresh.shape == (FITS, 1)
    x, y = CONFIG.data(5, 0.1, fresh=True)
    assert not np.isin(x, CONFIG.data(5, 0.1)[0]).any()
    output = np.asarray(CONFIG.network.apply(CONFIG.network.unflatten(shard.arrays["params"][5]), x))
    assert fresh[5, 0] == pytest.approx(np.mean((output - y) ** 2), rel=1e-4)


def test_tables_figures_and_claims_of_a_small_study(found):
    assert set(found["overview"].figures) == {"example-1-losses", "losses-of-noise-and-signal"}
    assert set(found["examples"].figures) == {
        "example-2-loss-and-weights",
        "example-2-paths-of-weights",
        "example-3-paths-of-several-runs",
    }
    assert set(found["minima"].figures) == {"training-of-several-seeds"}
    assert set(found["tests"].figures) == {"placebo-tests-calibration-and-power", "placebo-test-of-one-data-set"}
    claims = [claim for each in found.values() for claim in each.claims]
    assert {claim.verdict for claim in claims} == {"not tested", ""}
    assert len(found["tests"].tables["p-values.csv"]) == 5
    assert found["overview"].tables["losses.csv"]["fits"].tolist() == 8 * [FITS]


def test_curves_follow_the_fits_that_are_stored(store, found):
    (shard,) = store.stream("noise", ["loss"])
    curves = found["overview"].tables["curves.csv"].query("ensemble == 'noise' and step == 60")
    assert curves["training_q50"].item() == pytest.approx(np.median(shard.arrays["loss"][:3]), rel=1e-4)


def test_paths_are_those_of_the_first_layer(found):
    fits = jl.fit(
        CONFIG.network, CONFIG.problem(0), CONFIG.optimizer, fits=4, steps=40, snapshots=(1, 40),
    )  # fmt: skip
    weights = np.array([[CONFIG.network.unflatten(each)[0].weight for each in fit] for fit in fits.snapshots])
    distance = np.linalg.norm((weights[:, 1] - weights[:, 0]).reshape(4, -1), axis=1)
    np.testing.assert_allclose(found["examples"].tables["paths.csv"]["distance"], distance, rtol=1e-4)


def test_ends_are_those_of_a_longer_training_and_hessians_those_of_the_loss(found):
    table = found["minima"].tables["minima.csv"].set_index(["labels", "fit"])
    for name, share in (("noise", 0.0), ("no noise", 1.0)):
        problem = CONFIG.problem(0, share)
        fits = jl.fit(CONFIG.network, problem, CONFIG.optimizer, fits=4, steps=120, snapshots=(60,), trace_every=60)
        np.testing.assert_allclose(table.loc[name]["loss"], fits.trace[:, 1], rtol=1e-4)
        np.testing.assert_allclose(table.loc[name]["loss_later"], fits.best_loss, rtol=1e-4)
        hessian = hessians(problem.objective(CONFIG.network), fits.snapshots[:2, 0].astype(np.float64))
        values = np.linalg.eigvalsh(hessian)
        counted = (values < -1e-4 * values[:, -1:]).sum(axis=1)
        np.testing.assert_array_equal(table.loc[name]["descending"][:2], counted)


def test_neighbours_in_time():
    line = np.arange(50.0)[:, None] * [1, 2]
    assert examples.neighbours_in_time(line) == 1
    shuffled = np.random.default_rng(0).permutation(np.arange(2000.0)[:, None] * [1, 2])
    assert examples.neighbours_in_time(shuffled) == pytest.approx(2 * 5 / 2000, rel=0.5)


def test_rank_correlation_of_a_map_that_keeps_distances_and_of_one_that_does_not():
    random = np.random.default_rng(0)
    paths = np.cumsum(random.normal(size=(3, 200, 2)), axis=1)
    turned = paths @ np.array([[0.6, -0.8], [0.8, 0.6]])
    assert examples.rank_correlation(paths, turned) == pytest.approx(1)
    assert abs(examples.rank_correlation(paths, random.normal(size=paths.shape))) < 0.1
    assert np.isnan(examples.rank_correlation(paths[:1], turned[:1]))
