"""What a source states, each statement with the rule that judges it, written down before its numbers are seen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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


@dataclass(frozen=True)
class Rule:
    """How a statement is judged.

    Attributes:
        criterion: of the measurement.
        basis: where its threshold comes from: the source's own number or words, a convention of statistics or of the
            field, or ourselves, who had seen numbers ("ours") or had not ("beforehand").
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
        return self._claim(measured, verdict, of=of, detail=detail, reason=reason, cases=cases)

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
        One row a statement: `name`, `where`, `statement`, `source`, `verdict`, `measured`, `judged by`. A statement of
        which several claims are made, of two optimizers say, has the verdict they share, or each by itself; one that no
        claim is made of is "not tested", and `measured` says why.
    """
    rows = []
    for statement in statements.values():
        found = [each for each in claims if each.name == statement.name]
        rows.append(
            {
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
