"""A row of a sweep is the fit that its levels describe."""

import importlib
from functools import partial
from typing import Any

import jax
import numpy as np
import optax
import pandas as pd
import pytest

import jaxland as jl
from jaxland.sweeps.plan import calls, read_design
from jaxland.training import starting_points

X = np.linspace(-1, 1, 12)
PROBLEM = jl.Problem(X, X**2)
SGD, ADAM = optax.sgd, optax.adam


def _network(width):
    return jl.mlp([1, width, 1], "tanh")


def _plan(
    design,
    network: Any = _network,
    problem: Any = PROBLEM,
    optimizer: Any = None,
    steps: int | None = 5,
    static=(),
    **options,
):
    return calls(read_design(design), network, problem, optimizer, steps, options, static)


def _sweep(*args, steps: int | None = 20):
    return jl.sweep(*args, steps=steps, seed=9)


def _alone(network, problem, optimizer, number, steps=20, **given):
    options = {name: given.pop(name) for name in ("init_scale",) if name in given}
    numbers = {name: float(value) for name, value in given.items()}
    return jl.fit(
        network, problem, optimizer, hyperparameters=numbers, fits=1, first=number, steps=steps, seed=9, **options
    )


@pytest.fixture(scope="module")
def swept():
    design = jl.grid(seed=[4, 0], width=[2, 3], optimizer=[ADAM, SGD], learning_rate=[0.01, 0.1])
    return _sweep(design, _network, PROBLEM)


def test_each_row_is_the_fit_of_its_levels(swept):
    assert len(swept.table) == len(swept) == 16
    for place, row in swept.design.iterrows():
        alone = _alone(_network(row.width), PROBLEM, row.optimizer, row.seed, learning_rate=row.learning_rate)
        np.testing.assert_allclose(swept.fits_of(place).params, alone.params, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(swept.table["loss"][place], alone.loss[0], rtol=1e-4)
        assert swept.fits_of(place).loss[0] == swept.table["loss"][place]


def test_the_table_is_the_design_and_what_became_of_it(swept):
    results = ["status", "initial_loss", "loss", "best_loss", "best_step", "diverged_step", "steps", "group"]
    assert list(swept.table.columns) == [*swept.design.columns, *results]
    assert swept.table["optimizer"].tolist()[:4] == ["adam", "adam", "sgd", "sgd"]
    pd.testing.assert_frame_equal(swept.table[["seed", "width"]], swept.design[["seed", "width"]])
    attrs = swept.table.attrs
    assert attrs["config_hash"] == [group.fits.config_hash for group in swept.groups]
    assert {"study", "versions", "device", "precision"} < set(attrs)
    assert repr(swept) == (
        "Sweep(16 fits over seed (2), width (2), optimizer (2), learning_rate (2); trained in 4 groups, 0 diverged)"
    )
    assert swept._repr_html_().count("<tr") == 12


def test_starts_are_paired_across_levels(swept):
    starts = swept.table.pivot_table("initial_loss", ["width", "seed"], ["optimizer", "learning_rate"])
    assert (starts.nunique(axis=1) == 1).all()
    assert len(set(starts.iloc[:, 0])) == 4


def test_fits_of_rows(swept):
    rows = swept.table.query("width == 2 and optimizer == 'sgd'").index[::-1]
    some = swept.fits_of(rows)
    np.testing.assert_array_equal(some.loss, swept.table["loss"][rows])
    np.testing.assert_array_equal(some.table["learning_rate"], swept.design["learning_rate"][rows])
    with pytest.raises(ValueError, match=r"of groups \[0, 1\]"):
        swept.fits_of([0, 2])
    with pytest.raises(IndexError, match="from 0 to 15"):
        swept.fits_of(16)


def test_without_seeds_each_row_has_its_own_start():
    plan = _plan(jl.grid(width=[2, 3], learning_rate=[0.1, 0.2]), optimizer=ADAM)
    np.testing.assert_array_equal(np.concatenate([call.arguments["seeds"] for call in plan]), np.arange(4))


@pytest.mark.slow
def test_thousands_of_fits_are_a_call_a_network_and_optimizer():
    design = jl.grid(width=[2, 3, 4], optimizer=["a", "b"], learning_rate=np.geomspace(1e-3, 1, 16), seed=range(128))
    plan = _plan(design, optimizer={"a": ADAM, "b": SGD})
    assert [len(call.rows) for call in plan] == [2048] * 6
    np.testing.assert_array_equal(np.sort(np.concatenate([call.rows for call in plan])), np.arange(12_288))
    for call in plan:
        expected = design["learning_rate"][call.rows]
        np.testing.assert_array_equal(call.arguments["hyperparameters"]["learning_rate"], expected)
    assert len({id(call.arguments["network"]) for call in plan}) == 3


@pytest.mark.slow
def test_factors_of_fit_and_of_one_optimizer_alone():
    design = pd.DataFrame(
        {
            "optimizer": [SGD, SGD, ADAM, SGD],
            "learning_rate": 0.1,
            "momentum": [0.9, None, None, 0.9],
            "nesterov": [True, None, None, None],
            "steps": [3, 4, 4, 3],
            "init_scale": [1.0, 2.0, 3.0, 4.0],
            "seed": 7,
        }
    )
    network = _network(2)
    found = _sweep(design, network, PROBLEM, steps=None)
    assert [group.rows.tolist() for group in found.groups] == [[0], [1], [2], [3]]
    made = [partial(SGD, momentum=0.9, nesterov=True), SGD, ADAM, partial(SGD, momentum=0.9)]
    for place, optimizer in enumerate(made):
        steps, scale = [3, 4, 4, 3][place], 1.0 + place
        alone = _alone(network, PROBLEM, optimizer, 7, steps, learning_rate=0.1, init_scale=scale)
        np.testing.assert_allclose(found.fits_of(place).params, alone.params, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.table["loss"][place], alone.loss[0], rtol=1e-5)


@pytest.mark.slow
def test_a_function_may_be_given_what_another_takes_too():
    design = jl.grid(width=[2, 4], learning_rate=[0.1], seed=[3])

    def optimizer(learning_rate, width):
        return optax.sgd(learning_rate / width)

    found = _sweep(design, _network, PROBLEM, optimizer)
    for place, width in enumerate((2, 4)):
        alone = _alone(_network(width), PROBLEM, SGD, 3, learning_rate=0.1 / width)
        np.testing.assert_allclose(found.fits_of(place).params, alone.params, rtol=1e-5, atol=1e-6)


def test_a_number_that_decides_is_static():
    design = jl.grid(decay=[5, 10], learning_rate=[0.1, 0.2], seed=[3])

    def optimizer(learning_rate, decay):
        return optax.sgd(optax.exponential_decay(learning_rate, decay, 0.5, staircase=bool(decay > 5)))

    with pytest.raises(TypeError, match=r"hyperparameters\['decay'\] decides"):
        _sweep(design, _network(2), PROBLEM, optimizer)
    plan = _plan(design, _network(2), optimizer=optimizer, static=["decay"])
    assert [call.rows.tolist() for call in plan] == [[0, 1], [2, 3]]
    assert [call.arguments["optimizer"].keywords for call in plan] == [{"decay": 5}, {"decay": 10}]
    for call in plan:
        call.check()
    with pytest.raises(ValueError, match=r"unknown factor in static 'dekay'\. Did you mean 'decay'"):
        _plan(design, _network(2), optimizer=optimizer, static=["dekay"])


def _noisy(noise, seed):
    return jl.Problem(X, X**2 + noise * np.random.default_rng(seed).normal(size=12), name=f"noise {noise}")


def test_many_problems_of_one_shape_are_trained_together():
    design = jl.grid(noise=[0.0, 0.5], seed=[2, 8, 5], learning_rate=[0.05, 0.1])
    found = _sweep(design, _network(2), _noisy, SGD)
    assert len(found.groups) == 1
    for place, row in design.iterrows():
        problem = _noisy(row.noise, int(row.seed))
        alone = _alone(_network(2), problem, SGD, int(row.seed), learning_rate=row.learning_rate)
        np.testing.assert_allclose(found.fits_of(place).params, alone.params, rtol=1e-4, atol=1e-6)


def test_no_problem_is_judged_by_its_own_points():
    """Those of the second of two that are trained together."""
    known, other = (_noisy(0.5, seed) for seed in (1, 2))
    design = jl.grid(noise=[0.5], seed=[2, 1], learning_rate=[0.05, 0.1])
    with pytest.raises(ValueError, match="validation holds 3 of the points that are trained on"):
        jl.sweep(design, _network(2), _noisy, SGD, steps=2, validation=(known.x[:3], known.y[:3]))
    assert (
        len(jl.sweep(design, _network(2), _noisy, SGD, steps=2, validation=(other.x[:3], other.y[:3] + 1)).groups) == 1
    )


def test_few_problems_and_such_of_other_shapes_are_trained_by_themselves():
    design = jl.grid(noise=[0.0, 0.5], learning_rate=np.linspace(0.01, 0.1, 64))
    assert len(_plan(design, _network(2), lambda noise: _noisy(noise, 0), SGD)) == 2

    def shorter(points):
        return jl.Problem(X[:points], X[:points])

    assert len(_plan(jl.grid(points=[4, 5]), _network(2), shorter, SGD(0.1))) == 2


def test_levels_are_called_by_their_names():
    levels = [partial(SGD, momentum=0.9), SGD]
    design = jl.grid(optimizer=levels, learning_rate=0.1, network=[_network(2)])
    found = _sweep(design, lambda network: network, PROBLEM, steps=1)
    assert found.table["optimizer"].tolist() == ["sgd(momentum=0.9)", "sgd"]
    assert found.table["network"].unique().tolist() == ["mlp-1-2-1-tanh"]


RATE = {"learning_rate": [0.1]}


@pytest.mark.parametrize(
    ("design", "changes", "error", "message"),
    [
        ({"width": [2], "lr": [0.1]}, {}, ValueError, "'lr'. Did you mean 'learning_rate'"),
        ({"width": [2], "wdith": [0.1]}, {}, ValueError, "'wdith'. Did you mean 'width'"),
        (RATE, {}, ValueError, r"network takes 'width', which is no factor of the design \(learning_rate\)"),
        ({"width": [2, None], "learning_rate": [1.0, 1.0]}, {}, ValueError, "'width', of which the design's row"),
        ({"width": [2]}, {}, ValueError, "optimizer adam takes 'learning_rate'"),
        ({"width": [2, 3], **RATE}, {}, ValueError, "lengths differ"),
        ({"width": [], "learning_rate": []}, {}, ValueError, "no rows"),
        ({"width": [2], **RATE, "loss": ["a"]}, {}, ValueError, "name of a result"),
        ({"width": [2], **RATE, "seed": [0.5]}, {}, ValueError, "'seed' must be integers"),
        ({"width": [2], **RATE, "seed": [-1]}, {}, ValueError, "seeds must be integers"),
        ({"width": [np.ones(2)], **RATE}, {}, ValueError, "a ndarray as a level"),
        ({"width": [2], **RATE}, {"steps": 0}, ValueError, "steps must be a positive integer"),
        ({"width": [2], **RATE}, {"steps": None}, TypeError, "give steps"),
        ({"width": [2], **RATE, "steps": [2]}, {}, TypeError, "steps is given twice"),
        ({"width": [2], **RATE}, {"fits": 3}, TypeError, "fits is made of the design"),
        ({"width": [2], **RATE}, {"trace": 3}, ValueError, "unknown argument 'trace'. Did you mean 'trace_every'"),
        ({"width": [2], **RATE}, {"optimizer": None}, TypeError, "give an optax transformation"),
        ({"width": [2], **RATE, "optimizer": ["adam"]}, {}, TypeError, "given twice"),
        ({"width": [2], **RATE, "optimizer": ["adm"]}, {"optimizer": {"adam": ADAM}}, ValueError, "mean 'adam'"),
        ({"width": [2], **RATE, "optimizer": ["adam"]}, {"optimizer": None}, TypeError, "must be factories"),
        ({"width": [2], **RATE}, {"optimizer": ADAM(0.1)}, ValueError, "A finished optimizer takes none"),
        ({"width": [2], **RATE}, {"network": "mlp"}, TypeError, "network"),
        ({"width": [2], **RATE}, {"network": lambda width: width}, TypeError, "network made a int"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(design, changes, error, message, monkeypatch):
    monkeypatch.setattr(importlib.import_module("jaxland.sweeps.sweep"), "fit", None)
    given: dict[str, Any] = {"network": _network, "problem": PROBLEM, "optimizer": ADAM, "steps": 3} | changes
    with pytest.raises(error, match=message):
        jl.sweep(design, **given)


def test_an_optimizer_without_a_factor_that_others_take():
    design = jl.grid(width=[2], learning_rate=[0.1], optimizer=[SGD, ADAM], momentum=[0.9])
    with pytest.raises(ValueError, match="optimizer adam takes no 'momentum'; leave it empty"):
        _plan(design)
    twice = jl.grid(width=[2], learning_rate=0.1, optimizer=[lambda learning_rate: None, lambda learning_rate: None])
    with pytest.raises(ValueError, match="both called '<lambda>'"):
        _plan(twice)
    finished = jl.grid(width=[2], optimizer=np.array(["a", "b"]))
    assert len(_plan(finished, optimizer={"a": ADAM(0.1), "b": ADAM(0.2)})) == 2


def test_starts_of_a_sweep_are_starting_points(swept):
    network = _network(3)
    start = starting_points(network, np.array([4]), seed=9)
    predicted = jax.vmap(network.apply_flat, (0, None))(start, PROBLEM.x.astype(np.float32))
    losses = (np.asarray(predicted - PROBLEM.y.astype(np.float32)[None]) ** 2).mean(axis=(1, 2))
    found = swept.table.query("width == 3 and seed == 4")["initial_loss"]
    np.testing.assert_allclose(found, np.full(4, losses[0]), rtol=1e-5)
