"""Doing the analyses of a study that are wanted, and writing what they find."""

import json
import secrets
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from jaxland.execution import Executors, Leases, check_executor
from jaxland.plots import render, style
from jaxland.store import StoreError, StudyStore
from jaxland.studies.claims import Claim
from jaxland.studies.commands import noted
from jaxland.studies.context import Findings
from jaxland.studies.helping import helpers
from jaxland.studies.request import Wanted, remember
from jaxland.studies.shared_parts import context_of, forget_pieces
from jaxland.studies.speed import read_speed
from jaxland.studies.statements import coverage
from jaxland.studies.study import Outcome, Study
from jaxland.studies.summary import summary_text
from jaxland.studies.tables import ensemble_summary, judged_summary, write_table
from jaxland.studies.unfinished import forget_all
from jaxland.studies.worklog import LEASES, worker_name


def analyse(
    store: StudyStore,
    study: Study,
    config: Any,
    analyses: Wanted | None = None,
    *,
    threads: int | None = None,
    executor: Executors | None = None,
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
        executor: whose workers make pieces of analyses too, as of `jaxland.run`; so do those of `work`, without it.
        say: receives lines for the user.

    Raises:
        DamagedShard: a shard is not what its name says.
        StoreError: there are no fits, the manifest was edited, or the results cannot be written, as where another
            process writes.
        ClusterMissing, ValueError: what is to help cannot be used, before anything is begun.
    """
    check_executor(executor, say)
    with store.writing(), noted(store.path), helpers(store, study, executor, threads, say) as call_help:
        return make_analyses(store, study, config, analyses, threads, say, call_help=call_help)


def make_analyses(
    store: StudyStore,
    study: Study,
    config: Any,
    analyses: Wanted | None,
    threads: int | None,
    say: Callable[[str], None],
    leases: Leases | None = None,
    call_help: Callable[[], object] = lambda: None,
) -> Outcome:
    """`analyse`, for whoever holds the directory already, and may have leases there already."""
    store.require_unedited()
    if not any(store.shards(name) for name in store.manifest.ensembles):
        raise StoreError(f"{store.path} has no fits yet; run or resume the study first.")
    analyses = remember(store, study, analyses)
    ensembles = cache(lambda: study.ensembles(config))
    leases = leases or Leases(store.path / LEASES, f"{worker_name()} {secrets.token_hex(4)}")
    forget_pieces(leases)
    forget_all(store)
    claims: list[Claim] = []
    notes: list[str] = []
    captions: dict[str, str] = {}
    files: list[Path] = []
    for name in (name for name in study.analyses if name in analyses):
        say(f"analysing {study.analyses[name].title}")
        context = context_of(store, config, name, analyses[name], leases, threads, say, ensembles, call_help=call_help)
        with style():
            findings = study.analyses[name].find(context)
            files += _write(store, findings)
        for note in findings.notes:
            say(f"  {note}")
        claims += findings.claims
        notes += findings.notes
        captions |= findings.captions
    forget_pieces(leases)
    found = ensemble_summary(store), judged_summary(store), read_speed(store)
    summary = summary_text(study, store, analyses, *found, claims, notes)
    return Outcome(store.path, claims, files + _write_whole(store, study, claims, summary, captions), tuple(notes))


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
    return [store.keep(name, content) for name, content in contents.items()]


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, float_format="%.9g").encode()
