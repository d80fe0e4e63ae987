import dataclasses
import json

import numpy as np
import optax
import pandas as pd
import pytest

import jaxland as jl
from jaxland.execution import ShardTask
from jaxland.replications import SawtoothConfig
from jaxland.replications.sawtooth.overview.reduction import turning_points
from jaxland.store import StoreError, StudyStore
from jaxland.studies import STUDIES, ShardWork, analyse, from_json, open_study, study_status, study_table, to_json
from jaxland.studies.engine import measure_rate
from jaxland.studies.fitting import Prepared, manifest_of, prepare, train_missing
from jaxland.training import Ensemble, choose_backend

STUDY = STUDIES["sawtooth"]
CONFIG = SawtoothConfig(steps=300)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("studies") / "sawtooth"
    return jl.run("sawtooth", CONFIG, path, fits=48, shard_fits=16)


def test_a_run_leaves_table_figures_and_claims(finished):
    names = {str(path.relative_to(finished.path)) for path in finished.files}
    assert {"table.parquet", "claims.csv", "summary.md", "analysis/curves.csv"} <= names
    for figure in range(1, 8):
        assert sum(name.startswith(f"figures/figure-{figure:02d}-") for name in names) == 2
    assert any("direction-cosines" in name for name in names)
    assert all((finished.path / name).stat().st_size > 100 for name in names)
    claims = pd.read_csv(finished.path / "claims.csv")
    assert set(claims["verdict"]) <= {"agrees", "differs", "not tested"}
    assert {"1, section 2", "2", "3", "4", "5", "6", "7, 8", "section 1", "section 4.4", "section 4.5"} == set(
        claims["figure"].astype(str)
    )
    assert "| momentum | 48 | 0 |" in (finished.path / "summary.md").read_text()


def test_stored_fits_are_those_of_jl_fit(finished):
    table = pd.read_parquet(finished.path / "table.parquet")
    assert table.shape[0] == 96
    for name, optimizer in (("momentum", CONFIG.momentum), ("adadelta", CONFIG.adadelta)):
        from jaxland.training import make_optimizer

        fits = jl.fit(CONFIG.network, CONFIG.problem, make_optimizer(optimizer), fits=48, steps=300)
        rows = table[table["ensemble"] == name]
        np.testing.assert_array_equal(rows["loss"], fits.loss)
        np.testing.assert_array_equal(rows["best_step"], fits.best_step)
        store = StudyStore.open(finished.path)
        stored = np.concatenate([shard.arrays["params"] for shard in store.stream(name)])
        np.testing.assert_array_equal(stored, fits.params)


def test_every_row_says_where_it_comes_from(finished):
    table = study_table(StudyStore.open(finished.path))
    for column in ("study", "ensemble", "fit", "config_hash", "versions", "device", "precision", "backend"):
        assert table[column].notna().all()


def test_both_optimizers_start_from_the_same_points(finished):
    table = pd.read_parquet(finished.path / "table.parquet").pivot(
        index="fit", columns="ensemble", values="initial_loss"
    )
    np.testing.assert_allclose(table["momentum"], table["adadelta"], rtol=1e-6)


def test_running_again_trains_nothing_and_gives_the_same_files(finished):
    before = {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()}
    jl.run("sawtooth", CONFIG, finished.path, fits=48)
    assert {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("shard_fits", "threads"), [(48, 1), (7, 2)])
def test_bits_do_not_depend_on_how_the_work_is_cut(finished, tmp_path, shard_fits, threads):
    jl.run("sawtooth", CONFIG, tmp_path / "s", fits=48, shard_fits=shard_fits, threads=threads)
    one, two = (study_table(StudyStore.open(path)) for path in (finished.path, tmp_path / "s"))
    pd.testing.assert_frame_equal(one, two)


def test_a_damaged_shard_is_trained_again(tmp_path):
    outcome = jl.run("sawtooth", CONFIG, tmp_path / "s", fits=32, shard_fits=16)
    store = StudyStore.open(outcome.path)
    victim = store.shards("adadelta")[1].path
    original = victim.read_bytes()
    victim.write_bytes(original[:-1])
    said = []
    jl.run("sawtooth", CONFIG, tmp_path / "s", fits=32, shard_fits=16, say=said.append)
    assert victim.read_bytes() == original
    assert any("damaged" in line for line in said)
    assert len(list((outcome.path / "quarantine").iterdir())) == 1


def test_a_study_is_opened_with_its_configuration(finished):
    *_, config = open_study(finished.path)
    assert config == CONFIG
    assert study_status(finished.path)["ensembles"]["momentum"]["missing"] == []


def test_status_counts_the_diverged(tmp_path):
    wild = dataclasses.replace(CONFIG, optimizers=("sgd",), sgd=jl.training.Sgd(1e6), steps=50)
    jl.run("sawtooth", wild, tmp_path / "s", fits=8)
    state = study_status(tmp_path / "s")
    assert state["ensembles"]["sgd"]["diverged"] > 0
    assert json.loads(json.dumps(state)) == state


def test_an_executor_of_processes_gives_the_same_study(finished, tmp_path):
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        jl.run("sawtooth", CONFIG, tmp_path / "s", fits=48, shard_fits=16, executor=executor)
    names = [
        sorted((path.name, path.read_bytes()) for path in (root / "fits").rglob("*.parquet"))
        for root in (finished.path, tmp_path / "s")
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizers": ()}, "at least one"),
        ({"optimizers": ("momentum", "momentum")}, "each once"),
        ({"optimizers": ("adadelt",)}, "Did you mean 'adadelta'"),
        ({"steps": 0}, "steps must be"),
        ({"momentum": jl.training.Momentum(float("nan"))}, "momentum.learning_rate must be finite"),
        ({"dtype": "float16"}, "dtype|float16"),
    ],
)
def test_bad_configurations(changes, message):
    with pytest.raises(Exception, match=message):
        SawtoothConfig(**changes)


@pytest.mark.parametrize("changes", [{"fits": 0}, {"threads": 0}, {"shard_fits": -1}])
def test_bad_options_write_nothing(tmp_path, changes):
    with pytest.raises(ValueError, match="must be a positive integer"):
        jl.run("sawtooth", CONFIG, tmp_path / "s", **changes)
    assert not (tmp_path / "s").exists()


def test_configuration_survives_json():
    config = SawtoothConfig(optimizers=("adam",), momentum=jl.training.Momentum(0.5, 0.1))
    assert from_json(SawtoothConfig, json.loads(json.dumps(to_json(config)))) == config


def test_a_configuration_of_a_newer_version_is_refused():
    with pytest.raises(jl.store.StoreError, match="unknown fields"):
        from_json(SawtoothConfig, {"steps": 3, "colour": "blue"})


@pytest.mark.slow
def test_the_other_targets_run_and_their_claims_are_not_judged(tmp_path):
    config = SawtoothConfig(target="3+2", steps=5, points_per_segment=1, optimizers=("adam",))
    outcome = jl.run("sawtooth", config, tmp_path / "s", fits=4)
    assert {claim.verdict for claim in outcome.claims} == {"not tested"}


def test_plan_measures_and_writes_nothing(tmp_path):
    plan = jl.studies.plan("sawtooth", CONFIG, tmp_path / "s", fits=100, shard_fits=64)
    assert [(task.start, task.stop) for task in plan.tasks if task.ensemble == "adadelta"] == [(0, 64), (64, 100)]
    assert plan.net_steps == 2 * 100 * 300
    assert plan.seconds > 0
    assert not (tmp_path / "s").exists()


def test_whoever_goes_on_makes_the_same_files(tmp_path):
    prepared = prepare(STUDY, CONFIG)
    store = StudyStore.create(tmp_path / "s", manifest_of(STUDY, CONFIG, 48, prepared, 16))
    train_missing(store, STUDY, CONFIG, prepared)
    victim = store.shards("momentum")[1].path
    content = victim.read_bytes()
    for shard in store.shards("momentum")[1:]:
        shard.path.unlink()
    plan = jl.studies.plan("sawtooth", CONFIG, tmp_path / "s", fits=48)
    assert [(task.start, task.stop) for task in plan.tasks if task.ensemble == "momentum"] == [(16, 32), (32, 48)]
    again = StudyStore.create(tmp_path / "s", manifest_of(STUDY, CONFIG, 48, prepared))
    train_missing(again, STUDY, CONFIG, prepared)
    assert len(again.shards("momentum")) == 3
    assert victim.read_bytes() == content


def test_the_rate_of_a_traced_ensemble_is_measured_within_its_steps():
    x = np.linspace(-1, 1, 8)
    ensemble = Ensemble(jl.mlp([1, 2, 1]), jl.Problem(x, x), optax.adam(0.01), steps=5, trace_every=1)
    trainer, explanation = choose_backend(ensemble, "lanes")
    assert measure_rate(Prepared(ensemble, trainer, explanation), threads=2, seconds=0.01) > 0
    group = trainer.advance(trainer.begin(ensemble.members(np.arange(trainer.width))), 3)
    with pytest.raises(ValueError, match="the trace ends at step 5; 3 more after 3 are too many"):
        trainer.advance(group, 3)


def test_what_is_no_configuration_or_analysis_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"is configured by SawtoothConfig; got 3\. Give one, such as SawtoothConfig"):
        jl.run("sawtooth", 3, tmp_path / "s")
    with pytest.raises(TypeError, match=r"The study comes first.*run\(STUDY, SawtoothConfig\(...\), out\)"):
        jl.run(CONFIG, tmp_path / "s")
    with pytest.raises(TypeError, match="analyses"):
        jl.run("sawtooth", CONFIG, tmp_path / "s", fits=1, analyses=["paths"])
    assert not (tmp_path / "s").exists()


def test_plan_of_a_directory_that_grows(finished):
    plan = jl.studies.plan("sawtooth", CONFIG, finished.path, fits=64)
    assert {(task.start, task.stop) for task in plan.tasks} == {(48, 64)}
    with pytest.raises(jl.store.StoreError, match="another configuration"):
        jl.studies.plan("sawtooth", dataclasses.replace(CONFIG, steps=301), finished.path)


def test_status_counts_damaged_fits_as_missing(tmp_path):
    outcome = jl.run("sawtooth", CONFIG, tmp_path / "s", fits=32, shard_fits=16)
    victim = StudyStore.open(outcome.path).shards("adadelta")[1].path
    victim.write_bytes(victim.read_bytes()[:-1])
    state = study_status(tmp_path / "s")
    assert state["damaged"] == [str(victim)]
    assert state["ensembles"]["adadelta"] == {"done": 16, "shards": 1, "diverged": 0, "missing": [[16, 32]]}
    assert state["ensembles"]["momentum"]["done"] == 32
    assert study_status(tmp_path / "s", quick=True)["ensembles"]["adadelta"]["done"] == 32


def test_claims_are_not_judged_from_too_little(finished):
    assert {claim.verdict for claim in finished.claims} == {"not tested"}
    assert "10,000 steps" in finished.claims[0].detail


def test_turning_points():
    x = np.linspace(-1, 1, 2001)
    curves = np.stack(
        [x, np.abs(x), np.sin(5 * np.pi * x), np.zeros_like(x), np.clip(x, -0.5, 0.5), np.maximum(np.abs(x), 0.3)]
    )
    np.testing.assert_array_equal(turning_points(curves), [0, 1, 10, 0, 0, 1])


def _numbers(values, path=()):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(value, (*path, name))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield (*path, name)


def _edited(fields, place):
    *outer, last = place
    copy = json.loads(json.dumps(fields))
    inner = copy
    for name in outer:
        inner = inner[name]
    inner[last] += 1
    return copy


def test_an_edited_manifest_is_refused_however_it_is_opened(finished):
    manifest = finished.path / "study.json"
    text = manifest.read_text()
    fields = json.loads(text)
    places = [("config_hash",), *_numbers({name: fields[name] for name in ("config", "provenance")})]
    assert len(places) > 5
    try:
        for place in places:
            changed = {**fields, "config_hash": "f" * 16} if place == ("config_hash",) else _edited(fields, place)
            manifest.write_text(json.dumps(changed))
            config = from_json(SawtoothConfig, changed["config"])
            ways = (
                lambda: open_study(finished.path),
                lambda config=config: analyse(StudyStore.open(finished.path), STUDY, config),
                lambda config=config: train_missing(StudyStore.open(finished.path), STUDY, config, {}),
                lambda config=config: jl.run("sawtooth", config, finished.path, fits=48),
                lambda: ShardWork(str(finished.path))(ShardTask("momentum", 0, 16)),
            )
            for way in ways:
                with pytest.raises(StoreError, match=r"was edited after the study began: .*remove the file"):
                    way()
    finally:
        manifest.write_text(text)
    open_study(finished.path)


def test_fits_of_changed_code_are_not_mixed_with_others(finished, monkeypatch):
    """The configuration is the same, and what it stands for is not."""
    other = dataclasses.replace(CONFIG.problem, loss="half_mean_squared_error")
    monkeypatch.setattr(SawtoothConfig, "problem", property(lambda config: other))
    with pytest.raises(StoreError, match=r"(?s)programs.*must not be mixed|must not be mixed.*programs"):
        jl.run("sawtooth", CONFIG, finished.path, fits=64)
