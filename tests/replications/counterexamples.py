"""What every rule of a replication must be able to say, on data that are made up."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from jaxland.studies import Claim, Statement


class Case(NamedTuple):
    """Claims made of data for which a statement is true, false, or left open.

    Attributes:
        true, false: make a claim of data for which the statement holds, or does not.
        open: the same of data that decide nothing; None for a rule of exact numbers, which always decides.
    """

    true: Callable[[], Claim]
    false: Callable[[], Claim]
    open: Callable[[], Claim] | None = None


def check(name: str, statement: Statement, case: Case) -> None:
    """Asserts that a rule agrees, differs and leaves open as it should."""
    wanted = {"agrees": case.true, "differs": case.false}
    if case.open is not None:
        wanted["undecided"] = case.open
    for verdict, make in wanted.items():
        found = make()
        assert found.name == name
        assert found.verdict == verdict, found
    assert statement.rule is not None
    assert statement.rule.exact or case.open is not None, "a rule of estimates has data that decide nothing"


def check_complete(statements: Mapping[str, Statement], cases: Mapping[str, Case]) -> None:
    """Asserts that every rule has its case, and what has none a reason."""
    assert list(cases) == [name for name, each in statements.items() if each.rule is not None]
