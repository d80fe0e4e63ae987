"""What functions of users return, asked of shapes alone: what is wrong with them is said before any work starts."""

from collections.abc import Callable
from typing import Any

import jax


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
        said = f"it raised {type(error).__name__}: {first_line(error)}{_remedy(error)}"
        raise TypeError(f"{what} cannot be taken: {said}") from error
    return found[-1]


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


def _remedy(error: Exception) -> str:
    """For functions of NumPy and of libraries made with it, which cannot be traced."""
    if isinstance(error, jax.errors.JAXTypeError | jax.errors.JAXIndexError):
        return " It is traced by JAX, so it must be written with jax.numpy in place of NumPy, scikit-learn or `if`."
    return ""
