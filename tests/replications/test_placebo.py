"""The placebo study: its data and fits against their definitions, its analyses at a tiny scale, its claims planted."""

import numpy as np
import pytest
from replications.tiny import TINY, tiny_config, tiny_settings, trained
from scipy import stats

import jaxland as jl
from jaxland.landscape import hessians
from jaxland.replications import PlaceboConfig
from jaxland.replications.placebo import examples, minima, overview, power
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


def _claim(claims, words):
    (claim,) = [claim for claim in claims if words in claim.statement]
    return claim


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
    assert {claim.verdict for claim in claims} == {"not tested"}
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


def _ends(loss, later, distance, descending=0):
    fits = len(later)
    descents = np.full(8, float(descending))
    return minima.Ends(
        np.full((fits, 2), loss),
        np.full(fits, loss),
        later,
        np.full(8, distance),
        distance,
        1e-6 + 0 * descents,
        descents,
    )


def test_verdicts_follow_planted_ends():
    spread = np.linspace(0.5, 0.6, 24)
    still, falling = _ends(0.5, np.full(24, 0.5), 1.4), _ends(0.8, spread, 1.4)
    assert minima._minimum(still).verdict == "agrees"
    assert minima._minimum(falling).verdict == "differs"
    assert minima._minimum(_ends(0.5, np.full(24, 0.5), 1.4, descending=3)).verdict == "differs"
    assert minima._not_global(falling).verdict == "agrees"
    assert minima._not_global(still).verdict == "differs"
    assert minima._lack_of_learning(still, _ends(0.0, spread, 1.3)).verdict == "differs"
    assert minima._lack_of_learning(still, _ends(0.0, spread, 0.1)).verdict == "agrees"


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


def _losses(initial, final, fresh_final, fits=200):
    spread = 1 + 1e-3 * np.random.default_rng(0).normal(size=fits)
    rows = [value * spread for value in (initial, final, 1.02, fresh_final)]
    return overview.Losses(np.arange(fits), *rows, diverged=0)


@pytest.mark.parametrize(
    ("noise", "words", "verdict"),
    [
        ((1.1, 0.6, 1.4), "falling training loss", "agrees"),
        ((1.1, 1.2, 1.4), "falling training loss", "differs"),
        ((1.1, 0.6, 1.4), "rises above 1", "agrees"),
        ((1.1, 0.6, 0.9), "rises above 1", "differs"),
        ((1.1, 0.6, 1.4), "stay flat", "differs"),
        ((1.1, 0.6, 1.03), "stay flat", "agrees"),
        ((1.1, 0.6, 1.4), "no sign that a pattern", "agrees"),
        ((1.1, 0.6, 0.9), "no sign that a pattern", "differs"),
    ],
)
def test_verdicts_follow_planted_losses(noise, words, verdict):
    every = np.tile(np.linspace(1, 0.6, 1001), (5, 1))
    curves = overview.Curves(np.arange(0, 1001, 100), every[:, ::100], every[:, ::100], every)
    claims = overview._claims(_losses(*noise), _losses(1.1, 0.5, 1.3), curves, PlaceboConfig())
    assert _claim(claims, words).verdict == verdict
    assert _claim(claims, "decreases over the epochs").verdict == "agrees"
    assert _claim(claims, "does not reflect").verdict == "differs"


def test_verdict_on_uniform_p_values_can_go_either_way():
    random = np.random.default_rng(1)
    assert power._uniform("training_loss", random.random(200)).verdict == "agrees"
    assert power._uniform("training_loss", random.random(200) ** 2).verdict == "differs"


def test_permutations_table_states_what_each_level_takes():
    table = power.permutations_table().set_index("level")
    assert table["to_reach_it"].tolist() == [19, 99, 999]
    assert table["to_know_it_to_10_percent"][0.05] == 1900
    # The least M at which (alpha / 2)^(1/M) is above 0.95.
    assert table["to_lie_surely_below_if_no_placebo_is_as_good"][0.05] == 72


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be"),
        ({"inputs": 2}, "inputs must be an integer of at least 3"),
        ({"signal": 1.1}, "signal must be a share"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
    ],
)
def test_bad_configurations(changes, message):
    with pytest.raises(ValueError, match=message):
        PlaceboConfig(**changes)
