"""No fault of a disk ends a command in a traceback: it is told in a line with its place, and going on mends all."""

import errno
import os
import random
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import small_study
from faults.shim import Killed, content, disk

from jaxland.cli import main
from jaxland.studies import fitting, unfinished, working

pytestmark = pytest.mark.sampled

ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES)
RUN = ["run", small_study.__file__, "--names", "adam", "--steps", "700", "--fits", "8", "--shard-fits", "4", "--out"]
PAGE, TABLE = "report.html", "table.csv"
# What says when and by whom, and what was set aside.
ASIDE = ("quarantine", "leases", "logs")
SUMMARY = "summary.md"


def _lose_a_shard(path):
    next((path / "fits").rglob("0000000004-*")).unlink()


def _lose_the_analysis(path):
    (path / "summary.md").unlink()
    shutil.rmtree(path / "parts")


def _lose_work(path):
    _lose_a_shard(path)
    _lose_the_analysis(path)
    for folder in ("leases", "logs"):
        shutil.rmtree(path / folder, ignore_errors=True)
    fitting._prepared_here.cache_clear()  # a worker is a new process


def _lose(name):
    return lambda path: (path / name).unlink(missing_ok=True)


# What was done before, what is done, and on what.
COMMANDS = {
    "run": (shutil.rmtree, lambda path: [*RUN, str(path)]),
    "resume": (_lose_a_shard, lambda path: ["resume", str(path)]),
    "analyse": (_lose_the_analysis, lambda path: ["analyse", str(path)]),
    "work": (_lose_work, lambda path: ["work", str(path), "--name", "node-1"]),
    "table": (_lose(TABLE), lambda path: ["table", str(path), "--out", str(path / TABLE)]),
    "report": (_lose(PAGE), lambda path: ["report", str(path)]),
    "status": (lambda path: None, lambda path: ["status", str(path)]),
}


@pytest.fixture(scope="module", autouse=True)
def _often_and_at_once():
    """Shards are kept on the way whenever they can be, and a shard that cannot be written is tried again at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unfinished, "SECONDS", 0.0)
        patch.setattr(working, "PAUSES", (0.0, 0.0, 0.0))
        yield


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


def _content(path):
    """What a directory holds, but for what it says of time."""
    found = content(path, ASIDE)
    return found | ({SUMMARY: small_study.summary_of(path).encode()} if SUMMARY in found else {})


@pytest.fixture
def faulty(finished, tmp_path, capsys, monkeypatch):
    """Puts one fault into one command, and goes on after it."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power is lost
    path, expected = tmp_path / "s", _content(finished[0])

    def require_right(name, told):
        """Of a command that said to have done what it was asked, before anything else is done."""
        found = _content(path)
        asked = {each: value for each, value in expected.items() if name != "run" or each not in (PAGE, TABLE)}
        if name == "report" and found != asked:
            # It shows what can be read, and says what it leaves out.
            assert re.search(r"left out|cannot be read", found.pop(PAGE).decode())
            del asked[PAGE]
        assert found == asked
        assert name != "status" or "adam: 8 done in 2 shards, 0 diverged; complete" in told

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
        assert "Traceback" not in told
        if ended == 0:
            require_right(name, told)
        # Whoever takes over from a worker that left no word waits for its lease to end.
        again = [*command(path), *(["--lease", "0.3"] if name == "work" else [])]
        for each in ([*RUN, str(path)], again, COMMANDS["report"][1](path)):
            assert main(each) == 0, capsys.readouterr().err
        assert main(COMMANDS["table"][1](path)) == 0
        # The page tells the commands that were carried out, of which there were more here.
        shutil.rmtree(path / "logs")
        shutil.copytree(finished[0] / "logs", path / "logs")
        assert main(COMMANDS["report"][1](path)) == 0
        assert _content(path) == expected
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


def _of_a_worker(finished):
    """Of each call of `work` at a lease, a log or a shard in training its number, by its kind."""
    path, calls = finished
    found = {}
    for at, call in enumerate(calls["work"]):
        kind = _kind(path, call)
        if {"leases", "logs", "unfinished"} & {*kind[1:]}:
            found.setdefault(kind, []).append(at)
    return found


def test_a_few_faults_of_leases_logs_and_checkpoints(faulty, finished):
    places = _of_a_worker(finished)
    assert faulty("work", places["write", "leases", ".0"][0], errno.ENOSPC) == 1
    assert faulty("work", places["scandir", "", "leases"][0], errno.EIO) == 1
    assert faulty("work", places["write", "unfinished", ".tmp"][-1], errno.ENOSPC) == 1
    assert faulty("work", places["write", "logs", ".log"][0], errno.ENOSPC) == 0
    # A lock that cannot be had for want of room is not another's.
    locked = [at for at, call in enumerate(finished[1]["work"]) if call == ("open", str(finished[0] / ".lock"))]
    assert [faulty("work", at, errno.ENOSPC) for at in locked] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, None])
def test_every_fault_of_leases_logs_and_checkpoints(faulty, finished, code):
    for at in sorted(at for places in _of_a_worker(finished).values() for at in places):
        faulty("work", at, code)


@pytest.mark.slow
def test_two_hundred_deaths(faulty, finished):
    places = [(name, at) for name, made in finished[1].items() for at in range(len(made))]
    for name, at in random.Random(0).choices(places, k=200):
        faulty(name, at, None)


# Root may write anywhere, but for what is begun without the capabilities to do so.
_BOUND = """
import ctypes, os, sys

for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
_NOTHING_LOADED = """
import sys
from jaxland.cli import main

code = main(sys.argv[1:])
assert "jax" not in sys.modules, "it took seconds"
sys.exit(code)
"""
_FULL = """
import os

facts = os.statvfs
os.statvfs = lambda path: os.statvfs_result((*facts(path)[:3], 0, 0, *facts(path)[5:]))
"""


def _bound(*arguments):
    """Python, as someone whom modes of files bind."""
    return subprocess.run([sys.executable, "-c", _BOUND, *map(str, arguments)], capture_output=True, text=True)


def _commands_in_turn(*commands):
    """A program that does them, and ends with the first code that is not 0."""
    return f"import sys; from jaxland.cli import main; sys.exit(next(filter(None, map(main, {[*commands]})), 0))"


@pytest.fixture
def read_only(finished, tmp_path):
    """A copy of the finished study in which nothing may be written."""
    path = shutil.copytree(finished[0], tmp_path / "s")
    places = [path, *path.rglob("*")]
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    if _bound("-c", "import sys; open(sys.argv[1], 'w')", path / "new").returncode == 0:
        pytest.skip("whoever runs this may write anywhere, and cannot be bound")
    yield path
    for place in places:
        place.chmod(0o755)


@pytest.mark.parametrize("command", ["run", "resume", "work", "analyse", "report", "table"])
def test_a_read_only_directory_is_told_before_anything_is_loaded(read_only, command):
    ended = _bound("-c", _NOTHING_LOADED, *COMMANDS[command][1](read_only))
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert f"jaxland: cannot write to {read_only}" in ended.stderr
    assert "Permission denied. Nothing was begun" in ended.stderr


def test_a_read_only_directory_can_be_read(read_only, finished, tmp_path):
    before = content(read_only)
    table, page, path = tmp_path / TABLE, tmp_path / PAGE, str(read_only)
    asked = (["status", path], ["table", path, "--out", str(table)], ["report", path, "--out", str(page)])
    ended = _bound("-c", _commands_in_turn(*asked))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "adam: 8 done in 2 shards, 0 diverged; complete" in ended.stdout
    assert table.read_bytes() == (finished[0] / TABLE).read_bytes()
    assert page.read_bytes() == (finished[0] / PAGE).read_bytes()
    assert content(read_only) == before


@pytest.mark.parametrize("command", ["run", "resume", "work"])
def test_a_full_disk_is_told_before_anything_is_loaded(finished, command):
    arguments = COMMANDS[command][1](finished[0])
    ended = subprocess.run([sys.executable, "-c", _FULL + _NOTHING_LOADED, *arguments], capture_output=True, text=True)
    _require_told_of_no_space(ended, finished[0])


def _require_told_of_no_space(ended, path):
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert f"jaxland: cannot write to {path}: No space left on device. Nothing was begun" in ended.stderr


def test_a_disk_that_was_filled_is_told_before_anything_is_loaded(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("whoever runs this may mount nothing")
    try:
        with suppress(OSError), (place / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))
        arguments = ["-c", _NOTHING_LOADED, *RUN, str(place / "s")]
        ended = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        _require_told_of_no_space(ended, place / "s")
        assert os.listdir(place) == ["ballast"]
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_fits_that_vanish_while_others_are_trained(tmp_path, capsys, monkeypatch):
    from jaxland.store import StudyStore

    whole = StudyStore.commit_shard

    def commit_and_lose(store, ensemble, start, *others):
        found = whole(store, ensemble, start, *others)
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
