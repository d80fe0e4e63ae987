"""Statements of a source, what was measured of them, and whether they agree."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxland.studies.criteria import VERDICTS, Verdict


class Claim(NamedTuple):
    """A statement of a source, and what was measured; or a measurement of our own, which no source states.

    Attributes:
        where: the source makes it, "" for a measurement of our own.
        statement: what it says, in our words.
        source: the source's value.
        measured: ours.
        verdict: whether they agree; "" for a measurement of our own.
        detail: how it was measured.
        of: what was measured, where there are several: an optimizer, an ensemble.
        rule: when it agrees, in words.
        basis: where the rule's threshold comes from.
        cases: how many the measurement rests on, "" where they are not counted.
        reason: why it was not tested.
        name: of the statement.
        judged: the numbers that the rule took, each with its interval, which need not be those of `measured`; "" of
            a claim from before they were kept.
    """

    where: str
    statement: str
    source: str
    measured: str
    verdict: Verdict | str
    detail: str = ""
    of: str = ""
    rule: str = ""
    basis: str = ""
    cases: str = ""
    reason: str = ""
    name: str = ""
    judged: str = ""


def measurement(text: str, measured: str, *, of: str = "", detail: str = "") -> Claim:
    """A measurement that answers a question of our own: no source states it, so that it agrees with none.

    Args:
        text: what was measured.
        measured: what came out, with its interval where a sample stands behind it.
        of: what it was measured of, where there are several.
        detail: how.
    """
    return Claim("", text, "", measured, "", of=of, detail=detail)


def judged_unless(reason: str, claims: Sequence[Claim]) -> list[Claim]:
    """The claims as they are, or, for a reason that is not empty, all that have a verdict marked as not tested."""
    if not reason:
        return list(claims)
    return [each._replace(verdict="not tested", reason=reason) if each.verdict else each for each in claims]


def tally(claims: Sequence[Claim]) -> str:
    """How many claims have which verdict, and how many measurements of our own there are beside them."""
    words = {"agrees": "agree", "differs": "differ", "undecided": "undecided", "not tested": "not tested"}
    counts = {verdict: sum(each.verdict == verdict for each in claims) for verdict in VERDICTS}
    told = ", ".join(
        f"{count} {words[verdict]}" for verdict, count in counts.items() if count or verdict != "undecided"
    )
    own = sum(not each.verdict for each in claims)
    return f"{told}; {own} measurements of our own" if own else told


def reasons(claims: Sequence[Claim]) -> list[str]:
    """Why claims were not tested, each reason once with the number of claims, the most frequent first."""
    found = [each.reason for each in claims if each.verdict == "not tested" and each.reason]
    counts = {reason: found.count(reason) for reason in found}
    return [f"{count} not tested: {reason}" for reason, count in sorted(counts.items(), key=lambda item: -item[1])]
