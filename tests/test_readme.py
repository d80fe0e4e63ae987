"""The README's Python runs as written."""

import re

import pytest
from documents import ROOT, blocks

import jaxland as jl
from jaxland.cli import main

README = ROOT / "README.md"


@pytest.mark.filterwarnings("default")
def test_python_of_the_readme_runs():
    names: dict = {}
    exec(blocks("README.md")[0], names)
    assert names["fits"].params.shape == (256, 136)
    assert len(names["fits"].table) == 256
    assert names["canonical"].drift.max() < 1e-5


def test_the_readme_is_short():
    text = README.read_text()
    assert len(text.split()) <= 700
    assert text.count("![") >= 3


def test_the_study_of_the_readme_is_run_as_written(tmp_path, capsys):
    (tmp_path / "my_study.py").write_text(blocks("README.md")[1])
    assert len(list(filter(str.strip, blocks("README.md")[1].splitlines()))) <= 15
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
    assert {"run", "resume", "report"} <= commands


def test_links_of_all_pages_lead_somewhere():
    for page in [README, *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("experiments/*/README.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), (page, target)
