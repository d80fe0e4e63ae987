import dataclasses
import json

import numpy as np
import optax
import pandas as pd
import pytest
from small_study import STUDY, Config

import jaxland as jl
from jaxland.execution import ShardTask
from jaxland.store import StoreError, StudyStore
from jaxland.studies import ShardWork, analyse, from_json, open_study, study_status, to_json
from jaxland.studies.engine import make_request, measure_pace
from jaxland.studies.fitting import Prepared, manifest_of, prepare, train_missing
from jaxland.training import Ensemble, choose_backend

CONFIG = Config()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("studies") / "small"
    return jl.run(STUDY, CONFIG, path, fits=48, shard_fits=16)


def test_configuration_survives_json():
    config = Config(names=("adam",), rate=0.1)
    assert from_json(Config, json.loads(json.dumps(to_json(config)))) == config


def test_every_row_says_where_it_comes_from(finished):
    table = jl.open(finished.path).table()
    for column in ("study", "ensemble", "fit", "config_hash", "versions", "device", "precision", "backend"):
        assert table[column].notna().all()


def test_running_again_trains_nothing_and_gives_the_same_files(finished):
    before = {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()}
    jl.run(STUDY, CONFIG, finished.path, fits=48)
    assert {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("shard_fits", "threads"), [(48, 1), (7, 2)])
def test_bits_do_not_depend_on_how_the_work_is_cut(finished, tmp_path, shard_fits, threads):
    jl.run(STUDY, CONFIG, tmp_path / "s", fits=48, shard_fits=shard_fits, threads=threads)
    one, two = (jl.open(path).table() for path in (finished.path, tmp_path / "s"))
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    for name in finished_ensembles(finished.path):
        params = [
            np.concatenate([part["params"] for part in jl.open(path).stream(name, ["params"])])
            for path in (finished.path, tmp_path / "s")
        ]
        assert params[0].tobytes() == params[1].tobytes()


def finished_ensembles(path):
    """Names, of which there are some."""
    names = StudyStore.open(path).manifest.ensembles
    assert names
    return names


def test_a_damaged_shard_is_trained_again(tmp_path):
    outcome = jl.run(STUDY, CONFIG, tmp_path / "s", fits=32, shard_fits=16)
    store = StudyStore.open(outcome.path)
    victim = store.shards("adam")[1].path
    original = victim.read_bytes()
    victim.write_bytes(original[:-1])
    said = []
    jl.run(STUDY, CONFIG, tmp_path / "s", fits=32, shard_fits=16, say=said.append)
    assert victim.read_bytes() == original
    assert any("damaged" in line for line in said)
    assert len(list((outcome.path / "quarantine").iterdir())) == 1


def test_a_study_is_opened_with_its_configuration(finished):
    *_, config = open_study(finished.path)
    assert config == CONFIG
    assert study_status(finished.path)["ensembles"]["sgd"]["missing"] == []


def test_status_counts_the_diverged(tmp_path):
    wild = dataclasses.replace(CONFIG, names=("sgd",), rate=1e9)
    jl.run(STUDY, wild, tmp_path / "s", fits=8)
    state = study_status(tmp_path / "s")
    assert state["ensembles"]["sgd"]["diverged"] > 0
    assert json.loads(json.dumps(state)) == state


@pytest.mark.slow
def test_an_executor_of_processes_gives_the_same_study(finished, tmp_path):
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        jl.run(STUDY, CONFIG, tmp_path / "s", fits=48, shard_fits=16, executor=executor)
    names = [
        sorted((path.name, path.read_bytes()) for path in (root / "fits").rglob("*.parquet"))
        for root in (finished.path, tmp_path / "s")
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize("changes", [{"fits": 0}, {"threads": 0}, {"shard_fits": -1}])
def test_bad_options_write_nothing(tmp_path, changes):
    with pytest.raises(ValueError, match="must be a positive integer"):
        jl.run(STUDY, CONFIG, tmp_path / "s", **changes)
    assert not (tmp_path / "s").exists()


def test_a_configuration_of_a_newer_version_is_refused():
    with pytest.raises(jl.store.StoreError, match="unknown fields"):
        from_json(Config, {"steps": 3, "colour": "blue"})


def test_plan_measures_and_writes_nothing(tmp_path):
    plan = jl.studies.plan(STUDY, CONFIG, tmp_path / "s", fits=100, shard_fits=64)
    assert [(task.start, task.stop) for task in plan.tasks if task.ensemble == "adam"] == [(0, 64), (64, 100)]
    assert plan.net_steps == 2 * 100 * 40
    assert plan.seconds > 0
    assert not (tmp_path / "s").exists()


def test_whoever_goes_on_makes_the_same_files(tmp_path):
    prepared = prepare(STUDY, CONFIG)
    store = StudyStore.create(tmp_path / "s", manifest_of(STUDY, CONFIG, 48, prepared, 16))
    train_missing(store, STUDY, prepared)
    victim = store.shards("sgd")[1].path
    content = victim.read_bytes()
    for shard in store.shards("sgd")[1:]:
        shard.path.unlink()
    plan = jl.studies.plan(STUDY, CONFIG, tmp_path / "s", fits=48)
    assert [(task.start, task.stop) for task in plan.tasks if task.ensemble == "sgd"] == [(16, 32), (32, 48)]
    again = StudyStore.create(tmp_path / "s", manifest_of(STUDY, CONFIG, 48, prepared))
    train_missing(again, STUDY, prepared)
    assert len(again.shards("sgd")) == 3
    assert victim.read_bytes() == content


def test_the_rate_of_a_traced_ensemble_is_measured_within_its_steps():
    x = np.linspace(-1, 1, 8)
    ensemble = Ensemble(jl.mlp([1, 2, 1]), jl.Problem(x, x), optax.adam(0.01), steps=5, trace_every=1)
    trainer, explanation = choose_backend(ensemble, "lanes")
    assert measure_pace(Prepared(ensemble, trainer, explanation), 16, threads=2, seconds=0.01).rate > 0
    group = trainer.advance(trainer.begin(ensemble.members(np.arange(trainer.width))), 3)
    with pytest.raises(ValueError, match="the trace ends at step 5; 3 more after 3 are too many"):
        trainer.advance(group, 3)


def test_what_is_no_configuration_or_analysis_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"is configured by Config; got 3\. Give one, such as Config"):
        jl.run(STUDY, 3, tmp_path / "s")
    with pytest.raises(TypeError, match=r"The study comes first.*run\(STUDY, Config\(...\), out\)"):
        make_request(CONFIG, tmp_path / "s", None)
    with pytest.raises(TypeError, match="analyses"):
        jl.run(STUDY, CONFIG, tmp_path / "s", fits=1, analyses=["paths"])
    assert not (tmp_path / "s").exists()


def test_plan_of_a_directory_that_grows(finished):
    plan = jl.studies.plan(STUDY, CONFIG, finished.path, fits=64)
    assert {(task.start, task.stop) for task in plan.tasks} == {(48, 64)}
    with pytest.raises(jl.store.StoreError, match="another configuration"):
        jl.studies.plan(STUDY, dataclasses.replace(CONFIG, steps=41), finished.path)


def test_status_counts_damaged_fits_as_missing(tmp_path):
    outcome = jl.run(STUDY, CONFIG, tmp_path / "s", fits=32, shard_fits=16)
    victim = StudyStore.open(outcome.path).shards("adam")[1].path
    victim.write_bytes(victim.read_bytes()[:-1])
    state = study_status(tmp_path / "s")
    assert state["damaged"] == [str(victim)]
    assert state["ensembles"]["adam"] == {"done": 16, "shards": 1, "diverged": 0, "missing": [[16, 32]]}
    assert state["ensembles"]["sgd"]["done"] == 32
    assert study_status(tmp_path / "s", quick=True)["ensembles"]["adam"]["done"] == 32


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


@pytest.mark.parametrize("content", [None, b"", b"null"])
def test_a_manifest_that_was_lost_is_written_again_as_it_was(finished, content):
    """Its name, origin and what programs are made of too, which shards do not tell."""
    manifest = finished.path / "study.json"
    before = manifest.read_bytes()
    assert json.loads(before)["parts"]
    if content is None:
        manifest.unlink()
    else:
        manifest.write_bytes(content)
    try:
        jl.run(STUDY, Config(), finished.path, fits=48)
        assert manifest.read_bytes() == before
    finally:
        manifest.write_bytes(before)


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
            config = from_json(Config, changed["config"])
            ways = (
                lambda: open_study(finished.path),
                lambda config=config: analyse(StudyStore.open(finished.path), STUDY, config),
                lambda: train_missing(StudyStore.open(finished.path), STUDY, {}),
                lambda config=config: jl.run(STUDY, config, finished.path, fits=48),
                lambda: ShardWork(str(finished.path))(ShardTask("sgd", 0, 16)),
            )
            for way in ways:
                with pytest.raises(StoreError, match=r"(?s)was edited .* there, .* in the fits\n.*remove the file"):
                    way()
    finally:
        manifest.write_text(text)
    open_study(finished.path)


def test_fits_of_changed_code_are_not_mixed_with_others(finished):
    """The configuration is the same, and what it stands for is not."""

    def changed(config):
        return {
            name: dataclasses.replace(each, steps=config.steps + 1) for name, each in STUDY.ensembles(config).items()
        }

    with pytest.raises(StoreError, match=r"(?s)must not be mixed.*programs.*of sgd there changed: steps"):
        jl.run(dataclasses.replace(STUDY, ensembles=changed), CONFIG, finished.path, fits=64)
