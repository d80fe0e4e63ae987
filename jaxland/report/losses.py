"""The losses of an ensemble, reduced a shard at a time: what the interactive part shows."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Int

from jaxland.report.measures import LOSS, VALIDATION, Measure
from jaxland.statistics import Histogram
from jaxland.store import DamagedShard, ShardFile, StudyStore, missing_ranges
from jaxland.training.judgements import COLUMNS as JUDGED
from jaxland.training.judgements import NUMBERS, judgements

COLUMNS = ["fit", "status", "initial_loss", "loss", "best_loss", "best_step", "diverged_step"]
_SEED = 0


@dataclass(frozen=True, eq=False)
class EnsembleLosses:
    """The stored fits of one ensemble.

    Attributes:
        fits: stored and readable fits.
        diverged: those whose loss is not finite.
        stopped: those that validation stopped early; None where none of the fits were judged.
        missing: ranges (start, stop) of the fits asked for that are not stored or not readable.
        damaged: names of damaged shards.
        measured: losses and what validation found of the fits that did not diverge, by column.
        best: what the best fit has of these, by column; empty where there is none.
        sample: random rows of the table.
    """

    fits: int
    diverged: int
    stopped: int | None
    missing: list[tuple[int, int]]
    damaged: list[str]
    measured: dict[str, Measure]
    best: dict[str, float]
    sample: pd.DataFrame

    @property
    def ranked_by(self) -> Measure:
        """What the best fit is the least of: the smallest validation loss where there is one, else the loss."""
        return _ranking(self.measured)

    @property
    def log_loss(self) -> Histogram:
        """Histogram of the base-10 logarithms of the losses above zero."""
        return self.measured[LOSS].log

    @property
    def off_axis(self) -> int:
        """Fits whose loss is finite and in no bin: zero, negative, or beyond what float32 can hold."""
        return self.measured[LOSS].off_axis

    @property
    def best_fit(self) -> int:
        """Whose loss is the smallest; -1 without a finite one."""
        return self.measured[LOSS].least_fit

    @property
    def best_loss(self) -> float:
        """The smallest; NaN without a finite one."""
        return self.measured[LOSS].least

    @property
    def worst_fit(self) -> int:
        """Whose finite loss is the largest, -1 without any."""
        return self.measured[LOSS].largest_fit

    @property
    def worst_loss(self) -> float:
        """The largest finite one, NaN without any."""
        return self.measured[LOSS].largest

    @property
    def median(self) -> float:
        """Median of the finite losses, to within 0.1 %; NaN without any, or where some are in no bin."""
        return self.quantile(0.5)

    def quantile(self, probability: float) -> float:
        """Any quantile, likewise."""
        return self.measured[LOSS].quantile(probability)


def _ranking(measured: dict[str, Measure]) -> Measure:
    return measured.get(VALIDATION, measured[LOSS])


@dataclass
class _Reduction:
    fits: int = 0
    diverged: int = 0
    stopped: int | None = None
    measured: dict[str, Measure] = field(default_factory=lambda: {LOSS: Measure(LOSS)})
    best: dict[str, float] = field(default_factory=dict)

    def add(self, rows: dict[str, np.ndarray]) -> None:
        good = rows["diverged_step"] < 0
        self.fits += len(good)
        self.diverged += int((~good).sum())
        if "stopped_step" in rows:
            self.stopped = (self.stopped or 0) + int((rows["stopped_step"] >= 0).sum())
        for column in (LOSS, *measured_columns(rows)):
            self.measured.setdefault(column, Measure(column)).add(rows["fit"][good], rows[column][good])
        place = np.flatnonzero(rows["fit"] == _ranking(self.measured).least_fit)
        if len(place):
            self.best = {column: float(rows[column][place[0]]) for column in self.measured}


def measured_columns(rows: dict[str, np.ndarray] | pd.DataFrame) -> list[str]:
    """The columns of what validation found that fits are compared by: its loss and metrics."""
    own = {*COLUMNS, *NUMBERS[1:]}
    return [column for column in rows if column not in own]


def rows_of_shard(store: StudyStore, ensemble: str, shard: ShardFile) -> dict[str, np.ndarray]:
    """What the page tells of each fit of a shard, by column; raises DamagedShard."""
    arrays = store.read(ensemble, shard, COLUMNS, optional=JUDGED).arrays
    return {name: arrays[name] for name in COLUMNS} | judgements(arrays)


def read_losses(store: StudyStore, ensemble: str, sample: int) -> EnsembleLosses:
    """Reduces the stored fits of an ensemble; memory does not grow with their number, and damaged shards are left out.

    Args:
        store: of the study.
        ensemble: its name.
        sample: how many rows to keep, drawn among all stored fits with a fixed seed.
    """
    reduction, readable, rows, damaged = _Reduction(), [], [], []
    shards = store.shards(ensemble)
    chosen = _positions(shards, sample)
    begin = 0
    for shard in shards:
        end = begin + shard.stop - shard.start
        try:
            told = rows_of_shard(store, ensemble, shard)
        except DamagedShard:
            damaged.append(shard.path.name)
        else:
            readable.append(shard)
            reduction.add(told)
            rows.append(pd.DataFrame(told).iloc[chosen[(chosen >= begin) & (chosen < end)] - begin])
        begin = end
    return EnsembleLosses(
        **vars(reduction),
        missing=missing_ranges(readable, store.manifest.fits),
        damaged=damaged,
        sample=pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=COLUMNS),
    )


def _positions(shards: list[ShardFile], sample: int) -> Int[np.ndarray, "sample"]:
    """Which of the stored fits, counted through the shards, are in the sample."""
    stored = sum(shard.stop - shard.start for shard in shards)
    return np.sort(np.random.default_rng(_SEED).choice(stored, min(stored, sample), replace=False))
