import json

import numpy as np
import pytest

from jaxland.report.charts import charts
from jaxland.report.losses import COLUMNS, EnsembleLosses, read_losses
from jaxland.store import Manifest, StudyStore, configuration_hash

PROVENANCE = {"versions": "", "device": "", "precision": "float32", "backends": {}}


def _table(fits, seed=0):
    rng = np.random.default_rng(seed)
    loss = (10 ** rng.normal(-2, 1, fits)).astype(np.float32)
    diverged = np.where(rng.random(fits) < 0.1, 7, -1).astype(np.int32)
    loss[diverged >= 0] = np.nan
    return {
        "fit": np.arange(fits),
        "status": np.where(diverged >= 0, "diverged", "ok"),
        "initial_loss": rng.random(fits).astype(np.float32),
        "loss": loss,
        "best_loss": loss,
        "best_step": rng.integers(0, 100, fits).astype(np.int32),
        "diverged_step": diverged,
        "params": np.zeros((fits, 1), np.float32),
    }


def _manifest(ensemble, fits, precision="float32"):
    provenance = {**PROVENANCE, "precision": precision}
    return Manifest("sawtooth", {}, configuration_hash("sawtooth", {}), (ensemble,), fits, provenance)


def _store(path, table, shard=64, ensemble="momentum"):
    fits, precision = len(table["fit"]), ", ".join({table["loss"].dtype.name, table["params"].dtype.name})
    store = StudyStore.create(path, _manifest(ensemble, fits, precision))
    for start in range(0, fits, shard):
        stop = min(start + shard, fits)
        store.commit_shard(ensemble, start, stop, {name: values[start:stop] for name, values in table.items()})
    return store


def test_a_reduction_agrees_with_the_whole_table(tmp_path):
    table = _table(1000)
    losses = read_losses(_store(tmp_path / "s", table), "momentum", 100)
    good = table["loss"][table["diverged_step"] < 0]
    assert (losses.fits, losses.diverged, losses.off_axis) == (1000, 1000 - len(good), 0)
    assert (losses.missing, losses.damaged) == ([], [])
    assert losses.best_loss == good.min()
    assert table["loss"][losses.best_fit] == good.min()
    assert losses.worst_loss == good.max()
    assert table["loss"][losses.worst_fit] == good.max()
    assert losses.median == pytest.approx(np.median(good), rel=0.002)
    for share in (0.05, 0.95):
        assert losses.quantile(share) == pytest.approx(np.quantile(good, share, method="inverted_cdf"), rel=0.002)
    assert losses.log_loss.total == len(good)


def test_the_sample_is_of_all_fits_and_always_the_same(tmp_path):
    table = _table(1000)
    one = read_losses(_store(tmp_path / "a", table), "momentum", 200).sample
    two = read_losses(_store(tmp_path / "b", table, shard=333), "momentum", 200).sample
    assert one.equals(two)
    assert len(one) == one["fit"].nunique() == 200
    assert one["fit"].min() < 50
    assert one["fit"].max() > 950
    for name in COLUMNS:
        np.testing.assert_array_equal(one[name].to_numpy(), table[name][one["fit"]])


def test_few_fits_are_all_in_the_sample(tmp_path):
    losses = read_losses(_store(tmp_path / "s", _table(30)), "momentum", 200)
    assert losses.sample["fit"].tolist() == list(range(30))


def test_a_damaged_shard_is_left_out(tmp_path):
    table = _table(256)
    store = _store(tmp_path / "s", table)
    victim = store.shards("momentum")[1].path
    victim.write_bytes(victim.read_bytes()[:-1])
    losses = read_losses(store, "momentum", 1000)
    assert losses.fits == 192
    assert losses.missing == [(64, 128)]
    assert losses.damaged == [victim.name]
    assert losses.sample["fit"].tolist() == [*range(64), *range(128, 256)]


def test_an_ensemble_without_fits(tmp_path):
    store = StudyStore.create(tmp_path / "s", _manifest("adam", 9))
    losses = read_losses(store, "adam", 100)
    assert (losses.fits, losses.missing, losses.best_fit, len(losses.sample)) == (0, [(0, 9)], -1, 0)
    assert np.isnan(losses.median)
    assert charts({"adam": losses}) == {}


def test_losses_of_zero_are_counted_and_not_drawn(tmp_path):
    table = _table(64)
    table["loss"][:10] = 0
    table["diverged_step"][:10] = -1
    losses = read_losses(_store(tmp_path / "s", table), "momentum", 100)
    assert losses.off_axis == 10
    assert losses.best_loss == 0
    assert np.isnan(losses.median)
    assert _bars(losses).sum() == 64 - losses.diverged - 10


def test_losses_that_all_diverged_are_not_drawn(tmp_path):
    table = _table(16)
    table["loss"][:], table["diverged_step"][:] = np.nan, 3
    losses = read_losses(_store(tmp_path / "s", table), "momentum", 100)
    assert (losses.diverged, losses.best_fit, losses.worst_fit) == (16, -1, -1)
    assert charts({"momentum": losses}) == {}


def _series(losses: EnsembleLosses, name):
    drawn = charts({"momentum": losses})
    json.dumps(drawn, allow_nan=False)
    (series,) = drawn[name]["series"]
    return series


def _bars(losses):
    return np.array([count for _, _, count in _series(losses, "histogram")["bins"]])


@pytest.mark.parametrize("outlier", [None, 1e30])
def test_the_bars_hold_every_finite_loss(tmp_path, outlier):
    table = _table(3000)
    if outlier:
        table["loss"][0], table["diverged_step"][0] = outlier, -1
    losses = read_losses(_store(tmp_path / "s", table, shard=1000), "momentum", 100)
    series = _series(losses, "histogram")
    low, high, counts = np.array(series["bins"]).T
    good = table["loss"][table["diverged_step"] < 0].astype(np.float64)
    # Bounds are told to six digits, so that a loss at one of them may stand on its other side.
    counted = ((good[:, None] >= low) & (good[:, None] < high)).sum(axis=0)
    assert np.abs(counts - counted).sum() <= 4
    assert counts.sum() == len(good)
    assert series["fits"] == 3000
    assert (high[:-1] <= low[1:]).all()
    assert len(counts) < 1300


def test_the_page_does_not_grow_with_the_number_of_fits(tmp_path):
    few, many = (
        read_losses(_store(tmp_path / str(fits), _table(fits), shard=10_000), "momentum", 500)
        for fits in (5_000, 50_000)
    )
    small, large = (len(json.dumps(charts({"momentum": each}))) for each in (few, many))
    assert large < 1.3 * small


def test_points_are_the_sample(tmp_path):
    losses = read_losses(_store(tmp_path / "s", _table(300)), "momentum", 100)
    series, sample = _series(losses, "scatter"), losses.sample
    for name in ("fit", "status", "best_step"):
        assert series[name] == sample[name].tolist()
    for name in ("loss", "initial_loss", "best_loss"):
        told = [f"{value:.6g}" if np.isfinite(value) else None for value in sample[name]]
        assert [None if value is None else f"{value:.6g}" for value in series[name]] == told


def test_diverged_fits_stand_above_all_others(tmp_path):
    losses = read_losses(_store(tmp_path / "s", _table(300)), "momentum", 100)
    row = charts({"momentum": losses})["scatter"]["row"]
    assert np.isfinite(row)
    assert row > losses.worst_loss


def test_an_ensemble_that_diverged_altogether_is_among_the_points(tmp_path):
    wild = _table(16)
    wild["loss"][:], wild["diverged_step"][:] = np.nan, 3
    wild["status"] = np.full(16, "diverged")
    ensembles = {
        "sgd": read_losses(_store(tmp_path / "b", wild, ensemble="sgd"), "sgd", 100),
        "adam": read_losses(_store(tmp_path / "a", _table(300), ensemble="adam"), "adam", 100),
    }
    drawn = charts(ensembles)
    assert [(each["name"], each["look"]) for each in drawn["histogram"]["series"]] == [("adam", 1)]
    assert [(each["name"], each["look"]) for each in drawn["scatter"]["series"]] == [("sgd", 0), ("adam", 1)]
    assert drawn["scatter"]["series"][0]["status"] == ["diverged"] * 16
    assert drawn["scatter"]["series"][0]["loss"] == [None] * 16


def test_losses_near_the_largest_number_are_drawn(tmp_path):
    table = _table(16)
    table["loss"] = table["loss"].astype(np.float64)
    table["loss"][0], table["diverged_step"][0] = 1e305, -1
    table["loss"][1], table["diverged_step"][1] = np.nan, 3
    losses = read_losses(_store(tmp_path / "s", table), "momentum", 100)
    row = charts({"momentum": losses})["scatter"]["row"]
    assert np.isfinite(row)
    assert row >= 1e305
