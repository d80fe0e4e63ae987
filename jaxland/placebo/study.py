"""The placebo test of a table as a study: what `jaxland placebo` runs, and what its directories are opened by."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jaxland.placebo.config import NAME, TITLE, TableTest
from jaxland.studies.lazily import analyses_in
from jaxland.studies.study import Study

if TYPE_CHECKING:
    from jaxland.training import Ensemble


def ensembles(test: TableTest) -> "Mapping[str, Ensemble]":
    """All fits of a test."""
    from jaxland.placebo.command import table_design
    from jaxland.placebo.findings import ENSEMBLE

    return {ENSEMBLE: table_design(test).design.ensemble}


STUDY = Study(
    name=NAME,
    title="does a network find more in the labels of a table than in permutations of them?",
    config=TableTest,
    default_fits=4000,
    ensembles=ensembles,
    analyses=analyses_in("jaxland.placebo", {"test": TITLE}, {"test": "command"}),
)
