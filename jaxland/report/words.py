"""Settings and times in words."""

import json
from typing import Any


def words(value: Any) -> str:
    """A setting as text."""
    if isinstance(value, dict):
        return ", ".join(f"{name} = {words(each)}" for name, each in sorted(value.items()))
    if isinstance(value, list):
        return ", ".join(map(words, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return value if isinstance(value, str) else json.dumps(value)


def duration(seconds: float) -> str:
    """A time in the unit that suits."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
