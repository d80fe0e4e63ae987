"""The README's Python runs as written."""

import re

import numpy as np
import pytest
from documents import ROOT, blocks

import jaxland as jl
from jaxland.cli import main

README = ROOT / "README.md"


@pytest.mark.filterwarnings("default")
def test_python_of_the_readme_runs():
    first, second, third, _ = blocks("README.md")
    names: dict = {}
    exec(first, names)
    assert names["fits"].params.shape == (256, 136)
    assert len(names["fits"].table) == 256
    assert names["canonical"].drift.max() < 1e-5
    exec(second, names)
    assert names["fits"].params.shape == (512, 24)
    assert np.nanmin(names["fits"].loss) < 0.1 * np.nanmin(names["fits"].initial_loss)
    exec(third, names)
    for model in (names["mlp"], names["dense"]):
        problem = names["jl"].Problem(names["x"], np.abs(names["x"]))
        fits = names["jl"].fit(model, problem, names["optax"].adam(0.01), fits=3, steps=200)
        assert (fits.loss < fits.initial_loss).all()


def test_the_study_of_the_readme_is_run_as_written(tmp_path, capsys):
    (tmp_path / "my_study.py").write_text(blocks("README.md")[3])
    assert len(list(filter(str.strip, blocks("README.md")[3].splitlines()))) <= 15
    (command,) = re.findall(r"^jaxland run my_study.py (.*?) --out runs/mine", README.read_text(), re.M)
    flags = command.replace("20000", "32").split()
    assert main(["run", str(tmp_path / "my_study.py"), *flags, "--steps", "50", "--out", str(tmp_path / "mine")]) == 0
    runs = jl.open(tmp_path / "mine")
    assert runs.config == {"steps": 50, "rate": 0.02}
    assert runs.params(fits=slice(0, 10)).shape == (10, 25)
    assert len(runs.table()) == 32
    assert (tmp_path / "mine" / "figures" / "losses.png").exists()


def test_commands_of_the_readme_exist():
    from jaxland.cli import COMMANDS

    commands = set(re.findall(r"^jaxland (\w+)", README.read_text(), re.M))
    assert commands <= {"run", *COMMANDS}
    assert {"status", "resume", "table"} <= commands


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target
