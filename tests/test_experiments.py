"""The committed experiments: what their READMEs say is what their tables say."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxland.studies import STUDIES

ROOT = Path(__file__).parents[1]
EXPERIMENTS = [path.parent for path in sorted((ROOT / "experiments").glob("*/statements.csv"))]
_ROWS = 100
"""In longer tables any number stands somewhere."""
_NUMBER = re.compile(r"(?<![\w.,-])\d[\d,]*\.?\d*(?:e[+-]?\d+)?(?![\w])")


# Commas of thousands are part of a number, those between the columns of a table are not.
_KNOWN = re.compile(r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)\.?\d*(?:e[+-]?\d+)?")


def _script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda path: path.name)
def test_the_table_of_statements_is_the_one_of_the_run(experiment):
    text = (experiment / "README.md").read_text()
    assert text == _script(ROOT / "experiments/statements.py").renewed(text, experiment), (
        "run python experiments/statements.py"
    )


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda path: path.name)
def test_every_statement_of_the_source_stands_there(experiment):
    statements = STUDIES[experiment.name].statements()
    table = pd.read_csv(experiment / "statements.csv", dtype=str, keep_default_na=False)
    assert table["name"].tolist() == list(statements)
    assert table["statement"].tolist() == [each.text for each in statements.values()]
    claims = pd.read_csv(experiment / "claims.csv", dtype=str, keep_default_na=False)
    assert set(claims["name"]) - {""} <= set(statements)


def test_the_gallery_shows_every_figure():
    gallery = _script(ROOT / "docs/gallery.py")
    assert gallery.PAGE.read_text() == gallery.text(), "run python docs/gallery.py"


def _numbers(text: str) -> set[str]:
    """Numbers with three digits or more that count, as they are written, without the commas of thousands."""
    found = (number.rstrip(".,").replace(",", "") for number in _NUMBER.findall(text))
    return {number for number in found if len(number.split("e")[0].replace(".", "").strip("0")) >= 3}


def _is_in(number: str, values: np.ndarray) -> bool:
    """Whether one of the values is the number, to the digits that are written; percentages count."""
    decimals = len(number.split("e")[0].partition(".")[2])
    scale = 10.0 ** (int(number.partition("e")[2] or 0) - decimals)
    near = np.abs(np.concatenate([values, 100 * values]) - float(number)) <= 0.5001 * scale
    return bool(near.any())


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda path: path.name)
def test_numbers_of_the_text_stand_in_its_tables(experiment):
    """Of prose only: commands, code and what stands between `<!-- not measured here -->` and `<!-- -->` aside."""
    text = (experiment / "README.md").read_text()
    for aside in (r"```.*?```", r"`[^`]*`", r"<!-- statements -->.*?<!-- end of statements -->", r"\]\([^)]*\)"):
        text = re.sub(aside, " ", text, flags=re.DOTALL)
    text = re.sub(r"<!-- not measured here -->.*?<!-- -->", " ", text, flags=re.DOTALL)
    tables = [path.read_text() for path in [*experiment.rglob("*.csv"), *experiment.rglob("summary.md")]]
    tables = [each for each in tables if each.count("\n") <= _ROWS]
    statements = STUDIES[experiment.name].statements()
    words = " ".join([*tables, *(f"{each.source} {each.text} {each.rule}" for each in statements.values())])
    known = [float(each.replace(",", "").rstrip(".")) for each in _KNOWN.findall(words)]
    values = np.unique(np.array(known))
    strange = sorted(number for number in _numbers(text) if not _is_in(number, values))
    assert not strange, f"in the README, and in no table: {', '.join(strange)}"


def test_numbers_that_are_in_no_table_are_found():
    values = np.array([0.12345, 7.0, 12345.0])
    assert _numbers("At 12,345 steps 0.123 and 12.3 %, 5 of 10, figure 7, 1.25e-3, x2017") == {
        "12345",
        "0.123",
        "12.3",
        "1.25e-3",
    }
    assert [_is_in(number, values) for number in ("12345", "0.123", "12.3", "0.124", "1.25e-3")] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda path: path.name)
def test_verdicts_are_those_of_the_rules_as_they_are(experiment):
    for name, content in _script(ROOT / "experiments/rejudge.py").contents(experiment).items():
        assert (experiment / name).read_text() == content, "run python experiments/rejudge.py"
