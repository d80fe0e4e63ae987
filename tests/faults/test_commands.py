"""No fault of a disk ends a command in a traceback: it is told in a line with its place, and going on mends all."""

import errno
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import small_study
from faults.shim import Killed, content, disk

from jaxland.cli import main

pytestmark = pytest.mark.sampled(3)

ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES)
RUN = ["run", small_study.__file__, "--names", "adam", "--steps", "20", "--fits", "8", "--shard-fits", "4", "--out"]


def _lose_a_shard(path):
    next((path / "fits").rglob("0000000004-*")).unlink()


def _lose_the_analysis(path):
    (path / "summary.md").unlink()
    shutil.rmtree(path / "parts")


# What was done before, what is done, and on what.
COMMANDS = {
    "run": (shutil.rmtree, lambda path: [*RUN, str(path)]),
    "resume": (_lose_a_shard, lambda path: ["resume", str(path)]),
    "analyse": (_lose_the_analysis, lambda path: ["analyse", str(path)]),
    "table": (lambda path: None, lambda path: ["table", str(path), "--out", str(path / "table.csv")]),
    "report": (lambda path: None, lambda path: ["report", str(path)]),
    "status": (lambda path: None, lambda path: ["status", str(path)]),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study with everything that the commands write, and the calls that each of them makes."""
    path, calls = tmp_path_factory.mktemp("finished") / "s", {}
    for prepare, command in COMMANDS.values():
        if path.exists():
            prepare(path)
        with disk(path) as counted:
            assert main(command(path)) == 0
        calls[command(path)[0]] = counted.calls
    return path, calls


@pytest.fixture
def faulty(finished, tmp_path, capsys, monkeypatch):
    """Puts one fault into one command, and goes on after it."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power is lost
    path, expected = tmp_path / "s", content(finished[0])

    def check(name, at, code):
        prepare, command = COMMANDS[name]
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(finished[0], path)
        prepare(path)
        with disk(path, at, code) as touched:
            try:
                ended = main(command(path))
            except Killed:
                ended = None
        told = "".join(capsys.readouterr())
        assert len(touched.calls) > at
        assert (ended is None) == (code is None)
        assert ended in (0, 1, None)
        assert ended != 1 or str(path) in told
        for each in ([*RUN, str(path)], command(path), COMMANDS["report"][1](path)):
            assert main(each) == 0, capsys.readouterr().err
        assert main(COMMANDS["table"][1](path)) == 0
        # The page tells the commands that were carried out, of which there were more here.
        shutil.rmtree(path / "logs")
        shutil.copytree(finished[0] / "logs", path / "logs")
        assert main(COMMANDS["report"][1](path)) == 0
        assert content(path, ("quarantine",)) == expected
        assert code == errno.EIO or not (path / "quarantine").exists()
        return ended

    return check


@pytest.mark.parametrize("name", ["table", "status", "analyse"])
def test_a_few_faults(faulty, finished, name):
    calls = len(finished[1][name])
    ended = [faulty(name, calls * part // 5, code) for part, code in ((1, errno.EACCES), (3, errno.ENOSPC), (4, None))]
    assert 1 in ended or name != "table"


def _kind(root, call):
    """Operation and role of the file: its folder at the top and its ending, or its name where it lies at the top."""
    name, place = call
    inside = Path(place).relative_to(root)
    folder = inside.parts[0] if len(inside.parts) > 1 else ""
    if inside.name.startswith(".tmp-"):
        return name, folder, ".tmp"
    return name, folder, inside.suffix if folder else inside.name


def _places(finished, rng):
    """Of each kind of call one, of whatever command: its name and number."""
    path, calls = finished
    kinds = {}
    for name, made in calls.items():
        for at, call in enumerate(made):
            kinds.setdefault(_kind(path, call), []).append((name, at))
    return {kind: rng.choice(places) for kind, places in kinds.items()}


@pytest.mark.slow
@pytest.mark.parametrize("code", ERRORS)
def test_every_fault(faulty, finished, code):
    """Every kind of call fails with every error, each time at another place."""
    for name, at in _places(finished, random.Random(code)).values():
        faulty(name, at, code)


@pytest.mark.slow
def test_two_hundred_deaths(faulty, finished):
    places = [(name, at) for name, made in finished[1].items() for at in range(len(made))]
    for name, at in random.Random(0).choices(places, k=200):
        faulty(name, at, None)


# For the sake of root, who may write anywhere, the system is made to say no.
_READ_ONLY = """
import os, sys
from jaxland.cli import main
allowed = os.access
os.access = lambda path, mode: mode != os.W_OK and allowed(path, mode)
code = main(sys.argv[1:])
assert "jax" not in sys.modules, "it took seconds"
sys.exit(code)
"""


@pytest.mark.parametrize("command", ["resume", "analyse", "report", "table"])
def test_a_read_only_directory_is_told_before_anything_is_loaded(finished, command):
    arguments = COMMANDS[command][1](finished[0])
    ended = subprocess.run([sys.executable, "-c", _READ_ONLY, *arguments], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert f"jaxland: cannot write to {arguments[-1]}: Permission denied" in ended.stderr


def test_fits_that_vanish_while_others_are_trained(tmp_path, capsys, monkeypatch):
    from jaxland.store import StudyStore

    whole = StudyStore.commit_shard

    def commit_and_lose(store, ensemble, start, stop, arrays):
        found = whole(store, ensemble, start, stop, arrays)
        if start:
            shutil.rmtree(found.parent)
        return found

    monkeypatch.setattr(StudyStore, "commit_shard", commit_and_lose)
    assert main([*RUN, str(tmp_path / "s")]) == 1
    assert f"fits were committed to {tmp_path / 's'} and are gone: 8 of adam" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(["resume", str(tmp_path / "s")]) == 0


def test_analysing_waits_for_nobody(finished, tmp_path, capsys):
    from jaxland.store import StudyStore

    path = shutil.copytree(finished[0], tmp_path / "s")
    with StudyStore.open(path).writing():
        assert main(["analyse", str(path)]) == 1
    assert f"another process is training or analysing in {path}" in capsys.readouterr().err


def test_output_to_a_full_disk(finished):
    command = [sys.executable, "-m", "jaxland", "status", "--quick", str(finished[0])]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "jaxland: No space left on device. Finished work is safe; mend the cause.\n"
