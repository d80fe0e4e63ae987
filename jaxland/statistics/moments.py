"""Means and variances that can be taken a part at a time and merged."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxland._short import in_short


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and sum of squared deviations over the first axis of everything added.

    Merging follows Chan, Golub and LeVeque (1979), eq. 2.1.

    Attributes:
        count: rows added.
        mean: their mean.
        squares: their summed squared deviations from the mean.
    """

    count: int = 0
    mean: Float[np.ndarray, "..."] | float = 0.0
    squares: Float[np.ndarray, "..."] | float = 0.0

    __repr__ = in_short

    def add(self, values: Float[np.ndarray, "F ..."]) -> "Moments":
        """The moments with F more rows."""
        if not len(values):
            return self
        values = np.asarray(values, np.float64)
        mean = values.mean(axis=0)
        return self.merge(Moments(len(values), mean, ((values - mean) ** 2).sum(axis=0)))

    def merge(self, other: "Moments") -> "Moments":
        """The moments of both together."""
        count = self.count + other.count
        if not count:
            return self
        shift = other.mean - self.mean
        return Moments(
            count,
            self.mean + shift * (other.count / count),
            self.squares + other.squares + shift**2 * (self.count * other.count / count),
        )

    @property
    def variance(self) -> Float[np.ndarray, "..."] | float:
        """Variance with divisor count - 1; NaN for fewer than two rows."""
        return self.squares / (self.count - 1) if self.count > 1 else self.mean * np.nan

    @property
    def deviation(self) -> Float[np.ndarray, "..."] | float:
        """Standard deviation with divisor count - 1."""
        return np.sqrt(self.variance)


def moments(values: Float[np.ndarray, "F ..."]) -> Moments:
    """The moments of F rows. To take them a part at a time, begin with `Moments()`."""
    return Moments().add(np.asarray(values))
