"""What a study is: a question with its ensembles, and the analyses that answer it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from jaxland.store import Parts, StudyStore
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


def judged(figure: str, statement: str, source: str, measured: str, agrees: bool | None, detail: str) -> Claim:
    """A claim whose verdict is `agrees`: True, False, or None where it could not be tested."""
    verdict: Verdict = "not tested" if agrees is None else "agrees" if agrees else "differs"
    return Claim(figure, statement, source, measured, verdict, detail)


def judged_unless(reason: str, claims: list[Claim]) -> list[Claim]:
    """The claims as they are, or, for a reason that is not empty, all marked as not tested."""
    if not reason:
        return claims
    return [claim._replace(verdict="not tested", detail=f"{reason}; {claim.detail}") for claim in claims]


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
    """

    config: Any
    settings: Any
    store: StudyStore
    parts: Parts
    threads: int
    say: Callable[[str], None]


class Findings(NamedTuple):
    """What an analysis leaves behind: all of it small.

    Attributes:
        tables: by file name.
        figures: by file stem.
        claims: in the order of the source.
        animations: finished files, by file name.
    """

    tables: Mapping[str, pd.DataFrame]
    figures: Mapping[str, Figure]
    claims: list[Claim]
    animations: Mapping[str, bytes] = {}


@dataclass(frozen=True)
class Analysis:
    """One analysis of a study.

    Attributes:
        title: one line for lists.
        quick, paper: its settings at the quick scale and at that of the source; frozen dataclasses of one type.
        find: does it. Fits are streamed; pieces that take long are kept as parts.
    """

    title: str
    quick: Any
    paper: Any
    find: Callable[[Context], Findings]


@dataclass(frozen=True)
class NoSettings:
    """Settings of an analysis that has none."""


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
        analyses: by name, in the order of the source.
        default_analyses: those that are made unless others are asked for.
    """

    name: str
    title: str
    source: str
    config: type
    default_fits: int
    quick: str
    paper: str
    ensembles: Callable[[Any], dict[str, Ensemble]]
    analyses: Mapping[str, Analysis]
    default_analyses: tuple[str, ...]


class Outcome(NamedTuple):
    """What a finished study left behind."""

    path: Path
    claims: list[Claim]
    files: list[Path]
