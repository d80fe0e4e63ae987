"""What a study is: a question with its ensembles, analysis, figures and claims."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from matplotlib.figure import Figure

from jaxland.store import StudyStore
from jaxland.training import Ensemble

Verdict = Literal["agrees", "differs", "not tested"]


class Claim(NamedTuple):
    """A statement of the source, and what was measured.

    Attributes:
        figure: where the source makes it.
        statement: what it says, in our words.
        source: the source's value.
        measured: ours.
        verdict: whether they agree.
        detail: how it was measured, and by how much it differs.
    """

    figure: str
    statement: str
    source: str
    measured: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class Study:
    """A named study.

    Attributes:
        name: on the command line.
        title: one line for lists.
        source: the document it follows.
        config: the frozen dataclass that holds everything that decides its fits.
        default_fits: fits of each ensemble in a quick run.
        quick, paper: scale and cost of a quick run and of the source's, in words.
        ensembles: `config -> {name: ensemble}`.
        analyse: `(config, store) -> analysis`; streams the shards and keeps only small results.
        figures: `(config, analysis) -> {file stem: figure}`.
        claims: `(config, analysis) -> claims`.
        tables: `analysis -> {file name: DataFrame}`, the small results that are kept.
    """

    name: str
    title: str
    source: str
    config: type
    default_fits: int
    quick: str
    paper: str
    ensembles: Callable[[Any], dict[str, Ensemble]]
    analyse: Callable[[Any, StudyStore], Any]
    figures: Callable[[Any, Any], dict[str, Figure]]
    claims: Callable[[Any, Any], list[Claim]]
    tables: Callable[[Any], dict[str, Any]]


class Outcome(NamedTuple):
    """What a finished study left behind."""

    path: Path
    claims: list[Claim]
    files: list[Path]
