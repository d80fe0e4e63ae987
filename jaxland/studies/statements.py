"""What a source states, each statement with the rule that judges it.

A rule says where its threshold comes from. Few are set before the numbers are seen: those that were say so, and
`how_judged` counts them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from jaxland.statistics.estimates import Estimate
from jaxland.studies.claims import Claim
from jaxland.studies.criteria import Criterion, Verdict

Basis = Literal["source", "convention", "ours", "beforehand"]
_BASES: Mapping[Basis, str] = {
    "source": "source",
    "convention": "convention",
    "ours": "ours, set after seeing",
    "beforehand": "ours, set before it was measured",
}

_COUNTED: Mapping[Basis, str] = {
    "source": "are the source's own number or word",
    "convention": "a convention (no difference, rounding)",
    "beforehand": "ours, set before it was measured",
    "ours": "ours, set when numbers had been seen",
}


@dataclass(frozen=True)
class Rule:
    """How a statement is judged.

    Attributes:
        criterion: of the measurement.
        basis: where its threshold comes from: the source's own number or words, a convention that leaves no choice (no
            difference is 0 or 1, rounding), or ourselves, who had seen numbers ("ours") or had not ("beforehand"). A
            rule with one threshold of ours is ours.
        why: the same in words, "the source's 'about 10', to its last digit".
        least: cases (fits, paths, epochs) from which on it is used; below, the statement is not tested.
        exact: its measurements have no sample behind them; all others must come as `Estimate`, with an interval.
    """

    criterion: Criterion
    basis: Basis
    why: str = ""
    least: int = 0
    exact: bool = False

    def __post_init__(self):
        if self.basis not in _BASES:
            raise ValueError(f"basis must be one of {', '.join(_BASES)}; got {self.basis!r}.")

    def judge(self, value: Any) -> Verdict:
        """Whether a measurement meets the criterion.

        Raises:
            TypeError: a number comes without an interval, and the rule is not one of exact numbers.
        """
        if not self.exact:
            _require_intervals(value)
        return self.criterion.judge(value)

    def __str__(self) -> str:
        return f"agrees if {self.criterion}"

    @property
    def origin(self) -> str:
        """Where the threshold comes from, in words."""
        return f"{_BASES[self.basis]}: {self.why}" if self.why else _BASES[self.basis]


def _require_intervals(value: Any) -> None:
    if value is None or isinstance(value, (Estimate, bool, str)):
        return
    if isinstance(value, Iterable):
        for each in value:
            _require_intervals(each)
    else:
        raise TypeError(
            f"{value!r} has no interval; give an Estimate, as Estimate.mean or Estimate.share make them, "
            "Estimate.exact where no sample stands behind it, or declare the rule exact."
        )


def _told(value: Any) -> str:
    """The numbers of a measurement, with their intervals."""
    if value is None or isinstance(value, (bool, np.bool_)):
        return ""
    if isinstance(value, Estimate):
        known = not (np.isnan(value.low) or np.isnan(value.high))
        return str(value) if known else f"{value.value:.4g} (no interval)"
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        return "; ".join(filter(None, map(_told, value)))
    return f"{float(value):.4g}"


@dataclass(frozen=True)
class Statement:
    """A statement of a source that could turn out wrong.

    Attributes:
        name: short, for tables and code; no other statement of the source has it.
        where: the source makes it: "5" for figure 5, or "section 4.2".
        text: what it says, in our words.
        source: its value there.
        rule: that judges it; None where nothing here does.
        untested: why nothing here does.
    """

    name: str
    where: str
    text: str
    source: str
    rule: Rule | None = None
    untested: str = ""

    def __post_init__(self):
        if (self.rule is None) == (self.untested == ""):
            raise ValueError(f"statement {self.name!r} needs a rule, or the reason why it has none, and not both.")

    def claim(self, measured: str, value: Any, *, of: str = "", cases: int | None = None, detail: str = "") -> Claim:
        """What was measured of it, and the verdict of its rule.

        Args:
            measured: in words.
            value: as the rule's criterion takes it; None where it could not be measured.
            of: what the measurement is of, where there are several: an optimizer, an ensemble.
            cases: the value rests on: fits, paths.
            detail: how it was measured.

        Raises:
            TypeError: the rule wants an interval.
            ValueError: the statement has no rule, or its rule counts cases and none are given.
        """
        if self.rule is None:
            raise ValueError(f"statement {self.name!r} has no rule: {self.untested}.")
        if self.rule.least and cases is None:
            raise ValueError(
                f"statement {self.name!r} is judged from {self.rule.least} cases on; say how many there are."
            )
        verdict, reason = self.rule.judge(value), ""
        if cases is not None and cases < self.rule.least:
            verdict, reason = "not tested", f"judged from {self.rule.least:,} cases on, and here are fewer"
        return self._claim(measured, verdict, of=of, detail=detail, reason=reason, cases=cases, judged=_told(value))

    def not_tested(self, reason: str, *, of: str = "", measured: str = "", detail: str = "") -> Claim:
        """The statement with the reason why nothing measured here could decide it."""
        return self._claim(measured, "not tested", of=of, detail=detail, reason=reason)

    def _claim(self, measured: str, verdict: Verdict, cases: int | None = None, **words: str) -> Claim:
        rule = self.rule
        return Claim(
            self.where,
            self.text,
            self.source,
            measured,
            verdict,
            name=self.name,
            rule=str(rule or ""),
            basis=rule.origin if rule else "",
            cases="" if cases is None else str(cases),
            **words,
        )


class Statements(Mapping[str, Statement]):
    """All statements of a source by name, in its order.

    Raises:
        ValueError: two have one name.
    """

    def __init__(self, *statements: Statement):
        self._known = {each.name: each for each in statements}
        if len(self._known) < len(statements):
            names = [each.name for each in statements]
            raise ValueError(f"two statements are named {next(name for name in names if names.count(name) > 1)!r}.")

    def __getitem__(self, name: str) -> Statement:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def coverage(statements: Mapping[str, Statement], claims: Sequence[Claim]) -> pd.DataFrame:
    """Every statement of a source with what became of it.

    Args:
        statements: by name, in the order of the source.
        claims: of a run; those that judge no statement are left out.

    Returns:
        One row a statement: `number` from 1 on, `name`, `where`, `statement`, `source`, `verdict`, `measured`,
        `judged by`. A statement of which several claims are made, of two optimizers say, has the verdict they share, or
        each by itself; one that no claim is made of is "not tested", and `measured` says why.
    """
    rows = []
    for number, statement in enumerate(statements.values(), 1):
        found = [each for each in claims if each.name == statement.name]
        rows.append(
            {
                "number": number,
                "name": statement.name,
                "where": statement.where,
                "statement": statement.text,
                "source": statement.source,
                "verdict": _shared(found),
                "measured": _measured(statement, found),
                "judged by": f"{statement.rule.criterion} ({statement.rule.origin})" if statement.rule else "",
            }
        )
    return pd.DataFrame(rows)


def how_judged(statements: Mapping[str, Statement]) -> str:
    """How verdicts come about and where the thresholds are from, in words, for whoever reads a table of them."""
    bases = [each.rule.basis for each in statements.values() if each.rule]
    told = ", ".join(f"{bases.count(basis)} {words}" for basis, words in _COUNTED.items() if basis in bases)
    return (
        f"{len(bases)} of {len(statements)} statements have a rule. A statement *agrees* where all of the 95 % "
        "interval of what was measured meets its rule, *differs* where nothing of the interval does, and is "
        "*undecided* where the interval holds both sides; of numbers without a sample behind them, such as one run or "
        "a count, the interval is the number. Of a rule with several parts one that differs decides, else one that is "
        "not tested, else one that is undecided. A statement that was measured several times, with different verdicts, "
        "is *split*. "
        f"Of the {len(bases)} thresholds {told}. Where a threshold is ours the verdict depends on how we took a word: "
        "read it beside the measurement. What is measured of a statement (medians, shares, windows) is our choice "
        "throughout."
    )


def _shared(found: Sequence[Claim]) -> str:
    verdicts = {each.verdict for each in found}
    if len(verdicts) <= 1:
        return verdicts.pop() if verdicts else "not tested"
    return "; ".join(f"{each.of}: {each.verdict}" for each in found)


def _measured(statement: Statement, found: Sequence[Claim]) -> str:
    if not found:
        return statement.untested or "its analysis was not made"
    told = [(each.of, "; ".join(filter(None, (each.measured, each.reason)))) for each in found]
    return "; ".join(f"{of}: {text}" if of else text for of, text in told)
