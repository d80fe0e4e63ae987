"""What an analysis is: a function from what is stored of a study to what is found."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxland.studies.context import Context, Findings


@dataclass(frozen=True)
class NoSettings:
    """Settings of an analysis that has none, and the configuration of a study that has none."""


@dataclass(frozen=True)
class Analysis:
    """One analysis of a study.

    Attributes:
        find: does it. Fits are streamed; what takes long is kept in pieces.
        title: one line for lists.
        quick, paper: its settings at the quick scale and at that of the source; frozen dataclasses of one type.
    """

    find: "Callable[[Context], Findings]"
    title: str = ""
    quick: Any = field(default_factory=NoSettings)
    paper: Any = field(default_factory=NoSettings)
