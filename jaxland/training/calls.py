"""What is done once within a call of the user's, and anew in the next.

A function may mean something else than it did a moment ago, because an array that it captures was changed, or a global
that it reads: so no trace of it outlives the call for which it was made.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

_CALL: ContextVar[dict | None] = ContextVar("what this call has made", default=None)


@contextmanager
def one_call() -> Iterator[None]:
    """Within it, in this thread, `once` makes nothing twice."""
    token = _CALL.set({})
    try:
        yield
    finally:
        _CALL.reset(token)


def once(owner: object, kind: Hashable, make: Callable[[], T]) -> T:
    """What `make` returns, made once for this object and kind within `one_call`, and each time outside of it."""
    made = _CALL.get()
    if made is None:
        return make()
    key = id(owner), kind
    if key not in made:
        made[key] = owner, make()  # the owner is kept, so that its number is not another's
    return made[key][1]
