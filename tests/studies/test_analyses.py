import dataclasses
import json
import shutil

import pandas as pd
import pytest
from small_study import STUDY, Config, LevelSettings

import jaxland as jl
from jaxland.store import StoreError, StudyStore
from jaxland.studies import STUDIES, Analysis, Findings, Statement, analyse, open_study, wanted
from jaxland.studies.request import requested
from jaxland.studies.shared_parts import identity

CONFIG = Config(names=("sgd",))
LEVELS = LevelSettings(level=0.4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("analyses") / "s"
    return jl.run(STUDY, CONFIG, path, fits=4).path


@pytest.fixture
def study(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "s")


def _files(path):
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


def test_wanted_adds_to_the_studys_own_choice_in_its_order():
    assert list(wanted(STUDY)) == ["levels"]
    assert list(wanted(STUDY, ("more",))) == ["levels", "more"]
    assert list(wanted(STUDY, ("all",))) == list(STUDY.analyses)
    assert wanted(STUDY, ("levels",))["levels"] == LevelSettings()
    assert wanted(STUDY, ("levels",), "paper")["levels"].rows == 6
    assert list(wanted(STUDIES["sawtooth"], ("basin", "paths"))) == ["overview", "paths", "basin", "knots"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((("level",),), "Did you mean 'levels'"),
        ((("levels", "all "),), "analysis 'all '"),
        (((), "full"), "scale"),
    ],
)
def test_names_that_are_not_there(arguments, words):
    with pytest.raises(ValueError, match=words):
        wanted(STUDY, *arguments)


def test_settings_of_another_analysis_are_refused(study):
    store, code, config = open_study(study)
    with pytest.raises(TypeError, match="the settings of the analysis 'levels' are LevelSettings"):
        analyse(store, code, config, {"levels": Config()})


def test_what_was_asked_for_is_kept_in_mind(study):
    store, code, config = open_study(study)
    assert list(requested(store, code)) == ["levels"]
    outcome = analyse(store, code, config, {"levels": LEVELS})
    assert any("below 0.4" in claim.rule for claim in outcome.claims)
    # Again, with nothing said: the same files, byte for byte.
    before = _files(study)
    analyse(store, code, config)
    assert _files(study) == before
    analyse(store, code, config, {"more": code.analyses["more"].quick})
    assert requested(store, code)["levels"] == LEVELS
    assert {"levels.csv", "more.csv"} <= {path.name for path in (study / "analysis").iterdir()}


def test_claims_stand_in_the_order_of_the_analyses(study):
    def stating(where):
        return Analysis(
            lambda context: Findings({}, {}, [Statement("a", where, "b", "c", untested="d").not_tested("d")])
        )

    names = ("first", "second", "third")
    code = dataclasses.replace(STUDY, analyses={name: stating(name) for name in names}, default_analyses=("second",))
    store, _, config = open_study(study, code)
    for name in ("third", "first"):
        outcome = analyse(store, code, config, wanted(code, (name,)))
    assert [claim.where for claim in outcome.claims] == list(names)
    assert pd.read_csv(study / "claims.csv")["where"].tolist() == list(names)


@pytest.mark.parametrize("text", ["", "[]", '{"levels": {"rows": "many", "x": 1}}', '{"level": {}}', "\0", '{"a": 1}'])
def test_a_damaged_list_of_analyses_is_as_none(study, text):
    store, code, config = open_study(study)
    (study / "analyses.json").write_text(text)
    analyse(store, code, config)
    assert list(json.loads((study / "analyses.json").read_text())) == ["levels"]


def test_an_analysis_asked_for_before_an_interrupted_training_is_made(tmp_path, monkeypatch):
    from jaxland.studies import engine

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine, "train_missing", interrupted)
        with pytest.raises(KeyboardInterrupt):
            jl.run(STUDY, CONFIG, tmp_path / "s", fits=4, analyses=wanted(STUDY, ("more",)))
    jl.run(STUDY, CONFIG, tmp_path / "s", fits=4)
    assert (tmp_path / "s" / "analysis" / "more.csv").exists()


def test_an_interrupted_analysis_goes_on_where_it_stopped(study, monkeypatch):
    done, settings = [], {"levels": LevelSettings(rows=4)}

    def interrupted(rows):
        if len(done) == 2 and "interrupted" not in done:
            done.append("interrupted")
            raise KeyboardInterrupt
        done.append(int(rows[0]))
        return {"row": rows}

    monkeypatch.setattr("small_study.work", interrupted)
    store, code, config = open_study(study, STUDY)
    with pytest.raises(KeyboardInterrupt):
        analyse(store, code, config, settings)
    analyse(store, code, config)
    assert done == [0, 1, "interrupted", 2, 3]
    assert pd.read_csv(study / "analysis" / "levels.csv")["rows"].tolist() == [4]


def test_pieces_of_other_settings_and_fits_are_not_taken(study, tmp_path):
    store, *_ = open_study(study)
    other = jl.run(STUDY, dataclasses.replace(CONFIG, seed=1), tmp_path / "other", fits=4)
    names = {
        identity(store, "levels", LEVELS),
        identity(store, "more", LEVELS),
        identity(store, "levels", dataclasses.replace(LEVELS, rows=4)),
        identity(StudyStore.open(other.path), "levels", LEVELS),
    }
    assert len(names) == 4
    assert identity(StudyStore.open(study), "levels", LEVELS) in names


def test_without_fits_there_is_nothing_to_analyse(study):
    store, code, config = open_study(study)
    for shard in store.shards("sgd"):
        shard.path.unlink()
    with pytest.raises(StoreError, match="no fits yet"):
        analyse(store, code, config)
