"""Studies on many processes and machines: nothing is lost, and all bytes are those of one process."""

import json
import os
import pickle
import re
import shutil
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import small_study
from small_study import STUDY, Config

import jaxland as jl
from jaxland.cli import main
from jaxland.execution import Leases, ShardsFailed
from jaxland.store import StoreError, StudyStore
from jaxland.studies import WorkerRefused, fitting, unfinished, work, working
from jaxland.studies.worklog import lease_of

CONFIG = Config(steps=40)
SIZES: dict[str, Any] = {"fits": 48, "shard_fits": 16}


def _bytes(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in (path / "fits").rglob("*.parquet")}


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    path = tmp_path_factory.mktemp("serial") / "s"
    jl.run(STUDY, CONFIG, path, **SIZES)
    return path


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    out = tmp_path_factory.mktemp("template") / "s"
    options = ["--fits", "48", "--shard-fits", "16", "--out", str(out), "--prepare"]
    assert main(["run", small_study.__file__, *options]) == 0
    return out


@pytest.fixture
def prepared(template, tmp_path):
    """A directory with no fits, made by the command."""
    return shutil.copytree(template, tmp_path / "shared")


def _kill_the_first(out, killed):
    """Kills a worker when it has begun a shard, by the process in the name of its log."""
    while not killed:
        for log in (out / "logs").glob("*.log"):
            if "begins" in log.read_text():
                killed.append(int(log.stem.rpartition("-")[2]))
                os.kill(killed[0], signal.SIGKILL)
                return
        time.sleep(0.01)


def test_worker_processes_one_of_them_killed(serial, tmp_path, capsys):
    killed: list[int] = []
    killer = threading.Thread(target=_kill_the_first, args=(tmp_path / "s", killed))
    killer.start()
    said: list[str] = []
    jl.run(STUDY, CONFIG, tmp_path / "s", executor=jl.workers(2), progress=True, say=said.append, **SIZES)
    killer.join()
    (line,) = [line for line in said if "tried again" in line]
    assert re.match(r"\w+ \d+-\d+: its worker process died: it was killed by SIGKILL", line)
    assert _bytes(tmp_path / "s") == _bytes(serial)
    for name in ("claims.csv", "table.parquet"):
        assert (tmp_path / "s" / name).read_bytes() == (serial / name).read_bytes()
    logs = [log.read_text() for log in (tmp_path / "s" / "logs").iterdir()]
    assert sum("begins" in log for log in logs) == 3
    assert not list((tmp_path / "s").glob(".running-*"))
    assert re.search(r"small 100%", capsys.readouterr().err)


def test_another_machine_is_refused_once_and_in_words(tmp_path, monkeypatch):
    asked, prepare_here = [], fitting._prepared_here

    def elsewhere(*arguments):
        asked.append(arguments)
        with monkeypatch.context() as patched:
            patched.setattr(fitting, "versions", lambda: "jaxland 9")
            return prepare_here.__wrapped__(*arguments)

    monkeypatch.setattr(fitting, "_prepared_here", elsewhere)
    monkeypatch.setenv("JAXLAND_WORKER", "node-7")
    # So that there is something not to be mixed with.
    jl.run(STUDY, CONFIG, tmp_path / "s", fits=16, shard_fits=16)
    differs = r"the worker node-7 cannot go on(.|\n)*versions: 'jaxland .*' there, 'jaxland 9' here"
    with ThreadPoolExecutor(1) as executor, pytest.raises(WorkerRefused, match=differs):
        jl.run(STUDY, CONFIG, tmp_path / "s", executor=executor, **SIZES)
    assert len(asked) <= 2  # the thread had the next one in hand


def test_a_directory_that_a_worker_does_not_see(tmp_path):
    with pytest.raises(WorkerRefused, match=r"the worker .* cannot go on with this study.*no such directory"):
        fitting.ShardWork(str(tmp_path / "not-mounted"))(jl.execution.ShardTask("adam", 0, 16))


def test_what_is_defined_in_a_session_travels_by_value():
    """As from a notebook, whose names no other process has."""
    session = sys.modules["__main__"]
    exec("def of_this_session(config):\n    return {config: 1}", vars(session))
    study = jl.Study("session", Config, session.of_this_session)
    pickled = fitting._pickled(fitting.ShardWork("somewhere", 1, study), "session")
    vars(session).pop("of_this_session")
    assert pickle.loads(pickled).study.ensembles(3) == {3: 1}


def test_a_fault_of_the_disk_that_passes_costs_no_training():
    faults = iter([StoreError("full"), StoreError("full"), None])

    def write():
        fault = next(faults)
        if fault:
            raise fault

    fitting.patiently(write, (0, 0, 0))
    faults = iter([StoreError(f"full {k}") for k in range(4)])
    with pytest.raises(StoreError, match="full 3"):
        fitting.patiently(write, (0, 0, 0))


def test_a_time_limit_needs_processes(tmp_path):
    with pytest.raises(ValueError, match=r"shard_timeout ends processes of an executor; give one"):
        jl.run(STUDY, CONFIG, tmp_path / "s", shard_timeout=3)
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match=r"threads have none of their own"):
        jl.run(STUDY, CONFIG, tmp_path / "s", shard_timeout=3, executor=executor)
    with pytest.raises(ValueError, match=r"shard_timeout must be a positive number of seconds; got 0"):
        jl.run(STUDY, CONFIG, tmp_path / "s", shard_timeout=0)


def test_preparing_trains_nothing_and_says_what_comes_next(template, capsys):
    assert main(["run", small_study.__file__, "--fits", "48", "--out", str(template), "--prepare"]) == 0
    assert f"jaxland work {template}" in capsys.readouterr().out
    assert _bytes(template) == {}
    assert not (template / "summary.md").exists()


def test_status_says_who_works_and_offers_to_resume_where_nobody_does(prepared, capsys):
    def told():
        assert main(["status", str(prepared)]) == 0
        return capsys.readouterr().out

    resume = f"go on with: jaxland resume {prepared}"
    assert resume in told()
    leases = Leases(prepared / "leases", "node-1 1234")
    assert leases.claim(lease_of(jl.execution.ShardTask("adam", 16, 32)))
    assert "at work: node-1 has had adam 16-31 for 0 s; last sign 0 s ago" in told()
    assert resume not in told()
    long_ago = time.time() - 300
    os.utime(prepared / "leases" / "adam-16-31.0", (long_ago, long_ago))
    assert "lost: node-1 had adam 16-31 and has given no sign for 5 min" in told()
    assert resume in told()
    store = StudyStore.open(prepared)
    with store.writing():
        text = told()
        assert f"at work: process {os.getpid()} on {socket.gethostname()} is training or analysing" in text
        assert resume not in text
        assert main(["status", str(prepared), "--json"]) == 0
        state = json.loads(capsys.readouterr().out)
        assert state["writer"] == f"process {os.getpid()} on {socket.gethostname()}"
        assert [(each["worker"], each["what"], each["is_lost"]) for each in state["workers"]] == [
            ("node-1", "adam 16-31", True)
        ]
        with pytest.raises(StoreError, match=rf"another process is training .*\(process {os.getpid()} on \S+\); wait"):
            store.writing().__enter__()
    assert store.writer() is None


def test_one_worker_does_all_and_analyses(serial, prepared):
    said: list[str] = []
    outcome = work(prepared, say=said.append)
    assert outcome is not None
    assert _bytes(prepared) == _bytes(serial)
    assert [path.name.partition("-")[0] for path in (prepared / "leases").iterdir()] == ["analysis"]
    assert small_study.summary_of(prepared) == small_study.summary_of(serial)
    assert sum("is there after" in line for line in said) == 6
    assert work(prepared, say=said.append) is None
    assert said[-1] == "all shards are there, and another worker made the analyses"


def test_two_workers_in_one_directory_share_the_shards(serial, prepared):
    """One begins while the other is at a shard; a shard that a run made meanwhile is not made again."""
    said, train = [], working.train_shard

    def beside(*arguments, **options):
        if not said:
            said.append("begun")
            work(prepared, name="inner", say=said.append)
        train(*arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(working, "train_shard", beside)
        patched.setattr(working, "_wait", lambda worker, seconds: (_ for _ in ()).throw(fitting.Interrupted))
        with pytest.raises(fitting.Interrupted):
            work(prepared, name="outer")
    assert sum("is there after" in line for line in said) == 5
    assert len(_bytes(prepared)) == 5
    assert {path.name.partition("-")[0] for path in (prepared / "leases").iterdir()} == set()
    assert main(["work", str(prepared)]) == 0
    assert _bytes(prepared) == _bytes(serial)


def test_a_shard_that_always_fails_is_named_and_all_others_are_there(prepared, monkeypatch, capsys):
    train, attempts = working.train_shard, []

    def failing(store, ensemble, task, *arguments, **options):
        if task == ("adam", 16, 32):
            attempts.append(task)
            raise ArithmeticError("no number")
        train(store, ensemble, task, *arguments, **options)

    monkeypatch.setattr(working, "train_shard", failing)
    assert main(["work", str(prepared), "--name", "node-3"]) == 1
    message = capsys.readouterr().err
    assert "1 shards failed 3 times" in message
    assert "adam 16-31: RuntimeError('ArithmeticError: no number (worker node-3)')" in message
    assert len(attempts) == 3
    assert len(_bytes(prepared)) == 5
    assert "ArithmeticError" in (prepared / "logs" / "node-3.log").read_text()
    with pytest.raises(ShardsFailed):
        work(prepared)
    assert len(attempts) == 3
    monkeypatch.undo()
    assert main(["resume", str(prepared)]) == 0


def test_the_lease_of_a_worker_that_died_is_taken_over(serial, prepared):
    dead = Leases(prepared / "leases", "dead", 0.2)
    assert dead.claim("sgd-0-15")
    said: list[str] = []
    assert work(prepared, lease=0.2, say=said.append) is not None
    assert "sgd 0-15: its worker failed or was lost; taken over" in said
    assert (
        "nothing left to begin: 1 shards are with other workers; one that gives no sign for 0.2 s is replaced" in said
    )
    assert _bytes(prepared) == _bytes(serial)


class _Power(BaseException):
    """It went off."""


def test_a_shard_outlives_more_owners_than_three_as_long_as_it_gets_on(tmp_path, monkeypatch):
    whole, out, steps = tmp_path / "whole", tmp_path / "s", []
    options = ["--fits", "16", "--names", "adam", "--steps", "6000"]
    assert main(["run", small_study.__file__, *options, "--out", str(whole)]) == 0
    assert main(["run", small_study.__file__, *options, "--out", str(out), "--prepare"]) == 0
    save = unfinished.Unfinished.save

    def saving(self, fits, checkpoint):
        save(self, fits, checkpoint)
        steps.append(checkpoint.step)
        if len(steps) <= 5:
            raise _Power

    monkeypatch.setattr(unfinished, "SECONDS", 0.0)
    monkeypatch.setattr(unfinished.Unfinished, "save", saving)
    for _ in range(5):
        with pytest.raises(_Power):
            work(out, lease=0.2, threads=1)
    assert work(out, lease=0.2, threads=1) is not None
    assert steps == sorted(set(steps))
    assert _bytes(out) == _bytes(whole)


def test_an_analysis_that_died_is_made_by_another(prepared):
    work(prepared)
    (marker,) = (prepared / "leases").iterdir()
    marker.write_text('{"worker": "dead", "beat": 3}')
    (prepared / "summary.md").unlink()
    assert work(prepared, lease=0.2) is not None
    assert (prepared / "summary.md").exists()


def test_damage_is_set_aside_and_trained_again(serial, prepared):
    work(prepared)
    shard = sorted((prepared / "fits").rglob("*.parquet"))[0]
    shard.write_bytes(b"garbage")
    for marker in (prepared / "leases").iterdir():
        marker.unlink()
    said: list[str] = []
    assert work(prepared, say=said.append) is not None
    assert any("is damaged; set aside as" in line for line in said)
    assert _bytes(prepared) == _bytes(serial)


def test_a_run_that_holds_the_directory_makes_the_analyses(prepared):
    said: list[str] = []
    with jl.store.StudyStore.open(prepared).writing():
        assert work(prepared, lease=0.2, say=said.append) is None
    assert "another process is training" in said[-1]
    assert work(prepared) is not None


def test_a_worker_that_cannot_write_leases_says_so(prepared):
    (prepared / "leases").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot use .*leases: File exists"):
        work(prepared)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", small_study.__file__, "--workers", "2", "--dask", "local"], "--workers and --dask exclude each other"),
        (["run", small_study.__file__, "--dask", "foo"], "'foo' is no address of a scheduler of Dask"),
        (["run", small_study.__file__, "--dask", "http://127.0.0.1:8786"], "is no address of a scheduler of Dask"),
        (["run", small_study.__file__, "--workers", "0"], "count of workers must be a positive integer; got 0"),
        (["run", small_study.__file__, "--slurm", "0"], "slurm must be a positive number of jobs; got 0"),
        (["run", small_study.__file__, "--shard-timeout", "-1"], "shard_timeout must be a positive number of seconds"),
        (["work", "SERIAL", "--name", "../../evil"], "'../../evil' cannot name a worker"),
        (["work", "SERIAL", "--name", "a\nb"], "cannot name a worker"),
        (["work", "SERIAL", "--lease", "0"], "lease must be a positive number of seconds; got 0.0"),
    ],
)
def test_wrong_arguments(serial, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main([each.replace("SERIAL", str(serial)) for each in arguments]) == 2
    assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("option", "library", "line"),
    [
        (["--dask", "local"], "distributed", "distributed is not installed; pip install distributed."),
        (["--slurm", "2"], "dask_jobqueue", "dask-jobqueue is not installed; pip install dask-jobqueue."),
    ],
)
def test_a_missing_library_is_one_line(tmp_path, monkeypatch, capsys, option, library, line):
    monkeypatch.setitem(sys.modules, library, None)
    if library == "dask_jobqueue":
        pytest.importorskip("distributed")
    assert main(["run", small_study.__file__, "--fits", "16", "--out", str(tmp_path / "s"), *option]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"jaxland: {line}"
