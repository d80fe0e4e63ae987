"""The committed experiments: what their READMEs say is what their tables say."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from documents import script

from jaxland.statistics import Estimate
from jaxland.studies import STUDIES

ROOT = Path(__file__).parents[1]
EXPERIMENTS = [path.parent for path in sorted((ROOT / "experiments").glob("*/statements.csv"))]
_ROWS = 100
"""In longer tables any number stands somewhere, so that they are looked into only where a text names them."""
_DIGITS, _DIGITS_OF_NAMED = 3, 2
"""That count, from which on a number is looked for: in all of an experiment, and in what a text says it is from."""
_FORM = r"\d[\d,]*\.?\d*(?:e[+-]?\d+)?"
_NUMBER = re.compile(rf"(?<![\w.,])-?(?P<number>{_FORM})(?!\w)")
# A percentage, or one of several before the sign: "5, 6 and 7 %", "(1 to 2 %)".
_PERCENT = re.compile(rf"(?P<list>(?:(?:,|\sto|,?\sand|\sor)\s-?{_FORM}(?!\w))*)\s?%")
_SOURCE = re.compile(r"<!-- numbers of (?P<names>[^>]*) -->|^#.*$", re.MULTILINE)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda path: path.name)
def test_claims_verdicts_and_tables_are_those_of_the_run_by_the_rules_as_they_are(experiment):
    statements = script(ROOT / "experiments/statements.py")
    for name, text in statements.files(experiment).items():
        assert (experiment / name).read_text() == text, f"{name}: run python experiments/statements.py"


def test_a_verdict_does_not_outlive_its_rule():
    made, statements = script(ROOT / "experiments/statements.py"), STUDIES["placebo"].statements()
    claim = statements["falls"].claim("", Estimate(1, 0.99, 1), cases=100)
    assert made._reworded(claim._replace(basis="seen"), statements["falls"]) == claim
    with pytest.raises(ValueError, match="rule of 'falls' is not the one its verdict was given by"):
        made._reworded(claim._replace(rule="agrees if above 90 % of fits"), statements["falls"])


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda path: path.name)
def test_every_statement_of_the_source_stands_there(experiment):
    statements = STUDIES[experiment.name].statements()
    table = pd.read_csv(experiment / "statements.csv", dtype=str, keep_default_na=False)
    assert table["name"].tolist() == list(statements)
    assert table["statement"].tolist() == [each.text for each in statements.values()]
    claims = pd.read_csv(experiment / "claims.csv", dtype=str, keep_default_na=False)
    assert set(claims["name"]) - {""} <= set(statements)


def test_the_gallery_shows_every_figure():
    gallery = script(ROOT / "docs/gallery.py")
    assert gallery.PAGE.read_text() == gallery.text(), "run python docs/gallery.py"


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda path: path.name)
def test_every_figure_has_a_sentence_with_a_number(experiment):
    captions = json.loads((experiment / "figures/captions.json").read_text())
    drawn = {path.stem for path in (experiment / "figures").iterdir() if path.suffix in (".png", ".gif")}
    assert drawn <= set(captions)
    bare = sorted(stem for stem in drawn if not re.search(r"\d.*\.$", captions[stem]))
    assert not bare, f"no sentence with a number: {', '.join(bare)}"


class Number(NamedTuple):
    """A number of a text: as it is written, without commas of thousands, and whether it is or may be a percentage."""

    written: str
    percent: bool
    plain: bool
    at: int = 0

    @property
    def digits(self) -> int:
        """That count."""
        return len(self.written.split("e")[0].replace(".", "").strip("0"))


def _numbers(text: str) -> list[Number]:
    found = []
    for match in _NUMBER.finditer(text):
        written = match["number"].rstrip(".,")
        sign = _PERCENT.match(text, match.start("number") + len(written))
        in_list = sign is not None and sign["list"] != ""
        found.append(Number(written.replace(",", ""), sign is not None, sign is None or in_list, match.start("number")))
    return found


class Known(NamedTuple):
    """Magnitudes that tables hold, those told as percentages by themselves."""

    plain: np.ndarray
    percent: np.ndarray

    def has(self, number: Number) -> bool:
        """Whether the number is one of them, to the digits that are written."""
        decimals = len(number.written.split("e")[0].partition(".")[2])
        scale = 10.0 ** (int(number.written.partition("e")[2] or 0) - decimals)
        values = np.concatenate(
            [self.plain[: len(self.plain) * number.plain], self.percent[: len(self.percent) * number.percent]]
        )
        return bool((np.abs(values - float(number.written)) <= 0.5001 * scale).any())


def _known(words: Iterable[str], tables: Iterable[Path]) -> Known:
    """What words say, and what tables hold: there a share of at most 2 is a percentage too."""
    told = [each for text in words for each in _numbers(text)]
    columns = [pd.read_csv(path).select_dtypes("number").to_numpy(float).ravel() for path in tables]
    values = np.abs(np.concatenate([np.zeros(0), *columns]))
    plain = [float(each.written) for each in told if each.plain]
    percent = [float(each.written) for each in told if each.percent]
    return Known(np.append(values, plain), np.append(100 * values[values <= 2], percent))


def _stretches(text: str) -> list[tuple[list[str], str]]:
    """Parts of a text with what they say their numbers are of; a heading ends what a comment began."""
    marks = list(_SOURCE.finditer(text))
    ends = [*(each.start() for each in marks[1:]), len(text)]
    parts = [((each["names"] or "").split(), text[each.end() : end]) for each, end in zip(marks, ends, strict=True)]
    return [([], text[: marks[0].start()]), *parts] if marks else [([], text)]


def _prose(experiment: Path) -> str:
    """The README without commands, code and what stands between `<!-- not measured here -->` and `<!-- -->`."""
    text = (experiment / "README.md").read_text()
    # Tables that are made from what is committed need no looking for.
    for aside in (r"```.*?```", r"`[^`]*`", r"<!-- (\w+) -->.*?<!-- end of \1 -->", r"\]\([^)]*\)"):
        text = re.sub(aside, " ", text, flags=re.DOTALL)
    return re.sub(r"<!-- not measured here -->.*?<!-- -->", " ", text, flags=re.DOTALL)


def _sources(experiment: Path) -> Callable[[list[str]], Known]:
    """What is known by these names: of claims, "own" for the measurements without one, and of tables in analysis/."""
    claims = pd.read_csv(experiment / "claims.csv", dtype=str, keep_default_na=False)
    columns = ["where", "statement", "basis", "source", "measured", "detail", "rule", "cases", "reason"]
    words = claims[columns].agg("; ".join, axis=1)
    statements = STUDIES[experiment.name].statements()

    def of(names: list[str]) -> Known:
        if names:
            unknown = set(names) - set(claims["name"]) - {"own"} - {path.name for path in experiment.rglob("*.csv")}
            assert not unknown, f"no claims and no tables: {unknown}"
            told = words[claims["name"].isin(["" if each == "own" else each for each in names])]
            return _known(told, [path for path in experiment.rglob("*.csv") if path.name in names])
        tables = [path for path in experiment.rglob("*.csv") if path.read_text().count("\n") <= _ROWS]
        own = {"claims.csv", "statements.csv", "measured.csv"}
        others = [path.read_text() for path in experiment.rglob("*.md") if path.name == "summary.md"]
        others += [path.read_text() for path in experiment.rglob("measured.csv")]
        others += [f"{each.source} {each.text} {each.rule} {each.untested}" for each in statements.values()]
        return _known([*words, *others], [path for path in tables if path.name not in own])

    return of


def _looked_for(names: list[str], part: str) -> list[Number]:
    least = _DIGITS_OF_NAMED if names else _DIGITS
    return [each for each in _numbers(part) if each.digits >= least]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda path: path.name)
def test_numbers_of_the_text_stand_in_its_tables(experiment):
    """After `<!-- numbers of CLAIM own TABLE.csv -->`, up to the next heading, in these and nowhere else."""
    sources = _sources(experiment)
    strange = [
        f"{each.written}{' %' if each.percent else ''} (in {', '.join(names) or 'all'})"
        for names, part in _stretches(_prose(experiment))
        for known in [sources(names)]
        for each in _looked_for(names, part)
        if not known.has(each)
    ]
    assert not strange, f"in the README, and not in its tables: {'; '.join(strange)}"


def test_what_goes_stale_is_found():
    """Numbers whose claims or tables are named, off by one in their last digit: most of them are told."""
    missed = {least: [0, 0] for least in (_DIGITS_OF_NAMED, _DIGITS)}
    for experiment in EXPERIMENTS:
        sources = _sources(experiment)
        for names, part in _stretches(_prose(experiment)):
            known = sources(names) if names else None
            for each in _looked_for(names, part) if known else []:
                for step in (1, 9):
                    wrong = each._replace(written=f"{each.written[:-1]}{(int(each.written[-1]) + step) % 10}")
                    for least in [least for least in missed if each.digits >= least]:
                        missed[least][0] += known.has(wrong)
                        missed[least][1] += 1
    assert missed[_DIGITS][1] > 100
    assert missed[_DIGITS_OF_NAMED][0] < 0.3 * missed[_DIGITS_OF_NAMED][1], missed
    assert missed[_DIGITS][0] < 0.15 * missed[_DIGITS][1], missed


def test_numbers_that_are_in_no_table_are_found():
    known = Known(np.array([0.12345, 7.0, 12345.0]), np.array([12.345]))
    found = _numbers("At 12,345 steps 0.123 and 12.3 %, 5 of 10, figure 7, 1.25e-3, x2017, -0.124 (2 to 3 %)")
    assert [(each.written, each.plain, each.percent) for each in found] == [
        ("12345", True, False),
        ("0.123", True, True),
        ("12.3", False, True),
        ("5", True, False),
        ("10", True, False),
        ("7", True, False),
        ("1.25e-3", True, False),
        ("0.124", True, False),
        ("2", True, True),
        ("3", False, True),
    ]
    looked_for = [each for each in found if each.digits >= 3]
    assert [known.has(each) for each in looked_for] == [True, True, True, False, False]
    assert not known.has(Number("12.3", percent=False, plain=True)), "a percentage is not a number of things"


def test_a_comment_says_where_numbers_are_from():
    text = "a\n<!-- numbers of x y.csv -->\nb\n## c\nd"
    assert [(names, part.strip()) for names, part in _stretches(text)] == [([], "a"), (["x", "y.csv"], "b"), ([], "d")]
