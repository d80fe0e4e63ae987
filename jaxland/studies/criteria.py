"""Criteria: values that judge a measurement and say in words what they ask of it.

Each judges with `judge`, and prints the clause that follows "agrees if": `Below(0.25, "% of its level")` prints "below
25 % of its level". A measurement is a number or, where a sample stands behind it, an `Estimate` with its interval: it
agrees where all of the interval meets the criterion, differs where nothing of it does, and is undecided in between. A
measurement of None could not be made and is not tested; NaN was made, and never agrees.
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Literal, Protocol, SupportsFloat, get_args, runtime_checkable

from jaxland.statistics.estimates import Estimate

Verdict = Literal["agrees", "differs", "undecided", "not tested"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

Measured = SupportsFloat | Estimate


@runtime_checkable
class Criterion(Protocol):
    """What is asked of a measurement. `str` of it is a clause that follows "agrees if"."""

    def judge(self, value: Any, /) -> Verdict:
        """Whether a measurement meets it; None is not tested."""
        ...


@dataclass(frozen=True)
class _Bound:
    """On one side of a bound.

    Attributes:
        bound: of the value.
        unit: words after the number; where they begin with %, the number is told in percent.
    """

    bound: SupportsFloat
    unit: str = ""
    words: ClassVar[str]
    meets: ClassVar[Callable[[Any, Any], Any]]

    def judge(self, value: Measured | None) -> Verdict:
        """Whether the value, or all of its interval, lies on that side."""
        return _by_interval(
            value, lambda low, high: _all_or_none([bool(self.meets(end, self.bound)) for end in (low, high)])
        )

    def __str__(self) -> str:
        return f"{self.words} {_told(self.bound, self.unit)}"


class Below(_Bound):
    """Less than a bound."""

    words, meets = "below", staticmethod(operator.lt)


class Above(_Bound):
    """More than a bound."""

    words, meets = "above", staticmethod(operator.gt)


class AtMost(_Bound):
    """A bound or less."""

    words, meets = "at most", staticmethod(operator.le)


class AtLeast(_Bound):
    """A bound or more."""

    words, meets = "at least", staticmethod(operator.ge)


@dataclass(frozen=True)
class Between:
    """From one bound to another, both included; `unit` as that of `Below`."""

    low: SupportsFloat
    high: SupportsFloat
    unit: str = ""

    def judge(self, value: Measured | None) -> Verdict:
        """Whether the value, or all of its interval, lies there."""
        return _by_interval(value, lambda low, high: _inside(low, high, float(self.low), float(self.high)))

    def __str__(self) -> str:
        return f"between {_told(self.low, self.unit)} and {_told(self.high, self.unit)}"


@dataclass(frozen=True)
class Within:
    """No further than a tolerance from the value that is expected; `unit` as that of `Below`."""

    expected: SupportsFloat
    tolerance: SupportsFloat
    unit: str = ""

    def judge(self, value: Measured | None) -> Verdict:
        """Whether the value, or all of its interval, lies as near."""
        expected, tolerance = float(self.expected), float(self.tolerance)
        return _by_interval(value, lambda low, high: _inside(low, high, expected - tolerance, expected + tolerance))

    def __str__(self) -> str:
        return f"within {_told(self.tolerance, self.unit)} of {_told(self.expected, self.unit)}"


@dataclass(frozen=True)
class Equals:
    """Exactly what is expected: a count, or the digits that are printed."""

    expected: SupportsFloat | str

    def judge(self, value: SupportsFloat | str | None) -> Verdict:
        """Whether the value is the one expected."""
        return _verdict(value, lambda known: known == self.expected)

    def __str__(self) -> str:
        return f"equal to {self.expected}"


@dataclass(frozen=True)
class Ordered:
    """Strictly rising values, one for each name.

    Intervals are compared whole, each with the next; where measurements are paired, an estimate of their difference and
    `Above(0)` decide more.
    """

    names: tuple[str, ...]

    def judge(self, value: Iterable[Any] | None) -> Verdict:
        """Whether each value, or its interval, is larger than the one before it.

        Raises:
            ValueError: there are more or fewer values than names.
        """
        values = None if value is None else list(value)
        if values is not None and len(values) != len(self.names):
            raise ValueError(f"give one value for each of {', '.join(self.names)}; got {len(values)}.")
        return "not tested" if values is None else _together([_rises(*pair) for pair in pairwise(values)])

    def __str__(self) -> str:
        return f"in the order {' < '.join(self.names)}"


@dataclass(frozen=True)
class Stated:
    """A condition that only words can tell; the measurement is whether it is met."""

    words: str = ""

    def judge(self, value: Any) -> Verdict:
        """Whether it is met."""
        return _verdict(value, bool)

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Each:
    """A criterion that each of several values meets. None of them at all is not tested."""

    criterion: Criterion

    def judge(self, value: Iterable[Any] | None) -> Verdict:
        """Whether all of them do."""
        return _together([self.criterion.judge(each) for each in ([] if value is None else value)])

    def __str__(self) -> str:
        return f"each is {self.criterion}"


@dataclass(frozen=True)
class All:
    """Several criteria, each of a measurement of its own.

    Attributes:
        parts: by the words that come before the clause, with the verb: `{"the median is": Below(2), "none diverges":
            Stated()}` prints "the median is below 2 and none diverges".
    """

    parts: Mapping[str, Criterion] = field(hash=False)

    def judge(self, value: Iterable[Any] | None) -> Verdict:
        """Whether each of the measurements, in the order of the parts, meets its own.

        Raises:
            ValueError: there are more or fewer measurements than parts.
        """
        if value is None:
            return "not tested"
        pairs = zip(self.parts.values(), value, strict=True)
        return _together([criterion.judge(each) for criterion, each in pairs])

    def __str__(self) -> str:
        return " and ".join(f"{words} {criterion}".rstrip() for words, criterion in self.parts.items())


def _verdict(value: Any, test: Callable[[Any], Any]) -> Verdict:
    if value is None:
        return "not tested"
    return "agrees" if test(value) else "differs"


def _by_interval(value: Measured | None, test: Callable[[float, float], Verdict]) -> Verdict:
    """What a test of an interval says; of an interval that is not known, nothing is decided."""
    if value is None:
        return "not tested"
    known, low, high = _ends(value)
    if math.isnan(known):
        return "differs"
    return "undecided" if math.isnan(low) or math.isnan(high) else test(low, high)


def _all_or_none(met: list[bool]) -> Verdict:
    return "agrees" if all(met) else "undecided" if any(met) else "differs"


def _inside(low: float, high: float, least: float, most: float) -> Verdict:
    if least <= low and high <= most:
        return "agrees"
    return "differs" if high < least or most < low else "undecided"


def _rises(first: Any, second: Any) -> Verdict:
    one, other = _ends(first), _ends(second)
    if math.isnan(one.value) or math.isnan(other.value):
        return "differs"
    if one.high < other.low:
        return "agrees"
    return "differs" if one.low >= other.high else "undecided"


def _ends(value: Measured) -> Estimate:
    return value if isinstance(value, Estimate) else Estimate.exact(float(value))


def _together(verdicts: list[Verdict]) -> Verdict:
    """One part that differs decides; else one that is not tested does, then one that is undecided."""
    for decisive in ("differs", "not tested", "undecided"):
        if decisive in verdicts:
            return decisive
    return "agrees" if verdicts else "not tested"


def _told(number: SupportsFloat, unit: str = "") -> str:
    shown = 100 * float(number) if unit.startswith("%") else float(number)
    return f"{shown:g} {unit}".rstrip()
