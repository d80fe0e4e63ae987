"""What fits differ in stands in the tables of their study, and what it does to the losses is found."""

import inspect
from types import SimpleNamespace

import numpy as np
import optax
import pandas as pd
import pytest

import jaxland as jl
from jaxland._names import OWN
from jaxland.studies.general import factors

X = np.linspace(-1, 1, 8)
PROBLEM, NETWORK = jl.Problem(X, np.sin(3 * X)), jl.mlp([1, 3, 1], "tanh")


def _ensemble(**fields):
    return jl.Ensemble(NETWORK, PROBLEM, fields.pop("optimizer", optax.adam), steps=5, **fields)


def _run(ensembles, path, fits=6):
    study = jl.Study("own", jl.studies.NoSettings, lambda _: ensembles, analyses={})
    jl.run(study, jl.studies.NoSettings(), path, fits=fits)
    return jl.open(path, study=study)


def _rates(fits):
    return np.geomspace(1e-3, 1e-1, 3)[fits % 3]


def _names(fits):
    return np.where(fits % 2 == 0, "even", "odd")


def test_numbers_of_fits_and_of_all_are_columns_with_those_of_fits_in_memory(tmp_path):
    own = {"learning_rate": _rates, "b1": 0.8}
    several = _ensemble(hyperparameters=own, init_scale=np.arange(1.0, 7), columns={"kind": _names, "width": 3})
    stored = _run({"several": several, "plain": _ensemble(optimizer=optax.sgd(0.1))}, tmp_path / "own")
    table = stored.table()
    first, plain = table[table["ensemble"] == "several"], table[table["ensemble"] == "plain"]
    held = stored.fits("several").table
    for name, values in {
        "learning_rate": _rates(np.arange(6)),
        "b1": [0.8] * 6,
        "init_scale": np.arange(1.0, 7),
        "kind": ["even", "odd"] * 3,
        "width": [3] * 6,
    }.items():
        assert first[name].tolist() == list(values) == held[name].tolist()
        assert plain[name].isna().all()
    shard = pd.read_parquet(next((tmp_path / "own" / "fits" / "several").rglob("*.parquet")))
    assert [name for name in shard if name.startswith(OWN)] == [
        f"{OWN}{name}" for name in ("learning_rate", "init_scale", "kind")
    ]


def test_a_number_named_as_a_result_leaves_that_result(tmp_path):
    loss = jl.problems.Loss("near", lambda p, y, loss: abs(p - y) ** loss, numbers={"loss": 2.0})
    problem = jl.Problem(X, np.sin(3 * X), loss=loss)
    taken = jl.Ensemble(NETWORK, problem, optax.adam(0.1), steps=5, hyperparameters={"loss": lambda fits: 2.0 + fits})
    alike = jl.Ensemble(NETWORK, problem, optax.adam(0.1), steps=5, hyperparameters={"loss": 3.0})
    stored = _run({"taken": taken, "alike": alike}, tmp_path / "own")
    table = stored.table()
    assert table[f"{OWN}loss"].tolist() == [*np.arange(2.0, 8), *[3.0] * 6]
    parts = [part["loss"] for name in ("taken", "alike") for part in stored.stream(name, ["loss"])]
    np.testing.assert_array_equal(table["loss"], np.concatenate(parts))
    np.testing.assert_array_equal(stored.fits("taken").table["loss"], parts[0])


def test_metrics_stand_in_the_table_where_validation_was_best(tmp_path):
    def off(prediction, y):
        return abs(prediction - y).mean(axis=1)

    judged = jl.training.Validation(X + 0.01, np.sin(3 * X), metrics={"off": off}, every=1)
    stored = _run({"judged": _ensemble(optimizer=optax.adam(0.5), validation=judged)}, tmp_path / "own")
    fits = stored.fits()
    best = fits.judged.validation.argmin(axis=1)
    np.testing.assert_array_equal(stored.table()["best_off"], fits.judged.metrics["off"][np.arange(6), best])
    np.testing.assert_array_equal(stored.table()["best_loss"], fits.best_loss)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"loss": 1.0}, "cannot have the name 'loss'"),
        ({"width": np.ones((2, 2))}, "shape"),
        ({"width": lambda a, b: a}, "fits' numbers"),
        ({"width": np.array([object()])}, "a number or a text"),
    ],
)
def test_columns_that_cannot_be_are_refused(columns, message):
    with pytest.raises((TypeError, ValueError), match=message):
        _ensemble(optimizer=optax.adam(0.1), columns=columns)


def test_metrics_keep_their_columns():
    judged = jl.training.Validation(X + 0.01, np.sin(3 * X), metrics={"off": lambda p, y: abs(p - y).mean(axis=1)})
    with pytest.raises(ValueError, match="cannot have the name 'best_off'"):
        _ensemble(optimizer=optax.adam(0.1), validation=judged, columns={"best_off": 1.0})


def test_columns_have_a_row_a_fit_and_one_kind(tmp_path):
    with pytest.raises(ValueError, match="lengths differ"):
        _ensemble(hyperparameters={"learning_rate": np.ones(4)}, columns={"width": np.ones(3)})
    one, other = (_ensemble(optimizer=optax.adam(0.1), columns={"width": width}) for width in (3, "three"))
    with pytest.raises(ValueError, match=r"columns\['width'\] has numbers of 'one' and text of 'other'"):
        _run({"one": one, "other": other}, tmp_path / "own")


def test_columns_decide_nothing(tmp_path):
    plain, told = (_ensemble(optimizer=optax.adam(0.1), columns=each) for each in ({}, {"width": 3}))
    assert jl.training.fingerprint(plain) == jl.training.fingerprint(told)
    _run({"a": plain}, tmp_path / "own", 4)
    table = _run({"a": told}, tmp_path / "own", 8).table()
    assert len(table) == 8


def test_fits_are_saved_with_their_columns(tmp_path):
    ensemble = _ensemble(optimizer=optax.adam(0.1), columns={"kind": _names, "width": np.arange(6)})
    fits = _run({"a": ensemble}, tmp_path / "own").fits()
    fits[2:4].save(tmp_path / "a.fits")
    with pytest.raises(ValueError, match="optimizer"):
        jl.Fits.load(tmp_path / "a.fits")
    again = jl.Fits.load(tmp_path / "a.fits", optimizer=optax.adam(0.1))
    assert again.table[["kind", "width"]].to_numpy().tolist() == [["even", 2], ["odd", 3]]
    assert again.to_xarray()["kind"].values.tolist() == ["even", "odd"]


def _found(table, monkeypatch, names):
    monkeypatch.setattr(factors, "_factors", lambda context: names)
    monkeypatch.setattr(factors, "_table", lambda store, own: table)
    return inspect.unwrap(factors.find)(SimpleNamespace(store=None))


def test_losses_over_factors_are_those_of_a_table_worked_out_otherwise(monkeypatch):
    design = jl.grid(rate=[0.1, 0.2, 0.4], kind=["a", "b"], same=[1], start=range(50))
    rng = np.random.default_rng(0)
    loss = np.where(design["kind"] == "a", 1.0, 2.0) * design["rate"] * np.exp(0.1 * rng.normal(size=len(design)))
    table = design.assign(loss=loss, diverged_step=-1)
    broken = table.index[(table["rate"] == 0.4) & (table["kind"] == "b")][:30]
    table.loc[broken, ["loss", "diverged_step"]] = [np.inf, 3]
    found = _found(table, monkeypatch, ["rate", "kind", "same"])
    summary = found.tables["factors.csv"].set_index(["rate", "kind"])
    assert "same" not in summary
    for (rate, kind), row in summary.iterrows():
        own = np.sort(table["loss"][(table["rate"] == rate) & (table["kind"] == kind)])
        assert row["fits"] == 50
        assert row["diverged"] == (30 if (rate, kind) == (0.4, "b") else 0)
        middle = own[24]  # the value of a fit, the 25th of 50
        assert row["loss_median"] == middle if np.isfinite(middle) else np.isnan(row["loss_median"])
    assert summary.index[0] == (0.1, "a")
    assert f"{summary['loss_median'].iloc[0]:.3g}, is that of rate 0.1, kind a (50 fits)" in found.captions["factors"]
    assert len(found.figures["factors"].axes) == 2
    # Of one of three fits a loss is known, so that none of the two levels has a median.
    few = pd.DataFrame({"kind": ["a", "b"] * 3, "loss": [1.0, 2.0, *[np.inf] * 4], "diverged_step": [-1, -1, *[0] * 4]})
    told = _found(few, monkeypatch, ["kind"]).captions["factors"]
    assert "Of none of 2 combinations has half of the fits a finite one." in told


def test_many_numbers_are_drawn_together_and_tables_end_somewhere(monkeypatch):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"rate": rng.uniform(size=20_000), "diverged_step": -1})
    found = _found(table.assign(loss=table["rate"] + 1), monkeypatch, ["rate"])
    assert len(found.tables["factors.csv"]) == factors._ROWS
    assert "first 10,000 of 20,000" in found.notes[0]
    (ax,) = found.figures["factors"].axes
    x, y = ax.lines[0].get_data()
    assert len(x) == factors._BINS
    np.testing.assert_allclose(y, np.asarray(x) + 1, atol=1e-3)


def test_nothing_is_said_of_fits_that_differ_in_nothing(tmp_path):
    ensemble = _ensemble(hyperparameters={"learning_rate": 0.1})
    outcome = jl.run({"a": ensemble}, tmp_path / "own", fits=4, analyses={"factors": jl.studies.NoSettings()})
    assert not [path for path in outcome.files if "factors" in path.name]
