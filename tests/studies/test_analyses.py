import dataclasses
import json
import shutil

import pandas as pd
import pytest

import jaxland as jl
from jaxland.replications import SawtoothConfig
from jaxland.replications.sawtooth import basin, paths
from jaxland.store import StoreError, StudyStore
from jaxland.studies import STUDIES, Findings, analyse, judged, open_study, wanted
from jaxland.studies.analyses import identity
from jaxland.studies.request import requested

CONFIG = SawtoothConfig(steps=50, optimizers=("momentum",))
STUDY = STUDIES["sawtooth"]
PATHS = paths.PathSettings(bands=2, others=0, images=6, inserted=0, steps=3, climb_after=1)
BASIN = basin.BasinSettings(jitters=4, steps=5, minima=1, minimum_jitters=4, polish=5)


def _little(context):
    table = pd.DataFrame({"fits": [context.store.manifest.fits]})
    return Findings({f"{context.settings}.csv": table}, {}, [judged("7, 8", "a", "b", "c", None, "d")])


LITTLE = {name: dataclasses.replace(STUDY.analyses[name], find=_little) for name in STUDY.default_analyses}
LIGHT = {**STUDY.analyses, **LITTLE}


@pytest.fixture(autouse=True)
def light(monkeypatch):
    """What is always made takes seconds to draw, and is tested elsewhere."""
    monkeypatch.setitem(vars(STUDY), "analyses", LIGHT)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("analyses") / "s"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vars(STUDY), "analyses", LIGHT)
        return jl.run("sawtooth", CONFIG, path, fits=4).path


@pytest.fixture
def study(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "s")


def _files(path):
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


def test_wanted_adds_to_the_studys_own_choice_in_its_order():
    assert list(wanted(STUDY)) == ["overview", "knots"]
    assert list(wanted(STUDY, ("basin", "paths"))) == ["overview", "paths", "basin", "knots"]
    assert list(wanted(STUDY, ("all",))) == list(STUDY.analyses)
    assert wanted(STUDY, ("paths",))["paths"] == paths.ANALYSIS.quick
    assert wanted(STUDY, ("paths",), "paper")["paths"].bands == 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((("path",),), "Did you mean 'paths'"),
        ((("paths", "all "),), "analysis 'all '"),
        (((), "full"), "scale"),
    ],
)
def test_names_that_are_not_there(arguments, words):
    with pytest.raises(ValueError, match=words):
        wanted(STUDY, *arguments)


@pytest.mark.slow
def test_what_was_asked_for_is_kept_in_mind(study):
    store, code, config = open_study(study)
    assert list(requested(store, STUDY)) == ["overview", "knots"]
    outcome = analyse(store, code, config, {"paths": PATHS})
    assert any(claim.figure == "8" for claim in outcome.claims)
    # Again, with nothing said: the same files, byte for byte.
    before = _files(study)
    analyse(store, code, config)
    assert _files(study) == before
    analyse(store, code, config, {"basin": BASIN})
    assert requested(store, STUDY)["paths"] == PATHS
    figures = {path.stem for path in (study / "figures").iterdir()}
    assert {"figure-08-paths", "figure-12-basin-of-the-global-minimum"} <= figures


@pytest.mark.slow
def test_claims_stand_in_the_order_of_the_analyses(study):
    store, code, config = open_study(study)
    analyse(store, code, config, {"basin": BASIN})
    analyse(store, code, config, {"paths": PATHS})
    figures = pd.read_csv(study / "claims.csv")["figure"].astype(str).tolist()
    assert figures.index("7, 8") < figures.index("8") < figures.index("12")


@pytest.mark.parametrize("text", ["", "[]", '{"paths": {"bands": "many"}}', '{"path": {}}', "\0"])
def test_a_damaged_list_of_analyses_is_as_none(study, text):
    store, code, config = open_study(study)
    (study / "analyses.json").write_text(text)
    analyse(store, code, config)
    assert list(json.loads((study / "analyses.json").read_text())) == ["overview", "knots"]


def test_an_analysis_asked_for_before_an_interrupted_training_is_made(tmp_path, monkeypatch):
    from jaxland.studies import engine

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine, "train_missing", interrupted)
        with pytest.raises(KeyboardInterrupt):
            jl.run("sawtooth", CONFIG, tmp_path / "s", fits=4, analyses={"paths": PATHS})
    jl.run("sawtooth", CONFIG, tmp_path / "s", fits=4)
    assert (tmp_path / "s" / "figures" / "figure-08-paths.png").exists()


def test_parts_of_other_settings_and_fits_are_not_taken(study, tmp_path):
    store, *_ = open_study(study)
    other = jl.run("sawtooth", dataclasses.replace(CONFIG, seed=1), tmp_path / "other", fits=4)
    names = {
        identity(store, "paths", PATHS),
        identity(store, "basin", PATHS),
        identity(store, "paths", dataclasses.replace(PATHS, steps=4)),
        identity(StudyStore.open(other.path), "paths", PATHS),
    }
    assert len(names) == 4
    assert identity(StudyStore.open(study), "paths", PATHS) in names


def test_without_fits_there_is_nothing_to_analyse(study):
    store, code, config = open_study(study)
    for shard in store.shards("momentum"):
        shard.path.unlink()
    with pytest.raises(StoreError, match="no fits yet"):
        analyse(store, code, config)


@pytest.mark.slow
def test_fits_that_all_diverged_leave_claims_untested(tmp_path):
    config = dataclasses.replace(CONFIG, momentum=dataclasses.replace(CONFIG.momentum, learning_rate=1e6))
    tiny = {"paths": dataclasses.replace(PATHS, others=2), "basin": BASIN}
    tiny |= {name: STUDY.analyses[name].quick for name in ("spectra", "barriers", "knots")}
    outcome = jl.run("sawtooth", config, tmp_path / "s", fits=4, analyses=tiny)
    assert {claim.verdict for claim in outcome.claims} == {"not tested"}
