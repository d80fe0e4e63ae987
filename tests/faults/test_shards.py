"""A shard is a regular file with one row a fit, in order, of the kinds and in the precision that it should have."""

import os
import shutil

import numpy as np
import pytest
from faults.small_store import columns, made
from forged import replaced
from small_study import STUDY, Config

import jaxland as jl
from jaxland.store import DamagedShard, Parts, StoreError, StudyStore
from jaxland.store.shard import encode
from jaxland.studies import study_status


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return made(tmp_path_factory.mktemp("whole") / "s").path


@pytest.fixture
def store(whole, tmp_path):
    return StudyStore.open(shutil.copytree(whole, tmp_path / "s"))


def _encoded(store, change):
    """A shard whose columns and note are changed."""
    shard = store.read("adam", store.shards("adam")[1])
    arrays, metadata = columns(5, 10), dict(shard.metadata)
    change(arrays, metadata)
    return encode(arrays, metadata)


WRONG = {
    "rows": (lambda a, m: a.update({name: each[:3] for name, each in a.items()}), "3 rows for 5 fits"),
    "no rows": (lambda a, m: a.update({name: each[:0] for name, each in a.items()}), "0 rows for 5 fits"),
    "fit": (lambda a, m: a.update(fit=a["fit"][::-1].copy()), "does not hold the numbers of its fits"),
    "text": (lambda a, m: a.update(loss=a["status"]), "column loss holds string"),
    "integers": (lambda a, m: a.update(loss=a["fit"]), "column loss holds int64"),
    "fractions": (lambda a, m: a.update(diverged_step=a["loss"]), "column diverged_step holds float"),
    "double": (
        lambda a, m: a.update(params=a["params"].astype(np.float64)),
        "float32 and float64, but fits of float32",
    ),
    "flat": (lambda a, m: a.update(params=a["loss"]), "column params holds float"),
    "column": (lambda a, m: a.pop("best_loss"), "no column best_loss"),
    "columns": (lambda a, m: [a.pop(name) for name in list(a)[1:]], "no column status, initial_loss"),
    "range": (lambda a, m: m.update(start=0), "holds fits 0 to 10"),
    "note": (lambda a, m: m.pop("provenance"), "it is no shard"),
    "ensemble": (lambda a, m: m.update(ensemble="momentum"), "another study or ensemble"),
}


def _damaged(store, path, message):
    """The shard at a path is damaged, and nothing else is."""
    with pytest.raises(DamagedShard, match=message) as refusal:
        list(store.stream("adam"))
    assert str(path) in str(refusal.value)
    state = study_status(store.path)
    assert state["damaged"] == [str(path)]
    assert state["ensembles"]["adam"]["missing"] == [[5, 10]]
    store.quarantine(path)
    assert store.missing("adam") == [(5, 10)]
    assert study_status(made(store.path).path)["damaged"] == []


@pytest.mark.parametrize("name", WRONG)
def test_wrong_content_under_a_right_checksum(store, name):
    change, message = WRONG[name]
    _damaged(store, replaced(store.shards("adam")[1], _encoded(store, change)), message)


@pytest.mark.parametrize("name", ["params", "trace_loss"])
@pytest.mark.parametrize("read", [StudyStore.read, StudyStore.read_table])
def test_shards_of_different_shapes(store, name, read):
    """Both may be right, so that both are named and none is set aside."""

    def of_width(number, width):
        file = store.shards("adam")[number]
        note = store.read("adam", file).metadata
        arrays = {**columns(file.start, file.stop), name: np.zeros((file.stop - file.start, width), np.float32)}
        return replaced(file, encode(arrays, note))

    paths = of_width(0, 3), of_width(1, 2)
    fresh = StudyStore.open(store.path)
    first, second = fresh.shards("adam")[:2]
    read(fresh, "adam", first)
    with pytest.raises(StoreError, match=rf"{name} of shape \(2,\) a fit, and .* of shape \(3,\)") as refusal:
        read(fresh, "adam", second)
    assert not isinstance(refusal.value, DamagedShard)
    assert all(str(path) in str(refusal.value) for path in paths)


def _garbage():
    rng = np.random.default_rng(0)
    yield b""
    yield b"PAR1"
    yield rng.bytes(500)
    yield b"PAR1" + rng.bytes(500) + (400).to_bytes(4, "little") + b"PAR1"


@pytest.mark.parametrize("content", list(_garbage()), ids=["empty", "magic", "noise", "footer"])
def test_garbage_under_a_right_checksum(store, content):
    _damaged(store, replaced(store.shards("adam")[1], content), "it is no shard")


@pytest.mark.parametrize("part", range(64))
def test_a_truncated_shard_is_found_set_aside_and_made_again(store, part):
    shard = store.shards("adam")[1]
    content = shard.path.read_bytes()
    cut = content[: len(content) * part // 64]
    shard.path.write_bytes(cut)
    _damaged(store, shard.path, "does not agree with the checksum")
    assert shard.path.read_bytes() == content
    (aside,) = (store.path / "quarantine").iterdir()
    assert aside.read_bytes() == cut


@pytest.mark.slow
def test_four_kinds_of_damage_in_one_resume(tmp_path):
    def files(folder):
        found = {path.relative_to(tmp_path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        # What is said of time is not the same in another run.
        return {
            name: content for name, content in found.items() if name.name != "summary.md" and "logs" not in name.parts
        }

    path, said = tmp_path / "s", []
    jl.run(STUDY, Config(), path, fits=96, shard_fits=16)
    before = files(path)
    truncated, flipped, one, other, garbage, _ = (file.path for file in StudyStore.open(path).shards("adam"))
    content = flipped.read_bytes()
    place = len(content) // 3
    truncated.write_bytes(truncated.read_bytes()[: len(content) // 2])
    flipped.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    garbage.write_bytes(np.random.default_rng(0).bytes(500))
    damaged = {each.read_bytes() for each in (truncated, flipped, one, other, garbage)}

    jl.run(STUDY, Config(), path, fits=96, shard_fits=16, say=said.append)
    aside = files(path / "quarantine")
    assert sorted(aside.values()) == sorted(damaged)
    after = files(path)
    assert {name: after[name] for name in after.keys() - aside.keys()} == before
    told = "\n".join(said)
    assert all(each.name in told for each in (truncated, flipped, one, other, garbage))


def test_any_changed_byte_under_a_right_checksum(store):
    """Arrow reads what was changed without an end of the process; what it gives has the form of a shard."""
    shard = store.shards("adam")[1]
    content, rng, found = shard.path.read_bytes(), np.random.default_rng(1), 0
    for place in rng.integers(len(content), size=150):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        path = replaced(store.shards("adam")[1], bytes(changed))
        try:
            read = store.read("adam", store.shards("adam")[1])
        except DamagedShard as damage:
            found += damage.path == path
        else:
            assert {name: each.shape for name, each in read.arrays.items()} == {
                name: each.shape for name, each in columns(5, 10).items()
            }
    assert found > 50


PLACES = {
    "pipe": (os.mkfifo, "no regular file"),
    "link": (lambda path: path.symlink_to("elsewhere"), "it is a link"),
    "folder": (lambda path: (path.mkdir(), (path / "x").touch()), "no regular file"),
    "device": (lambda path: os.mknod(path, 0o20666, os.makedev(1, 5)), "no regular file"),
}


def _put(path, name):
    path.unlink(missing_ok=True)
    try:
        PLACES[name][0](path)
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.mark.parametrize("name", PLACES)
def test_what_is_no_file_is_not_read(store, name):
    path = store.shards("adam")[1].path
    _put(path, name)
    _damaged(store, path, PLACES[name][1])


@pytest.mark.parametrize("name", PLACES)
def test_what_is_no_file_is_no_manifest_and_no_part(store, name):
    Parts(store.path / "parts").get("x", lambda: columns(0, 2))
    (part,) = (store.path / "parts").iterdir()
    for path in (part, store.path / "study.json", store.path / "analyses.json"):
        _put(path, name)
    assert StudyStore.open(store.path).rebuilt
    if name != "folder":  # where a folder stands no file can be put; the error says where
        Parts(store.path / "parts").get("x", lambda: columns(0, 2))
    else:
        with pytest.raises(StoreError, match=str(part)):
            Parts(store.path / "parts").get("x", lambda: columns(0, 2))


def test_a_pipe_for_a_lock_is_not_waited_for(store):
    (store.path / ".lock").unlink()
    os.mkfifo(store.path / ".lock")
    with pytest.raises(StoreError, match="cannot write to"), store.writing():
        pass


def test_one_shard_is_set_aside_as_often_as_it_is_damaged(store):
    kept = []
    for size in (3, 2, 1):
        made(store.path)
        shard = store.shards("adam")[1].path
        shard.write_bytes(shard.read_bytes()[:size])
        kept.append(store.quarantine(shard))
    assert [len(path.read_bytes()) for path in kept] == [3, 2, 1]


def test_a_part_that_is_none_is_computed_again(tmp_path):
    """Its checksum is right."""
    import hashlib

    content = b"none of ours"
    (tmp_path / f"x-{hashlib.sha256(content).hexdigest()[:16]}.npz").write_bytes(content)
    assert Parts(tmp_path).get("x", lambda: {"a": np.arange(3)})["a"].tolist() == [0, 1, 2]
    assert Parts(tmp_path).get("x", lambda: pytest.fail("computed again"))["a"].tolist() == [0, 1, 2]
