import dataclasses

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from replications.tiny import tiny_config, tiny_settings

import jaxland as jl
from jaxland.landscape import hessians, stationary_points
from jaxland.replications import BackpropConfig
from jaxland.replications.backprop import descent, maps, roads
from jaxland.replications.backprop.drawing import arrival_curves, orbit_diagram
from jaxland.replications.backprop.model import (
    BIASES,
    OPTIMUM,
    WEIGHTS,
    full_network,
    mean_factor,
    plane,
    problem,
    target,
)
from jaxland.replications.backprop.sawtooth import find
from jaxland.replications.backprop.settling import GLOBAL, MINIMA, OTHER, OTHER_LOSS, ends, settled, stability_bounds
from jaxland.studies import STUDIES, Context
from jaxland.training import starting_points

X = np.linspace(-2, 2, 41)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def error(w1, w2, b=(-5.0, 5.0)):
    """The mean squared error, in float64 NumPy, from the source's formulas."""

    def output(w1, w2, b):
        return sigmoid(w2 * sigmoid(w1 * X + b[0]) + sigmoid(10 * X + b[1]) - 1)

    return np.mean((output(w1, w2, b) - output(10.0, 1.0, (-5.0, 5.0))) ** 2)


def loop(w1, w2, rate, epochs):
    """Backpropagation by hand: places (epochs + 1, 2) and the mean squared errors there."""
    other, y = sigmoid(10 * X + 5), sigmoid(sigmoid(10 * X - 5) + sigmoid(10 * X + 5) - 1)
    places, losses = [(w1, w2)], []
    for step in range(epochs + 1):
        hidden = sigmoid(w1 * X - 5)
        output = sigmoid(w2 * hidden + other - 1)
        losses.append(np.mean((output - y) ** 2))
        if step < epochs:
            sensitivity = 2 * (output - y) * output * (1 - output) / len(X)
            slopes = (sensitivity * w2 * hidden * (1 - hidden)) @ X, sensitivity @ hidden
            w1, w2 = w1 - rate * slopes[0], w2 - rate * slopes[1]
            places.append((w1, w2))
    return np.array(places), np.array(losses)


def test_the_problem_is_that_of_the_source():
    found = problem()
    np.testing.assert_allclose(found.x[:, 0], X, atol=1e-15)
    np.testing.assert_allclose(found.y[:, 0], sigmoid(sigmoid(10 * X - 5) + sigmoid(10 * X + 5) - 1), rtol=1e-14)
    assert full_network().size == 7
    evaluate = jl.training.gradients(plane(WEIGHTS), found)
    losses, _ = evaluate(np.array([[0.3, 7.0], [-4.0, 10.0]]))
    np.testing.assert_allclose(losses, [error(0.3, 7.0), error(-4.0, 10.0)], rtol=1e-12)
    losses, _ = jl.training.gradients(plane(BIASES), found)(np.array([[1.0, -2.0]]))
    np.testing.assert_allclose(losses, error(10.0, 1.0, (1.0, -2.0)), rtol=1e-12)


@pytest.mark.parametrize(("kind", "factor"), [("sum", 41), ("mean", 1), ("half_mean", 0.5)])
def test_losses_are_multiples_of_the_mean(kind, factor):
    kind = f"{kind}_squared_error"
    assert mean_factor(kind) == pytest.approx(factor, rel=1e-15)
    losses, _ = jl.training.gradients(plane(WEIGHTS), problem(kind))(np.array([[3.0, 4.0]]))
    np.testing.assert_allclose(losses, factor * error(3.0, 4.0), rtol=1e-12)


@pytest.mark.parametrize(("kind", "factor"), [("mean_squared_error", 1), ("sum_squared_error", 41)])
@pytest.mark.parametrize("start", [(-4.0, -4.0), (-4.0, 10.0)])
def test_a_descent_is_that_of_a_loop_in_numpy(kind, factor, start):
    found = descent.descend(kind, 1.0, start, 300)
    places, losses = loop(*start, factor, 300)
    np.testing.assert_allclose(found["path"], places[found["epochs"]], rtol=1e-9)
    np.testing.assert_array_equal(found["traced"], np.arange(301))
    np.testing.assert_allclose(found["loss"], factor * losses, rtol=1e-9)


def test_rate_100_ends_in_a_cycle_of_two_and_rate_50_at_rest():
    """Multipliers of the last map, from NumPy alone: the cycle attracts, and so does the minimum below 70.95."""
    wild = descent.descend("mean_squared_error", 100.0, (-4.0, -4.0), 2_000)
    places, _ = loop(*wild["path"][-1], 100.0, 2)
    np.testing.assert_allclose(places[2], places[0], atol=1e-6)
    assert np.abs(places[1] - places[0]).max() > 0.5
    calm = descent.descend("mean_squared_error", 50.0, (-4.0, -4.0), 20_000)
    np.testing.assert_allclose(calm["path"][-1], GLOBAL, atol=1e-6)


def _by_differences(value, point, step=1e-3):
    eye = step * np.eye(2)
    return np.array(
        [
            [(value(point + a + b) - value(point + a - b) - value(point - a + b) + value(point - a - b)) for b in eye]
            for a in eye
        ]
    ) / (4 * step**2)


@pytest.fixture(scope="module")
def of_weights():
    _, _, starts = maps.grid(((-15.0, 20.0), (-15.0, 60.0)), 40)
    return stationary_points(problem().objective(plane(WEIGHTS)), starts)


@pytest.mark.slow
def test_the_minima_and_the_saddle_of_the_weights(of_weights):
    np.testing.assert_allclose(of_weights.params[:2], MINIMA, atol=1e-7)
    np.testing.assert_allclose(of_weights.loss[:2], [0, OTHER_LOSS], atol=1e-15)
    np.testing.assert_array_equal(of_weights.index[:3], [0, 0, 1])
    np.testing.assert_allclose(of_weights.params[2], [2.68346959, 3.29264056], atol=1e-7)
    for point, values in zip(of_weights.params[:3], of_weights.eigenvalues[:3], strict=True):
        expected = np.linalg.eigvalsh(_by_differences(lambda v: error(*v), point))
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-8)
    # Between the minima the loss must rise, and the saddle is where it rises least.
    assert of_weights.loss[2] > OTHER_LOSS


@pytest.mark.slow
def test_the_stationary_points_of_the_biases():
    _, _, starts = maps.grid(((-15.0, 15.0), (-15.0, 15.0)), 12)
    found = stationary_points(problem().objective(plane(BIASES)), starts)
    np.testing.assert_array_equal(found.index, [0, 0, 1])
    np.testing.assert_allclose(found.params[np.argsort(found.params[:, 0])], [[-5, 5], [0, 0], [5, -5]], atol=1e-9)
    expected = np.linalg.eigvalsh(_by_differences(lambda b: error(10.0, 1.0, b), np.zeros(2)))
    np.testing.assert_allclose(found.eigenvalues[2], expected, rtol=1e-4)


def test_stability_ends_where_theory_says():
    bounds = stability_bounds("mean_squared_error")
    curvature = [np.linalg.eigvalsh(_by_differences(lambda v: error(*v), place))[-1] for place in (GLOBAL, OTHER)]
    np.testing.assert_allclose(list(bounds.values()), 2 / np.array(curvature), rtol=1e-4)
    for rate, rests in ((0.98 * bounds["global minimum"], True), (1.02 * bounds["global minimum"], False)):
        places, _ = loop(9.9, 1.01, rate, 3_000)
        assert (np.abs(places[-1] - places[-2]).max() < 1e-6) == rests
    assert stability_bounds("sum_squared_error")["other minimum"] == pytest.approx(bounds["other minimum"] / 41)


def test_where_fits_have_settled_and_since_when():
    traced = np.array([0, 10, 20, 25])
    params = np.array([[10.0, 1.0], [0.88, 38.6], [9.0, 1.0], [5.0, 3.0], [10.0, 1.0], [10.0, 1.0]])
    trace = np.array(
        [
            [1.0, 1e-7, 1e-8, 1e-9],  # there from epoch 10
            [1.0, 1.0, OTHER_LOSS + 1e-8, OTHER_LOSS],  # at the other from epoch 20
            [1.0, 1.0, 1.0, 1.0],
            [0.0, 0.0, OTHER_LOSS, OTHER_LOSS],  # at its height, elsewhere
            [1e-9, 1.0, 1.0, 1e-9],  # there, away, and back
            [1.0, 1.0, np.nan, np.nan],
        ]
    )
    found = settled(params, traced, trace, "mean_squared_error")
    np.testing.assert_array_equal(found.minimum, [0, 1, 2, 2, 0, 2])
    np.testing.assert_array_equal(found.epoch, [10, 20, np.nan, np.nan, 25, np.nan])
    np.testing.assert_array_equal(ends(params, 41 * trace[:, -1], "sum_squared_error"), found.minimum)


def test_starts_fill_the_rectangle_and_are_the_same_at_all_rates():
    config = BackpropConfig(low=(-1.0, 20.0), high=(0.0, 22.0))
    starts = starting_points(config.network, 4000)
    np.testing.assert_allclose(starts.min(axis=0), [-1, 20], atol=0.01)
    np.testing.assert_allclose(starts.max(axis=0), [0, 22], atol=0.01)
    np.testing.assert_allclose(starts.mean(axis=0), [-0.5, 21], atol=0.05)
    networks = {each.network for each in STUDIES["backprop"].ensembles(config).values()}
    assert networks == {config.network}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    config = tiny_config("backprop")
    analyses = {name: tiny_settings("backprop", name) for name in ("maps", "descent", "basins")}
    return config, jl.run("backprop", config, tmp_path_factory.mktemp("backprop") / "s", fits=48, analyses=analyses)


@pytest.mark.slow
def test_a_run_leaves_figures_animations_and_claims(finished):
    _, outcome = finished
    stems = {path.stem for path in outcome.files}
    assert {"figure-02-contours-of-the-weights", "figure-05-trajectory-b", "basins"} <= stems
    for name in ("a", "b", "c"):
        path = outcome.path / "figures" / f"trajectory-{name}.gif"
        assert path.stat().st_size < 5_000_000
        with Image.open(path) as picture:
            assert picture.n_frames == 3  # pyright: ignore[reportAttributeAccessIssue]
    claims = pd.read_csv(outcome.path / "claims.csv")
    verdicts = dict(zip(claims["name"], claims["verdict"], strict=True))
    assert verdicts["a-slow"] == verdicts["several-guesses"] == "not tested"


@pytest.mark.slow
def test_every_fit_has_its_place_in_the_table_of_basins(finished):
    _, outcome = finished
    table = pd.read_csv(outcome.path / "analysis" / "basins.csv")
    assert table.groupby("rate")["count"].sum().tolist() == [48, 48, 48]
    # So far above what is stable nothing comes to rest.
    assert table[(table["rate"] == 1e9) & (table["ends_at"] == "global minimum")]["count"].item() == 0


@pytest.mark.slow
def test_timed_fits_are_those_of_the_study(finished):
    """The end of the first fits, trained again with a trace, is where the store has them."""
    config, outcome = finished
    from jaxland.store import StudyStore

    store = StudyStore.open(outcome.path)
    stored = next(iter(store.stream("rate-40"))).arrays
    starts = starting_points(config.network, stored["fit"][:3])
    for start, params in zip(starts, stored["params"], strict=False):
        places, _ = loop(*start.astype(float), 40.0, 300)
        np.testing.assert_allclose(params, places[-1], rtol=1e-6)


@pytest.mark.slow
def test_the_best_setting_of_each_road_is_kept(finished, tmp_path):
    settings = tiny_settings("backprop", "roads")
    store = jl.store.StudyStore.open(finished[1].path)
    table = roads.find(Context(finished[0], settings, store, jl.store.Parts(tmp_path), 2, print)).tables["roads.csv"]
    assert len(table) == 16
    levenberg = table[(table["method"] == "Levenberg-Marquardt") & (table["problem"] == "plane")].iloc[0]
    assert levenberg["arrived"] == 4
    assert levenberg["median_work"] < 40
    assert levenberg["work_a_success"] == pytest.approx(levenberg["median_work"], rel=1)


def test_every_rate_can_name_an_ensemble():
    assert list(STUDIES["backprop"].ensembles(BackpropConfig(rates=(1e9, 1e-7, 2.5)))) == [
        "rate-1e09",
        "rate-1e-07",
        "rate-2.5",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rates": ()}, "at least one"),
        ({"rates": (1.0, 1.0)}, "each once"),
        ({"rates": (0.0,)}, "positive and finite"),
        ({"rates": (float("nan"),)}, "positive and finite"),
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"low": (15.0, 0.0)}, "low must be below high"),
    ],
)
def test_bad_configurations_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(BackpropConfig(), **changes)


def test_the_target_is_a_staircase():
    """By symmetry about (0, 1/2), and with its values far out."""
    np.testing.assert_allclose(target(X) + target(-X), 1, atol=1e-14)
    np.testing.assert_allclose(target(np.array([-50.0, 50.0])), [sigmoid(-1.0), sigmoid(1.0)])
    assert float(jnp.abs(OPTIMUM[0])) == 10


def test_hessian_at_the_optimum_has_no_negative_eigenvalue():
    values = np.linalg.eigvalsh(hessians(problem().objective(full_network()), OPTIMUM[None]))
    assert values.min() > 0


@pytest.mark.slow
def test_levenberg_marquardt_returns_to_the_sawtooth_from_nearby(finished, tmp_path):
    settings = tiny_settings("backprop", "sawtooth")
    store = jl.store.StudyStore.open(finished[1].path)
    context = Context(finished[0], settings, store, jl.store.Parts(tmp_path), 2, print)
    found = find(context).tables["sawtooth.csv"]
    near = found[(found["starts"] == "near W_f") & (found["method"] == "Levenberg-Marquardt")]
    assert near["found"].all()


def test_an_orbit_diagram_has_a_point_for_every_value():
    rates, values = np.array([1.0, 10.0]), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    ax = orbit_diagram(rates, values, ylabel="w", bounds={"bound": 5.0})
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 1], [1, 2], [1, 3], [10, 4], [10, 5], [10, 6]])
    assert ax.lines[1].get_xdata()[0] == 5


def test_shares_that_have_arrived():
    ax = arrival_curves({"quick": np.array([1.0, 5.0, np.nan, 2.0])}, {"quick": 10})
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 0], [1, 0.25], [2, 0.5], [5, 0.75], [10, 0.75]])
    assert ax.get_legend().get_texts()[0].get_text() == "quick: 75%"
