"""Killing a run loses at most the shards in flight, and going on gives the bytes of a run never killed."""

import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_study

import jaxland as jl
from jaxland.cli import main
from jaxland.execution import STOPPING

# A few tenths of a second a shard.
STEPS, FITS, SHARD = 400_000, 64, 16
JAXLAND = [sys.executable, "-m", "jaxland"]
RUN = [*JAXLAND, "run", small_study.__file__, "--steps", str(STEPS), "--fits", str(FITS), "--shard-fits", str(SHARD)]


def _run(out, **environment):
    command = [*RUN, "--out", str(out)]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environment}).returncode


def _start(out, **pipes):
    return subprocess.Popen([*RUN, "--threads", "1", "--out", str(out)], stderr=subprocess.DEVNULL, **pipes)


def _shards(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in (path / "fits").rglob("*.parquet")}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "s"
    jl.run(small_study.STUDY, small_study.Config(steps=STEPS), path, fits=FITS, shard_fits=SHARD)
    return _shards(path)


def _status(out):
    answer = subprocess.run([*JAXLAND, "status", str(out), "--json"], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def _wait_for_shards(out, count, process):
    while process.poll() is None and len(_shards(out)) < count:
        time.sleep(0.02)


@pytest.mark.slow
def test_four_kills_at_random_moments(tmp_path, uninterrupted):
    out, rng = tmp_path / "s", random.Random(0)
    for kill in range(4):
        process = _start(out, stdout=subprocess.DEVNULL)
        # From before the directory exists to the middle of a later shard or commit.
        _wait_for_shards(out, len(_shards(out)) + kill % 2, process)
        time.sleep(rng.uniform(0, 0.6))
        process.kill()
        process.wait()
        assert _shards(out).items() <= uninterrupted.items()
        if (out / "study.json").exists():
            _check_status(out)
    assert _run(out) == 0
    assert _shards(out) == uninterrupted


def _check_status(out):
    present = _shards(out)
    for name, each in _status(out)["ensembles"].items():
        mine = [path.split("/")[-1].split("-")[:2] for path in present if f"/{name}/" in path]
        done = {fit for start, stop in mine for fit in range(int(start), int(stop))}
        missing = {fit for start, stop in each["missing"] for fit in range(start, stop)}
        assert done | missing == set(range(FITS))
        assert not done & missing


@pytest.mark.slow
@pytest.mark.parametrize("point", ["half-written", "renamed"])
def test_crashes_inside_commits_one_after_another(tmp_path, uninterrupted, point):
    out = tmp_path / "s"
    assert _run(out, JAXLAND_CRASH_AT=point) == 70
    assert _run(out, JAXLAND_CRASH_AT=point) == 70
    assert _run(out) == 0
    assert _shards(out) == uninterrupted


# Commands one after another in one process, so that JAX is loaded once; whoever began it may ignore hangups.
_COMMANDS = """
import shlex, signal, sys
from jaxland.cli import main

signal.signal(signal.SIGHUP, signal.SIG_DFL)
for line in sys.stdin:
    print("code", main(shlex.split(line)), flush=True)
"""


class Commands:
    """A process that does commands as they are given."""

    def __init__(self, folder):
        self._errors = folder / "errors"
        self.process = None

    def begin(self, *command):
        if self.process is None or self.process.poll() is not None:
            self._start()
        print(shlex.join(map(str, command)), file=self.process.stdin, flush=True)

    def _start(self):
        self.close()
        with self._errors.open("a") as file:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": file, "text": True}
            self.process = subprocess.Popen([sys.executable, "-c", _COMMANDS], **pipes)
        self._limit = threading.Timer(400, self.process.kill)  # of what would hang
        self._limit.start()

    def ended(self):
        """The exit code of the command that was begun, and what it printed; the process's own where that ended."""
        lines = []
        for line in self.process.stdout:
            if line.startswith("code "):
                return int(line.removeprefix("code ")), "".join(lines)
            lines.append(line)
        return self.process.wait(), "".join(lines)

    def errors(self):
        return self._errors.read_text()

    def close(self):
        if self.process is not None:
            self._limit.cancel()
            self.process.kill()
            self.process.communicate()


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    found = Commands(tmp_path_factory.mktemp("commands"))
    yield found
    found.close()


def _run_begun(commands, out):
    commands.begin(*RUN[len(JAXLAND) :], "--threads", "1", "--out", out)


def test_each_signal_stops_the_run_and_says_how_to_go_on(tmp_path, uninterrupted, commands):
    out = tmp_path / "s"
    for number in STOPPING:
        before = len(_shards(out))
        _run_begun(commands, out)
        _wait_for_shards(out, before + 1, commands.process)
        commands.process.send_signal(number)
        code, text = commands.ended()
        assert code == 128 + number, commands.errors()
        assert f"jaxland resume {out}" in text
        assert _shards(out).items() <= uninterrupted.items()
    assert main(["resume", str(out)]) == 0
    assert _shards(out) == uninterrupted


def test_a_directory_that_is_taken_away_ends_the_run_and_is_not_made_again(tmp_path, commands):
    out = tmp_path / "s"
    _run_begun(commands, out)
    _wait_for_shards(out, 1, commands.process)
    before = commands.errors()
    out.rename(tmp_path / "elsewhere")  # at one instant, as to remove it takes a while
    shutil.rmtree(tmp_path / "elsewhere")
    assert commands.ended() == (1, "")
    told = commands.errors().removeprefix(before).splitlines()[-1]
    assert told.startswith(f"jaxland: {out} is gone: it was moved or removed while it was written to.")
    assert "Traceback" not in commands.errors()
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["--workers", "work"])
def test_a_directory_that_is_taken_away_ends_workers(tmp_path, mode):
    out = tmp_path / "s"
    command = [*RUN, "--out", str(out), "--workers", "1"]
    if mode == "work":
        assert main([*RUN[len(JAXLAND) :], "--out", str(out), "--prepare"]) == 0
        command = [*JAXLAND, "work", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    _wait_for_shards(out, 1, process)
    out.rename(tmp_path / "elsewhere")
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert str(out) in text.splitlines()[-1]
    assert "Traceback" not in text
    assert os.listdir(tmp_path) == ["elsewhere"]


def _rows(table):
    return set(zip(table["ensemble"], table["fit"], strict=True))


def test_readers_beside_a_writer_see_whole_states_that_only_grow(tmp_path, commands, capsys):
    out, file = tmp_path / "s", tmp_path / "t.parquet"
    _run_begun(commands, out)
    _wait_for_shards(out, 1, commands.process)
    ended, opened, counts, rows = [], jl.open(out), [0], set()
    waiting = threading.Thread(target=lambda: ended.append(commands.ended()))
    waiting.start()
    beside = True
    while beside:
        beside = waiting.is_alive()
        before = SHARD * len(_shards(out))
        capsys.readouterr()
        assert main(["status", str(out), "--json"]) == 0
        state = json.loads(capsys.readouterr().out)
        assert (state["damaged"], state["rebuilt"]) == ([], False)
        assert all(each["done"] == SHARD * each["shards"] for each in state["ensembles"].values())
        counts.append(sum(each["done"] for each in state["ensembles"].values()))
        assert main(["table", str(out), "--out", str(file)]) == 0, capsys.readouterr().err
        for table in (pd.read_parquet(file), opened.table(), jl.open(out).table()):
            assert len(table) % SHARD == 0
            assert np.isfinite(table["loss"]).all()
            assert rows <= _rows(table)
            rows = _rows(table)
        # What is read lies between what was there before and what is there after.
        assert before <= counts[-1] <= len(rows) <= SHARD * len(_shards(out))
    waiting.join()
    assert ended[0][0] == 0, commands.errors()
    assert counts == sorted(counts)
    assert len({*counts}) > 2
    assert rows == {(name, fit) for name in ("sgd", "adam") for fit in range(FITS)}


def test_a_second_signal_ends_the_run_at_once(tmp_path, uninterrupted, commands):
    out = tmp_path / "s"
    _run_begun(commands, out)
    _wait_for_shards(out, 1, commands.process)
    # Both are there when it goes on, and are handled in the order of their numbers.
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
        commands.process.send_signal(number)
    assert commands.ended() == (128 + signal.SIGTERM, "")
    assert "Traceback" not in commands.errors()
    assert len(_shards(out)) < len(uninterrupted)
    assert main(["resume", str(out)]) == 0
    assert _shards(out) == uninterrupted


def _is_there(process_id):
    """Whether a process runs, or is stopped; not where it only waits to be buried."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _workers(out, count):
    """The processes at work in a directory, by the names of their logs, once there are so many."""
    _wait_until(lambda: len(list((out / "logs").glob("*.log"))) == count)
    return [int(log.stem.rpartition("-")[2]) for log in (out / "logs").glob("*.log")]


def _begin_with_workers(out, count, told):
    command = [*RUN, "--out", str(out), "--workers", str(count)]
    with told.open("w") as file:  # workers that are left behind would keep a pipe open
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)


@pytest.mark.slow
def test_workers_end_with_a_run_that_is_killed(tmp_path, uninterrupted):
    out, told = tmp_path / "s", tmp_path / "told"
    process = _begin_with_workers(out, 2, told)
    workers = _workers(out, 2)
    _wait_for_shards(out, 1, process)
    process.kill()
    process.wait()
    _wait_until(lambda: not any(map(_is_there, workers)))
    assert len(_shards(out)) < len(uninterrupted)
    assert "Traceback" not in told.read_text()
    assert list(out.glob(".running-*"))
    assert main(["resume", str(out)]) == 0
    assert _shards(out) == uninterrupted
    assert not [*out.rglob(".running-*"), *out.rglob(".tmp-*")]


@pytest.mark.slow
def test_a_second_interruption_ends_a_run_at_once_whose_workers_do_not_answer(tmp_path, uninterrupted):
    out, told = tmp_path / "s", tmp_path / "told"
    process = _begin_with_workers(out, 1, told)
    (worker,) = _workers(out, 1)
    _wait_for_shards(out, 1, process)
    os.kill(worker, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    _wait_until(lambda: not list(out.glob(".running-*")))  # workers are asked to stop
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "Traceback" not in told.read_text()
    os.kill(worker, signal.SIGCONT)
    _wait_until(lambda: not _is_there(worker))
    assert main(["resume", str(out)]) == 0
    assert _shards(out) == uninterrupted
