"""Outcomes, each a success or a failure: what else is given is refused, for it would be counted as a success."""

import numpy as np
from jaxtyping import Bool, Shaped


def outcomes(name: str, values: Shaped[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """Truth values of what must be truth values, or the numbers 0 and 1.

    Args:
        name: of the argument, for messages.
        values: of any dtype.

    Raises:
        ValueError: a value is masked, missing, text or any other number.
    """
    masked = np.ma.getmaskarray(values)
    values = np.asarray(values)
    if values.dtype == bool and not masked.any():
        return values
    wrong = masked.ravel() | ~np.array([_is_outcome(value) for value in values.ravel()], bool)
    if wrong.any():
        place = int(wrong.argmax())
        found = "a masked value" if masked.ravel()[place] else repr(values.ravel().tolist()[place])
        raise ValueError(
            f"{name} must hold truth values, or 0 and 1; got {found} at place {place}. Leave out what is missing, and "
            f"compare what is encoded otherwise, as in {name} == 'yes'."
        )
    return values.astype(bool)


def _is_outcome(value) -> bool:
    return isinstance(value, bool | int | float | np.bool_ | np.number) and bool(value == 0 or value == 1)
