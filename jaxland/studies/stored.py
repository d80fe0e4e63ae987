"""Reading a study directory, whether or not the code of its study is at hand."""

import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jaxland.store import ShardFile, StudyStore
from jaxland.studies.status import study_status
from jaxland.studies.study import Study, study_of_values

if TYPE_CHECKING:
    import pandas as pd

    from jaxland.training import Ensemble, Fits

Selection = slice | range | None
"""Numbers of fits; all by default."""
_OF_A_FIT = ("fit", "params", "initial_loss", "loss", "best_loss", "best_step", "diverged_step")


class StoredStudy:
    """What a study directory holds. Everything is read when it is asked for, a shard at a time.

    Attributes:
        path: the directory.
        name: of the study.
        config: its configuration, as JSON.
        ensembles: names of its ensembles.
        asked: how many fits of each ensemble were asked for.
    """

    def __init__(self, store: StudyStore, study: Study | None = None):
        self._store, self._study = store, study
        self.path = store.path
        self.name = store.manifest.study
        self.config = store.manifest.config
        self.ensembles = store.manifest.ensembles
        self.asked = store.manifest.fits

    def __repr__(self) -> str:
        done = {name: sum(shard.stop - shard.start for shard in self._store.shards(name)) for name in self.ensembles}
        counts = ", ".join(f"{count:,} fits of {name!r}" for name, count in done.items())
        return f"StoredStudy({self.name!r} in {str(self.path)!r}: {counts}; {self.asked:,} of each asked for)"

    def _repr_html_(self) -> str:
        import pandas as pd

        columns = ("done", "shards", "diverged")
        rows = {
            name: {"asked for": self.asked} | {column: each[column] for column in columns}
            for name, each in self.status(quick=True)["ensembles"].items()
        }
        table = pd.DataFrame.from_dict(rows, orient="index").dropna(axis="columns")  # a quick look counts none diverged
        return f"<p>{html.escape(repr(self))}</p>{table.to_html(border=0)}"

    def status(self, *, quick: bool = False) -> dict[str, Any]:
        """Done, missing and diverged fits of each ensemble; see `jaxland.studies.study_status`."""
        return study_status(self.path, quick=quick)

    def stream(
        self, ensemble: str | None = None, columns: list[str] | None = None, fits: Selection = None
    ) -> Iterator[dict[str, np.ndarray]]:
        """The fits of an ensemble that are there, a shard at a time, by number.

        Args:
            ensemble: its name; may be left out where there is only one.
            columns: such as `["fit", "loss", "params"]`; all by default.
            fits: a slice or range of fits' numbers.

        Yields:
            Arrays by column, (F,), and (F, P) for parameters and (F, T) for traces.

        Raises:
            ValueError: there is no such ensemble or column, or `fits` is no increasing slice or range.
            DamagedShard: a shard is not what its name says.
        """
        name = self._named(ensemble)
        for file, rows in self._chosen(name, fits):
            shard = self._store.read(name, file, columns)
            absent = [column for column in columns or () if column not in shard.arrays]
            if absent:
                known = ", ".join(self._store.read(name, file).arrays)
                raise ValueError(f"{self.path} keeps no {absent[0]!r} of the fits of {name!r}; it has {known}.")
            yield {column: values[rows] for column, values in shard.arrays.items()}

    def _chosen(self, ensemble: str, fits: Selection) -> Iterator[tuple[ShardFile, slice]]:
        """The shards that hold some of the fits that are meant, and which of their rows these are."""
        numbers = _range(fits, self.asked)
        for file in self._store.shards(ensemble):
            # The first of the numbers that is no smaller than the shard's first.
            first = numbers.start + max(0, -(-(file.start - numbers.start) // numbers.step)) * numbers.step
            last = min(file.stop, numbers.stop)
            if first < last:
                yield file, slice(first - file.start, last - file.start, numbers.step)

    def _named(self, ensemble: str | None) -> str:
        if ensemble is None and len(self.ensembles) != 1:
            raise ValueError(f"name one of the ensembles: {', '.join(self.ensembles)}.")
        return self.ensembles[0] if ensemble is None else ensemble

    def _column(self, ensemble: str | None, name: str, fits: Selection) -> np.ndarray:
        parts = list(self.stream(ensemble, ["fit", name], fits))
        found, asked = sum(len(part["fit"]) for part in parts), len(_range(fits, self.asked))
        if not parts or found < asked:
            raise ValueError(
                f"{self.path} has {found:,} of these {asked:,} fits of {self._named(ensemble)!r}, so that rows would "
                "not tell which they are of. `stream` and `table` give those that are there, each with its number; "
                "status() tells which are missing."
            )
        return np.concatenate([part[name] for part in parts])

    def params(self, ensemble: str | None = None, fits: Selection = None) -> np.ndarray:
        """Parameters (F, P), a row for each fit asked for.

        Args:
            ensemble: its name; may be left out where there is only one.
            fits: a slice or range of fits' numbers; a million fits are better read by `stream`.

        Raises:
            ValueError: there is no such ensemble, or some of these fits are not there.
        """
        return self._column(ensemble, "params", fits)

    def trace(self, ensemble: str | None = None, fits: Selection = None) -> np.ndarray:
        """Losses (F, T) on the way, of an ensemble that keeps them; raises as `params` does."""
        return self._column(ensemble, "trace", fits)

    def table(self, ensemble: str | None = None, fits: Selection = None) -> "pd.DataFrame":
        """One row a fit: losses, status and where it came from; all ensembles under each other by default.

        Text that many rows share is kept once, as a category.
        """
        from jaxland.studies.tables import arrow_table, joined

        names = self.ensembles if ensemble is None else (ensemble,)
        return joined(
            [
                arrow_table(self._store, name, file).take(pa.array(np.arange(file.stop - file.start)[rows]))
                for name in names
                for file, rows in self._chosen(name, fits)
            ]
        )

    def fits(self, ensemble: str | None = None, fits: Selection = None) -> "Fits":
        """The fits that are there, as `jaxland.fit` returns them, without snapshots, which are not stored.

        It alone needs the code of the study, for the ensemble itself.

        Args:
            ensemble: its name; may be left out where there is only one.
            fits: a slice or range of fits' numbers.

        Raises:
            StoreError: that code is gone; the message says how to name it.
            ValueError: there is no such ensemble, or none of these fits.
        """
        from jaxland.studies.fitting import ensembles_of, open_study
        from jaxland.training import Fits, judged_of, names_of_columns

        name = self._named(ensemble)
        _, study, config = open_study(self.path, self._study)
        self._store.shards(name)  # refuses a name that is none
        kept = ensembles_of(study, config)[name]
        columns = [*_OF_A_FIT, "trace"] if kept.trace_every is not None else [*_OF_A_FIT]
        judged = names_of_columns(kept)
        parts = list(self.stream(name, [*columns, *judged], fits))
        if not parts:
            raise ValueError(f"{self.path} has none of these fits of {name!r} yet; see status().")
        arrays = {column: np.concatenate([part[column] for part in parts]) for column in columns}
        found = {column: np.concatenate([part[column] for part in parts]) for column in judged}
        empty = np.zeros((len(arrays["fit"]), 0), arrays["params"].dtype)
        note = self._store.manifest.provenance
        return Fits(
            ensemble=kept,
            **{"trace": empty, **arrays},
            snapshots=np.zeros((len(empty), 0, arrays["params"].shape[1]), empty.dtype),
            explanation=f"{note['backends'][name]['name']}: read from {self.path}.",
            provenance={each: note[each] for each in ("versions", "device")},
            judged=judged_of(found),
        )


def _range(fits: Selection, count: int) -> range:
    """The numbers of fits that are meant, of `count` that were asked for."""
    if fits is None:
        return range(count)
    numbers = range(*fits.indices(count)) if isinstance(fits, slice) else fits
    if not isinstance(numbers, range) or numbers.step < 1:
        raise ValueError(f"fits is an increasing slice or range of numbers, as in slice(0, 1000); got {fits!r}.")
    return numbers


def open_stored(path: Path | str, study: "Study | Mapping[str, Ensemble] | None" = None) -> StoredStudy:
    """Opens a study directory for reading; `jaxland.open`.

        runs = jl.open("runs/mine")
        runs.table("adam"), runs.params("adam", fits=slice(0, 1000))

    Args:
        path: the directory.
        study: its code, or the ensembles that were given by name. Only `fits` needs it, and looks for a study by
            itself.

    Raises:
        StoreError: there is none, or it is damaged beyond repair.
    """
    return StoredStudy(StudyStore.open(path), study_of_values(study) if isinstance(study, Mapping) else study)
