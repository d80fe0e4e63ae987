"""What results look like where they are printed: their fields, with the shapes of arrays in place of the numbers."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

_FEW, _LONG = 6, 120


def in_short(self: Any) -> str:
    """The `__repr__` of named tuples and dataclasses that hold arrays; a page of numbers tells nothing.

    Of arrays with more than a few numbers the shape is told, of truths how many hold. Fields that are what they are by
    default are left out.
    """
    if is_dataclass(self):
        defaults = {each.name: each.default for each in fields(self) if each.repr}
    else:
        defaults = {name: self._field_defaults.get(name, self) for name in self._fields}
    values = {name: getattr(self, name) for name in defaults}
    told = (f"{name}={_told(value)}" for name, value in values.items() if value is not defaults[name])
    return f"{type(self).__name__}({', '.join(told)})"


def _told(value: Any) -> str:
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        text = getattr(value, "__name__", "") or " ".join(repr(value).split())
        many = f" of {len(value):,}" if isinstance(value, list | tuple | dict) and not hasattr(value, "_fields") else ""
        return text if len(text) <= _LONG else f"{type(value).__name__}{many or '(...)'}"
    if value.ndim == 0 or (value.ndim == 1 and value.size <= _FEW):
        return np.array2string(np.asarray(value), precision=4, separator=", ", max_line_width=1000)
    return f"{f'{np.count_nonzero(value):,} true of' if value.dtype == bool else value.dtype} {tuple(value.shape)}"
