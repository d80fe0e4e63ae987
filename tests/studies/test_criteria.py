"""Each criterion with a measurement that meets it, one that does not, and what it says."""

import numpy as np
import pytest

from jaxland.statistics import Estimate
from jaxland.studies import (
    Above,
    All,
    AtLeast,
    AtMost,
    Below,
    Between,
    Each,
    Equals,
    Ordered,
    Stated,
    Within,
)

CASES = [
    (Below(1.25), 1.24, 1.25, "below 1.25"),
    (Below(0.07, "% of its level"), 0.05, 0.08, "below 7 % of its level"),
    (Above(10, "times"), np.float64(11), 10, "above 10 times"),
    (Above(0.5, "%"), 0.51, 0.5, "above 50 %"),
    (AtMost(10, "epochs"), 10, 10.5, "at most 10 epochs"),
    (AtLeast(0.5, "of it"), 0.5, 0.499, "at least 0.5 of it"),
    (Between(0.5, 0.7), 0.7, 0.71, "between 0.5 and 0.7"),
    (Between(0.75, 1.5, "%"), 0.75, 0.7, "between 75 % and 150 %"),
    (Within(4, 1), 3, 5.1, "within 1 of 4"),
    (Equals("1.0156"), f"{1.01557:.4f}", f"{1.0157:.4f}", "equal to 1.0156"),
    (Equals(0), 0, 1, "equal to 0"),
    (Ordered(("adadelta", "momentum")), (1, 2), (2, 2), "in the order adadelta < momentum"),
    (Ordered(("a", "b", "c")), np.array([1, 2, 3]), [1, 3, 2], "in the order a < b < c"),
    (Stated("it is the same"), np.True_, False, "it is the same"),
    (Each(Below(3)), np.array([1.0, 2.0]), [1, 4], "each is below 3"),
    (
        All({"the drop is": Below(0.25, "%"), "no cost rises": Stated()}),
        (0.2, True),
        (0.2, False),
        "the drop is below 25 % and no cost rises",
    ),
]


@pytest.mark.parametrize(("criterion", "good", "bad", "words"), CASES, ids=[case[-1] for case in CASES])
def test_it_judges_and_tells(criterion, good, bad, words):
    assert criterion.judge(good) == "agrees"
    assert criterion.judge(bad) == "differs"
    assert criterion.judge(None) == "not tested"
    assert str(criterion) == words


@pytest.mark.parametrize(
    "criterion", [Below(1), Above(1), AtMost(1), AtLeast(1), Between(0, 1), Within(0, 1), Each(Below(1))]
)
def test_what_is_no_number_never_agrees(criterion):
    assert criterion.judge([np.nan, 0.5] if isinstance(criterion, Each) else np.nan) == "differs"


def test_no_number_is_in_no_order():
    assert Ordered(("a", "b")).judge((np.nan, 1)) == "differs"


INTERVALS = [
    (Below(1), (0, 0.9), (1, 2), (0.9, 1.1)),
    (Above(1), (1.1, 2), (0, 1), (0.9, 1.1)),
    (AtMost(1), (0, 1), (1.1, 2), (0.9, 1.1)),
    (AtLeast(1), (1, 2), (0, 0.9), (0.9, 1.1)),
    (Between(0, 1), (0, 1), (1.1, 2), (-1, 2)),
    (Within(4, 1), (3, 5), (0, 2.9), (4.9, 5.1)),
]


@pytest.mark.parametrize(("criterion", "good", "bad", "across"), INTERVALS, ids=[str(case[0]) for case in INTERVALS])
def test_a_whole_interval_decides(criterion, good, bad, across):
    found = [criterion.judge(Estimate(np.mean(ends), *ends)) for ends in (good, bad, across)]
    assert found == ["agrees", "differs", "undecided"]
    assert criterion.judge(Estimate(1, np.nan, np.nan)) == "undecided"
    assert criterion.judge(Estimate(np.nan, 0, 1)) == "differs"


def test_intervals_in_order():
    low, middle, high = Estimate(1, 0.5, 1.5), Estimate(2, 1.4, 2.5), Estimate(3, 2.6, 3.5)
    both = Ordered(("a", "b"))
    assert both.judge((low, high)) == "agrees"
    assert both.judge((high, low)) == "differs"
    assert both.judge((low, middle)) == "undecided"
    assert Ordered(("a", "b", "c")).judge((low, middle, high)) == "undecided"


def test_none_of_many_is_no_evidence():
    assert Each(Below(1)).judge([]) == "not tested"


def test_one_part_that_differs_decides():
    both = All({"a is": Below(1), "b is": Below(1)})
    assert both.judge((None, 0)) == "not tested"
    assert both.judge((None, 2)) == "differs"
    assert both.judge((0, 0)) == "agrees"
    assert both.judge((0, Estimate(1, 0, 2))) == "undecided"
    assert both.judge((2, Estimate(1, 0, 2))) == "differs"


def test_a_measurement_for_each_part():
    with pytest.raises(ValueError, match="shorter"):
        All({"a is": Below(1), "b is": Below(1)}).judge((0,))
    with pytest.raises(ValueError, match="one value for each of a, b; got 3"):
        Ordered(("a", "b")).judge((1, 2, 3))


def test_criteria_are_values():
    assert Within(4, 1) == Within(4, 1)
    assert len({Below(1), Below(1), Above(1)}) == 2
