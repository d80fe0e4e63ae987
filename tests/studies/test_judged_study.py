"""A study of batches, noise and early stopping: shards that are lost are trained again to the same bytes."""

import dataclasses

import jax
import numpy as np
import optax
import pandas as pd
import pytest

import jaxland as jl
from jaxland.studies import Study, wanted
from jaxland.training import Validation, accuracy

_RNG = np.random.default_rng(0)
X, LABELS = _RNG.normal(size=(60, 3)), _RNG.integers(0, 3, 60)
PROBLEM = jl.Problem(X, LABELS, loss="softmax_cross_entropy", name="classes")


def _dropped(params, x, key):
    kept = 1.0 if key is None else jax.random.bernoulli(key, 0.8, x.shape) / 0.8
    return (x * kept).astype(x.dtype) @ params["w"]


NOISY = jl.Network(lambda key: {"w": jax.random.normal(key, (3, 3))}, _dropped, takes_key=True)


@dataclasses.dataclass(frozen=True)
class Config:
    """Of the study."""

    epochs: int = 6
    seed: int = 0


def _ensembles(config):
    judged = Validation(share=0.3, patience=1, every=3, metrics={"accuracy": accuracy})
    given = {"epochs": config.epochs, "batch_size": 8, "seed": config.seed, "validation": judged}
    plain = jl.Ensemble(jl.mlp([3, 4, 3]), PROBLEM, optax.sgd(0.3), steps=5, seed=config.seed)
    return {
        "lanes": jl.Ensemble(jl.mlp([3, 4, 3]), PROBLEM, optax.adam(0.1), **given),
        "noisy": jl.Ensemble(NOISY, PROBLEM, optax.adam(0.1), **given),
        "plain": plain,
    }


STUDY = Study("judged", Config, _ensembles)
WANTED = wanted(STUDY, ("best",))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("judged") / "study"
    jl.run(STUDY, Config(), path, fits=48, shard_fits=16, analyses=WANTED)
    return path


def _shards(path):
    return {file.relative_to(path): file.read_bytes() for file in (path / "fits").rglob("*.parquet")}


@pytest.mark.slow
def test_lost_shards_come_back_as_they_were(finished):
    before = _shards(finished)
    assert len(before) == 9
    lost = sorted(before)[1::2]
    for name in lost:
        (finished / name).unlink()
    jl.run(STUDY, Config(), finished, fits=48, shard_fits=16, analyses=WANTED)
    assert _shards(finished) == before


@pytest.mark.slow
def test_what_was_found_is_read_back(finished):
    stored = jl.open(finished, STUDY)
    for name in ("lanes", "noisy"):
        fits = stored.fits(name)
        ensemble = _ensembles(Config())[name]
        again = jl.fit(
            ensemble.network, PROBLEM, optax.adam(0.1), fits=48, epochs=6, batch_size=8,
            validation=Validation(share=0.3, patience=1, every=3, metrics={"accuracy": accuracy}),
        )  # fmt: skip
        for field in ("params", "loss", "best_params", "validation"):
            assert getattr(fits, field).tobytes() == getattr(again, field).tobytes(), field
        np.testing.assert_array_equal(fits.judged.metrics["accuracy"], again.judged.metrics["accuracy"])
        assert (fits.judged.stopped_step >= 0).any()
    assert stored.fits("plain").judged is None


@pytest.mark.slow
def test_the_best_fits_are_those_of_the_smallest_validation_loss(tmp_path):
    """As they were then; of an ensemble without a validation, of the smallest loss. Summary and analysis agree."""

    def ensembles(config):
        return {name: each for name, each in _ensembles(config).items() if name != "noisy"}

    study = Study("judged", Config, ensembles)
    path = jl.run(
        study, Config(), tmp_path / "s", fits=32, shard_fits=16, analyses=wanted(study, ("best", "losses"))
    ).path
    best = pd.read_csv(path / "analysis/best.csv")
    fits = jl.open(path, study).fits("lanes")
    order = np.argsort(fits.judged.best_validation, kind="stable")[:20]
    found = best[best["ensemble"] == "lanes"]
    np.testing.assert_array_equal(found["fit"], order)
    np.testing.assert_allclose(found["best_accuracy"], fits.table["best_accuracy"][order], rtol=1e-6)
    np.testing.assert_allclose(found["energy"], (fits.best_params[order].astype(float) ** 2).sum(axis=1), rtol=1e-6)
    plain = best[best["ensemble"] == "plain"]
    np.testing.assert_array_equal(plain["fit"], np.argsort(jl.open(path, study).fits("plain").loss, kind="stable")[:20])
    assert plain["best_validation"].isna().all()
    judged = pd.read_csv(path / "analysis/validation.csv").set_index("what")
    assert judged["which is"].tolist() == [order[0]] * 2
    assert judged.loc["accuracy in its step", "median"] == pytest.approx(np.median(fits.table["best_accuracy"]))
    assert "ranked by their smallest validation loss" in (path / "summary.md").read_text()


@pytest.mark.slow
def test_the_table_says_where_fits_stopped(finished, tmp_path):
    table = jl.open(finished, STUDY).table()
    judged = table[table["ensemble"] != "plain"]
    assert judged[["best_validation", "best_validation_step", "stopped_step"]].notna().all(axis=None)
    assert table[table["ensemble"] == "plain"]["stopped_step"].isna().all()
    np.testing.assert_array_equal(
        table[table["ensemble"] == "lanes"]["stopped_step"], jl.open(finished, STUDY).fits("lanes").judged.stopped_step
    )


@pytest.mark.slow
def test_fits_are_saved_with_what_was_found(tmp_path):
    problem = jl.Problem(X, LABELS, loss="softmax_cross_entropy", weights=np.ones(60), penalty=jl.problems.l2(1e-3))
    fits = jl.fit(
        jl.mlp([3, 4, 3]), problem, optax.adam, fits=6, epochs=5, batch_size=8, validation=0.3, patience=1,
        hyperparameters={"learning_rate": 0.1, "l2": np.linspace(0, 0.1, 6)}, metrics={"accuracy": accuracy},
    )  # fmt: skip
    fits[[1, 4]].save(tmp_path / "fits")
    again = jl.Fits.load(tmp_path / "fits")
    assert again.judged.metrics["accuracy"].tobytes() == fits.judged.metrics["accuracy"][[1, 4]].tobytes()
    assert again.best_params.tobytes() == fits.best_params[[1, 4]].tobytes()
    pd.testing.assert_frame_equal(again.table, fits[[1, 4]].table)
    assert again.at_best.params.tobytes() == again.best_params.tobytes()


def test_metrics_are_traced_once_for_all_shards(tmp_path):
    traced = []

    def told(prediction, y):
        traced.append(1)
        return accuracy(prediction, y)

    judged = Validation(share=0.3, metrics={"told": told})
    ensemble = jl.Ensemble(jl.mlp([3, 4, 3]), PROBLEM, optax.sgd(0.3), steps=2, validation=judged)
    study = Study("told", jl.studies.NoSettings, lambda _: {"sgd": ensemble}, analyses={})
    counts = []
    for name, fits in (("three", 48), ("six", 96)):
        traced.clear()
        jl.run(study, jl.studies.NoSettings(), tmp_path / name, fits=fits, shard_fits=16)
        counts.append(len(traced))
    assert counts[0] >= counts[1] > 0
