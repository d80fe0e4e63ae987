"""What a command imports before it answers: nothing of what computes, unless it computes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.studies import NoSettings

HEAVY = ("jax", "jaxlib", "optax", "equinox", "scipy", "matplotlib", "pandas", "sklearn", "statsmodels")
CODE = """
import sys
from jaxland.cli import main

try:
    code = main(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
print("MODULES", code, *{name.partition(".")[0] for name in sys.modules})
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    x = np.linspace(-1, 1, 8)
    ensemble = jl.Ensemble(jl.mlp([1, 2, 1]), jl.Problem(x, x), optax.sgd(0.1), steps=3)
    path = tmp_path_factory.mktemp("startup") / "run"
    jl.run(jl.Study("small", NoSettings, lambda config: {"sgd": ensemble}, analyses={}), path, fits=8)
    return path


def _loaded(arguments):
    """The heavy libraries a command imports, and its exit code."""
    done = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True)
    last = done.stdout.splitlines()[-1].split()
    assert last[0] == "MODULES"
    return {name for name in HEAVY if name in last[2:]}, int(last[1])


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("--version", 0),
        ("--help", 0),
        ("studies", 0),
        ("stauts", 2),
        ("run sawtoth", 2),
        ("run missing.py", 2),
        ("run sawtooth --help", 0),
        ("run sawtooth --stepz 3", 2),
        ("resume --help", 0),
        ("placebo --help", 0),
        ("status missing", 1),
        ("status DIRECTORY", 0),
        ("table DIRECTORY --out TABLE.parquet", 0),
        ("table DIRECTORY --out TABLE.csv", 0),
    ],
)
def test_a_command_imports_what_it_needs(directory, command, code):
    arguments = [each.replace("DIRECTORY", str(directory)) for each in command.split()]
    arguments = [each.replace("TABLE", str(directory.parent / "table")) for each in arguments]
    assert _loaded(arguments) == (set(), code)


def test_the_test_itself_sees_what_is_loaded():
    assert {"jax", "optax"} <= _loaded(["resume", "missing"])[0]


_OWN = """
from dataclasses import dataclass
import beside
import jaxland as jl


@dataclass(frozen=True)
class Config:
    steps: int = beside.STEPS


STUDY = jl.Study("own", Config, dict, title="a study in the current directory")
"""


@pytest.mark.parametrize("command", [["-m", "jaxland"], [str(Path(sys.executable).with_name("jaxland"))]])
def test_files_of_the_current_directory_do_not_stand_for_libraries(directory, tmp_path, command):
    """But for those that a study in a file imports, which are looked for beside it."""
    for name in ("json", "tyro", "pyarrow", "dataclasses", "shlex", "jaxlib"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py was imported')")
    (tmp_path / "beside.py").write_text("STEPS = 3")
    (tmp_path / "own.py").write_text(_OWN)
    for arguments, told in ((["status", directory], "sgd: 8 done"), (["studies", "own.py"], "a study in the current")):
        done = subprocess.run([sys.executable, *command, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert told in done.stdout
