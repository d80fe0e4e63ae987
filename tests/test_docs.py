"""Every Python block of the documentation pages runs, in order, and states values that come out."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from documents import blocks, run

from jaxland.cli import main


@pytest.mark.slow
def test_the_landscape_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    compared = sum(run(code, names) for code in blocks("docs/landscape.md"))
    plt.close("all")
    assert compared >= 9
    assert (tmp_path / "landscape.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_page_on_statistics_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    compared = sum(run(code, names) for code in blocks("docs/statistics.md"))
    assert compared >= 8
    assert (tmp_path / "statistics.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_placebo_page_runs_and_so_do_its_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    compared = sum(run(code, names) for code in blocks("docs/placebo.md"))
    assert compared >= 8
    capsys.readouterr()
    commands = [line for block in blocks("docs/placebo.md", "sh") for line in block.splitlines()]
    assert len(commands) == 6
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "jaxland"
        assert main(arguments) == 0
    assert "p = 0.005: 0 of 199 placebos are as good" in capsys.readouterr().out
    assert (tmp_path / "runs" / "rumour" / "figures" / "placebo.png").stat().st_size > 10_000


def test_the_page_on_trust_runs(capsys):
    names: dict = {}
    compared = sum(run(code, names) for code in blocks("docs/trust.md"))
    assert compared == 2
    printed = capsys.readouterr().out
    assert printed.startswith("xla: the kernel does not compute what the network, loss and optimizer say: the loss is ")


@pytest.mark.slow
@pytest.mark.parametrize(("page", "values"), [("index", 7), ("million", 5), ("networks", 7), ("directory", 1)])
def test_a_short_page_runs(page, values, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    assert sum(run(code, names) for code in blocks(f"docs/{page}.md")) == values
    plt.close("all")


@pytest.mark.slow
def test_the_page_on_training_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    compared = sum(run(code, names) for code in blocks("docs/training.md"))
    assert compared >= 16


@pytest.mark.slow
def test_the_page_on_sweeps_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    compared = sum(run(code, names) for code in blocks("docs/sweeps.md"))
    assert compared >= 18


@pytest.mark.slow
def test_the_page_on_clusters_runs_and_so_do_its_commands(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="pip install distributed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_study.py").write_text(blocks("docs/studies.md")[1])
    (tmp_path / "script.py").write_text(blocks("docs/clusters.md")[0])
    commands = [line for block in blocks("docs/clusters.md", "sh") for line in block.splitlines()]
    assert len(commands) == 4
    for command in [*commands, "python script.py"]:
        program, *arguments = shlex.split(command)
        program = [sys.executable, "-m", "jaxland"] if program == "jaxland" else [sys.executable]
        done = subprocess.run([*program, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    trees = [tmp_path / "runs" / name / "fits" for name in ("pool", "dask", "shared")]
    files = [{str(each.relative_to(tree)): each.read_bytes() for each in tree.rglob("*.parquet")} for tree in trees]
    assert len(files[0]) == 16
    assert files[0] == files[1] == files[2]


def test_the_arithmetic_of_the_page_on_clusters_is_right():
    names: dict = {}
    assert sum(run(code, names) for code in blocks("docs/clusters.md")[1:]) == 13


@pytest.mark.slow
def test_the_page_on_studies_runs_and_so_do_its_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    parts = blocks("docs/studies.md")
    (tmp_path / "my_study.py").write_text(parts[1])
    commands = [shlex.split(line, comments=True)[1:] for line in blocks("docs/studies.md", "sh")[0].splitlines()]
    assert len(commands) == 9
    for command in commands[1:]:
        assert main(command) == 0, command
    with pytest.raises(SystemExit) as ended:
        main(commands[0])
    assert ended.value.code == 0
    assert "Learning rates, one ensemble each." in capsys.readouterr().out
    names: dict = {}
    compared = sum(run(code, names) for code in parts)
    assert compared == 2
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"first", "mine", "other", "asking"}


def test_promises_name_tests_that_are_there():
    root = Path(__file__).parent.parent
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (root / "docs/reliability.md").read_text())
    assert len(named) > 35
    for path, test in named:
        assert not test or f"def {test}(" in (root / path).read_text(), (path, test)
