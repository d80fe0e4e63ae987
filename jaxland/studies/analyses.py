"""Which analyses of a study are wanted, doing them, and writing what they find."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from jaxland._names import lookup
from jaxland.plots import render, style
from jaxland.store import Parts, StoreError, StudyStore, commit
from jaxland.studies.claims import Claim
from jaxland.studies.configuration import from_json, require_unedited, to_json
from jaxland.studies.context import Context, Findings
from jaxland.studies.registry import study_of
from jaxland.studies.study import Outcome, Study
from jaxland.studies.summary import summary_text
from jaxland.studies.tables import ensemble_summary, write_table
from jaxland.training import available_threads

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
        lookup("analysis", name, {**study.analyses, "all": None})
    chosen = {*names, *study.default_analyses}
    return {name: getattr(study.analyses[name], scale) for name in study.analyses if name in chosen}


def requested(store: StudyStore, study: Study) -> Wanted:
    """The analyses asked for here so far; where there were none, the study's own choice."""
    try:
        stored = json.loads((store.path / _REQUEST).read_text())
        return {name: from_json(type(study.analyses[name].quick), values) for name, values in stored.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StoreError):
        return wanted(study)


def check_wanted(analyses: Wanted | None) -> None:
    """Raises TypeError for anything but settings by name, such as names alone."""
    if analyses is not None and not isinstance(analyses, Mapping):
        raise TypeError(f"analyses are settings by name, as `wanted` makes them from names; got {analyses!r}.")


def request(store: StudyStore, study: Study, analyses: Wanted | None) -> Wanted:
    """Adds to the analyses asked for here, and keeps them all in mind, so that `resume` knows them."""
    check_wanted(analyses)
    every = {**requested(store, study), **(analyses or {})}
    text = json.dumps({name: to_json(settings) for name, settings in every.items()}, indent=1)
    commit(store.path / _REQUEST, (text + "\n").encode())
    return every


def analyse(
    store: StudyStore,
    config: Any,
    analyses: Wanted | None = None,
    *,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Makes tables, figures, claims and summary from the fits that are there, however many.

    Pieces that take long are kept as they are finished: an interrupted analysis, begun again, goes on.

    Args:
        store: the study directory.
        config: its configuration.
        analyses: which, with their settings, besides those that were asked for here before.
        threads: how many to use; all processors by default.
        say: receives lines for the user.

    Raises:
        DamagedShard: a shard is not what its name says.
        StoreError: there are no fits, the manifest was edited, or the results cannot be written.
    """
    study = study_of(config)
    require_unedited(store)
    if not any(store.shards(name) for name in store.manifest.ensembles):
        raise StoreError(f"{store.path} has no fits yet; run or resume the study first.")
    analyses = request(store, study, analyses)
    claims: list[Claim] = []
    files: list[Path] = []
    for name in (name for name in study.analyses if name in analyses):
        say(f"analysing {study.analyses[name].title}")
        parts = Parts(store.path / "parts" / name / identity(store, name, analyses[name]))
        context = Context(config, analyses[name], store, parts, threads or available_threads(), say)
        with style():
            findings = study.analyses[name].find(context)
            files += _write(store, findings)
        claims += findings.claims
    return Outcome(store.path, claims, files + _write_whole(study, store, analyses, claims))


def identity(store: StudyStore, name: str, settings: Any) -> str:
    """What the parts of an analysis depend on: settings, study, and how its fits were made; 16 hexadecimal digits."""
    facts = [name, to_json(settings), store.manifest.config_hash, store.manifest.provenance]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _write(store: StudyStore, findings: Findings) -> list[Path]:
    contents = {f"analysis/{name}": _csv(table) for name, table in findings.tables.items()}
    for stem, figure in findings.figures.items():
        contents |= {f"figures/{stem}.{kind}": render(figure, kind) for kind in ("png", "svg")}
    contents |= {f"figures/{name}": content for name, content in findings.animations.items()}
    return _commit_all(store, contents)


def _write_whole(study: Study, store: StudyStore, analyses: Wanted, claims: list[Claim]) -> list[Path]:
    table = store.path / "table.parquet"
    write_table(store, table)
    contents = {
        "claims.csv": _csv(pd.DataFrame(claims, columns=list(Claim._fields))),
        "summary.md": summary_text(study, store, analyses, ensemble_summary(store), claims).encode(),
    }
    return [table, *_commit_all(store, contents)]


def _commit_all(store: StudyStore, contents: Mapping[str, bytes]) -> list[Path]:
    for name, content in contents.items():
        commit(store.path / name, content)
    return [store.path / name for name in contents]


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, float_format="%.9g").encode()
