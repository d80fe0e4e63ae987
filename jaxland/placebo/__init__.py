"""Placebo tests: the same network trained on real labels and, thousands of times, on labels that mean nothing."""

from jaxland.placebo.design import Design
from jaxland.placebo.labels import Split, distinct_labellings, random_order, split
from jaxland.placebo.measures import STATISTICS, Measures, Statistic, measure
from jaxland.placebo.result import PlaceboResult, Tested
from jaxland.placebo.run import placebo_test, placebo_tests

__all__ = [
    "STATISTICS",
    "Design",
    "Measures",
    "PlaceboResult",
    "Split",
    "Statistic",
    "Tested",
    "distinct_labellings",
    "measure",
    "placebo_test",
    "placebo_tests",
    "random_order",
    "split",
]
