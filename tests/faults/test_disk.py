"""Whatever call fails, wherever a writer dies: the error names the place, and going on mends it to the byte."""

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from faults.shim import Killed, content, disk
from faults.small_store import MANIFEST, columns, made

from jaxland.store import Parts, StoreError, StudyStore, commit
from jaxland.studies import study_status, write_table

ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES)


def _lost_shard(path):
    made(path)
    StudyStore.open(path).shards("adam")[1].path.unlink()


def _damaged_shard(path):
    made(path)
    victim = StudyStore.open(path).shards("adam")[1].path
    victim.write_bytes(victim.read_bytes()[:-1])


def _set_aside(path):
    store = StudyStore.open(path)
    with store.writing():
        for file in study_status(path)["damaged"]:
            store.quarantine(Path(file))
    made(path)


def _tables(path):
    for name in ("table.csv", "table.parquet"):
        write_table(StudyStore.open(path), path / name)


def _pieces(path):
    Parts(path / "parts" / "a" / "b").get("rows-0", lambda: {"loss": columns(0, 4)["loss"]})


OPERATIONS = {
    "begin": (lambda path: None, made),
    "go on": (_lost_shard, made),
    "set aside": (_damaged_shard, _set_aside),
    "tables": (made, _tables),
    "pieces": (made, _pieces),
    "status": (made, study_status),
}


@pytest.fixture(scope="module", autouse=True)
def _no_waiting():
    """No power is lost here, and the order of calls is looked at: the disk need not be waited for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Of each operation where it begins, what it leaves, and how many calls it makes."""
    found = {}
    for name, (prepare, operation) in OPERATIONS.items():
        place = tmp_path_factory.mktemp("begun") / "s"
        prepare(place)
        end = place.with_name("end")
        if place.exists():
            shutil.copytree(place, end)
        with disk(end) as counted:
            operation(end)
        found[name] = place, content(end, ("quarantine",)), len(counted.calls)
    return found


def _check(begun, name, path, at, code):
    """One fault of one operation; whether it was told."""
    start, expected, _ = begun[name]
    operation = OPERATIONS[name][1]
    shutil.rmtree(path, ignore_errors=True)
    if start.exists():
        shutil.copytree(start, path)
    told = ""
    with disk(path, at, code) as faulty:
        try:
            operation(path)
        except Killed:
            assert code is None
        except StoreError as error:
            told = str(error)
    assert len(faulty.calls) > at
    assert not told or str(path) in told
    if not told and code is not None and name != "status":
        assert content(path, ("quarantine",)) == expected
    operation(path)
    with StudyStore.open(path).writing():
        pass  # sweeps
    assert content(path, ("quarantine",)) == expected
    # A good shard may be set aside only where the disk said that its bytes are lost.
    kept = [file.name for file in path.glob("quarantine/*")]
    assert len(kept) <= (name == "set aside") + (code == errno.EIO)
    return bool(told)


def _faults(begun, errors):
    return [(name, at, code) for name in OPERATIONS for at in range(begun[name][2]) for code in errors]


def test_a_call_that_fails_is_told_and_mended(begun, tmp_path):
    looks = [("status", at, errno.EIO) for at in range(begun["status"][2])]
    faults = _faults(begun, ERRORS)[::61] + looks
    told = [_check(begun, name, tmp_path / "s", at, code) for name, at, code in faults]
    assert sum(told) > len(told) / 2


def test_a_death_anywhere_loses_nothing(begun, tmp_path):
    for name, at, _ in _faults(begun, [None])[::29]:
        _check(begun, name, tmp_path / "s", at, None)


@pytest.mark.slow
@pytest.mark.parametrize("code", [*ERRORS, None])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_call_of_every_operation(begun, tmp_path, name, code):
    for at in range(begun[name][2]):
        _check(begun, name, tmp_path / "s", at, code)


def test_what_is_written_is_flushed_before_it_is_named_and_new_folders_too(tmp_path):
    with disk(tmp_path) as watched:
        made(tmp_path / "new" / "s")
    names = [name for name, _ in watched.calls]
    for number, (name, place) in enumerate(watched.calls):
        above = place.rsplit("/", 1)[0]
        if name == "replace":
            assert names[:number][::-1].index("fsync") < names[:number][::-1].index("write")
        if name in ("replace", "mkdir"):
            assert ("fsync", above) in watched.calls[number : number + 6]
    assert names.count("replace") == 5
    assert StudyStore.open(tmp_path / "new" / "s").manifest == MANIFEST


def test_temporary_files_of_the_dead_are_swept_and_no_others(tmp_path):
    store = made(tmp_path / "s")
    folder = store.shards("adam")[0].path.parent
    with disk(store.path, 5), pytest.raises(Killed):
        commit(folder / "a", b"content")
    (dead,) = folder.glob(".tmp-*")
    others = [folder / ".tmp-mine", folder / f".tmp-{'g' * 16}"]
    for other in others:
        other.touch()

    def while_another_writes(file):
        file.write(b"half")
        alive = set(folder.glob(".tmp-*")) - {dead, *others}
        with store.writing():
            assert not dead.exists()
            assert all(path.exists() for path in (*alive, *others))
        file.write(b" and half")

    commit(folder / "c", while_another_writes)
    assert (folder / "c").read_bytes() == b"half and half"


def test_three_writers_of_one_table_at_once(tmp_path):
    store = made(tmp_path / "s")
    for name in ("t.csv", "t.parquet"):
        write_table(store, tmp_path / name)
        with ThreadPoolExecutor(3) as pool:
            for _ in pool.map(lambda name: write_table(store, tmp_path / "s" / name), [name] * 12):
                assert (tmp_path / "s" / name).read_bytes() == (tmp_path / name).read_bytes()
    assert not list(tmp_path.rglob(".tmp-*"))


def test_kept_fits_are_written_by_the_same_commit(tmp_path):
    from jaxland.training.saved import _commit

    path = tmp_path / "fits.npz"
    _commit(path, {"a": np.arange(3)})
    before = path.read_bytes()
    with disk(tmp_path) as counted:
        _commit(path, {"a": np.arange(3)})
    assert [name for name, _ in counted.calls][-3:] == ["open", "fsync", "close"]  # of the directory
    for at in range(len(counted.calls)):
        with disk(tmp_path, at, errno.ENOSPC), suppress(OSError):
            _commit(path, {"a": np.arange(3)})
        assert path.read_bytes() == before
        assert len(list(tmp_path.iterdir())) == 1
