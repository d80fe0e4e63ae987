"""The two-layer study: the document's printed numbers, and each analysis at a scale of seconds."""

import dataclasses
import json
from decimal import Decimal

import numpy as np
import pytest

from jaxland.landscape import first_rise
from jaxland.plots import new_figure
from jaxland.replications import TwoLayerConfig
from jaxland.replications.two_layer import STUDY, highlighted, instability, randomness, rounding
from jaxland.replications.two_layer.descent import descents, kept_epochs
from jaxland.replications.two_layer.ensembles import executions_data, executions_weights
from jaxland.replications.two_layer.highlighted.claims import unit_difference
from jaxland.replications.two_layer.highlighted.figures import draw_weights
from jaxland.replications.two_layer.rounding.arithmetic import Arithmetic, arithmetics, descend
from jaxland.replications.two_layer.rounding.cases import CASES, Theory, crossing, rise
from jaxland.replications.two_layer.source import (
    RUNS,
    TARGETS,
    Weights,
    flat,
    network,
    run_named,
    split,
    standard_weights,
)
from jaxland.store import Parts, StudyStore
from jaxland.studies import Context, NoSettings
from jaxland.studies.fitting import manifest_of, prepare, train_missing

CONFIG = TwoLayerConfig(
    f1_hidden=(3,),
    f2_hidden=(6,),
    f1_rates=(0.1, 1.4, 5.0),
    f2_rates=(0.1, 0.05),
    epochs=150,
    points=100,
    test_points=20,
)


def documents_loop(target, hidden, rate, epochs):
    """Errors on the test set (half the mean square) and weights, by the document's algorithm point by point.

    Written from its equations and its description of the data alone, so that it shares nothing with jaxland.
    """
    generator = np.random.default_rng(222337497072607291153223098371913928704)
    x, test_x = ((np.array([generator.random() for _ in range(count)]) - 0.5) * 10 for count in (1000, 100))
    f = {"f1": lambda x: np.exp(x / 5), "f2": lambda x: np.sin(x) * (-(x**2) + 25)}[target]
    generator = np.random.default_rng(36255793825986746149655859236796938907)
    u, v = generator.normal(0, 0.01, (hidden - 1, 2)), generator.normal(0, 0.01, (1, hidden))

    def forward(points):
        inputs = np.stack([points, np.ones(len(points))])
        units = np.vstack([1 / (1 + np.exp(-u @ inputs)), np.ones((1, len(points)))])
        return inputs, units, (v @ units)[0]

    errors = []
    for epoch in range(epochs + 1):
        errors.append(0.5 * np.mean((f(test_x) - forward(test_x)[2]) ** 2))
        inputs, units, output = forward(x)
        error = output - f(x)
        slope_v, slope_u = np.zeros_like(v), np.zeros_like(u)
        for n in range(len(x) if epoch < epochs else 0):
            slope_v += error[n] * units[None, :, n]
            local = v[0, :-1] * units[:-1, n] * (1 - units[:-1, n])
            slope_u += error[n] * np.outer(local, inputs[:, n])
        u, v = u - rate * slope_u / len(x), v - rate * slope_v / len(x)
    return np.array(errors), u, v


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Some executions of each rate, without any analysis."""
    prepared = prepare(STUDY, CONFIG)
    store = StudyStore.create(tmp_path_factory.mktemp("studies") / "s", manifest_of(STUDY, CONFIG, 24, prepared))
    with store.writing():
        train_missing(store, STUDY, prepared, 1)
    return store


@pytest.fixture(scope="module")
def context(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    return lambda settings: Context(CONFIG, settings, store, Parts(folder), threads=1, say=lambda line: None)


@pytest.fixture(scope="module")
def runs(context):
    return descents(context(NoSettings()))


# What the document fixes


def test_weights_are_what_the_network_computes_with():
    weights = split(standard_weights(5))
    assert weights.u.shape == (4, 2)
    assert weights.v.shape == (5,)
    x = np.linspace(-5, 5, 7)
    units = 1 / (1 + np.exp(-(weights.u @ np.stack([x, np.ones(7)]))))
    expected = weights.v[:-1] @ units + weights.v[-1]
    net = network(5)
    output = np.asarray(net.apply(net.unflatten(standard_weights(5)), x[:, None]))[:, 0]
    np.testing.assert_allclose(output, expected, rtol=1e-5)
    np.testing.assert_array_equal(flat(weights), standard_weights(5))


@pytest.mark.parametrize(("target", "hidden", "rate"), [("f1", 3, 1.0), ("f2", 8, 0.1)])
def test_runs_follow_the_documents_loop(runs, target, hidden, rate):
    epochs = 40
    errors, u, v = documents_loop(target, hidden, rate, epochs)
    descent = next(each for run, each in runs.items() if (run.target, run.hidden, run.rate) == (target, hidden, rate))
    np.testing.assert_allclose(descent.error[: epochs + 1], errors, rtol=1e-10)
    np.testing.assert_allclose(descent.weights.u[epochs], u, rtol=1e-8)
    np.testing.assert_allclose(descent.weights.v[epochs], v[0], rtol=1e-8)


@pytest.mark.parametrize(
    ("settings", "printed"),
    [
        (("f1", 2, 0.1, 1000), "0.0051"),
        (("f1", 3, 0.1, 1000), "0.0068"),
        (("f1", 5, 0.1, 1000), "0.0100"),
        (("f1", 8, 0.1, 1000), "0.0121"),
        (("f2", 8, 0.05, 10_000), "1.0156"),
    ],
)
def test_printed_errors_that_do_not_depend_on_rounding(runs, settings, printed):
    descent = runs[run_named(*settings)]
    assert descent.epochs[-1] == settings[-1]
    assert f"{descent.error[-1]:.4f}" == printed


def test_a_run_that_begins_another_is_part_of_it(runs):
    short, long = runs[run_named("f1", 3, 0.1, 1000)], runs[run_named("f1", 3, 0.1, 10_000)]
    np.testing.assert_array_equal(short.params, long.params[:1001])
    np.testing.assert_array_equal(kept_epochs(1240), [*range(1201), 1210, 1220, 1230, 1240])
    assert long.at(9990) == len(long.epochs) - 2
    with pytest.raises(ValueError, match="unpack"):
        long.at(9995)


@pytest.mark.slow
def test_all_runs_are_claimed_and_drawn(runs):
    figures, claims = highlighted.figures(runs), highlighted.claims(runs)
    assert {f"run-{run.name}" for run in RUNS} <= set(figures)
    # The weight of the bias unit ends at a quarter, those of the others at half and more; its peak changes least.
    other = [(claim.name, claim.of) for claim in claims if claim.verdict != "agrees"]
    assert other == [("bias-less", "ratio at the end"), ("bias-less", "difference at the end")]
    table = highlighted.table(runs).set_index("run")
    assert table.loc["f1-h3-rate5-1000", "last_finite_epoch"] < 1000
    assert table.loc["f1-h3-rate0.1-10000", "first_rise"] == -1
    assert table.loc["f1-h3-rate0.1-10000", "distinct_units"] == 1


def test_a_weight_that_swings_faster_than_can_be_seen_is_drawn_by_what_it_sweeps():
    epochs = kept_epochs(3000)  # every tenth of the later ones: the share of the axis counts, not of the epochs kept
    slow, fast = np.sin(epochs / 500), np.where(np.arange(len(epochs)) % 2, 1.0, -1.0) * np.minimum(epochs, 100) / 50
    late = np.where(epochs < 1000, epochs / 1000, fast)
    _, (ax,) = new_figure()
    draw_weights(epochs, np.stack([slow, fast, late], axis=1), log_beyond=None, title="V", ax=ax)
    line, low, high, late_low, late_high = (each.get_ydata() for each in ax.lines)
    np.testing.assert_array_equal(line, slow)
    settled = epochs > 150
    np.testing.assert_array_equal([low[settled].max(), high[settled].min()], [-2, 2])
    assert np.all((low <= fast) & (fast <= high))
    np.testing.assert_array_equal(late_low[epochs < 960], late[epochs < 960])
    assert np.isnan(late_high[epochs < 960]).all()
    np.testing.assert_array_equal([late_low[epochs > 1040].max(), late_high[epochs > 1040].min()], [-2, 2])
    assert len(ax.collections) == 2


def test_difference_of_units():
    weights = Weights(np.array([[3.0, 4.0], [3.0, 4.0], [3.0, 3.0]]), np.ones(4))
    assert unit_difference(flat(weights), 4) == pytest.approx(1 / 5)


# Arithmetic and rounding


@pytest.mark.parametrize("arithmetic", [*arithmetics((20,))], ids=lambda each: each.label)
def test_descent_in_any_arithmetic_follows_the_documents_loop(arithmetic):
    _, u, v = documents_loop("f1", 3, 1.0, 5)
    course = descend(arithmetic, "f1", 3, 1.0, 5)
    tolerance = max(1e3 * arithmetic.roundoff, 1e-12)
    weights = split(course.params[-1])
    np.testing.assert_allclose(weights.u, u, rtol=10 * tolerance)
    np.testing.assert_allclose(weights.v, v[0], rtol=10 * tolerance)
    assert len(course.loss) == 6


def test_order_of_summation_changes_bits_only():
    order = np.random.default_rng(0).permutation(1000)
    one, two = (descend(Arithmetic("float64"), "f2", 6, 0.1, 50, order=each) for each in (None, order))
    assert (one.loss[1:] != two.loss[1:]).any()
    np.testing.assert_allclose(one.loss, two.loss, rtol=1e-11)


def test_roundoffs():
    assert Arithmetic("float64").roundoff == 2.0**-53
    assert Arithmetic("decimal", 30).roundoff == pytest.approx(5e-30)
    with Arithmetic("decimal", 5).rounding():
        assert Arithmetic("decimal", 5).array(np.array([[1 / 3]]))[0, 0] == Decimal("0.33333")


def test_a_descent_stops_when_it_has_risen():
    course = descend(Arithmetic("float64"), "f1", 3, 2.0, 1000, stop_above=2.0)
    assert 1 < len(course.loss) < 100
    assert course.loss[-1] > 2 * course.loss[:-1].min()


def test_precision_moves_the_epoch_of_instability():
    """The document's 755 is that of float64: single precision is a hundred epochs earlier, on the same path."""
    case = CASES[0]
    courses = [descend(Arithmetic(name), "f1", 3, 1.0, 900, stop_above=1.05) for name in ("float32", "float64")]
    single, double = (int(rise(course.loss[None], case.since)[0]) for course in courses)
    assert 600 < single < 680
    assert 735 < double < 775
    np.testing.assert_allclose(courses[0].loss[:500], courses[1].loss[:500], rtol=1e-3)


def test_linear_theory_on_a_planted_path():
    """A sharpness that rises linearly through 2 / rate: d ends where rounding has grown by the factor expected."""
    epochs = np.arange(0, 1501, 5)
    curve = 1.5 + epochs / 1000.0  # crosses 2 at epoch 500
    theory = Theory(CASES[0], curve, np.full(len(curve), 1e-2), np.ones(len(curve)))

    def expected(roundoff):
        deviation, seen = roundoff, np.sqrt(2 * 0.01 * 1e-2 / 2)
        for epoch in range(500, 1500):
            deviation = max(deviation * abs(1 - (1.5 + epoch / 1000)), roundoff)
            if deviation > seen:
                return epoch
        return np.nan

    for roundoff in (1e-8, 1e-16):
        assert theory.rise(roundoff) == pytest.approx(expected(roundoff), abs=15)
    assert theory.rise(1e-8) < theory.rise(1e-16) < theory.rise(0.0)
    assert np.isnan(dataclasses.replace(theory, sharpness=np.full(len(curve), 1.9)).rise(1e-16))


def test_crossings():
    epochs = np.arange(0, 100, 5)
    values = np.where((epochs == 20) | (epochs >= 60), 3.0, 1.0)
    assert crossing(epochs, values, 2.0) == 60
    assert crossing(epochs, values, 2.0, 90) == 60
    assert crossing(epochs, values, 2.0, 55) == -1
    assert crossing(epochs, values, 4.0) == -1
    assert crossing(epochs, np.where(epochs > 70, np.nan, values), 2.0, 75) == 60


@pytest.fixture(scope="module")
def rounded(context):
    return rounding.find(context(rounding.RoundingSettings(orders=3, wide_orders=1, executions=2)))


@pytest.mark.slow
def test_rounding(rounded):
    table = rounded.tables["rounding.csv"].set_index(["run", "arithmetic"])
    first = table.loc["f1-h3-rate1-1000"]
    assert (first.loc[["float32", "float64"], "crossing"] == 481).all()
    assert first.loc["float32", "latest_rise"] < first.loc["float64", "earliest_rise"]
    for arithmetic in ("float32", "float64"):
        assert abs(first.loc[arithmetic, "predicted_rise"] - first.loc[arithmetic, "rise"]) < 40
    curve = rounded.tables["sharpness.csv"].query("run == 'f1-h3-rate1-1000'")
    np.testing.assert_allclose(curve["float32"][:90], curve["float64"][:90], rtol=1e-3)
    assert set(rounded.figures) == {*(f"sharpness-{case.run.name}" for case in CASES), "rounding-executions"}


@pytest.mark.slow
def test_verdicts_on_rounding_say_so(rounded):
    measured = {claim.name: claim.measured for claim in rounded.claims}
    assert "depends on rounding" in measured["epoch-755"]
    assert "depends on rounding" in measured["before-it-oscillates"]


# Ensembles


def test_executions_are_shared_by_rates_and_sizes():
    """Fit i is execution i // R at rate i % R, and an execution has data and weights of its own."""
    study = STUDY.ensembles(CONFIG)
    members = study["f1-h3"].members(np.arange(6))
    np.testing.assert_array_equal(members.hyperparameters["learning_rate"], [*CONFIG.f1_rates] * 2)
    for values in (members.x, members.start):
        assert (values[0] == values[2]).all()
        assert (values[0] != values[3]).all()
    np.testing.assert_array_equal(members.y, TARGETS["f1"](members.x))
    np.testing.assert_array_equal(study["f2-h6"].members(np.arange(2, 4)).x[0], members.x[3])
    data = executions_data(CONFIG, np.array([1]))
    np.testing.assert_array_equal(data.x[0], members.x[3, :, 0])
    assert data.test_x.shape == (1, 20)
    assert np.abs(data.x).max() < 5
    assert executions_weights(CONFIG, np.array([1]), 3, 2.0)[0] == pytest.approx(200 * members.start[3])


def test_cells_hold_what_the_shards_do(store):
    cells = instability.cells(CONFIG, store, "f1", 3)
    assert {key[2] for key in cells} == set(CONFIG.f1_rates)
    (shard,) = store.stream("f1-h3", ["fit", "trace", "diverged_step"])
    chosen = shard.arrays["fit"] % 3 == 1
    rises = first_rise(shard.arrays["trace"][chosen])
    np.testing.assert_array_equal(cells["f1", 3, 1.4].rise, np.where(rises >= 0, 5 * rises, -1))
    assert cells["f1", 3, 5.0].unstable.all()
    assert not cells["f1", 3, 0.1].unstable.any()
    diverged = shard.arrays["diverged_step"][shard.arrays["fit"] % 3 == 2] >= 0
    np.testing.assert_array_equal(cells["f1", 3, 5.0].overflow, diverged)


def test_instability(context):
    found = instability.find(context(NoSettings()))
    table = found.tables["instability.csv"]
    assert table["fits"].tolist() == [8, 8, 8, 12, 12]
    assert ((table["unstable_low"] <= table["unstable"]) & (table["unstable"] <= table["unstable_high"])).all()
    assert set(found.figures) == {"instability-f1", "instability-f2"}


# The crossed design


@pytest.fixture(scope="module")
def crossed(context):
    return randomness.find(context(randomness.RandomnessSettings(data=3, weights=4)))


def test_crossed_design_trains_every_pair(context, crossed):
    part = context(None).parts.get(randomness.DESIGNS[1].name, lambda: pytest.fail("it has been kept"))
    assert part["test"].shape == (3, 4)
    assert len(np.unique(part["test"])) == 12
    table = crossed.tables["randomness.csv"]
    assert len(table) == 2 * len(randomness.DESIGNS)
    np.testing.assert_allclose(table["new_data"], table["var_data"] + table["var_both"])


def test_pairs_are_data_by_weights(context, crossed):
    """One pair of the first design, trained alone by a NumPy loop."""
    design = randomness.DESIGNS[0]
    data, weights = executions_data(CONFIG, np.array([2])), executions_weights(CONFIG, np.array([1]), design.hidden)
    x, (u, v) = data.x[0], split(weights[0])
    for _ in range(design.epochs):
        units = 1 / (1 + np.exp(-(u[:, :1] * x + u[:, 1:])))
        error = v[:-1] @ units + v[-1] - np.exp(x / 5)
        back = error * v[:-1, None] * units * (1 - units) / len(x)
        v = v - design.rate * np.append(units @ error, error.sum()) / len(x)
        u = u - design.rate * np.stack([back @ x, back.sum(axis=1)], axis=1)
    test_x = data.test_x[0]
    output = v[:-1] @ (1 / (1 + np.exp(-(u[:, :1] * test_x + u[:, 1:])))) + v[-1]
    part = context(None).parts.get(design.name, lambda: pytest.fail("it has been kept"))
    assert part["test"][2, 1] == pytest.approx(0.5 * np.mean((output - np.exp(test_x / 5)) ** 2), rel=1e-8)


# The study


def test_settings_are_checked():
    for changes, message in (
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"f1_hidden": (1,)}, "f1_hidden must be different sizes of at least 2"),
        ({"f2_rates": (0.1, 0.1)}, "f2_rates must name at least one, each once"),
        ({"f1_hidden": (), "f2_hidden": ()}, "both empty"),
        ({"seed": -1}, "seed must be"),
    ):
        with pytest.raises(ValueError, match=message):
            TwoLayerConfig(**changes)


def test_it_is_a_study(store):
    study = STUDY
    assert set(study.default_analyses) == set(study.analyses)
    assert json.loads((store.path / "study.json").read_text())["study"] == "two_layer"
