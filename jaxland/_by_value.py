"""What a pickle cannot name, such as the functions that optax makes, sent by value."""

import copy
import pickle
from typing import Any


class ByValue:
    """Stands for a value in what is to be pickled; unpickled, it is the value.

    Attributes:
        value: anything.
        refusal, way_out: of `pickled`.
    """

    def __init__(self, value: Any, refusal: str, way_out: str):
        self.value, self.refusal, self.way_out = value, refusal, way_out

    def __reduce__(self) -> tuple[Any, ...]:
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
