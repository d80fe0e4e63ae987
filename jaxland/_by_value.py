"""What a pickle cannot name, such as the functions that optax makes, sent by value."""

import copy
import pickle
import threading
from typing import Any

# Set while a value is pickled on its own: what stands in it for others is then pickled with it, and once. A pickle
# in a pickle for each of them would hold all that they share again and again, and take a time that doubles with each.
_within = threading.local()


def _same(value: Any) -> Any:
    return value


class ByValue:
    """Stands for a value in what is to be pickled; unpickled, it is the value.

    Attributes:
        value: anything.
        refusal, way_out: of `pickled`.
    """

    def __init__(self, value: Any, refusal: str, way_out: str):
        self.value, self.refusal, self.way_out = value, refusal, way_out

    def __reduce__(self) -> tuple[Any, ...]:
        if getattr(_within, "a_value", False):
            return _same, (self.value,)
        return pickle.loads, (pickled(self.value, self.refusal, self.way_out),)

    def __deepcopy__(self, memo: dict[int, Any]) -> "ByValue":
        return ByValue(copy.deepcopy(self.value, memo), self.refusal, self.way_out)


def pickled(value: Any, refusal: str, way_out: str, *, session: bool = True) -> bytes:
    """A pickle that holds what cannot be found by name; where there is such, cloudpickle makes it.

    Args:
        value: anything.
        refusal: what to say where it cannot be, such as "these fits cannot be pickled".
        way_out: what to do then, as the beginning of a sentence.
        session: whether names of this session are good enough where cloudpickle is not installed.

    Raises:
        TypeError: something has no name, and cloudpickle is not installed or does not know it either.
    """
    before, _within.a_value = getattr(_within, "a_value", False), True
    try:
        return _pickled(value, refusal, way_out, session)
    finally:
        _within.a_value = before


def _pickled(value: Any, refusal: str, way_out: str, session: bool) -> bytes:
    content = None
    try:
        content = pickle.dumps(value)
        if b"__main__" not in content:
            return content
        reason = "it is defined in this session, which other processes do not have"
    except Exception as error:  # of any kind: objects of a user's refuse to be pickled as they like
        reason = error
    try:
        import cloudpickle
    except ImportError as error:
        if content is not None and session:
            return content
        raise TypeError(
            f"{refusal}: {reason}. {way_out}, or install what sends functions by value: pip install cloudpickle."
        ) from error
    try:
        return cloudpickle.dumps(value)
    except Exception as error:  # as above
        raise TypeError(f"{refusal}: {error}. {way_out}.") from error
