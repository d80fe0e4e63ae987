"""What study.json says is believed only where its checksum, its hash and the fits agree."""

import json
import random
import shutil

import pytest
from faults.small_store import ENSEMBLES, MANIFEST, made

from jaxland.store import StoreError, StudyStore
from jaxland.store.manifest import sealed
from jaxland.studies import study_status, write_table


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return made(tmp_path_factory.mktemp("whole") / "s").path


@pytest.fixture
def path(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "s")


def _outcome(path):
    """How a manifest is taken; the fits are those that were trained, however."""
    try:
        store = StudyStore.open(path)
    except StoreError:
        return "refused"
    assert store.manifest.facts() == MANIFEST.facts()
    for ensemble in ENSEMBLES:
        assert [len(shard.arrays["fit"]) for shard in store.stream(ensemble)] == [5, 5]
    try:
        store.require_unedited()
    except StoreError as error:
        return "edited" if str(path) in str(error) else "told without its path"
    assert store.rebuilt or store.manifest == MANIFEST
    return "rebuilt" if store.rebuilt else "harmless"


def _flips(path, places):
    content, found = path.joinpath("study.json").read_bytes(), []
    for place in places:
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.joinpath("study.json").write_bytes(changed)
        found.append(_outcome(path))
    assert not (path / "quarantine").exists()
    return {each: found.count(each) for each in found}


def test_a_flipped_bit_is_found_or_harmless(path):
    bits = range(8 * len((path / "study.json").read_bytes()))
    found = _flips(path, random.Random(0).sample(bits, 80))
    assert set(found) <= {"refused", "edited", "rebuilt", "harmless"}
    assert found["edited"] > 25
    assert found["rebuilt"] > 10


@pytest.mark.slow
def test_every_flipped_bit_is_found_or_harmless(path):
    bits = range(8 * len((path / "study.json").read_bytes()))
    assert set(_flips(path, bits)) == {"refused", "edited", "rebuilt", "harmless"}


def _without_checksum(values):
    return json.dumps({name: value for name, value in values.items() if name != "checksum"}).encode()


@pytest.mark.parametrize("written", [_without_checksum, sealed, lambda values: json.dumps(values).encode()])
@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("config", {"steps": 10, "rate": 0.03}, "config.rate: 0.03 there, 0.01 in the fits"),
        ("config_hash", "f" * 16, "config_hash: '" + "f" * 16 + f"' there, '{MANIFEST.config_hash}' in the fits"),
        ("study", "another", "study: 'another' there, 'demo' in the fits"),
        ("provenance", {**MANIFEST.provenance, "device": "gpu"}, "provenance.device: 'gpu' there, 'cpu' in the fits"),
    ],
)
def test_what_was_edited_is_refused_field_by_field(path, written, field, value, line):
    (path / "study.json").write_bytes(written({**json.loads((path / "study.json").read_text()), field: value}))
    store = StudyStore.open(path)
    with pytest.raises(StoreError) as refusal:
        store.require_unedited()
    assert line in str(refusal.value)
    for shard in (shard for name in ENSEMBLES for shard in store.shards(name)):
        assert shard.path.exists()
    (path / "study.json").unlink()
    StudyStore.open(path).require_unedited()


def test_what_another_configuration_asks_is_never_trained(path):
    """A shard is missing, and the manifest says another rate: what is there is not mixed with it."""
    StudyStore.open(path).shards("adam")[1].path.unlink()
    values = {**json.loads((path / "study.json").read_text()), "config": {"steps": 10, "rate": 0.03}}
    (path / "study.json").write_text(json.dumps(values))
    with pytest.raises(StoreError, match=r"rate: 0.03 there, 0.01 in the fits"):
        made(path)


def test_a_manifest_of_an_earlier_version_is_read(path):
    (path / "study.json").write_bytes(_without_checksum(json.loads((path / "study.json").read_text())))
    store = StudyStore.open(path)
    store.require_unedited()
    assert (store.manifest, store.rebuilt) == (MANIFEST, False)


def test_fits_of_another_study_are_an_error_and_not_damage(path, tmp_path):
    """A whole ensemble that is another's is not set aside: either the fits or study.json are in the wrong place."""
    values = json.loads((path / "study.json").read_text())
    for file in (path / "fits" / "adam").rglob("*.parquet"):
        file.unlink()
    (path / "study.json").write_bytes(sealed({**values, "provenance": {**values["provenance"], "device": "gpu"}}))
    store = StudyStore.open(path)
    for reading in (
        lambda: list(store.stream("momentum")),
        lambda: study_status(path),
        lambda: write_table(store, tmp_path / "t.csv"),
        store.require_unedited,
    ):
        with pytest.raises(StoreError, match=r"(?s)fits of 'momentum' .* not of the study.*'gpu' there, 'cpu' in"):
            reading()
    assert len(store.shards("momentum")) == 2


def test_readers_are_told_of_an_edited_manifest(path, capsys):
    from jaxland.cli import main

    for change, line in (({"fits": 30}, "was edited or is damaged"), ({"fits": "x"}, "cannot be read")):
        values = {**json.loads((path / "study.json").read_text()), **change}
        (path / "study.json").write_text(json.dumps(values))
        assert main(["status", str(path)]) == 0
        told = capsys.readouterr().out
        assert f"study.json {line}; its content was taken from the shards" in told
        assert "10 done in 2 shards, 0 diverged; complete" in told
        assert main(["table", str(path), "--out", str(path / "t.csv")]) == 0
        assert f"study.json {line}" in capsys.readouterr().err


def test_an_edited_manifest_without_fits_is_no_study(tmp_path):
    store = StudyStore.create(tmp_path / "s", MANIFEST)
    (store.path / "study.json").write_text((store.path / "study.json").read_text().replace("0.01", "0.03"))
    with pytest.raises(StoreError, match=r"no shards to rebuild it from.*remove what is left of study\.json"):
        StudyStore.open(store.path)


@pytest.mark.parametrize("text", ["[" * 100_000, "null", "3", '{"format": "x"}', "\udcff"])
def test_what_is_no_manifest_is_rebuilt(path, text):
    (path / "study.json").write_text(text, errors="surrogateescape")
    store = StudyStore.open(path)
    assert store.rebuilt
    assert store.manifest.facts() == MANIFEST.facts()
