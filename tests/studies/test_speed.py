"""What is told of how fast a study was trained: what was noted, and that nothing else is known."""

import json
import shutil

import numpy as np
import optax
import pytest
import small_study

import jaxland as jl
from jaxland.execution import ShardTask
from jaxland.store import StudyStore
from jaxland.studies.fitting import prepare, train_shard
from jaxland.studies.speed import note_shard, read_speed
from jaxland.studies.unfinished import Unfinished

STEPS = small_study.Config().steps


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("speed") / "s"
    jl.run(small_study.STUDY, small_study.Config(), path, fits=32, shard_fits=16)
    return path


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "s")


def _lines(path):
    (file,) = (path / "logs").glob("*.shards.jsonl")
    return file, [json.loads(line) for line in file.read_text().splitlines()]


def _rewritten(path, change):
    file, lines = _lines(path)
    file.write_text("\n".join(json.dumps({**line, **change(place)}) for place, line in enumerate(lines)))
    return read_speed(StudyStore.open(path))


def test_every_shard_is_noted_and_summary_and_page_say_how_fast(trained):
    speed = read_speed(StudyStore.open(trained))
    assert speed.fits == speed.whole.fits == 64
    assert {name: rate.net_steps for name, rate in speed.ensembles.items()} == {"sgd": 32 * STEPS, "adam": 32 * STEPS}
    assert speed.whole.net_steps == 64 * STEPS
    assert 0 < speed.whole.seconds <= sum(rate.seconds for rate in speed.ensembles.values()) + 1e-6
    summary, page = (trained / "summary.md").read_text(), jl.report.write_report(trained).read_text()
    for text in (summary, page):
        assert f"{speed.whole.per_second:.3g} net-steps a second in all" in text
        assert f"{speed.ensembles['adam'].per_second:.3g}" in text
    assert "cpu" in summary[summary.index("## Speed") :]


def test_times_of_shards_that_were_trained_at_once_count_once(copy):
    speed = _rewritten(copy, lambda place: {"began": 1000 + place / 2, "seconds": 1.0})
    assert speed.whole.seconds == pytest.approx(2.5)
    assert speed.ensembles["sgd"].seconds == pytest.approx(2)  # its shards are the first and the third


def test_of_several_machines_the_time_together_is_not_guessed(copy):
    speed = _rewritten(copy, lambda place: {"machine": f"m{place % 2}", "began": 50.0 * place, "seconds": 2.0})
    assert (speed.machines, speed.whole.seconds) == (2, 8.0)
    assert "How long they took together is not known" in speed.told
    assert "in all" not in speed.told


def test_what_was_gone_on_with_or_not_noted_is_not_known(copy):
    file, lines = _lines(copy)
    speed = _rewritten(copy, lambda place: {"whole": place != 1})
    assert speed.whole.fits == 48
    assert "48 of 64 fits; of the others it is not known" in speed.told
    assert "net-steps a second</dt>" not in jl.report.write_report(copy).read_text()
    file.write_text("{\n[]\n" + json.dumps({**lines[0], "seconds": "1"}) + json.dumps({**lines[0], "start": 1}))
    assert "is not known" in read_speed(StudyStore.open(copy)).told
    file.unlink()
    (copy / "networks.json").unlink()
    assert read_speed(StudyStore.open(copy)).whole.fits == 0


def test_a_shard_that_is_gone_on_with_is_noted_as_such(copy, monkeypatch):
    store = StudyStore.open(copy)
    prepared = prepare(small_study.STUDY, small_study.Config())
    monkeypatch.setattr(Unfinished, "state", lambda self: "kept")
    store.shards("adam")[0].path.unlink()
    train_shard(store, prepared["adam"], ShardTask("adam", 0, 16))
    assert _lines(copy)[1][-1] | {"began": 0, "seconds": 0, "machine": ""} == {
        "ensemble": "adam", "start": 0, "stop": 16, "began": 0, "seconds": 0, "machine": "", "whole": False,
    }  # fmt: skip
    assert read_speed(store).ensembles["adam"].fits == 16


def test_a_note_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "logs").write_text("")
    note_shard(tmp_path, ShardTask("adam", 0, 16), 1.0, True)
    note_shard(tmp_path / "gone", ShardTask("adam", 0, 16), 1.0, True)
    assert not (tmp_path / "gone").exists()


def test_net_steps_of_fits_that_stopped_early_end_where_they_stopped(tmp_path):
    x = np.linspace(-1, 1, 20)
    validation = jl.training.Validation(share=0.3, every=5, patience=1)
    ensemble = jl.Ensemble(jl.mlp([1, 4, 1]), jl.Problem(x, x**2), optax.sgd(1.5), steps=100, validation=validation)
    study = jl.Study("early", jl.studies.NoSettings, lambda config: {"sgd": ensemble}, analyses={})
    path = jl.run(study, out=tmp_path / "s", fits=16).path
    stopped = jl.open(path, study).fits("sgd").judged.stopped_step
    assert (stopped >= 0).any()
    expected = np.where(stopped < 0, 100, stopped).sum()
    assert read_speed(StudyStore.open(path)).whole.net_steps == expected
