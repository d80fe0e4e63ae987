"""Fits are kept, cut, asked and shown."""

import copy
import json
import os
import pickle
import re
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import jaxland as jl

pytestmark = pytest.mark.sampled

NETWORK = jl.mlp([2, 4, 3], "tanh")
X = np.random.default_rng(0).normal(size=(20, 2))
Y = np.random.default_rng(1).normal(size=(20, 3))
PROBLEM = jl.Problem(X, Y, name="noise")
RATES = np.array([0.01, 0.02, 0.05, np.inf, 0.1, 0.2, 0.3, 0.4])
MOMENTUM = partial(optax.sgd, momentum=0.9)


def _fit(optimizer=MOMENTUM, **changes):
    given = {"fits": 8, "steps": 12, "seed": 3, "first": 100, "trace_every": 4, "snapshots": (0, 12)}
    return jl.fit(NETWORK, PROBLEM, optimizer, **{**given, "hyperparameters": {"learning_rate": RATES}, **changes})


@pytest.fixture(scope="module")
def fits():
    """Eight, of which the fourth diverges."""
    return _fit()


def _arrays(fits):
    names = ["fit", "params", "initial_loss", "loss", "best_loss", "best_step", "diverged_step", "trace", "snapshots"]
    return {name: getattr(fits, name) for name in names}


@pytest.mark.parametrize(
    ("rows", "places"),
    [
        (slice(2), [0, 1]),
        (slice(None, None, -3), [7, 4, 1]),
        ([3, 5], [3, 5]),
        (np.array([5, 3, 5]), [5, 3, 5]),
        (np.arange(8) % 4 == 1, [1, 5]),
        (pd.Series(np.arange(8) > 5), [6, 7]),
        (3, [3]),
        (np.int32(-1), [7]),
        ([], []),
    ],
)
def test_some_fits_are_fits(fits, rows, places):
    some = fits[rows]
    assert isinstance(some, jl.Fits)
    for name, values in _arrays(fits).items():
        np.testing.assert_array_equal(getattr(some, name), values[places])
    expected = fits.table.iloc[places].reset_index(drop=True)
    pd.testing.assert_frame_equal(some.table, expected)
    assert some.table["learning_rate"].tolist() == RATES[places].tolist()
    assert some.config_hash == fits.config_hash


def test_fits_on_the_device_are_fits(tmp_path):
    there, here = _fit(on_device=True)[[1, 6]], _fit()[[1, 6]]
    assert isinstance(there.params, jax.Array)
    there.save(tmp_path / "kept")
    _same(here, jl.Fits.load(tmp_path / "kept"))
    np.testing.assert_array_equal(there.predict(X).std, here.predict(X).std)


def test_fits_are_gone_through_one_by_one(fits):
    assert [each.fit.tolist() for each in fits] == [[number] for number in range(100, 108)]


@pytest.mark.parametrize(
    ("rows", "error"),
    [("loss", TypeError), ([0.5], TypeError), ([[1]], TypeError), (8, IndexError), (np.ones(7, bool), IndexError)],
)
def test_what_is_no_choice_is_refused(fits, rows, error):
    with pytest.raises(error):
        fits[rows]


def _members(fits, x, transform=lambda outputs: outputs):
    """Outputs of each fit, one at a time."""
    each = [NETWORK.apply(NETWORK.unflatten(vector), x.astype(np.float32)) for vector in fits.params]
    return np.array([transform(outputs) for outputs in each])


@pytest.mark.parametrize("transform", [None, jax.nn.softmax, lambda outputs: outputs[:, :1] ** 2])
@pytest.mark.parametrize("values", [2**23, 90])
def test_predictions_are_statistics_of_the_members(fits, transform, values, monkeypatch):
    monkeypatch.setattr("jaxland.training.prediction._VALUES", values)  # some points at a time
    members = _members(fits, X, transform or (lambda outputs: outputs))
    outputs = fits.outputs(X, transform=transform)
    np.testing.assert_allclose(outputs, members, rtol=1e-5, atol=1e-6)
    levels = (0.1, 0.5, 0.75)
    found = fits.predict(X, transform=transform, quantiles=levels)
    good = np.delete(outputs.astype(np.float64), 3, axis=0)
    np.testing.assert_allclose(found.mean, good.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.std, good.std(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.quantiles, np.quantile(good, levels, axis=0), rtol=1e-5, atol=1e-7)
    assert (found.members, found.excluded, found.levels.tolist()) == (7, 1, list(levels))


def test_points_are_taken_as_a_problem_takes_them(fits):
    expected = fits.predict(X).mean
    for x in (X.tolist(), pd.DataFrame(X, columns=["a", "b"])):
        np.testing.assert_array_equal(fits.predict(x).mean, expected)
    problem = jl.Problem(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    of_one = jl.fit(jl.mlp([1, 2, 1]), problem, optax.sgd(0.1), fits=2, steps=2)
    np.testing.assert_array_equal(of_one.predict([0.0, 1.0]).mean, of_one.predict([[0.0], [1.0]]).mean)


@pytest.mark.parametrize(
    ("x", "more", "message"),
    [
        (X[:, :1], {}, r"x has 1 components, the fits were trained on 2"),
        ([[np.nan, 1.0]], {}, "NaN"),
        (X, {"quantiles": [50]}, "levels between 0 and 1"),
        (X, {"transform": lambda outputs: outputs.mean()}, r"it returned shape \(\)"),
    ],
)
def test_what_cannot_be_predicted_is_refused(fits, x, more, message):
    with pytest.raises(ValueError, match=message):
        fits.predict(x, **more)


def test_fits_that_all_diverged_predict_nothing(fits):
    with pytest.raises(ValueError, match="all have diverged"):
        fits[3].predict(X)


def _same(one, other):
    for name, values in _arrays(one).items():
        np.testing.assert_array_equal(getattr(other, name), values)
        assert getattr(other, name).dtype == values.dtype
    pd.testing.assert_frame_equal(other.table, one.table)
    assert other.table.attrs == one.table.attrs
    assert other.explanation == one.explanation


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dtype": "float64", "seeds": np.arange(8) // 2, "targets": np.random.default_rng(0).normal(size=(8, 20, 3))},
        {"hyperparameters": {"learning_rate": lambda fits: 0.01 * (fits % 3)}, "init_scale": lambda fits: 1.0 + fits},
        {"hyperparameters": {"learning_rate": RATES, "momentum": 0.5}, "optimizer": optax.sgd},
    ],
)
@pytest.mark.parametrize("rows", [slice(None), [2, 3, 7]])
def test_saved_fits_are_the_same(changes, rows, tmp_path):
    fits = _fit(**changes)[rows]
    fits.save(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    again = jl.Fits.load(tmp_path / "kept")
    _same(fits, again)
    np.testing.assert_array_equal(again.predict(X).mean, fits.predict(X).mean)
    assert jl.training.fingerprint(again.ensemble) == fits.config_hash


def test_numbers_of_a_loaded_function_are_those_saved_alone(tmp_path):
    _fit(init_scale=lambda fits: 1.0 + fits).save(tmp_path / "kept")
    ensemble = jl.Fits.load(tmp_path / "kept").ensemble
    np.testing.assert_array_equal(ensemble.members(np.arange(100, 103)).init_scale, [101, 102, 103])
    with pytest.raises(ValueError, match="for the fits saved"):
        ensemble.members(np.array([300]))


def _huber(prediction, target):
    return optax.huber_loss(prediction, target)


@pytest.mark.parametrize(
    ("network", "problem", "optimizer", "needed"),
    [
        (NETWORK, PROBLEM, optax.adam(0.01), "optimizer"),
        (jl.Network(NETWORK.init, NETWORK.apply), PROBLEM, optax.lion, None),
        (jl.Network(lambda key: NETWORK.init(key), NETWORK.apply), PROBLEM, optax.lion, "network"),
        (NETWORK, jl.Problem(X, Y, loss=jl.problems.Loss("huber", optax.huber_loss, points="sum")), optax.lion, None),
        (NETWORK, jl.Problem(X, Y, loss=_huber), optax.lion, "problem"),
        (jl.mlp([2, 3], jl.networks.Activation("gelu", jax.nn.gelu, "none")), PROBLEM, optax.lion, None),
        (jl.mlp([2, 3], jl.networks.smooth_relu(9.0)), PROBLEM, optax.lion, "network"),
    ],
)
def test_code_is_rebuilt_or_asked_for(network, problem, optimizer, needed, tmp_path):
    rates = {"learning_rate": 0.01} if optimizer is optax.lion else {}
    fits = jl.fit(network, problem, optimizer, hyperparameters=rates, fits=2, steps=2)
    fits.save(tmp_path / "kept")
    if needed:
        with pytest.raises(ValueError, match=rf"{needed}, .*Fits.load\(path, {needed}=...\)"):
            jl.Fits.load(tmp_path / "kept")
    given = {needed: getattr(fits.ensemble, needed)} if needed else {}
    _same(fits, jl.Fits.load(str(tmp_path / "kept"), **given))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ({"optimizer": optax.adam(0.02)}, "these differ: optimizer"),
        ({"optimizer": optax.adam(0.01), "network": jl.mlp([2, 4, 3])}, "these differ: network"),
        ({"optimizer": optax.adam(0.01), "network": jl.mlp([2, 5, 3])}, "its fits have 27 parameters, .* has 33"),
        ({"optimizer": optax.adam(0.01), "problem": jl.Problem(X, -Y)}, "these differ: targets"),
        ({"optimiser": optax.adam(0.01)}, "has no optimiser"),
    ],
)
def test_other_code_than_was_trained_is_refused(code, message, tmp_path):
    jl.fit(NETWORK, PROBLEM, optax.adam(0.01), fits=2, steps=2).save(tmp_path / "kept")
    with pytest.raises(ValueError, match=message):
        jl.Fits.load(tmp_path / "kept", **code)


def _rewritten(path, change):
    with np.load(path) as file:
        held = dict(file)
    header = json.loads(held["header"].tobytes())
    change(header)
    np.savez(path, **{**held, "header": np.frombuffer(json.dumps(header).encode(), np.uint8)})


def test_programs_of_other_versions_cannot_be_compared(tmp_path):
    path = tmp_path / "kept.npz"
    fits = jl.fit(NETWORK, PROBLEM, optax.adam(0.01), fits=2, steps=2)
    fits.save(path)

    def older(header):
        header["origin"] |= {"versions": "jaxland 0.0.1", "config_hash": "older"}
        header["parts"]["optimizer"] = "older"

    _rewritten(path, older)
    with pytest.warns(UserWarning, match="optimizer .*cannot be told"):
        again = jl.Fits.load(path, optimizer=optax.adam(0.01))
    assert again.table.attrs["versions"] == "jaxland 0.0.1"
    assert again.config_hash == "older"


def test_files_that_are_none_are_refused(tmp_path, fits):
    path = tmp_path / "kept.npz"
    np.savez(path, x=X)
    with pytest.raises(ValueError, match=r"kept.npz holds no fits that Fits.save wrote"):
        jl.Fits.load(path)
    fits.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="damaged"):
        jl.Fits.load(path)
    damaged = bytearray(content)
    damaged[content.index(np.ascontiguousarray(fits.params).tobytes()) + 3] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="damaged"):
        jl.Fits.load(path)
    fits.save(path)
    _rewritten(path, lambda header: header.update(format=99, jaxland="7.0"))
    with pytest.raises(ValueError, match="written by jaxland 7"):
        jl.Fits.load(path)
    fits.save(path)
    _rewritten(path, lambda header: header["ensemble"].update(batches=3))
    with pytest.raises(ValueError, match="this version cannot read"):
        jl.Fits.load(path)
    fits.save(path)
    _rewritten(path, lambda header: header["ensemble"].update(optimizer={"function": "load", "of": "jax.numpy"}))
    with pytest.raises(ValueError, match=r"names jax.numpy.load, which is not there, or is none"):
        jl.Fits.load(path)
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        fits.save(tmp_path / "nowhere" / "kept")


def test_what_is_interrupted_leaves_the_old_file(tmp_path, fits, monkeypatch):
    fits.save(tmp_path / "kept")
    before = (tmp_path / "kept").read_bytes()

    def fail(_):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="full"):
        fits[:2].save(tmp_path / "kept")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_fits_can_be_pickled(fits):
    _same(fits, pickle.loads(pickle.dumps(fits)))


def test_fits_with_functions_that_have_no_names_are_pickled_by_value():
    pytest.importorskip("cloudpickle")
    problem = jl.Problem(X, Y, loss=lambda prediction, target: jnp.abs(prediction - target) ** 1.5)
    network = jl.Network(lambda key: jax.random.normal(key, (2, 3)), lambda params, x: jnp.tanh(x @ params))
    fits = jl.fit(network, problem, optax.adam(0.1), fits=3, steps=4, keep_state=True)
    again = pickle.loads(pickle.dumps(fits))
    _same(fits, again)
    assert again.config_hash == fits.config_hash
    np.testing.assert_array_equal(again.continue_(3).params, fits.continue_(3).params)


def test_without_what_pickles_by_value_the_way_out_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    fits = _fit(optax.adam(0.1), hyperparameters=None)
    with pytest.raises(
        TypeError, match=r"cannot be pickled: .*fits\.save\(path\).*optax\.adam and.*pip install cloudpickle"
    ):
        pickle.dumps(fits)
    _same(fits, copy.deepcopy(fits))
    assert copy.copy(fits.ensemble).optimizer is fits.ensemble.optimizer


def test_where_fits_come_from_is_said_once(fits, tmp_path):
    origin = fits.table.attrs
    assert set(origin) == {"study", "config_hash", "versions", "device", "precision"}
    assert origin["study"] == "noise"
    assert not set(origin) & set(fits.table.columns)
    fits.table.to_parquet(tmp_path / "table.parquet")
    assert pd.read_parquet(tmp_path / "table.parquet").attrs == origin


def test_named_dimensions(fits):
    pytest.importorskip("xarray")
    found = fits.to_xarray()
    assert dict(found.sizes) == {"fit": 8, "parameter": 27, "step": 4, "snapshot_step": 2}
    chosen = found.sel(fit=105, parameter="1.weight[2,3]")
    place = NETWORK.entry_names.index("1.weight[2,3]")
    assert chosen.params == fits.params[5, place]
    assert chosen.trace.sel(step=8) == fits.trace[5, 2]
    assert chosen.snapshots.sel(snapshot_step=12) == fits.params[5, place]
    assert chosen.learning_rate == RATES[5]
    assert found.status.values.tolist() == fits.status.tolist()
    assert found.attrs == fits.table.attrs


def test_notebooks_show_tables(fits):
    shown = fits._repr_html_()
    assert re.search(r"<p>Fits\(8 of 27 parameters, .*&#x27;noise&#x27;", shown)
    assert shown.count("<tr") == 9
    assert jl.Problem(X, Y, name="<b>")._repr_html_().startswith("<p>Problem(&#x27;&lt;b&gt;&#x27;, 20 points")
