"""Looking a name up in a registry, with a helpful refusal."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def lookup(kind: str, name: str, registry: Mapping[str, T]) -> T:
    """Returns `registry[name]`.

    Raises:
        ValueError: the name is unknown; the message offers near ones and lists all.
    """
    if name in registry:
        return registry[name]
    near = difflib.get_close_matches(str(name), registry, n=2)
    # `lr` means `learning_rate`, and is near to nothing.
    near = near or [each for each in registry if "_" in each and _initials(each) == name]
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(sorted(registry))}.")


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))
