"""Placebo tests: the same network trained on real labels and, thousands of times, on labels that mean nothing."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.placebo.command import table_test
    from jaxland.placebo.config import TableSettings, TableTest
    from jaxland.placebo.design import Design
    from jaxland.placebo.findings import draw_tested, result_figure
    from jaxland.placebo.labels import Split, distinct_labellings, random_order, split
    from jaxland.placebo.measures import STATISTICS, Measures, Statistic
    from jaxland.placebo.result import PlaceboResult, Tested
    from jaxland.placebo.run import placebo_test, placebo_tests
    from jaxland.placebo.tabular import TableProblem, read_table, table_problem

__all__ = [
    "STATISTICS",
    "Design",
    "Measures",
    "PlaceboResult",
    "Split",
    "Statistic",
    "TableProblem",
    "TableSettings",
    "TableTest",
    "Tested",
    "distinct_labellings",
    "draw_tested",
    "placebo_test",
    "placebo_tests",
    "random_order",
    "read_table",
    "result_figure",
    "split",
    "table_problem",
    "table_test",
]

__getattr__, __dir__ = attach(__name__, __file__)
