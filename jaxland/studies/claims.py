"""Statements of a source, what was measured of them, and whether they agree."""

from typing import Any, NamedTuple

from jaxland.studies.criteria import Criterion, Verdict


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


def claim(
    where: str, statement: str, source: str, measured: str, value: Any, criterion: Criterion, detail: str = ""
) -> Claim:
    """A claim that a criterion judges.

    Args:
        where: the source makes the statement.
        statement: in our words.
        source: its value.
        measured: ours, in words.
        value: ours, as the criterion takes it; None where it could not be measured.
        criterion: also tells, at the end of the detail, when a measurement agrees.
        detail: how it was measured.
    """
    told = f"agrees if {criterion}"
    return Claim(where, statement, source, measured, criterion.judge(value), f"{detail}; {told}" if detail else told)


def untested(where: str, statement: str, source: str, measured: str, detail: str) -> Claim:
    """A claim that nothing measured here could decide, for the reason in its detail."""
    return Claim(where, statement, source, measured, "not tested", detail)


def judged_unless(reason: str, claims: list[Claim]) -> list[Claim]:
    """The claims as they are, or, for a reason that is not empty, all marked as not tested."""
    if not reason:
        return claims
    return [each._replace(verdict="not tested", detail=f"{reason}; {each.detail}") for each in claims]
