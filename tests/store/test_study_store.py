import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from jaxland.store import DamagedShard, Manifest, StoreError, StudyStore, configuration_hash
from jaxland.store.shard import encode, list_shards, missing_ranges, read_shard, shard_path

MANIFEST = Manifest(
    study="demo",
    config={"steps": 10, "momentum": {"learning_rate": 0.1}},
    config_hash=configuration_hash("demo", {"steps": 10, "momentum": {"learning_rate": 0.1}}),
    ensembles=("momentum", "adadelta"),
    fits=100,
    provenance={"versions": "jax 1", "device": "cpu", "precision": "float32", "backends": {}},
)


def _of(manifest, config, **changes):
    """The manifest of another configuration."""
    return dataclasses.replace(
        manifest, config=config, config_hash=configuration_hash(manifest.study, config), **changes
    )


def _arrays(start, stop):
    fit = np.arange(start, stop)
    params = np.random.default_rng(start).normal(size=(stop - start, 4)).astype(np.float32)
    params[0, 0] = np.nan
    loss = np.sqrt(fit).astype(np.float32)
    steps = np.full(len(fit), -1, np.int32)
    arrays = {"fit": fit, "status": np.full(len(fit), "ok"), "initial_loss": loss + 1, "loss": loss, "best_loss": loss}
    return {**arrays, "best_step": steps + 9, "diverged_step": steps, "params": params}


@pytest.fixture
def store(tmp_path):
    store = StudyStore.create(tmp_path / "study", MANIFEST)
    for start, stop in ((0, 30), (30, 60), (80, 100)):
        store.commit_shard("momentum", start, stop, _arrays(start, stop))
    return store


def test_what_is_written_is_read(store):
    shards = list(store.stream("momentum"))
    assert [shard.metadata["start"] for shard in shards] == [0, 30, 80]
    for shard in shards:
        expected = _arrays(shard.metadata["start"], shard.metadata["stop"])
        for name, values in expected.items():
            np.testing.assert_array_equal(shard.arrays[name], values)
            assert shard.arrays[name].dtype == (object if name == "status" else values.dtype)


def test_other_tools_read_shards(store):
    import pandas as pd

    table = pd.read_parquet(store.shards("momentum")[0].path)
    assert table["fit"].tolist() == list(range(30))
    np.testing.assert_array_equal(np.stack(table["params"]), _arrays(0, 30)["params"])


def test_missing_is_listed_exactly(store):
    assert store.missing("momentum") == [(60, 80)]
    assert store.missing("adadelta") == [(0, 100)]


@pytest.mark.parametrize("seed", range(20))
def test_missing_ranges_equal_a_set_difference(seed):
    rng = np.random.default_rng(seed)
    from jaxland.store import ShardFile

    cuts = np.sort(rng.choice(60, size=12, replace=False))
    shards = [ShardFile(int(a), int(b), "", None) for a, b in cuts.reshape(-1, 2) if rng.random() < 0.7]
    fits = int(rng.integers(1, 80))
    covered = {fit for shard in shards for fit in range(shard.start, shard.stop)}
    gaps = missing_ranges(shards, fits)
    assert [fit for start, stop in gaps for fit in range(start, stop)] == sorted(set(range(fits)) - covered)
    assert all(start < stop for start, stop in gaps)


def test_a_shard_is_a_pure_function_of_its_content():
    assert encode(_arrays(0, 5), {"start": 0, "stop": 5}) == encode(_arrays(0, 5), {"stop": 5, "start": 0})


def test_overlapping_shards_are_not_read_twice(store):
    store.commit_shard("momentum", 20, 50, _arrays(20, 50))
    store.commit_shard("momentum", 30, 40, _arrays(30, 40))
    fits = np.concatenate([shard.arrays["fit"] for shard in store.stream("momentum")])
    assert len(fits) == len(set(fits.tolist())) == 80


def test_continue_with_the_same_configuration(store):
    assert StudyStore.create(store.path, MANIFEST).missing("momentum") == [(60, 80)]


def test_a_directory_can_grow_but_not_shrink(store):
    grown = StudyStore.create(store.path, dataclasses.replace(MANIFEST, fits=150))
    assert grown.missing("momentum") == [(60, 80), (100, 150)]
    assert StudyStore.open(store.path).manifest.fits == 150
    with pytest.raises(StoreError, match="asks for 150 fits already"):
        StudyStore.create(store.path, MANIFEST)


def test_another_configuration_is_refused_field_by_field(store):
    other = _of(MANIFEST, {"steps": 20, "momentum": {"learning_rate": 0.3}})
    with pytest.raises(StoreError) as refusal:
        StudyStore.create(store.path, other)
    assert "configuration.steps: 10 there, 20 asked" in str(refusal.value)
    assert "configuration.momentum.learning_rate: 0.1 there, 0.3 asked" in str(refusal.value)


def test_other_versions_are_refused_once_there_are_fits(store, tmp_path):
    other = dataclasses.replace(MANIFEST, provenance={**MANIFEST.provenance, "versions": "jax 2"})
    with pytest.raises(StoreError, match="versions: 'jax 1' there, 'jax 2' here"):
        StudyStore.create(store.path, other)
    StudyStore.create(tmp_path / "empty", MANIFEST)
    assert StudyStore.create(tmp_path / "empty", other).manifest.provenance["versions"] == "jax 2"


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage"])
def test_a_lost_manifest_is_rebuilt_from_the_shards(store, damage):
    path = store.path / "study.json"
    text = path.read_text()
    if damage == "missing":
        path.unlink()
    else:
        path.write_text({"empty": "", "truncated": text[:50], "garbage": "[1, 2]"}[damage])
    assert StudyStore.open(store.path).manifest == MANIFEST
    again = StudyStore.create(store.path, dataclasses.replace(MANIFEST, fits=120))
    assert json.loads(path.read_text())["fits"] == again.manifest.fits == 120


def test_a_newer_format_is_refused(store):
    path = store.path / "study.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(StoreError, match="has format 99; this jaxland reads up to 1"):
        StudyStore.open(store.path)


def test_a_shard_of_a_newer_format_is_refused_and_not_set_aside(store):
    file = store.shards("momentum")[0]
    newer = encode(_arrays(0, 30), {**store.identity("momentum"), "start": 0, "stop": 30, "format": 99})
    path = shard_path(store.path / "fits" / "momentum", 0, 30, newer)
    file.path.unlink()
    path.write_bytes(newer)
    (newer,) = [each for each in store.shards("momentum") if each.start == 0]
    with pytest.raises(StoreError, match="has format 99; this jaxland reads up to") as refused:
        store.read("momentum", newer)
    assert not isinstance(refused.value, DamagedShard)


def test_of_two_that_begin_at_the_same_instant_one_finds_the_others_configuration(tmp_path, monkeypatch):
    path, write = tmp_path / "s", StudyStore._write_manifest
    other = _of(MANIFEST, {"steps": 99})

    def beside(store):
        monkeypatch.setattr(StudyStore, "_write_manifest", write)
        with pytest.raises(StoreError, match="another process is training"):
            StudyStore.create(path, other)
        write(store)

    monkeypatch.setattr(StudyStore, "_write_manifest", beside)
    StudyStore.create(path, MANIFEST)
    with pytest.raises(StoreError, match="holds another configuration"):
        StudyStore.create(path, other)
    assert StudyStore.open(path).manifest == MANIFEST


def test_short_writes_are_gone_on_with(tmp_path, monkeypatch):
    whole, short = (tmp_path / name for name in ("whole", "short"))
    StudyStore.create(whole, MANIFEST).commit_shard("momentum", 0, 30, _arrays(0, 30))
    write, cut = os.write, []

    def halved(descriptor, content):
        cut.append(len(content) > 1)
        return write(descriptor, bytes(content[: max(1, len(content) // 2)]))

    monkeypatch.setattr(os, "write", halved)
    StudyStore.create(short, MANIFEST).commit_shard("momentum", 0, 30, _arrays(0, 30))
    assert any(cut)
    for path in whole.rglob("*"):
        if path.is_file():
            assert (short / path.relative_to(whole)).read_bytes() == path.read_bytes()


def _flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def _damaged(store):
    found = []
    for shard in store.shards("momentum"):
        try:
            store.read("momentum", shard)
        except DamagedShard:
            found.append(shard.path)
    return found


_DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(os.urandom(500)),
    "first bit": lambda path: _flip(path, 0),
    "middle bit": lambda path: _flip(path, path.stat().st_size // 2),
    "last bit": lambda path: _flip(path, -1),
    "footer bit": lambda path: _flip(path, -200),
    "unreadable": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", _DAMAGE)
def test_a_damaged_shard_is_found_set_aside_and_missed(store, damage):
    victim = store.shards("momentum")[1]
    _DAMAGE[damage](victim.path)
    with pytest.raises(DamagedShard, match="jaxland resume"):
        list(store.stream("momentum"))
    assert _damaged(store) == [victim.path]
    kept = store.quarantine(victim.path)
    assert kept.exists()
    assert store.missing("momentum") == [(30, 80)]
    assert len(list(store.stream("momentum"))) == 2


def test_a_flipped_bit_anywhere_is_found(store):
    victim = store.shards("momentum")[0]
    content = victim.path.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(len(content), size=60):
        changed = bytearray(content)
        changed[position] ^= 1 << int(rng.integers(8))
        victim.path.write_bytes(changed)
        with pytest.raises(DamagedShard):
            read_shard(victim)


def test_exchanged_shards_are_found(store):
    first, second, _ = (shard.path for shard in store.shards("momentum"))
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    assert _damaged(store) == [first, second]


def test_a_shard_of_another_study_is_found(store, tmp_path):
    other = StudyStore.create(tmp_path / "other", _of(MANIFEST, {"steps": 11}, fits=20))
    foreign = other.commit_shard("momentum", 60, 80, _arrays(60, 80))
    shutil.copy(foreign, store.shards("momentum")[0].path.parent)
    with pytest.raises(DamagedShard, match="another study"):
        list(store.stream("momentum"))


def test_stale_and_foreign_files_are_ignored(store):
    folder = store.shards("momentum")[0].path.parent
    (folder / ".tmp-0123").write_bytes(b"half a shard")
    (folder / "notes.txt").write_text("mine")
    (folder / "0000000000-0000000030.parquet").write_text("no checksum")
    assert len(store.shards("momentum")) == 3


def test_one_writer_at_a_time(store):
    code = (
        "from jaxland.store import StudyStore\n"
        f"store = StudyStore.open({str(store.path)!r})\n"
        "with store.writing(): pass\n"
    )
    with store.writing():
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "another process is training or analysing in" in second.stderr
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_the_lock_of_the_dead_says_is_not_believed(store):
    """Its number may be another process's by now: this one's, which lives."""
    (store.path / ".lock").write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
    assert store.writer() is None
    with store.writing():
        assert store.writer() == f"process {os.getpid()} on {socket.gethostname()}"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: path.write_text("a file"), "is a file"),
        (lambda path: (path.mkdir(), (path / "thesis.tex").write_text("")), "not empty and not a study directory"),
    ],
)
def test_places_that_are_no_study(tmp_path, prepare, message):
    prepare(tmp_path / "place")
    with pytest.raises(StoreError, match=message):
        StudyStore.create(tmp_path / "place", MANIFEST)


def test_what_a_crash_leaves_of_a_new_directory_is_no_obstacle(tmp_path):
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / ".tmp-12").write_text("half a manifest")
    assert StudyStore.create(tmp_path / "place", MANIFEST).manifest == MANIFEST


def test_open_says_what_is_wrong(tmp_path):
    with pytest.raises(StoreError, match="no such directory"):
        StudyStore.open(tmp_path / "nothing")
    with pytest.raises(StoreError, match=r"no readable study\.json"):
        StudyStore.open(tmp_path)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 101])
def test_unusable_ensemble_names(tmp_path, name):
    with pytest.raises(ValueError, match="cannot name an ensemble"):
        StudyStore.create(tmp_path / "s", dataclasses.replace(MANIFEST, ensembles=(name,)))


@pytest.mark.slow
def test_ten_thousand_shards_are_listed(tmp_path):
    store = StudyStore.create(tmp_path / "large", dataclasses.replace(MANIFEST, fits=61_440_000))
    for index in range(10_000):
        folder = store.path / "fits" / "momentum" / f"{index * 6144 // 1_000_000:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        if index != 777:
            (folder / f"{index * 6144:010d}-{(index + 1) * 6144:010d}-{index:016x}.parquet").touch()
    assert store.missing("momentum") == [(777 * 6144, 778 * 6144)]
    assert len(list_shards(store.path / "fits" / "momentum")) == 9_999
