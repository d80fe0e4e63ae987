"""Labels of classes, text or integers, as targets."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxland._numbers import real_numbers

# Classes that a message lists.
_LISTED = 10


def one_hot(labels: Any, classes: Iterable[Any] | None = None) -> Float[np.ndarray, "N K"]:
    """1 in the column of each point's class, 0 elsewhere.

        one_hot(["cat", "dog", "cat"])  # [[1, 0], [0, 1], [1, 0]]
        Problem(x, one_hot(table["species"]), loss="softmax_cross_entropy")

    Args:
        labels: one a point: text, integers or truth values, as a list, array, or column of pandas or Polars. Numbers
            with a decimal point must be whole.
        classes: in the order of the columns; by default the labels that occur, sorted. Give them where a part of the
            data may lack one, so that training and held-out points have the same columns.

    Raises:
        ValueError: a label is missing, is no such value or is none of the classes; labels are of several kinds; there
            are fewer than two classes, or one is named twice.
    """
    numbers, count = _numbered(labels, classes)
    return np.eye(count)[numbers]


def class_numbers(labels: Any, classes: Iterable[Any] | None = None) -> Int[np.ndarray, "N 1"]:
    """The place of each point's class among all, from 0, for losses that take integer labels.

    Args and errors are those of `one_hot`, whose column of ones it names.
    """
    return _numbered(labels, classes)[0][:, None]


def class_weights(labels: Any, each: Mapping[Any, float] | str = "balanced") -> Float[np.ndarray, "N"]:
    """The weight of each point by its class, for `Problem(..., weights=...)`.

        class_weights(["cat", "dog", "cat"])  # [0.75, 1.5, 0.75]
        class_weights(["cat", "dog", "cat"], {"cat": 1, "dog": 10})  # [1, 10, 1]

    Args:
        labels: as of `one_hot`.
        each: the weight of each class that occurs, or `"balanced"`: N / (K count) for K classes that occur, so that
            the points of every class have the same weight together (King and Zeng, 2001; scikit-learn's
            `compute_sample_weight`).

    Raises:
        TypeError: `each` is neither.
        ValueError: a label is missing or of no kind that labels have; a class has no weight, or one that is negative or
            not finite.
    """
    found = _values("labels", labels)
    if each == "balanced":
        counts = Counter(found)
        each = {label: len(found) / (len(counts) * count) for label, count in counts.items()}
    if not isinstance(each, Mapping):
        raise TypeError(f'each must be "balanced", or weights by class, as in {{"cat": 1, "dog": 10}}; got {each!r}.')
    missing = [label for label in dict.fromkeys(found) if label not in each]
    if missing:
        raise ValueError(
            f"each has no weight of the class {missing[0]!r}, which occurs in labels; it has those of "
            f"{_listed(list(each))}."
        )
    weights = real_numbers("each", [each[label] for label in found])
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise ValueError(f"each[{found[bad[0]]!r}] must be finite and not negative; got {weights[bad[0]]:g}.")
    return weights


def _numbered(labels: Any, classes: Iterable[Any] | None) -> tuple[Int[np.ndarray, "N"], int]:
    found = _values("labels", labels)
    known = sorted(set(found)) if classes is None else _values("classes", list(classes))
    if len(known) < 2 or len(set(known)) < len(known):
        whence = "the labels have" if classes is None else "classes names"
        remedy = "give all classes with classes=..." if classes is None else "name each of them once"
        raise ValueError(f"there must be two classes or more; {whence} {_listed(known)}; {remedy}.")
    places = {each: place for place, each in enumerate(known)}
    unknown = next((row for row, label in enumerate(found) if label not in places), None)
    if unknown is not None:
        raise ValueError(
            f"labels has {found[unknown]!r} in row {unknown}, which is none of the classes {_listed(known)}."
        )
    return np.array([places[label] for label in found], np.int64), len(known)


def _values(name: str, labels: Any) -> list[Any]:
    """Labels as Python's own values, all of one kind.

    Raises:
        ValueError: they are not one a point, one is missing or of no kind that labels have, or kinds are mixed.
    """
    array = np.asarray(labels, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not len(array):
        raise ValueError(f"{name} must be one a point, shape (points,); got shape {array.shape}.")
    values = [_value(name, row, value) for row, value in enumerate(array.tolist())]
    other = next((row for row, value in enumerate(values) if type(value) is not type(values[0])), None)
    if other is not None:
        raise ValueError(
            f"{name} has {values[0]!r} in row 0 but {values[other]!r} in row {other}; make all of one kind."
        )
    return values


def _value(name: str, row: int, value: Any) -> str | bool | int:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | bool | int):
        return value
    if value is None or str(value) in ("nan", "<NA>", "NaT"):
        raise ValueError(f"{name} has no value in row {row} ({value}); drop the point, or make a class of it.")
    raise ValueError(f"{name} has {value!r} ({type(value).__name__}) in row {row}; a class is text or an integer.")


def _listed(classes: Sequence[Any]) -> str:
    more = f", and {len(classes) - _LISTED} more" if len(classes) > _LISTED else ""
    return f"[{', '.join(map(repr, classes[:_LISTED]))}{more}]"
