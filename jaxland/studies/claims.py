"""Statements of a source, what was measured of them, and whether they agree."""

from typing import Literal, NamedTuple

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
