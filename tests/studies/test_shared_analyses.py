"""Pieces of an analysis are made by all workers there are, each once; what is written is what one process writes."""

import shutil
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import small_study
from small_study import STUDY, Config

import jaxland as jl
from jaxland.execution import Leases
from jaxland.store import StudyStore
from jaxland.studies import WorkerRefused, analyse, helping, open_study, work
from jaxland.studies.helping import help_with_analyses
from jaxland.studies.shared_parts import SharedParts, analyses_in_pieces, forget_pieces

CONFIG = Config(names=("sgd",))
ROWS = 12


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("shared") / "s"
    return jl.run(STUDY, CONFIG, path, fits=16, shard_fits=4).path


@pytest.fixture
def study(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "s")


@pytest.fixture
def made(monkeypatch):
    """Rows of the pieces that were made, with the thread that made each; a piece takes a moment."""
    rows: list[tuple[int, str]] = []

    def slowly(block):
        rows.extend((int(row), threading.current_thread().name) for row in block)
        time.sleep(0.05)
        return {"row": block}

    monkeypatch.setattr(small_study, "work", slowly)
    return rows


def _wanted():
    return {"levels": replace(STUDY.analyses["levels"].quick, rows=ROWS)}


def _written(path):
    names = ("claims.csv", "summary.md", "analysis/levels.csv")
    return {name: (path / name).read_bytes() for name in names}


def test_workers_make_each_piece_once(study, tmp_path, made):
    alone = shutil.copytree(study, tmp_path / "alone")
    analyse(StudyStore.open(alone), STUDY, CONFIG, _wanted())
    made.clear()
    store, code, config = open_study(study, STUDY)

    def help_out(number):
        leases, ended = Leases(study / "leases", f"helper {number}"), time.monotonic() + 20
        while not help_with_analyses(store, code, config, leases) and time.monotonic() < ended:
            time.sleep(0.01)

    with ThreadPoolExecutor(3, "worker") as pool:
        helping = [pool.submit(help_out, number) for number in range(2)]
        pool.submit(analyse, store, code, config, _wanted()).result()
        for each in helping:
            each.result()
    assert sorted(row for row, _ in made) == list(range(ROWS))
    assert len({name for _, name in made}) == 3
    assert _written(study) == _written(alone)
    assert not (study / "leases").exists()


def test_a_worker_joins_a_process_that_analyses(study, made):
    said: list[str] = []
    store, code, config = open_study(study, STUDY)
    with ThreadPoolExecutor(1, "leader") as pool:
        leading = pool.submit(analyse, store, code, config, _wanted())
        while not made:
            time.sleep(0.001)
        assert work(study, STUDY, lease=0.3, say=said.append) is None
        leading.result()
    assert sorted(row for row, _ in made) == list(range(ROWS))
    assert len({name for _, name in made}) == 2
    assert "helping with how low losses get" in said


def test_a_helper_that_died_is_waited_for_as_long_as_a_lease_lasts(study, tmp_path):
    folder = study / "parts" / "levels" / "0"
    dead, leader = (Leases(study / "leases", name, 0.2) for name in ("dead", "leader"))
    parts = SharedParts(folder, leader, "levels")
    theirs = SharedParts(folder, dead, "levels", leads=False)
    # Three of them die, which would be enough for a shard: whoever leads makes it in the end.
    (lease,) = _leases_of(parts, "rows-0-1")
    assert theirs._is_ours(lease)
    for lost in (0, 1):
        while not dead.take_over(lease, lost):
            time.sleep(0.05)
    assert parts.get_if_free("rows-0-1", lambda: {"row": np.arange(1)}) is None
    assert parts.get("rows-0-1", lambda: {"row": np.arange(1)})["row"] == [0]
    assert analyses_in_pieces(leader) == set()


def _leases_of(parts, name):
    """The lease of a part, seen while it is made."""
    seen: set[str] = set()

    def look():
        seen.update(parts._leases.lost_owners())
        raise LookupError

    with pytest.raises(LookupError):
        parts.get(name, look)
    return seen


def test_whoever_leads_does_not_wait_for_those_of_a_process_that_was_killed(study, made):
    dead = Leases(study / "leases", "dead", 1000)
    for number in range(3):
        dead.claim(f"piece-levels-{number:012d}")
    dead.claim("sgd-0-4")
    assert analyses_in_pieces(dead) == {"levels"}
    forget_pieces(dead)
    assert dead.lost_owners() == {"sgd-0-4": 0}


def test_an_error_is_the_leaders_and_a_helper_says_it(study, monkeypatch):
    def failing(block):
        raise ArithmeticError("no number")

    monkeypatch.setattr(small_study, "work", failing)
    store, code, config = open_study(study, STUDY)
    shutil.rmtree(study / "parts")
    other, helper = (Leases(study / "leases", name) for name in ("other", "helper"))
    other.claim("piece-levels-0")
    said: list[str] = []
    assert help_with_analyses(store, code, config, helper, say=said.append)
    assert said[-1] == "  ArithmeticError: no number"
    with pytest.raises(ArithmeticError):
        analyse(store, code, config, _wanted())
    assert not (study / "leases").exists() or not list((study / "leases").glob("piece-*"))


def test_a_helper_begins_no_piece_that_is_no_longer_wanted(study, made):
    shutil.rmtree(study / "parts")
    store, code, config = open_study(study, STUDY)
    other, helper = (Leases(study / "leases", name) for name in ("other", "helper"))
    other.claim("piece-levels-0")
    assert help_with_analyses(store, code, config, helper, wanted=lambda: not made)
    assert [row for row, _ in made] == [0]


def test_a_worker_that_cannot_help_is_told(study, made, monkeypatch):
    def refuse(path, code):
        raise WorkerRefused("another machine")

    monkeypatch.setattr(helping, "prepared_here", refuse)
    monkeypatch.setattr(helping, "_width", lambda executor, workers: 1)
    said: list[str] = []

    # A pool of threads stands for workers elsewhere.
    monkeypatch.setattr(helping, "ThreadPoolExecutor", type("_None", (), {}))
    store, code, config = open_study(study, STUDY)
    with ThreadPoolExecutor(1) as executor:
        analyse(store, code, config, _wanted(), executor=executor, say=said.append)
    assert "a worker does not help with the analyses: another machine" in said
    assert sorted(row for row, _ in made) == list(range(ROWS))


class Asked(ThreadPoolExecutor):
    """Remembers what it was given."""

    def __init__(self):
        super().__init__(2)
        self.given: list[object] = []

    def submit(self, fn, *args, **kwargs):
        self.given.append(fn)
        return super().submit(fn, *args, **kwargs)


def test_the_executor_that_trains_helps_with_the_analyses(tmp_path):
    """Jobs of a cluster that is asked twice wait in its queue twice."""
    made: list[Asked] = []

    def make():
        made.append(Asked())
        return made[-1]

    jl.run(STUDY, CONFIG, tmp_path / "s", fits=16, shard_fits=4, executor=make, analyses=_wanted())
    (executor,) = made
    assert len(executor.given) == 5
    assert executor.given[-1] is helping._called
    assert not (tmp_path / "s" / "leases").exists()


@pytest.mark.parametrize("pieces", [0, 1])
def test_who_helps_a_process_that_was_killed_ends(study, pieces):
    """As on a cluster that goes on without it, and has other things to do."""
    dead = Leases(study / "leases", "dead", 1000)
    dead.claim("lead-0")
    for number in range(pieces):
        dead.claim(f"piece-levels-{number}")
    helping.Help(str(study), "lead-0", study=STUDY, seconds=0.3)()
    forget_pieces(dead)
    assert not (study / "leases").exists()


def test_what_cannot_help_is_told_before_anything_is_done(study, made):
    (study / "summary.md").unlink()
    store, code, config = open_study(study, STUDY)
    with (
        ProcessPoolExecutor(1, mp_context=get_context("fork")) as forking,
        pytest.raises(ValueError, match="hangs for ever"),
    ):
        analyse(store, code, config, _wanted(), executor=forking)
    assert made == []
    assert not (study / "summary.md").exists()


@pytest.mark.slow
def test_worker_processes_help(tmp_path):
    """As `jaxland analyse --workers 3` does, with what takes long enough for them to start."""
    text = Path(small_study.__file__).read_text()
    text = text.replace("def work(rows):", "def work(rows):\n    import time; time.sleep(0.5)")
    file = tmp_path / "slow_study.py"
    file.write_text(text)
    study = jl.studies.find_study(str(file))
    out = jl.run(study, study.config(names=("sgd",)), tmp_path / "s", fits=4).path
    store, code, config = open_study(out)
    wanted = {"levels": replace(study.analyses["levels"].quick, rows=40)}
    analyse(store, code, config, wanted, executor=jl.workers(3))
    logs = [path.read_text() for path in (out / "logs").glob("*.log")]
    assert sum("helping with how low losses get" in log for log in logs) == 2
    assert sum("rows: " in log for log in logs) == 2
    assert not list(out.glob(".running-*"))
