"""What a study is: a question with its ensembles, and the analyses that answer it."""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxland.studies.analysis import Analysis, NoSettings
from jaxland.studies.claims import Claim, tally

if TYPE_CHECKING:
    from jaxland.studies.statements import Statement
    from jaxland.training import Ensemble

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def _general() -> Mapping[str, Analysis]:
    from jaxland.studies.general import ANALYSES

    return ANALYSES


@dataclass(frozen=True, eq=False)
class Study:
    """A named question: from a configuration to ensembles, and whatever is to be found out of their fits.

        STUDY = jl.Study("mine", MyConfig, ensembles)

    It can be run from Python, `jaxland.run(STUDY, MyConfig(), "runs/mine", fits=100_000)`, from its file,
    `jaxland run my_study.py`, and by its name, where an installed package offers it as an entry point of the group
    `jaxland.studies`.

    Attributes:
        name: on the command line and in tables.
        config: the frozen dataclass that holds everything that decides its fits, in numbers, strings, tuples and
            dataclasses of them.
        ensembles: `config -> {name: ensemble}`, the same for the same configuration.
        title: one line for lists.
        source: the document it follows.
        default_fits: fits of each ensemble unless others are asked for.
        quick, paper: scale and cost of a quick run and of the source's, in words.
        analyses: by name, in order; those that suit every study by default.
        default_analyses: those that are made unless others are asked for; all by default.
        statements: makes what its source states, by name, each with the rule that judges it; a run then writes
            `statements.csv`, what became of each.

    Raises:
        TypeError, ValueError: a field is not what it should be; the message names it and the remedy.
    """

    name: str
    config: type
    ensembles: "Callable[[Any], Mapping[str, Ensemble]]"
    title: str = ""
    source: str = ""
    default_fits: int = 1024
    quick: str = ""
    paper: str = ""
    analyses: Mapping[str, Analysis] = field(default_factory=_general)
    default_analyses: tuple[str, ...] | None = None
    statements: "Callable[[], Mapping[str, Statement]] | None" = None

    def __post_init__(self):
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot name a study: use letters, digits, '-', '_' and '.'.")
        if not (isinstance(self.config, type) and is_dataclass(self.config)):
            raise TypeError(
                f"config of the study {self.name!r} must be a dataclass, the type itself and no instance of it; got "
                f"{self.config!r}. Write @dataclass(frozen=True) over a class whose fields decide the fits."
            )
        if not callable(self.ensembles):
            raise TypeError(
                f"ensembles of the study {self.name!r} must be a function from a configuration to a dictionary of "
                f"ensembles; got {self.ensembles!r}. For ensembles without one, give the dictionary to jaxland.run."
            )
        unknown = [name for name in self.default_analyses or () if name not in self.analyses]
        if unknown:
            raise ValueError(
                f"default_analyses of the study {self.name!r} names {unknown[0]!r}; it has {', '.join(self.analyses)}."
            )

    def __repr__(self) -> str:
        return (
            f"Study({self.name!r}: {self.title or 'no title'}; {self.config.__name__}, {len(self.analyses)} analyses)"
        )

    @property
    def made_always(self) -> tuple[str, ...]:
        """Names of the analyses that are made unless others are asked for."""
        return tuple(self.analyses) if self.default_analyses is None else self.default_analyses


def study_of_values(ensembles: "Mapping[str, Ensemble]") -> Study:
    """A study without a configuration, of ensembles that are there already."""
    return Study("ensembles", NoSettings, lambda _: ensembles)


class Outcome(NamedTuple):
    """What a finished study left behind."""

    path: Path
    claims: list[Claim]
    files: list[Path]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        judged = f", {tally(self.claims)}" if self.claims else ""
        return f"Outcome({str(self.path)!r}: {len(self.files)} files{judged})"

    def _repr_html_(self) -> str:
        lines = [repr(self), *self.notes, f"See it on one page: jaxland open {self.path}"]
        return "".join(f"<p>{html.escape(line)}</p>" for line in lines)
