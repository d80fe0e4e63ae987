"""What holds for every study of the registry and each of its analyses."""

from dataclasses import is_dataclass

import numpy as np
import pytest
from replications.tiny import TINY, tiny_config, tiny_settings, trained

from jaxland.plots import style
from jaxland.store import Parts
from jaxland.studies import STUDIES, Claim, Context, from_json, titles_of, to_json
from jaxland.studies.criteria import VERDICTS

ANALYSES = [(name, analysis) for name in STUDIES for analysis in STUDIES[name].analyses]
# Seconds together; the others take a minute and more.
QUICK = {("placebo", "overview")}


@pytest.mark.parametrize("name", list(STUDIES))
def test_a_study_says_what_it_has(name):
    study = STUDIES[name]
    assert set(study.made_always) <= set(study.analyses) == set(TINY[name].settings)
    assert all(titles_of(study.analyses).values())
    for analysis in study.analyses.values():
        assert type(analysis.quick) is type(analysis.paper)
        assert is_dataclass(analysis.quick)
    for config in (study.config(), tiny_config(name)):
        assert from_json(study.config, to_json(config)) == config


class Stopped(Exception):
    """A kill, as far as an analysis can tell."""


class CountedParts(Parts):
    """Parts that count what is worked out, and stop before one piece of it.

    Attributes:
        worked_out: names of the pieces.
    """

    def __init__(self, folder, stop_before=None):
        super().__init__(folder)
        self.worked_out, self._stop_before = [], stop_before

    def get(self, name, compute):
        def counted():
            if len(self.worked_out) == self._stop_before:
                raise Stopped
            self.worked_out.append(name)
            return compute()

        return super().get(name, counted)


class TwoByTwo(Context):
    """Cuts everything into pieces of two rows at most."""

    def pieces(self, name, rows, work, size):
        return super().pieces(name, rows, work, min(size, 2))


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    made = {}

    def store(name):
        if name not in made:
            made[name] = trained(name, tmp_path_factory.mktemp("studies") / name)
        return made[name]

    return store


@pytest.mark.parametrize(
    ("name", "analysis"), [each if each in QUICK else pytest.param(*each, marks=pytest.mark.slow) for each in ANALYSES]
)
def test_a_killed_analysis_goes_on_and_finds_the_same(stores, tmp_path, name, analysis):
    """However it is cut into pieces, and wherever it is killed; and what it finds is of the kinds that it should be."""
    store, settings = stores(name), tiny_settings(name, analysis)

    def found(parts, kind=TwoByTwo):
        with style():
            return (
                STUDIES[name]
                .analyses[analysis]
                .find(kind(tiny_config(name), settings, store, parts, 1, lambda line: None))
            )

    whole = found(every := CountedParts(tmp_path / "whole"), Context)
    cut = found(all_pieces := CountedParts(tmp_path / "cut"))
    assert _texts(name, cut) == _texts(name, whole)
    count = len(all_pieces.worked_out)
    assert count >= len(every.worked_out)
    if count:
        first = CountedParts(tmp_path / "killed", stop_before=count // 2)
        with pytest.raises(Stopped):
            found(first)
        second = CountedParts(tmp_path / "killed")
        assert _texts(name, found(second)) == _texts(name, whole)
        assert first.worked_out + second.worked_out == all_pieces.worked_out
    _check(whole)


def _texts(name, findings):
    """Tables and claims, without wall times."""
    seconds = TINY[name].seconds
    tables = {
        file: table.drop(columns=seconds.get(file, [])).to_csv(float_format="%.9g")
        for file, table in findings.tables.items()
    }
    claims = [claim._replace(measured="") if seconds else claim for claim in findings.claims]
    return tables, claims, sorted(findings.figures), sorted(findings.animations)


def _check(findings):
    assert findings.tables
    for table in findings.tables.values():
        assert len(table)
        numbers = table.select_dtypes("number").to_numpy(float)
        assert np.isfinite(numbers).any()
    assert findings.claims
    for claim in findings.claims:
        assert isinstance(claim, Claim)
        assert claim.statement
        assert claim.measured or claim.reason
        assert claim.verdict in ("", *VERDICTS)
        assert "agrees" in claim.rule or claim.verdict in ("", "not tested")
