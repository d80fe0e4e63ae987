"""What an analysis is given, and what it leaves behind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from jaxland.store import Parts, StudyStore
from jaxland.studies.claims import Claim
from jaxland.training import Ensemble


@dataclass(frozen=True)
class Context:
    """What an analysis may use.

    Attributes:
        config: of the study.
        settings: of the analysis.
        store: the study's fits.
        parts: keeps finished pieces of the analysis.
        threads: how many to use.
        say: receives lines for the user.
        make_ensembles: makes the study's ensembles, the same objects each time.
    """

    config: Any
    settings: Any
    store: StudyStore
    parts: Parts
    threads: int
    say: Callable[[str], None]
    make_ensembles: Callable[[], Mapping[str, Ensemble]] = dict

    @property
    def ensembles(self) -> Mapping[str, Ensemble]:
        """The study's ensembles by name."""
        return self.make_ensembles()


class Findings(NamedTuple):
    """What an analysis leaves behind: all of it small.

    Attributes:
        tables: by file name.
        figures: by file stem.
        claims: in the order of the source.
        animations: finished files, by file name.
        notes: what was found, in lines for the user and the summary.
    """

    tables: Mapping[str, pd.DataFrame]
    figures: Mapping[str, Figure]
    claims: list[Claim]
    animations: Mapping[str, bytes] = {}
    notes: Sequence[str] = ()
