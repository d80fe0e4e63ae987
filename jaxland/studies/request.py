"""Which analyses of a study are wanted, with their settings, and what was asked for before."""

import json
from collections.abc import Mapping
from typing import Any

from jaxland._names import lookup
from jaxland.store import StoreError, StudyStore, read_if_sound
from jaxland.studies.configuration import from_json, to_json
from jaxland.studies.study import Study

Wanted = Mapping[str, Any]
"""The settings of each analysis that is wanted."""

SCALES = ("quick", "paper")
_REQUEST = "analyses.json"


def wanted(study: Study, names: tuple[str, ...] = (), scale: str = "quick") -> Wanted:
    """Analyses by name, with their settings at a scale.

    Args:
        study: whose analyses.
        names: those besides the study's own choice; `("all",)` for all.
        scale: `"quick"` or `"paper"`.

    Raises:
        ValueError: there is no such analysis or scale.
    """
    lookup("scale", scale, {name: name for name in SCALES})
    if names == ("all",):
        names = tuple(study.analyses)
    for name in names:
        lookup("analysis", name, dict.fromkeys([*study.analyses, "all"]))
    chosen = {*names, *study.made_always}
    return {name: getattr(study.analyses[name], scale) for name in study.analyses if name in chosen}


def requested(store: StudyStore, study: Study) -> Wanted:
    """The analyses asked for here so far; where there were none, the study's own choice."""
    stored = stored_request(store)
    if not stored:
        return wanted(study)
    try:
        return {name: from_json(type(study.analyses[name].quick), values) for name, values in stored.items()}
    except (ValueError, KeyError, TypeError, StoreError):
        return wanted(study)


def check_wanted(study: Study, analyses: Wanted | None) -> None:
    """Raises TypeError or ValueError for anything but settings by name, such as names alone, or settings of another."""
    if analyses is None:
        return
    if not isinstance(analyses, Mapping):
        raise TypeError(f"analyses are settings by name, as `wanted` makes them from names; got {analyses!r}.")
    for name, settings in analyses.items():
        kind = type(lookup("analysis", name, study.analyses).quick)
        if not isinstance(settings, kind):
            raise TypeError(f"the settings of the analysis {name!r} are {kind.__name__}; got {settings!r}.")


def remember(store: StudyStore, study: Study, analyses: Wanted | None) -> Wanted:
    """Adds to the analyses asked for here, and keeps them all in mind, so that `resume` knows them."""
    check_wanted(study, analyses)
    every = {**requested(store, study), **(analyses or {})}
    text = json.dumps({name: to_json(settings) for name, settings in every.items()}, indent=1)
    store.keep(_REQUEST, (text + "\n").encode())
    return every


def stored_request(store: StudyStore) -> dict[str, dict[str, Any]]:
    """The settings of the analyses asked for here, as they are kept; nothing where none are to be read."""
    try:
        stored = json.loads(read_if_sound(store.path / _REQUEST) or b"{}")
    except (ValueError, RecursionError):
        return {}
    sound = isinstance(stored, dict) and all(isinstance(each, dict) for each in stored.values())
    return stored if sound else {}
