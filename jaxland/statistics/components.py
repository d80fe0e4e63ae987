"""Two-way random effects: how much of a variance is due to rows, to columns, and to both together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats


class Estimate(NamedTuple):
    """A number with its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class TwoWayComponents:
    """Variance components of a crossed design, and what they become without each of its rows and columns.

    Attributes:
        rows, columns, both: variances of the effects of rows, of columns, and of both together (the interaction, which
            without replication holds the noise too). Unbiased, so that a component which is zero may come out negative.
        without_row: the three components without each of the I rows.
        without_column: the same without each of the J columns.
    """

    rows: float
    columns: float
    both: float
    without_row: Float[np.ndarray, "I 3"]
    without_column: Float[np.ndarray, "J 3"]

    @property
    def total(self) -> float:
        """The variance of one entry."""
        return self.rows + self.columns + self.both

    def estimate(self, quantity: Callable[..., Any], confidence: float = 0.95) -> Estimate:
        """Any function of the three components, with its interval.

            components.estimate(lambda rows, columns, both: rows / (rows + columns + both))

        The interval is that of the jackknife over rows and columns, with Student's t for the smaller of the two. It
        assumes no distribution of the effects, where intervals from mean squares take all to be normal and miss the
        truth half the time or more for effects with two modes.

        References:
            Arvesen, Jackknifing U-statistics (1969): several samples, here the rows and the columns.
        """
        value = float(quantity(self.rows, self.columns, self.both))
        variance = 0.0
        for replicates in (self.without_row, self.without_column):
            values = np.asarray(quantity(*replicates.T), np.float64)
            variance += (len(values) - 1) * np.var(values)
        degrees = min(len(self.without_row), len(self.without_column)) - 1
        half = stats.t.ppf((1 + confidence) / 2, degrees) * np.sqrt(variance)
        return Estimate(value, value - half, value + half)


def two_way_components(values: Float[np.ndarray, "I J"]) -> TwoWayComponents:
    """Variance components of values[i, j] = mean + row effect i + column effect j + effect of both.

    Rows and columns are random samples of a population each. The estimates are those of the analysis of variance:
    mean squares are set equal to their expectations.

    Args:
        values: one for each pair of a row and a column, all finite.

    Raises:
        ValueError: a value is not finite, or there are fewer than three rows or columns: the jackknife leaves one out.

    References:
        Searle, Casella and McCulloch, Variance Components (1992), chapter 4 (balanced data).
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or min(values.shape) < 3:
        raise ValueError(f"values must have at least three rows and three columns; got shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(values))} of {values.size} values are not finite.")
    return TwoWayComponents(
        *_components(values),
        without_row=np.stack([_components(np.delete(values, row, axis=0)) for row in range(values.shape[0])]),
        without_column=np.stack([_components(np.delete(values, column, axis=1)) for column in range(values.shape[1])]),
    )


def _components(values: Float[np.ndarray, "I J"]) -> Float[np.ndarray, "3"]:
    rows, columns = values.shape
    row_mean, column_mean = values.mean(axis=1), values.mean(axis=0)
    rest = values - row_mean[:, None] - column_mean + values.mean()
    both = (rest**2).sum() / ((rows - 1) * (columns - 1))
    return np.array([row_mean.var(ddof=1) - both / columns, column_mean.var(ddof=1) - both / rows, both])
