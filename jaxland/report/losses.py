"""The losses of an ensemble, reduced a shard at a time: what the interactive part shows."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Int

from jaxland.statistics import Histogram
from jaxland.store import DamagedShard, ShardFile, StudyStore, missing_ranges

COLUMNS = ["fit", "status", "initial_loss", "loss", "best_loss", "best_step", "diverged_step"]
BINS_PER_DECADE = 2000  # 0.1 % of the loss a bin
_DECADES = (-46, 39)  # what float32 can hold
_SEED = 0


@dataclass(frozen=True, eq=False)
class EnsembleLosses:
    """The stored fits of one ensemble.

    Attributes:
        fits: stored and readable fits.
        diverged: those whose loss is not finite.
        missing: ranges (start, stop) of the fits asked for that are not stored or not readable.
        damaged: names of damaged shards.
        log_loss: histogram of the base-10 logarithms of the losses above zero.
        best_fit, best_loss: the smallest loss, and whose it is; -1 and NaN without a finite loss.
        worst_fit, worst_loss: the largest finite one, likewise.
        sample: random rows of the table.
    """

    fits: int
    diverged: int
    missing: list[tuple[int, int]]
    damaged: list[str]
    log_loss: Histogram
    best_fit: int
    best_loss: float
    worst_fit: int
    worst_loss: float
    sample: pd.DataFrame

    @property
    def off_axis(self) -> int:
        """Fits whose loss is finite and in no bin: zero, negative, or beyond what float32 can hold."""
        return self.fits - self.diverged - int(self.log_loss.counts.sum())

    @property
    def median(self) -> float:
        """Median of the finite losses, to within 0.1 %; NaN without any, or where some are in no bin."""
        return self.quantile(0.5)

    def quantile(self, probability: float) -> float:
        """Any quantile, likewise."""
        return float("nan") if self.off_axis else float(10 ** self.log_loss.quantile(probability))


@dataclass
class _Reduction:
    fits: int = 0
    diverged: int = 0
    log_loss: Histogram = field(
        default_factory=lambda: Histogram.spanning(*_DECADES, (_DECADES[1] - _DECADES[0]) * BINS_PER_DECADE)
    )
    best_fit: int = -1
    best_loss: float = float("nan")
    worst_fit: int = -1
    worst_loss: float = float("nan")

    def add(self, arrays: dict[str, np.ndarray]) -> None:
        good = arrays["diverged_step"] < 0
        fit, loss = arrays["fit"][good], arrays["loss"][good].astype(np.float64)
        self.fits += len(good)
        self.diverged += int((~good).sum())
        self.log_loss = self.log_loss.add(np.log10(loss[loss > 0]))
        if len(loss) and not loss.min() >= self.best_loss:
            self.best_fit, self.best_loss = int(fit[loss.argmin()]), float(loss.min())
        if len(loss) and not loss.max() <= self.worst_loss:
            self.worst_fit, self.worst_loss = int(fit[loss.argmax()]), float(loss.max())


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
            arrays = store.read(ensemble, shard, COLUMNS).arrays
        except DamagedShard:
            damaged.append(shard.path.name)
        else:
            readable.append(shard)
            reduction.add(arrays)
            rows.append(pd.DataFrame(arrays).iloc[chosen[(chosen >= begin) & (chosen < end)] - begin])
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
