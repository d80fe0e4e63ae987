"""Doing the analyses of a study that are wanted, and writing what they find."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from jaxland.plots import render, style
from jaxland.store import Parts, StoreError, StudyStore, commit
from jaxland.studies.claims import Claim
from jaxland.studies.configuration import to_json
from jaxland.studies.context import Context, Findings
from jaxland.studies.request import Wanted, remember
from jaxland.studies.statements import coverage
from jaxland.studies.study import Outcome, Study
from jaxland.studies.summary import summary_text
from jaxland.studies.tables import ensemble_summary, write_table
from jaxland.training import available_threads


def analyse(
    store: StudyStore,
    study: Study,
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
        study: what it holds.
        config: its configuration.
        analyses: which, with their settings, besides those that were asked for here before.
        threads: how many to use; all processors by default.
        say: receives lines for the user.

    Raises:
        DamagedShard: a shard is not what its name says.
        StoreError: there are no fits, the manifest was edited, or the results cannot be written, as where another
            process writes.
    """
    with store.writing():
        return make_analyses(store, study, config, analyses, threads, say)


def make_analyses(
    store: StudyStore,
    study: Study,
    config: Any,
    analyses: Wanted | None,
    threads: int | None,
    say: Callable[[str], None],
) -> Outcome:
    """`analyse`, for whoever holds the directory already."""
    store.require_unedited()
    if not any(store.shards(name) for name in store.manifest.ensembles):
        raise StoreError(f"{store.path} has no fits yet; run or resume the study first.")
    analyses = remember(store, study, analyses)
    ensembles = cache(lambda: study.ensembles(config))
    claims: list[Claim] = []
    notes: list[str] = []
    captions: dict[str, str] = {}
    files: list[Path] = []
    for name in (name for name in study.analyses if name in analyses):
        say(f"analysing {study.analyses[name].title}")
        parts = Parts(store.path / "parts" / name / identity(store, name, analyses[name]))
        context = Context(config, analyses[name], store, parts, threads or available_threads(), say, ensembles)
        with style():
            findings = study.analyses[name].find(context)
            files += _write(store, findings)
        for note in findings.notes:
            say(f"  {note}")
        claims += findings.claims
        notes += findings.notes
        captions |= findings.captions
    summary = summary_text(study, store, analyses, ensemble_summary(store), claims, notes)
    return Outcome(store.path, claims, files + _write_whole(store, study, claims, summary, captions), tuple(notes))


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


def _write_whole(
    store: StudyStore, study: Study, claims: list[Claim], summary: str, captions: Mapping[str, str]
) -> list[Path]:
    table = store.path / "table.parquet"
    write_table(store, table)
    contents = {
        "claims.csv": _csv(pd.DataFrame(claims, columns=list(Claim._fields))),
        "summary.md": summary.encode(),
    }
    if captions:
        contents["figures/captions.json"] = json.dumps(captions, indent=1, ensure_ascii=False).encode()
    if study.statements is not None:
        contents["statements.csv"] = _csv(coverage(study.statements(), claims))
    return [table, *_commit_all(store, contents)]


def _commit_all(store: StudyStore, contents: Mapping[str, bytes]) -> list[Path]:
    for name, content in contents.items():
        commit(store.path / name, content)
    return [store.path / name for name in contents]


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, float_format="%.9g").encode()
