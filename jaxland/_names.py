"""Names: looked up in a registry, with a helpful refusal, and those that columns of tables have."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

NAMES_TAKEN = frozenset(
    (
        *("study", "ensemble", "fit", "status", "initial_loss", "loss", "best_loss", "best_step", "diverged_step"),
        *("params", "trace", "snapshots", "validation", "best_validation", "best_validation_step", "stopped_step"),
        *("best_params", "config_hash", "versions", "device", "precision", "backend", "group"),
    )
)
"""Columns of tables that say something else."""
OWN = "own."
"""Before names of what fits have of their own, where it is not clear."""


def lookup(kind: str, name: str, registry: Mapping[str, T]) -> T:
    """Returns `registry[name]`.

    Raises:
        ValueError: the name is unknown; the message offers near ones and lists all.
    """
    if name in registry:
        return registry[name]
    raise ValueError(f"unknown {kind} {name!r}.{near(name, registry)} Known: {', '.join(sorted(registry))}.")


def near(name: str, known: Iterable[str]) -> str:
    """Which of the known names may be meant, as a question after a blank; empty where none is near.

    What `lr` is to `learning_rate`, the first letters of its words, is near, too.
    """
    names = list(known)
    found = difflib.get_close_matches(str(name), names, n=2)
    found = found or [each for each in names if "_" in each and _initials(each) == name]
    return f" Did you mean {' or '.join(map(repr, found[:2]))}?" if found else ""


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))
