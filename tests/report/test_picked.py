import base64
import json

import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.landscape import outputs, piecewise_linear, spectra
from jaxland.report import picked as picked_fits
from jaxland.report.losses import read_losses
from jaxland.report.packed import weight
from jaxland.report.picked import RANDOM, SPECTRA, pick
from jaxland.store import StudyStore
from jaxland.studies.described import NETWORKS

X = np.linspace(-1, 2, 30)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study of which all that a page shows of a fit is stored, and its fits."""
    ensemble = jl.Ensemble(jl.mlp([1, 8, 8, 1]), jl.Problem(X, np.abs(X)), optax.adam(0.01), steps=60, trace_every=20)
    study = jl.Study("small", jl.studies.NoSettings, lambda config: {"adam": ensemble}, analyses={})
    path = tmp_path_factory.mktemp("picked") / "s"
    jl.run(study, out=path, fits=300, shard_fits=128)
    return path, jl.open(path, study)


def _picked(path, **changes):
    store = StudyStore.open(path)
    losses = {name: read_losses(store, name, 4000) for name in store.manifest.ensembles}
    picked = pick(store, losses)
    json.dumps(picked, allow_nan=False)
    return picked["ensembles"]


def _named(picked):
    return {rank[which] for rank in picked["ranks"] for which in ("least", "median", "largest")}


def _drawn(picked):
    """Outputs as the page draws them: the second differences summed, between the bounds of each fit."""
    shape = len(picked["fit"]), len(picked["x"])
    change = np.frombuffer(base64.b64decode(picked["outputs"]), "<u2").reshape(shape).astype(np.int64)
    share = (np.cumsum(np.cumsum(change, axis=1) & 65535, axis=1) & 65535) / 65535
    low, high = (np.array(picked[side])[:, None] for side in ("low", "high"))
    return low + (high - low) * share


def test_best_median_and_worst_are_among_random_ones(trained):
    path, study = trained
    (picked,) = _picked(path)
    table = study.table("adam").set_index("fit")
    (rank,) = picked["ranks"]
    assert rank["column"] == "loss"
    assert rank["least"] == table["loss"].idxmin()
    assert rank["largest"] == table["loss"].idxmax()
    assert table["loss"][rank["median"]] == pytest.approx(table["loss"].median(), rel=0.02)
    assert _named(picked) <= set(picked["fit"])
    assert RANDOM <= len(picked["fit"]) <= RANDOM + 3
    assert picked["fit"] == sorted(set(picked["fit"]))
    assert picked["loss"] == [float(f"{loss:.6g}") for loss in table["loss"][picked["fit"]]]


def test_what_is_drawn_is_what_the_fits_compute(trained):
    path, study = trained
    (picked,) = _picked(path)
    network, params = jl.mlp([1, 8, 8, 1]), study.params("adam")[picked["fit"]].astype(np.float64)
    expected = outputs(network, params, np.array(picked["x"])[:, None])[..., 0]
    spread = np.ptp(expected, axis=1, keepdims=True)
    assert (np.abs(_drawn(picked) - expected) <= 2e-5 * spread + 1e-5 * np.abs(expected) + 1e-6).all()
    assert picked["data"]["x"] == [float(f"{x:.6g}") for x in X]
    assert (picked["x"][0], picked["x"][-1]) == (-1, 2)


def test_knots_and_changes_of_the_slope_are_those_of_the_function(trained):
    path, study = trained
    (picked,) = _picked(path)
    network, params = jl.mlp([1, 8, 8, 1]), study.params("adam")[picked["fit"]]
    functions = piecewise_linear(network, params, -1, 2)
    counts = [len(knots) for knots, _ in picked["knots"]]
    assert counts == functions.interior_counts.tolist()
    assert max(counts) > 2
    x = np.linspace(-1, 2, 200)
    y = outputs(network, params.astype(np.float64), x[:, None])[:, :, 0]
    for row, (knots, bends) in enumerate(picked["knots"]):
        ramps = np.maximum(x - np.array(knots)[:, None], 0).T @ np.array(bends)
        rest = np.polynomial.Polynomial.fit(x, y[row] - ramps, 1)(x)
        np.testing.assert_allclose(rest + ramps, y[row], atol=1e-4)


def test_spectra_are_those_of_the_fits_they_are_shown_with(trained):
    path, study = trained
    (picked,) = _picked(path)
    fits = np.array(picked["fit"])[picked["curved"]]
    assert _named(picked) <= set(fits.tolist())
    assert SPECTRA <= len(fits) <= SPECTRA + 3
    found = np.frombuffer(base64.b64decode(picked["eigenvalues"]), "<f4").reshape(len(fits), -1)
    objective = jl.Problem(X, np.abs(X)).objective(jl.mlp([1, 8, 8, 1]))
    expected = spectra(objective, study.params("adam")[fits].astype(np.float64)).eigenvalues
    np.testing.assert_allclose(found, expected, rtol=3e-4, atol=1e-6 * np.abs(expected).max())


def test_losses_on_the_way_are_those_that_are_stored(trained):
    path, study = trained
    (picked,) = _picked(path)
    trace = np.frombuffer(base64.b64decode(picked["losses"]), "<f4").reshape(len(picked["fit"]), -1)
    assert picked["steps"] == [0, 20, 40, 60]
    np.testing.assert_allclose(trace, study.trace("adam")[picked["fit"]], rtol=3e-4)


@pytest.mark.parametrize(
    "told",
    [
        {},
        [],
        {"adam": []},
        {"adam": {"widths": [1, 8, 1]}},
        {
            "adam": {
                "range": [0, 1],
                "widths": [1, 9, 9, 1],
                "activation": "relu",
                "output_activation": "identity",
                "bias": True,
            }
        },
        {
            "adam": {
                "range": [0, 1],
                "widths": [1, 8, 8, 1],
                "activation": "swish",
                "output_activation": "identity",
                "bias": True,
            }
        },
        {
            "adam": {
                "range": [1, 0],
                "widths": [1, 8, 8, 1],
                "activation": "relu",
                "output_activation": "identity",
                "bias": True,
            }
        },
        {
            "adam": {
                "range": [0, 1e999],
                "widths": [1, 8, 8, 1],
                "activation": "relu",
                "output_activation": "identity",
                "bias": True,
            }
        },
        {
            "adam": {
                "range": [0, 1],
                "widths": [1, -8, -8, 1],
                "activation": "relu",
                "output_activation": "identity",
                "bias": True,
            }
        },
        {
            "adam": {
                "range": [0, 1],
                "widths": ["<b>"],
                "activation": "relu",
                "output_activation": "identity",
                "bias": True,
            }
        },
    ],
)
def test_of_a_network_that_is_not_told_no_function_is_drawn(trained, tmp_path, told):
    path, _ = trained
    copy = tmp_path / "s"
    (copy / "fits").parent.mkdir()
    (copy / "fits").symlink_to(path / "fits")
    (copy / "study.json").write_bytes((path / "study.json").read_bytes())
    (copy / NETWORKS).write_text(json.dumps(told))
    (picked,) = _picked(copy)
    assert "outputs" not in picked
    assert len(picked["fit"]) >= RANDOM
    assert picked["losses"]


def test_fits_that_diverged_have_no_function_and_no_name(tmp_path):
    ensemble = jl.Ensemble(jl.mlp([1, 2, 1]), jl.Problem(X, X), optax.sgd(1e8), steps=50)
    path = tmp_path / "s"
    jl.run(jl.Study("wild", jl.studies.NoSettings, lambda config: {"sgd": ensemble}, analyses={}), out=path, fits=8)
    (picked,) = _picked(path)
    gone = [status == "diverged" for status in picked["status"]]
    assert sum(gone) > 0
    assert [loss is None for loss in picked["loss"]] == gone
    assert all(type(low) is type(high) for low, high in zip(picked["low"], picked["high"], strict=True))
    named = [fit for fit in _named(picked) if fit >= 0]
    assert not any(gone[picked["fit"].index(fit)] for fit in named)


def test_what_would_be_too_heavy_is_left_out_and_named(trained, monkeypatch):
    path, _ = trained
    store = StudyStore.open(path)
    losses = {"adam": read_losses(store, "adam", 4000)}
    whole = pick(store, losses)
    assert whole["left_out"] == []
    monkeypatch.setattr(picked_fits, "LIMIT", weight(whole["ensembles"]) - weight(whole["ensembles"][0]["knots"]) // 2)
    less = pick(store, losses)
    assert less["left_out"] == ["knots"]
    assert "knots" not in less["ensembles"][0]
    assert less["ensembles"][0]["outputs"] == whole["ensembles"][0]["outputs"]
    monkeypatch.setattr(picked_fits, "LIMIT", 0)
    (bare,) = pick(store, losses)["ensembles"]
    assert bare["loss"] == whole["ensembles"][0]["loss"]
    assert {"outputs", "losses", "eigenvalues"}.isdisjoint(bare)


def test_without_fits_there_is_nothing_to_pick(trained):
    store = StudyStore.open(trained[0])
    assert pick(store, {}) == {}
