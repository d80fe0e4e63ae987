"""Every Python block of the documentation pages runs, in order, and states values that come out."""

import json
import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from documents import ROOT, blocks, run, script, untold
from html_page import Page
from PIL import Image

from jaxland.cli import main

USED = script(ROOT / "docs" / "used.py")
EXAMPLES = sorted(path.stem for path in (ROOT / "docs" / "examples").glob("*.md"))


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
    assert len(commands) == 7
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "jaxland"
        assert main(arguments) == 0
    assert capsys.readouterr().out.count("p = 0.005: 0 of 199 placebos are as good") >= 2
    assert (tmp_path / "runs" / "rumour" / "figures" / "placebo.png").stat().st_size > 10_000


def test_the_page_on_trust_runs(capsys):
    names: dict = {}
    compared = sum(run(code, names) for code in blocks("docs/trust.md"))
    assert compared == 2
    printed = capsys.readouterr().out
    assert printed.startswith("xla: the kernel does not compute what the network, loss and optimizer say: the loss is ")


@pytest.mark.slow
@pytest.mark.parametrize(("page", "values"), [("index", 7), ("million", 5), ("networks", 8), ("directory", 1)])
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
    assert compared >= 20


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


@pytest.mark.slow
@pytest.mark.parametrize("package", EXAMPLES)
def test_examples_above_the_names_of_a_package_run(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    assert sum(run(code, names) for code in blocks(f"docs/examples/{package}.md")) >= 2


def test_every_public_function_and_class_is_used_on_a_page_or_comes_from_one_that_is():
    shown = {*USED.pages(), *USED.makers()}
    public = [name for package in USED.packages() for name in USED.public(package)]
    assert len(public) > 400
    assert [name for name in public if USED.is_defined(USED.place(name)) and USED.place(name) not in shown] == []


def test_names_are_found_where_they_are_used_and_not_where_they_are_imported():
    imports = "import jaxland as jl\nfrom jaxland import plots\nfrom jaxland.landscape import spectra\n"
    code = f"{imports}jl.symmetrise(plots.tube)"
    assert USED.used(code) == {
        "jaxland",
        "jaxland.plots",
        "jaxland.landscape.symmetrise.symmetrise",
        "jaxland.plots.curves.tube",
    }
    assert USED.makers()["jaxland.training.prediction.Prediction"] == "jaxland.training.fits.Fits.predict"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_pictures_of_a_page_are_drawn_by_it_told_in_words_and_small(page):
    text = page.read_text()
    for told, name in re.findall(r"!\[(.*)\]\(pictures/([\w-]+\.png)\)", text):
        assert f'savefig("{name}"' in "".join(blocks(f"docs/{page.name}")), name
        assert len(told.split()) >= 5, told
        drawn = ROOT / "docs" / "pictures" / name
        assert drawn.stat().st_size <= 200_000, name
        # A column or a page of a journal, in 220 points an inch.
        with Image.open(drawn) as picture:
            assert picture.width in (748, 1540), (name, picture.size)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_numbers_told_of_a_picture_are_values_that_its_page_states(page):
    """Which the tests that run the page compare with what comes out; counts may be those that its code asks for."""
    before, *rest = re.split(r"(?=!\[.*\]\(pictures/)", page.read_text())
    for part in rest:
        told = re.match(r"!\[(.*)\]\(pictures/", part).group(1)
        code = "\n".join(re.findall(r"```python\n(.*?)```", before, re.S))
        assert untold(told, code) == [], told
        before += part


def test_a_number_of_a_picture_that_no_page_states_is_found():
    code = "fits = jl.fit(steps=500, rate=0.25)\nfits.loss.min()  # 0.000496; sgd\nshare  # (0.561, 12)\n"
    assert untold("500 steps to 0.0005, in 56 % and 12", code) == []
    assert untold("501 steps to 0.0006, in 57 %, at a rate of 0.25 and 0", code) == [
        "501",
        "0.0006",
        "57 %",
        "0.25",
        "0",
    ]


def test_every_picture_is_shown_on_a_page():
    shown = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert [each.name for each in (ROOT / "docs" / "pictures").iterdir() if each.name not in shown] == []


def test_every_page_with_python_is_run_by_a_test():
    tests = "".join((ROOT / path).read_text() for path in ("tests/test_docs.py", "tests/training/lanes/test_docs.py"))
    for page in sorted((ROOT / "docs").glob("*.md")):
        if blocks(f"docs/{page.name}"):
            assert f"docs/{page.name}" in tests or f'("{page.stem}", ' in tests, page.name


@pytest.mark.slow
def test_pages_of_the_site_can_be_read_by_anyone(tmp_path):
    """Language, title, description, window, one first heading and none left out below it, and words for pictures."""
    pytest.importorskip("mkdocs", reason="pip install '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "--site-dir", str(tmp_path / "site")]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True)
    for name in ("index", "install", "notebook", "landscape", "gallery", "faq", "reference/jaxland.plots"):
        text = (tmp_path / "site" / f"{name}.html").read_text()
        page = Page(text)
        assert page.named("html")[0]["lang"] == "en", name
        assert page.named("title"), name
        meta = {each.get("name"): each.get("content") for each in page.named("meta")}
        assert meta["description"], name
        assert "width=device-width" in meta["viewport"], name
        article = Page(text[text.index("<article") : text.index("</article>")])
        levels = [int(tag[1]) for tag, _ in article.elements if re.fullmatch("h[1-6]", tag)]
        assert levels.count(1) == 1, name
        assert levels[0] == 1, name
        assert all(after <= before + 1 for before, after in pairwise(levels)), name
        assert all(image.get("alt") for image in article.named("img")), name
        assert len(text) < 2_000_000, name


NOTEBOOK = script(ROOT / "docs" / "notebook.py")


def _kept():
    return json.loads(NOTEBOOK.NOTEBOOK.read_text())


def _outputs(notebook):
    return [(cell, output) for cell in notebook["cells"] for output in cell.get("outputs", [])]


def test_the_notebook_shows_what_comes_out_of_every_cell_in_short():
    notebook = _kept()
    for cell in notebook["cells"]:
        assert cell["cell_type"] == "markdown" or cell["outputs"], cell["source"]
    for cell, output in _outputs(notebook):
        assert output["output_type"] in ("display_data", "execute_result"), cell["source"]
        assert len("".join(output["data"]["text/plain"])) < 300, cell["source"]
    assert sum("image/png" in output["data"] for _, output in _outputs(notebook)) >= 5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of what runs it; a cell that fails is an error
def test_the_notebook_runs_and_shows_the_same_kinds_of_things():
    pytest.importorskip("nbclient", reason="pip install '.[docs]'")
    pytest.importorskip("ipykernel", reason="pip install '.[docs]'")
    shown = [[sorted(output["data"]) for _, output in _outputs(each)] for each in (_kept(), NOTEBOOK.executed())]
    assert shown[0] == shown[1], "run python docs/notebook.py"


def test_promises_name_tests_that_are_there():
    root = Path(__file__).parent.parent
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (root / "docs/reliability.md").read_text())
    assert len(named) > 35
    for path, test in named:
        assert not test or f"def {test}(" in (root / path).read_text(), (path, test)
