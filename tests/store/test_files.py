import errno
import os
import subprocess
import sys

import pytest

from jaxland._commit import CRASH_POINTS
from jaxland.store import StoreError, check_path, commit


def test_commit_replaces_the_content(tmp_path):
    commit(tmp_path / "a" / "file", b"old")
    commit(tmp_path / "a" / "file", b"new")
    assert (tmp_path / "a" / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path / "a") == ["file"]


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_crash_leaves_the_old_state_or_the_new(tmp_path, point):
    target = tmp_path / "file"
    commit(target, b"old" * 1000)
    code = f"from pathlib import Path; from jaxland.store import commit; commit(Path({str(target)!r}), b'new' * 1000)"
    crashed = subprocess.run([sys.executable, "-c", code], env={**os.environ, "JAXLAND_CRASH_AT": point})
    assert crashed.returncode == 70
    assert target.read_bytes() == (b"new" if point == "renamed" else b"old") * 1000
    commit(target, b"later")  # what the crash left behind blocks nothing
    assert target.read_bytes() == b"later"


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_failing_disk_gives_a_clear_error_and_changes_nothing(tmp_path, monkeypatch, call, code):
    target = tmp_path / "file"
    commit(target, b"old")

    def fail(*_):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(StoreError, match=rf"cannot write .*file: {os.strerror(code)}.*Free space there: \d+ MB"):
            commit(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
    commit(target, b"new")
    assert target.read_bytes() == b"new"


def test_a_lying_disk_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda descriptor, content: len(content))
    with pytest.raises(StoreError, match="did not return what was written"):
        commit(tmp_path / "file", b"content")  # no byte of which arrives
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["", "../x", "a/../b", "a\0b", "x" * 300])
def test_unusable_names(name):
    with pytest.raises(ValueError, match=r"directory|climbs|longer"):
        check_path(name)
