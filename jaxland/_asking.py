"""What functions of users return, asked of shapes alone: what is wrong with them is said before any work starts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax

_OF_TRACERS = jax.errors.JAXTypeError, jax.errors.JAXIndexError


def returned(what: str, function: Callable[..., Any], *shapes: Any) -> Any:
    """What a function returns, with tracers for arrays; it may be anything.

    Args:
        what: the function is, in messages.
        function: of a user.
        shapes: of its arguments.

    Raises:
        TypeError: it raises something, or is not written for JAX.
    """
    found: list[Any] = []

    def ask(*arguments):
        found.append(function(*arguments))
        return ()

    try:
        jax.eval_shape(ask, *shapes)
    except Exception as error:  # of any kind: the code is the user's
        raise _refusal(what, error) from error
    return found[-1]


@contextmanager
def traceable(what: str) -> Iterator[None]:
    """Within it a function of a user is called, perhaps with tracers; other errors than those of tracers pass.

    Args:
        what: the function is, in messages.

    Raises:
        TypeError: it is not written for JAX.
    """
    try:
        yield
    except _OF_TRACERS as error:
        raise _refusal(what, error) from error


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape of a number or an array; None of anything else."""
    return getattr(value, "shape", () if isinstance(value, bool | int | float) else None)


def in_words(value: Any) -> str:
    """What a function returned."""
    shape = shape_of(value)
    return f"a {type(value).__name__}" if shape is None else "one number" if shape == () else f"shape {shape}"


def first_line(error: Exception) -> str:
    """What an error says, or what it is."""
    return (str(error) or repr(error)).splitlines()[0]


def _refusal(what: str, error: Exception) -> TypeError:
    said = first_line(error).removesuffix(".")
    return TypeError(f"{what} cannot be taken: it raised {type(error).__name__}: {said}.{remedy_of(error)}")


def remedy_of(error: Exception) -> str:
    """For functions of NumPy and of libraries made with it, which cannot be traced; empty for other errors."""
    if isinstance(error, _OF_TRACERS):
        return " It is traced by JAX, so it must be written with jax.numpy in place of NumPy, scikit-learn or `if`."
    return ""
