"""A package that is not jaxland's, installed by pip: its study is run, killed, gone on with and read by others."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "strangers-study"
version = "1.0"
dependencies = []

[project.entry-points."jaxland.studies"]
stranger = "strangers_study.study:STUDY"
"""
STUDY = '''
"""Fits of a wave, by two optimizers."""

from dataclasses import dataclass

from jaxland import Study
from jaxland.studies import deferred


@dataclass(frozen=True)
class Config:
    """Of the stranger's study."""

    steps: int = 4000
    """Optimizer steps."""
    width: int = 6
    """Hidden units."""


STUDY = Study("stranger", Config, deferred("strangers_study.model:ensembles"), title="waves, by a stranger")
'''
MODEL = """
import jax.numpy as jnp
import numpy as np
import optax
from jax import random

import jaxland as jl


def _init(width, key):
    first, second = random.split(key)
    return {"in": random.normal(first, (2, width)), "out": random.normal(second, (width, 1))}


def _apply(params, x):
    return jnp.tanh(x @ params["in"][:1] + params["in"][1:]) @ params["out"]


def ensembles(config):
    x = np.linspace(-1, 1, 24)
    problem = jl.Problem(x, np.sin(4 * x))
    network = jl.Network(lambda key: _init(config.width, key), _apply)
    optimizers = {"adam": optax.adam(0.01), "lion": optax.lion(0.001)}
    return {name: jl.Ensemble(network, problem, each, steps=config.steps) for name, each in optimizers.items()}
"""
POOLS = """
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import jaxland as jl

if __name__ == "__main__":
    study = jl.studies.find_study("stranger")
    values = study.ensembles(study.config(steps=200))
    for kind in ("spawn", "forkserver"):
        with ProcessPoolExecutor(2, mp_context=get_context(kind)) as executor:
            jl.run("stranger", study.config(steps=200), f"{sys.argv[1]}/{kind}", fits=300, executor=executor)
            # What is in no file is sent by value.
            jl.run(values, f"{sys.argv[1]}/{kind}-values", fits=300, executor=executor, analyses={})
    jl.run(study, study.config(steps=200), f"{sys.argv[1]}/here", fits=300)
"""
KILLS = 10


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Where the package is installed, as variables of processes."""
    folder = tmp_path_factory.mktemp("stranger")
    package = folder / "source" / "strangers_study"
    package.mkdir(parents=True)
    (package.parent / "pyproject.toml").write_text(PROJECT)
    for name, text in {"__init__.py": "", "study.py": STUDY, "model.py": MODEL}.items():
        (package / name).write_text(text)
    site = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(package.parent)]
    subprocess.run(install, check=True)
    (folder / "pools.py").write_text(POOLS)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return folder, {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _jaxland(environment, *arguments, **options):
    folder, variables = environment
    command = [sys.executable, "-m", "jaxland", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, **options)


def _shards(path):
    return {str(each.relative_to(path)): each.read_bytes() for each in (path / "fits").rglob("*.parquet")}


def _killed(environment, path, *arguments):
    """Starts a command and kills it when it has committed one more shard, or has come to the analyses."""
    folder, variables = environment
    before = len(_shards(path)) if path.exists() else 0
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxland", *map(str, arguments)], cwd=folder, env=variables, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and (not path.exists() or len(_shards(path)) <= before):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_strangers_study_killed_ten_times(environment):
    folder, _ = environment
    asked = ("run", "stranger", "--fits", 512, "--shard-fits", 32)
    whole, killed = folder / "whole", folder / "killed"
    done = _jaxland(environment, *asked, "--out", whole, check=True)
    assert "Table, figures, claims and summary are in" in done.stdout
    _killed(environment, killed, *asked, "--out", killed)
    for _ in range(KILLS - 1):
        _killed(environment, killed, "resume", killed)
    assert 0 < len(_shards(killed)) < len(_shards(whole))
    _jaxland(environment, "resume", killed, check=True)
    assert _shards(killed) == _shards(whole)
    tables = [(each / "analysis" / "best.csv").read_bytes() for each in (whole, killed)]
    assert tables[0] == tables[1]
    _read_with_others(environment, whole)


def _read_with_others(environment, whole):
    import duckdb
    import polars

    pattern = str(whole / "fits" / "*" / "*" / "*.parquet")
    counts = [
        len(pd.read_parquet(whole / "table.parquet")),
        polars.read_parquet(whole / "table.parquet").height,
        polars.scan_parquet(pattern).select(polars.len()).collect().item(),
        duckdb.sql(f"select count(*) from '{whole / 'table.parquet'}'").fetchall()[0][0],
        duckdb.sql(f"select count(*) from '{pattern}'").fetchall()[0][0],
    ]
    assert counts == [1024] * 5
    best = duckdb.sql(f"select ensemble, min(loss) from '{whole / 'table.parquet'}' group by 1 order by 1").fetchall()
    assert [name for name, _ in best] == ["adam", "lion"]
    page = _jaxland(environment, "report", whole, check=True)
    assert "for any browser" in page.stdout
    assert "waves, by a stranger" in (whole / "report.html").read_text().lower()
    state = json.loads(_jaxland(environment, "status", whole, "--json", check=True).stdout)
    assert state["ensembles"]["lion"]["missing"] == []
    assert "stranger: waves, by a stranger" in _jaxland(environment, "studies", check=True).stdout


@pytest.mark.slow
def test_a_strangers_study_on_processes(environment):
    folder, variables = environment
    subprocess.run([sys.executable, "pools.py", str(folder / "pools")], cwd=folder, env=variables, check=True)
    here = _shards(folder / "pools" / "here")
    assert len(here) > 2
    for kind in ("spawn", "forkserver"):
        assert _shards(folder / "pools" / kind) == here
        others = _shards(folder / "pools" / f"{kind}-values")
        assert others.keys() != here.keys()  # the checksums tell another study
        assert len(others) == len(here)
