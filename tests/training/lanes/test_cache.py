"""A cached kernel is code: what is damaged, or might be another's, is not loaded but built again."""

import os

import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.training import Ensemble, executables
from jaxland.training.lanes import machine
from jaxland.training.program import cache


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLAND_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(executables, "_on_disk", lambda: False)  # kernels alone
    return tmp_path / "kernels"


@pytest.fixture
def compilations(monkeypatch):
    """The kernels compiled so far."""
    calls = []
    compile_object = machine.compile_object
    monkeypatch.setattr(machine, "compile_object", lambda *args: (calls.append(args), compile_object(*args))[1])
    return calls


ENSEMBLE = Ensemble(jl.mlp([1, 2, 1]), jl.Problem(np.arange(3), np.arange(3)), optax.sgd(0.1), steps=1)


def test_an_entry_comes_back(directory):
    cache.store("name", b"contents")
    assert cache.load("name") == b"contents"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "name").stat().st_mode & 0o777 == 0o600
    assert os.listdir(directory) == ["name"]


def test_a_second_trainer_compiles_nothing(directory, compilations, make_trainer):
    make_trainer(ENSEMBLE)
    make_trainer(ENSEMBLE)
    assert len(compilations) == 1


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path):
    entry = bytearray(path.read_bytes())
    entry[len(entry) // 2] ^= 1
    path.write_bytes(entry)


def _empty(path):
    path.write_bytes(b"")


def _writable_by_group(path):
    path.chmod(0o620)


def _writable_by_all(path):
    path.chmod(0o602)


def _link(path):
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def _swap(path):
    contents = path.read_bytes()
    cache.store("other", b"contents of another entry")
    path.write_bytes((path.parent / "other").read_bytes())
    assert path.read_bytes() != contents


@pytest.mark.parametrize("harm", [_truncate, _flip, _empty, _writable_by_group, _writable_by_all, _link, _swap])
def test_an_entry_that_cannot_be_trusted_is_built_again(directory, compilations, harm, make_trainer):
    """The machine code, what is known of it, and that it was found right."""
    make_trainer(ENSEMBLE)
    entries = {path: path.read_bytes() for path in directory.iterdir()}
    assert len(entries) == 3
    for entry, good in entries.items():
        harm(entry)
        assert cache.load(entry.name) is None
        make_trainer(ENSEMBLE)
        assert entry.read_bytes() == good
        assert cache.load(entry.name) is not None
    assert len(compilations) == 2


def test_an_entry_of_another_user_is_not_loaded(directory, monkeypatch):
    cache.store("name", b"contents")
    me = os.geteuid()
    private = cache._private
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    assert not private((directory / "name").stat())
    with pytest.warns(RuntimeWarning, match="must belong to you"):
        assert cache.load("name") is None


def test_a_directory_others_may_write_to_is_not_used(directory):
    cache.store("name", b"contents")
    directory.chmod(0o770)
    with pytest.warns(RuntimeWarning, match="chmod 700"):
        assert cache.load("name") is None
    with pytest.warns(RuntimeWarning, match="chmod 700"):
        cache.store("other", b"contents")
    assert os.listdir(directory) == ["name"]


def test_without_a_place_to_write_training_goes_on(tmp_path, monkeypatch, make_trainer):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("JAXLAND_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="not kept"):
        assert make_trainer(ENSEMBLE).width
