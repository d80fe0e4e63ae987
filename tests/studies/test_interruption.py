"""Killing a run loses at most the shards in flight, and going on gives the bytes of a run never killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import small_study

import jaxland as jl

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


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_a_signal_stops_the_run_and_says_how_to_go_on(tmp_path, uninterrupted, number, code):
    out = tmp_path / "s"
    process = _start(out, stdout=subprocess.PIPE)
    _wait_for_shards(out, 2, process)
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"jaxland resume {out}" in text.decode()
    assert _shards(out).items() <= uninterrupted.items()
    assert subprocess.run([*JAXLAND, "resume", str(out)], capture_output=True).returncode == 0
    assert all(each["done"] == FITS for each in _status(out)["ensembles"].values())
