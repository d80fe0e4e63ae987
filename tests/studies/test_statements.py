"""Statements with their rules: what becomes of a measurement, and of a whole source."""

import numpy as np
import pytest

from jaxland.statistics import Estimate
from jaxland.studies import (
    Above,
    All,
    Below,
    Each,
    Rule,
    Stated,
    Statement,
    Statements,
    coverage,
    judged_unless,
    measurement,
)
from jaxland.studies.claims import reasons, tally
from jaxland.studies.statements import how_judged

RULE = Rule(Below(1.25, "times"), "source", "its 'similar'", least=10)
SIMILAR = Statement("similar", "7", "losses are similar", "similar", RULE)
EXACT = Statement("fits", "1", "it fits", "0", Rule(Below(1e-6), "convention", "rounding", exact=True))
MISSING = Statement("mnist", "9", "as on MNIST", "0.1", untested="needs data that are not here")


def test_a_claim_tells_how_it_was_judged():
    found = SIMILAR.claim("1.1", Estimate(1.1, 1.0, 1.2), of="adam", cases=10, detail="ratio of medians")
    assert (found.where, found.statement, found.source, found.name) == ("7", "losses are similar", "similar", "similar")
    assert (found.measured, found.verdict, found.of, found.cases) == ("1.1", "agrees", "adam", "10")
    assert found.rule == "agrees if below 1.25 times"
    assert found.judged == "1.1 (1 to 1.2)"
    assert found.basis == "source: its 'similar'"
    assert Rule(Below(1), "ours").origin == "ours, set after seeing"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (Estimate(1.1, 1.0, 1.2), "agrees"),
        (Estimate(1.4, 1.3, 1.5), "differs"),
        (Estimate(1.2, 1.1, 1.3), "undecided"),
        (Estimate(np.nan, np.nan, np.nan), "differs"),
        (None, "not tested"),
    ],
)
def test_verdicts(value, verdict):
    assert SIMILAR.claim("", value, cases=10).verdict == verdict


def test_too_few_cases_judge_nothing():
    found = SIMILAR.claim("1.4", Estimate(1.4, 1.3, 1.5), cases=9)
    assert (found.verdict, found.reason) == ("not tested", "judged from 10 cases on, and here are fewer")
    with pytest.raises(ValueError, match="10 cases on; say how many"):
        SIMILAR.claim("", Estimate(1, 1, 1))


def test_a_number_needs_an_interval():
    with pytest.raises(TypeError, match="has no interval; give an Estimate"):
        SIMILAR.claim("1.1", 1.1, cases=10)
    several = Rule(All({"each is": Each(Below(1)), "and": Above(0)}), "ours")
    with pytest.raises(TypeError, match="has no interval"):
        several.judge(([Estimate.exact(0.5), 0.5], Estimate.exact(1)))
    assert several.judge(([Estimate.exact(0.5)], Estimate.exact(1))) == "agrees"
    assert EXACT.claim("1e-9", 1e-9).verdict == "agrees"


def test_all_numbers_that_a_rule_took_are_told():
    parts = Rule(All({"each is": Each(Below(1)), "and": Above(0), "it rises": Stated()}), "ours")
    value = ([Estimate(0.5, 0.4, 0.6), Estimate(0.7, np.nan, np.nan)], Estimate.exact(2), True)
    assert Statement("a", "1", "", "", parts).claim("", value).judged == "0.5 (0.4 to 0.6); 0.7 (no interval); 2"
    assert EXACT.claim("", None).judged == ""


def test_a_statement_has_a_rule_or_a_reason():
    with pytest.raises(ValueError, match="needs a rule, or the reason"):
        Statement("a", "1", "", "")
    with pytest.raises(ValueError, match="and not both"):
        Statement("a", "1", "", "", RULE, "no data")
    with pytest.raises(ValueError, match="has no rule: needs data"):
        MISSING.claim("", 1)
    with pytest.raises(ValueError, match="two statements are named 'similar'"):
        Statements(SIMILAR, EXACT, SIMILAR)


def test_a_whole_source():
    of = {"adam": Estimate(1.1, 1.0, 1.2), "sgd": Estimate(1.4, 1.3, 1.5)}
    claims = [SIMILAR.claim(str(value), value, of=name, cases=10) for name, value in of.items()]
    table = coverage(Statements(SIMILAR, EXACT, MISSING), [*claims, measurement("knots", "17")])
    assert table["number"].tolist() == [1, 2, 3]
    assert table["name"].tolist() == ["similar", "fits", "mnist"]
    assert table["verdict"].tolist() == ["adam: agrees; sgd: differs", "not tested", "not tested"]
    assert table["measured"][0] == "adam: 1.1 (1 to 1.2); sgd: 1.4 (1.3 to 1.5)"
    assert table["measured"][1:].tolist() == ["its analysis was not made", "needs data that are not here"]
    assert table["judged by"][0] == "below 1.25 times (source: its 'similar')"


def test_how_a_source_is_judged_is_told_with_the_origins_of_its_thresholds():
    told = how_judged(Statements(SIMILAR, EXACT, MISSING))
    assert told.startswith("2 of 3 statements have a rule.")
    assert (
        "Of the 2 thresholds 1 are the source's own number or word, 1 a convention (no difference, rounding)." in told
    )
    assert "had been seen" not in told


def test_a_reason_takes_all_verdicts_and_is_told_once():
    claims = [EXACT.claim("1", 1.0), EXACT.claim("0", 0.0), measurement("knots", "17")]
    assert judged_unless("", claims) == claims
    marked = judged_unless("too few fits", claims)
    assert [each.verdict for each in marked] == ["not tested", "not tested", ""]
    assert reasons(marked) == ["2 not tested: too few fits"]
    assert tally(claims) == "1 agree, 1 differ, 0 not tested; 1 measurements of our own"
    assert tally([SIMILAR.claim("", Estimate(1.2, 1, 2), cases=10)]) == "0 agree, 0 differ, 1 undecided, 0 not tested"


def test_estimates_are_those_of_the_functions_they_are_made_with():
    values = np.random.default_rng(0).normal(3, 1, 400)
    mean = Estimate.mean(values)
    assert mean.low < 3 < mean.high
    np.testing.assert_allclose(mean.high - mean.low, 2 * 1.966 * values.std(ddof=1) / 20, rtol=1e-3)
    share = Estimate.share(30, 100)
    np.testing.assert_allclose(share, (0.3, 0.2189, 0.3958), atol=1e-4)  # Wilson (1927), worked by hand
    median = Estimate.quantile(values)
    assert median.value == np.median(values)
    assert median.low < 3 < median.high
    assert str(Estimate.exact(0.25)) == "0.25"
    assert str(Estimate(0.25, 0.2, 0.3)) == f"{Estimate(0.25, 0.2, 0.3)}" == "0.25 (0.2 to 0.3)"
    assert f"{Estimate(0.25, 0.2, 0.3):.1%}" == "25.0% (20.0% to 30.0%)"
