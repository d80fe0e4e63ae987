"""A design that is stored: ensembles whose fits are those of the sweep, in a directory that resumes and grows."""

from typing import Any

import numpy as np
import optax
import pandas as pd
import pytest

import jaxland as jl
from jaxland.store import StoreError

X = np.linspace(-1, 1, 12)
PROBLEM = jl.Problem(X, X**2)
OPTIMIZERS = {"adam": optax.adam, "sgd": optax.sgd}
DESIGN = jl.grid(width=[2, 3], optimizer=["adam", "sgd"], learning_rate=[0.01, 0.1, 0.3])
KEYS = ["width", "optimizer", "learning_rate", "seed"]


def _network(width):
    return jl.mlp([1, width, 1], "tanh")


def _noisy(noise):
    return jl.Problem(X, X**2 + noise)


def _stored(
    design=DESIGN,
    network: Any = _network,
    problem: Any = PROBLEM,
    optimizer: Any = OPTIMIZERS,
    steps: Any = 20,
    **options: Any,
):
    return jl.sweeps.ensembles(design, network, problem, optimizer, steps=steps, **options)


def _run(ensembles, path, fits):
    study = jl.Study("rates", jl.studies.NoSettings, lambda _: ensembles, analyses={})
    return jl.run(study, jl.studies.NoSettings(), path, fits=fits), jl.open(path, study=study)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return _run(_stored(), tmp_path_factory.mktemp("stored") / "rates", 9)[1]


def test_fits_are_those_of_the_sweep_to_the_bit(stored):
    found = stored.table()
    swept = jl.sweep(DESIGN.merge(jl.grid(seed=range(3)), how="cross"), _network, PROBLEM, OPTIMIZERS, steps=20).table
    both = found.merge(swept, on=KEYS, suffixes=("", "_swept"))
    assert len(both) == len(swept) == len(found) == 36
    for name in ("initial_loss", "loss", "best_loss"):
        np.testing.assert_array_equal(both[name], both[f"{name}_swept"])


def test_tables_have_a_column_for_each_factor(stored, tmp_path):
    found = stored.table()
    counts = found.groupby(KEYS[:3], observed=True).size()
    assert len(counts) == len(DESIGN)
    assert (counts == 3).all()
    jl.studies.write_table(stored._store, tmp_path / "rates.csv")
    again = pd.read_csv(tmp_path / "rates.csv")
    np.testing.assert_allclose(again["learning_rate"], found["learning_rate"])
    assert again["optimizer"].tolist() == found["optimizer"].tolist()


def test_what_is_read_as_fits_has_the_same_columns(stored):
    fits = stored.fits("width-2_optimizer-adam")
    table = stored.table("width-2_optimizer-adam")
    for name in KEYS:
        assert fits.table[name].tolist() == table[name].tolist()


def test_more_starts_are_added_and_those_there_stay(tmp_path):
    ensembles = _stored(DESIGN.query("width == 2"))
    _, first = _run(ensembles, tmp_path / "rates", 6)
    before = first.table().set_index(["ensemble", "fit"])["loss"]
    _, grown = _run(ensembles, tmp_path / "rates", 12)
    after = grown.table().set_index(["ensemble", "fit"])["loss"]
    assert len(after) == 2 * len(before)
    np.testing.assert_array_equal(after.loc[before.index], before)


@pytest.mark.parametrize("place", [0, 19])
def test_another_design_is_refused_wherever_it_differs(tmp_path, place):
    design = jl.grid(learning_rate=np.geomspace(1e-3, 1, 20))
    network = _network(2)
    _run(_stored(design, network, optimizer=optax.adam), tmp_path / "rates", 20)
    design.loc[place, "learning_rate"] *= 1.5
    with pytest.raises(StoreError, match="hyperparameters"):
        _run(_stored(design, network, optimizer=optax.adam), tmp_path / "rates", 40)


def test_a_row_more_is_another_design(tmp_path):
    network = _network(2)
    _run(_stored(jl.grid(init_scale=np.full(20, 1.0)), network, optimizer=optax.adam(0.1)), tmp_path / "rates", 20)
    with pytest.raises(StoreError, match="seed"):
        _run(_stored(jl.grid(init_scale=np.full(21, 1.0)), network, optimizer=optax.adam(0.1)), tmp_path / "rates", 21)


def test_factors_of_the_problem_and_of_the_ensemble(tmp_path):
    design = jl.grid(noise=[0.0, 0.5], init_scale=[0.5, 1.0], steps=[5, 10])
    judged = {"validation": (X + 0.01, X**2), "metrics": {"error": _off}}
    ensembles = _stored(design, _network(2), _noisy, optax.adam(0.1), None, **judged)
    _, stored = _run(ensembles, tmp_path / "noise", 8)
    found, seeds = stored.table(), jl.grid(seed=range(2))
    swept = jl.sweep(design.merge(seeds, how="cross"), _network(2), _noisy, optax.adam(0.1), **judged).table
    both = found.merge(swept, on=["noise", "init_scale", "steps", "seed"], suffixes=("", "_swept"))
    assert len(both) == len(found) == len(swept) == 16
    for name in ("loss", "best_validation", "best_error"):
        np.testing.assert_array_equal(both[name], both[f"{name}_swept"])


def _off(prediction, y):
    return abs(prediction - y).mean(axis=1)


def test_rows_without_a_factor_have_nothing_there(tmp_path):
    design = jl.grid(optimizer=["adam"], learning_rate=[0.1, 0.2]).merge(
        pd.DataFrame({"optimizer": ["sgd"], "learning_rate": [0.1], "momentum": [0.9], "nesterov": [True]}), how="outer"
    )
    _, stored = _run(_stored(design, _network(2)), tmp_path / "some", 2)
    found = stored.table().groupby("optimizer", observed=True)
    assert found["momentum"].apply(lambda each: each.notna().all()).to_dict() == {"adam": False, "sgd": True}
    assert found["nesterov"].apply(lambda each: each.notna().all()).to_dict() == {"adam": False, "sgd": True}


def test_ensembles_are_named_by_levels_that_a_folder_can_have():
    assert [*_stored()] == [f"width-{w}_optimizer-{o}" for w in (2, 3) for o in ("adam", "sgd")]
    assert [*_stored(jl.grid(learning_rate=[0.1]), _network(2), optimizer=optax.adam)] == ["all"]
    odd = jl.grid(hidden=[(4, 4), (8,)], learning_rate=[0.1])
    named = _stored(odd, lambda hidden: jl.mlp([1, *hidden, 1]), optimizer=optax.adam)
    assert all(name.replace("-", "").replace("_", "").isalnum() for name in named)
    assert len(named) == 2


@pytest.mark.parametrize(
    ("design", "options", "message"),
    [
        (jl.grid(learning_rate=[0.1], seed=[0, 1]), {}, "leave the factor 'seed' out"),
        (jl.grid(learning_rate=[0.1], device=["x"]), {}, "cannot have the name 'device'"),
        (jl.grid(learning_rate=[0.1]), {"threads": 2}, "threads is about how fits are trained"),
        (jl.grid(learning_rate=[0.1]), {"batchsize": 2}, "batch_size"),
        (jl.grid(rate=[0.1]), {}, "learning_rate"),
    ],
)
def test_what_cannot_be_is_refused(design, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        _stored(design, _network(2), optimizer=optax.adam, **options)


def test_fits_of_a_stored_sweep_are_saved_and_read(stored, tmp_path):
    fits = stored.fits("width-3_optimizer-sgd")
    fits.save(tmp_path / "some.fits")
    again = jl.Fits.load(tmp_path / "some.fits")
    pd.testing.assert_frame_equal(again.table, fits.table)
