"""Histograms that can be counted a part at a time and merged, with quantiles read from them."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from jaxland._short import in_short


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts in fixed bins, with what lies outside, the extremes and what is not a number.

    Attributes:
        edges: bounds of the bins, increasing; a bin holds its left bound, the last one both.
        counts: values in each bin.
        below, above: values outside the edges.
        invalid: NaN values, in no other count.
        smallest, largest: extremes of all other values.
    """

    edges: Float[np.ndarray, "bins_plus_1"]
    counts: Int[np.ndarray, "bins"] = field(default=None)  # type: ignore[assignment]
    below: int = 0
    above: int = 0
    invalid: int = 0
    smallest: float = np.inf
    largest: float = -np.inf

    __repr__ = in_short

    def __post_init__(self):
        if self.counts is None:
            object.__setattr__(self, "counts", np.zeros(len(self.edges) - 1, np.int64))

    @classmethod
    def spanning(cls, low: float, high: float, bins: int) -> "Histogram":
        """An empty histogram with equal bins."""
        return cls(np.linspace(low, high, bins + 1))

    def add(self, values: Float[np.ndarray, "F"]) -> "Histogram":
        """The histogram with F more values."""
        numbers = np.asarray(values, np.float64)
        numbers = numbers[~np.isnan(numbers)]
        counts, _ = np.histogram(numbers, self.edges)
        return self.merge(
            Histogram(
                self.edges,
                counts.astype(np.int64),
                int((numbers < self.edges[0]).sum()),
                int((numbers > self.edges[-1]).sum()),
                len(values) - len(numbers),
                float(numbers.min(initial=np.inf)),
                float(numbers.max(initial=-np.inf)),
            )
        )

    def merge(self, other: "Histogram") -> "Histogram":
        """The histogram of both together.

        Raises:
            ValueError: their edges differ.
        """
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("histograms can only be merged if their edges are equal.")
        return Histogram(
            self.edges,
            self.counts + other.counts,
            self.below + other.below,
            self.above + other.above,
            self.invalid + other.invalid,
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
        )

    @property
    def total(self) -> int:
        """How many values were added, those that are not numbers left out."""
        return int(self.counts.sum()) + self.below + self.above

    def share(self, low: float, high: float) -> float:
        """Share of values in [low, high), with values spread evenly inside their bin; NaN without values."""
        if not self.total:
            return float("nan")
        cumulative = np.concatenate([[0], np.cumsum(self.counts)])
        return float(np.diff(np.interp([low, high], self.edges, cumulative))[0]) / self.total

    def quantile(self, probability: float) -> float:
        """The quantile, to within one bin width; the extreme where it falls outside the edges."""
        if not self.total:
            return float("nan")
        rank = probability * self.total
        cumulative = self.below + np.concatenate([[0], np.cumsum(self.counts)])
        if rank <= cumulative[0] and self.below:
            return self.smallest
        if rank > cumulative[-1]:
            return self.largest
        bin_of = int(np.clip(np.searchsorted(cumulative, rank) - 1, 0, len(self.counts) - 1))
        inside = (rank - cumulative[bin_of]) / max(self.counts[bin_of], 1)
        value = self.edges[bin_of] + inside * (self.edges[bin_of + 1] - self.edges[bin_of])
        return float(np.clip(value, self.smallest, self.largest))

    @property
    def mode(self) -> float:
        """Centre of the fullest bin; NaN without values."""
        if not self.counts.any():
            return float("nan")
        fullest = int(self.counts.argmax())
        return float(self.edges[fullest : fullest + 2].mean())

    def coarsen(self, low: float, high: float, bins: int) -> "Histogram":
        """The same values in about `bins` wider bins over about [low, high], made by joining whole bins."""
        first, last = np.searchsorted(self.edges, [low, high])
        first, last = max(int(first) - 1, 0), min(int(last), len(self.counts))
        joined = max((last - first) // bins, 1)
        # Whole bins only: a narrow last one would look like a gap or a spike.
        last = min(first + -(-(last - first) // joined) * joined, len(self.counts))
        first = max(last - -(-(last - first) // joined) * joined, 0)
        starts = np.arange(first, last, joined)
        counts = np.add.reduceat(self.counts[:last], starts)
        edges = self.edges[[*starts, last]]
        below, above = int(self.counts[:first].sum()), int(self.counts[last:].sum())
        return Histogram(
            edges, counts, self.below + below, self.above + above, self.invalid, self.smallest, self.largest
        )


def histogram(values: Float[np.ndarray, "F"], bins: int = 100) -> Histogram:
    """The histogram of values in equal bins over the range of the finite ones.

    To count a part at a time, begin with `Histogram.spanning`.

    Args:
        values: infinite ones are counted outside, NaN as invalid.
        bins: how many.

    Raises:
        ValueError: no value is finite.
    """
    values = np.asarray(values, np.float64).ravel()
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise ValueError(f"a histogram needs a finite value; all {len(values)} are infinite or NaN.")
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        # Bins of some width about a single value, in its own unit.
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    return Histogram.spanning(low, high, bins).add(values)
