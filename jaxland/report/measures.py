"""One number of each fit, counted a shard at a time: its loss, or what validation found of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from jaxland.statistics import Histogram
from jaxland.training.judgements import LOSS, VALIDATION

BINS_PER_DECADE = 2000  # 0.1 % of the loss a bin
_DECADES = (-46, 39)  # what float32 can hold
_BINS = 4096  # equal ones, half of which at least lie between the extremes
_SPREAD = 100.0  # positive numbers that spread by more are told on a logarithmic axis


class Measure:
    """A number of each fit of an ensemble; those that are not finite count nowhere.

    Args:
        column: of the tables: `loss`, `best_validation`, or `best_NAME` of a metric.

    Attributes:
        count: how many finite numbers.
        log: histogram of the base-10 logarithms of those above zero.
        least_fit, least: the smallest, and whose it is; -1 and NaN without any.
        largest_fit, largest: likewise.
    """

    def __init__(self, column: str):
        self.column, self.count = column, 0
        self.log = Histogram.spanning(*_DECADES, (_DECADES[1] - _DECADES[0]) * BINS_PER_DECADE)
        self.least_fit, self.least, self.largest_fit, self.largest = -1, float("nan"), -1, float("nan")
        self._equal = _Doubling()

    @property
    def is_metric(self) -> bool:
        """Whether it is one of the user's, of which it is not known whether it should be large or small."""
        return self.column not in (LOSS, VALIDATION)

    @property
    def label(self) -> str:
        """What it is, in words."""
        known = {LOSS: "loss after training", VALIDATION: "smallest validation loss"}
        return known.get(self.column) or f"{self.column.removeprefix('best_')} at the smallest validation loss"

    @property
    def short(self) -> str:
        """The same in few words, in which the step is that of the smallest validation loss."""
        known = {LOSS: "training loss", VALIDATION: "validation loss"}
        return known.get(self.column) or f"{self.column.removeprefix('best_')} then"

    @property
    def off_axis(self) -> int:
        """How many have no bin on a logarithmic axis: zero, negative, or beyond what float32 can hold."""
        return self.count - int(self.log.counts.sum())

    @property
    def is_logarithmic(self) -> bool:
        """Whether it belongs on a logarithmic axis: losses, and metrics above zero that spread over decades."""
        return not self.is_metric or (not self.off_axis and self.largest > _SPREAD * self.least)

    @property
    def equal(self) -> Histogram:
        """Histogram of all numbers, in equal bins; of metrics alone."""
        return self._equal.histogram(self.least, self.largest)

    def add(self, fit: Int[np.ndarray, "F"], values: Float[np.ndarray, "F"]) -> None:
        """Counts F more fits."""
        good = np.isfinite(values)
        fit, values = fit[good], values[good].astype(np.float64)
        if not len(values):
            return
        self.count += len(values)
        self.log = self.log.add(np.log10(values[values > 0]))
        if not values.min() >= self.least:
            self.least_fit, self.least = int(fit[values.argmin()]), float(values.min())
        if not values.max() <= self.largest:
            self.largest_fit, self.largest = int(fit[values.argmax()]), float(values.max())
        if self.is_metric:
            self._equal.add(values)

    def quantile(self, probability: float) -> float:
        """Any quantile, to 0.1 %, of metrics to a two-thousandth of their range; NaN where some have no bin."""
        if self.is_metric:
            return float(self.equal.quantile(probability)) if self.count else float("nan")
        return float("nan") if self.off_axis else float(10 ** self.log.quantile(probability))


@dataclass
class _Doubling:
    """Counts in equal bins over a range that doubles as long as a number lies outside it."""

    low: float = float("nan")
    width: float = 0.0
    counts: np.ndarray = field(default_factory=lambda: np.zeros(_BINS, np.int64))

    def add(self, values: Float[np.ndarray, "F"]) -> None:
        low, high = float(values.min()), float(values.max())
        if not self.width:
            self.width = ((high - low) or abs(high) or 1.0) * 2 / _BINS
            self.low = low - self.width * _BINS / 4
        while low < self.low or high >= self.low + _BINS * self.width:
            pairs, down = self.counts.reshape(-1, 2).sum(axis=1), low < self.low
            self.low -= _BINS * self.width if down else 0.0
            empty = np.zeros_like(pairs)
            self.counts = np.concatenate([empty, pairs] if down else [pairs, empty])
            self.width *= 2
        bins = np.minimum((values - self.low) / self.width, _BINS - 1).astype(np.int64)
        self.counts = self.counts + np.bincount(bins, minlength=_BINS)

    def histogram(self, smallest: float, largest: float) -> Histogram:
        edges = np.nan_to_num(self.low) + (self.width or 1.0) * np.arange(_BINS + 1)
        return Histogram(edges, self.counts, smallest=smallest, largest=largest)


def columns_of(measured: Iterable[dict[str, Measure]]) -> list[str]:
    """The columns that some ensembles have numbers in: by which most are ranked first, the user's own last.

    Args:
        measured: of each ensemble, by column.
    """
    each = [list(measures) for measures in measured]
    found = list(dict.fromkeys(column for columns in each for column in columns))
    if each and all(VALIDATION in columns for columns in each):
        found.sort(key=lambda column: column != VALIDATION)
    return found
