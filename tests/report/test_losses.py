import json

import numpy as np
import pytest

from jaxland.report.charts import charts
from jaxland.report.losses import COLUMNS, EnsembleLosses, read_losses
from jaxland.report.measures import Measure
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
    (series,) = (drawn["histogram"]["measures"][0] if name == "histogram" else drawn[name])["series"]
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
    row = charts({"momentum": losses})["scatter"]["upright"][0]["row"]
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
    (measure,) = drawn["histogram"]["measures"]
    assert [(each["name"], each["look"]) for each in measure["series"]] == [("adam", 1)]
    assert [(each["name"], each["look"]) for each in drawn["scatter"]["series"]] == [("sgd", 0), ("adam", 1)]
    assert drawn["scatter"]["series"][0]["status"] == ["diverged"] * 16
    assert drawn["scatter"]["series"][0]["loss"] == [None] * 16


def test_losses_near_the_largest_number_are_drawn(tmp_path):
    table = _table(16)
    table["loss"] = table["loss"].astype(np.float64)
    table["loss"][0], table["diverged_step"][0] = 1e305, -1
    table["loss"][1], table["diverged_step"][1] = np.nan, 3
    losses = read_losses(_store(tmp_path / "s", table), "momentum", 100)
    row = charts({"momentum": losses})["scatter"]["upright"][0]["row"]
    assert np.isfinite(row)
    assert row >= 1e305


def _judged(fits, seed=0):
    """The same fits judged five times, with a metric of few values."""
    rng, table = np.random.default_rng(seed), _table(fits)
    validation = (10 ** rng.normal(-1, 0.5, (fits, 5))).astype(np.float32)
    validation[::7, 3:] = np.nan  # they stopped
    validation[5] = np.inf
    best = np.argmin(np.where(np.isfinite(validation), validation, np.inf), axis=1)
    return table | {
        "best_validation": np.where(np.isfinite(validation), validation, np.inf).min(axis=1),
        "best_validation_step": (10 * best).astype(np.int32),
        "stopped_step": np.where(np.arange(fits) % 7, -1, 20).astype(np.int32),
        "validation": validation,
        "best_params": table["params"],
        "metric.accuracy": (rng.integers(0, 31, (fits, 5)) / 30).astype(np.float32),
    }


def test_what_validation_found_is_reduced_as_losses_are(tmp_path):
    table = _judged(1000)
    losses = read_losses(_store(tmp_path / "s", table), "momentum", 100)
    good = np.flatnonzero((table["diverged_step"] < 0) & np.isfinite(table["best_validation"]))
    best, rows = table["best_validation"][good], table["best_validation_step"] // 10
    accuracy = table["metric.accuracy"][np.arange(1000), rows]
    assert losses.ranked_by.column == "best_validation"
    assert losses.stopped == (table["stopped_step"] >= 0).sum()
    assert losses.ranked_by.least == best.min()
    winner = losses.ranked_by.least_fit
    assert table["best_validation"][winner] == best.min()
    assert losses.ranked_by.quantile(0.5) == pytest.approx(np.median(best), rel=0.002)
    metric = losses.measured["best_accuracy"]
    kept = accuracy[table["diverged_step"] < 0]
    assert (metric.count, metric.least, metric.largest) == (len(kept), kept.min(), kept.max())
    assert metric.quantile(0.25) == pytest.approx(np.quantile(kept, 0.25), abs=0.002)
    assert not metric.is_logarithmic
    own = {name: table[name][winner] for name in ("loss", "best_validation")}
    assert losses.best == pytest.approx({**own, "best_accuracy": accuracy[winner]}, nan_ok=True)
    np.testing.assert_array_equal(losses.sample["best_accuracy"], accuracy[losses.sample["fit"]])


def test_what_validation_found_can_be_counted_and_drawn(tmp_path):
    table = _judged(1000)
    drawn = charts({"momentum": read_losses(_store(tmp_path / "s", table), "momentum", 100)})
    json.dumps(drawn, allow_nan=False)
    measures = drawn["histogram"]["measures"]
    assert [each["column"] for each in measures] == ["best_validation", "loss", "best_accuracy"]
    assert [each["scale"] for each in measures] == ["log", "log", "linear"]
    counts = [sum(count for _, _, count in each["series"][0]["bins"]) for each in measures]
    good = table["diverged_step"] < 0
    assert counts == [(good & np.isfinite(table["best_validation"])).sum(), good.sum(), good.sum()]
    assert [each["column"] for each in drawn["scatter"]["upright"]] == ["best_validation", "loss", "best_accuracy"]
    assert "best_validation_step" in [each["column"] for each in drawn["scatter"]["axes"]]


def test_a_plain_ensemble_beside_a_judged_one_keeps_its_losses(tmp_path):
    judged = read_losses(_store(tmp_path / "a", _judged(100), ensemble="adam"), "adam", 50)
    plain = read_losses(_store(tmp_path / "b", _table(100), ensemble="sgd"), "sgd", 50)
    measures = charts({"sgd": plain, "adam": judged})["histogram"]["measures"]
    found = {each["column"]: [series["name"] for series in each["series"]] for each in measures}
    assert found == {"loss": ["sgd", "adam"], "best_validation": ["adam"], "best_accuracy": ["adam"]}
    assert next(iter(found)) == "loss"
    assert plain.stopped is None


@pytest.mark.parametrize("parts", [1, 7, 50])
def test_numbers_of_any_range_are_counted_in_equal_bins(parts):
    """Nothing is known of them before; each is counted within a two-thousandth of the range they turn out to have."""
    values = np.random.default_rng(0).normal(0, np.repeat([1e-3, 1, 1e6], 700))
    measure = Measure("best_anything")
    for some in np.array_split(np.arange(len(values)), parts):
        measure.add(some, values[some])
    found = measure.equal
    assert found.counts.sum() == len(values)
    assert (found.smallest, found.largest) == (values.min(), values.max())
    width = np.diff(found.edges)[0]
    assert width <= np.ptp(values) / 1000
    counted = np.cumsum(found.counts)
    for edge in (500, 2000, 2100, 3000):
        low, high = ((values < found.edges[edge] + shift * width).sum() for shift in (-1, 1))
        assert low <= (counted[edge - 1] if edge else 0) <= high
