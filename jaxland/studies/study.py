"""What a study is: a question with its ensembles, and the analyses that answer it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jaxland.studies.claims import Claim
from jaxland.studies.context import Context, Findings
from jaxland.training import Ensemble


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
