"""What a study directory holds, gathered for its page."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from jaxland.report.claims import read_claims
from jaxland.report.figures import Figure, read_figures
from jaxland.report.losses import EnsembleLosses, read_losses
from jaxland.report.picked import pick
from jaxland.report.tables import Table, read_tables
from jaxland.store import Manifest, StoreError, StudyStore
from jaxland.studies import STUDIES, Claim
from jaxland.studies.commands import Command, read_commands
from jaxland.studies.request import stored_request
from jaxland.studies.speed import Speed, read_speed

SAMPLE = 4000  # fits drawn one by one, all ensembles together
_NAMED = 4  # of a list of files, in a sentence


class Notice(NamedTuple):
    """Something that is missing or wrong, and the command that mends it, or ""."""

    text: str
    command: str = ""


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything the page shows.

    Attributes:
        name: of the directory.
        manifest: what was asked for.
        title, source: of the study, "" where they are not known here.
        ensembles: what is stored of each.
        analyses: settings of those that were asked for, by name.
        claims: with their verdicts; None where there are none to be read.
        figures, tables: in order.
        figures_left_out: names of those for which the page has no room.
        others: names of further files of the analysis.
        notices: what is missing or wrong.
        analyse: the command that makes claims, figures and tables.
        commands: that were carried out in the directory, as far as they were noted.
        speed: how fast the fits were trained.
        picked: some fits of each ensemble, to be shown one by one.
    """

    name: str
    manifest: Manifest
    title: str
    source: str
    ensembles: dict[str, EnsembleLosses]
    analyses: dict[str, dict[str, Any]]
    claims: list[Claim] | None
    figures: list[Figure]
    figures_left_out: list[str]
    tables: list[Table]
    others: list[str]
    notices: list[Notice]
    analyse: str
    commands: list[Command]
    speed: Speed
    picked: dict[str, Any]


def read_contents(directory: Path | str) -> Contents:
    """Reads a study directory, however incomplete.

    Raises:
        StoreError: it is none, or it is damaged beyond repair.
    """
    store = StudyStore.open(directory)
    title, source = _about(store.manifest)
    names = store.manifest.ensembles
    ensembles = {name: read_losses(store, name, SAMPLE // max(len(names), 1)) for name in names}
    figures, broken_figures, figures_left_out = read_figures(store.path)
    tables, broken_tables, others = read_tables(store.path)
    resume, analyse = (f"jaxland {command} {shlex.quote(str(directory))}" for command in ("resume", "analyse"))
    notices = _of_the_fits(store, ensembles, resume)
    claims, of_the_analysis = _claims_and_notices(store.path, ensembles, analyse)
    broken = broken_figures + broken_tables
    commands = read_commands(store.path, broken.append)
    picked = pick(store, ensembles, broken.append)
    if broken:
        of_the_analysis.append(Notice(f"Files that cannot be read are left out: {_listed(broken)}.", analyse))
    return Contents(
        name=store.path.resolve().name,
        manifest=store.manifest,
        title=title,
        source=source,
        ensembles=ensembles,
        analyses=stored_request(store),
        claims=claims,
        figures=figures,
        figures_left_out=figures_left_out,
        tables=tables,
        others=others,
        notices=notices + of_the_analysis,
        analyse=analyse,
        commands=commands,
        speed=read_speed(store),
        picked=picked,
    )


def _about(manifest: Manifest) -> tuple[str, str]:
    """Title and source; directories of earlier versions do not say them, and their studies are installed."""
    if manifest.origin is None and not manifest.title and manifest.study in STUDIES:
        return STUDIES[manifest.study].title, STUDIES[manifest.study].source
    return manifest.title, manifest.source


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _of_the_fits(store: StudyStore, ensembles: dict[str, EnsembleLosses], resume: str) -> list[Notice]:
    notices = []
    if store.edited is not None:
        text = "study.json was edited or is damaged; its content was taken from the shards."
        notices.append(Notice(" ".join([text, *(line.strip() + "." for line in store.edited)])))
    elif store.rebuilt:
        notices.append(Notice("study.json cannot be read; its content was taken from the shards.", resume))
    damaged = [name for each in ensembles.values() for name in each.damaged]
    if damaged:
        notices.append(
            Notice(f"Damaged shards are left out, and their fits count as missing: {_listed(damaged)}.", resume)
        )
    missing = {name: count_missing(each) for name, each in ensembles.items() if each.missing}
    if missing:
        counts = ", ".join(f"{count:,} of {name}" for name, count in missing.items())
        notices.append(Notice(f"Fits are missing: {counts}.", resume))
    return notices


def count_missing(losses: EnsembleLosses) -> int:
    """How many of the fits asked for are not there."""
    return sum(stop - start for start, stop in losses.missing)


def _claims_and_notices(
    path: Path, ensembles: dict[str, EnsembleLosses], analyse: str
) -> tuple[list[Claim] | None, list[Notice]]:
    stored = sum(each.fits for each in ensembles.values())
    if not stored:
        return None, []  # there is nothing to analyse, and that fits are missing has been said
    if not (path / "summary.md").exists():
        return None, [Notice("Not analysed yet: there are no claims, figures and tables.", analyse)]
    notices = []
    analysed = _rows(path / "table.parquet")
    if analysed is None:
        notices.append(Notice("table.parquet cannot be read.", analyse))
    elif analysed != stored:
        text = f"The analysis is of {analysed:,} fits, and {stored:,} are stored: claims, figures and tables are old."
        notices.append(Notice(text, analyse))
    try:
        return read_claims(path), notices
    except StoreError as error:
        return None, [*notices, Notice(str(error), analyse)]


def _rows(path: Path) -> int | None:
    try:
        return pq.ParquetFile(path).metadata.num_rows
    except (OSError, pa.ArrowInvalid):
        return None
