"""Numbers with the intervals that tell how far they can be trusted."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Estimate(NamedTuple):
    """A number with its confidence interval.

    Formatted, all three are, as in `f"{estimate:.1%}"`: "37.7% (33.6% to 42.0%)"; an exact number stands alone.
    """

    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> "Estimate":
        """A number that no sample stands behind: its interval is the number itself."""
        return cls(float(value), float(value), float(value))

    @classmethod
    def share(cls, successes: int | np.integer, trials: int | np.integer, confidence: float = 0.95) -> "Estimate":
        """A probability, with Wilson's interval; NaN in [0, 1] without trials.

        Raises:
            ValueError: the successes are not a whole number from 0 to that of the trials.
        """
        from jaxland.statistics.intervals import wilson_interval

        return cls(successes / trials if trials else np.nan, *wilson_interval(successes, trials, confidence))

    @classmethod
    def mean(cls, values: Float[np.ndarray, "F"], confidence: float = 0.95) -> "Estimate":
        """The mean of the distribution that values come from, with Student's interval; NaN for bounds of one value."""
        from jaxland.statistics.intervals import sample_interval

        values = np.asarray(values, np.float64)
        return cls(float(values.mean()), *sample_interval(values, confidence))

    @classmethod
    def quantile(cls, values: Float[np.ndarray, "F"], level: float = 0.5, confidence: float = 0.95) -> "Estimate":
        """A quantile, the median by default, with the interval of `quantile_intervals`, which assumes nothing.

        Raises:
            ValueError: there are no values, one is NaN, or the level is not between 0 and 1.
        """
        from jaxland.statistics.quantiles import quantile_intervals

        row = quantile_intervals(np.asarray(values, np.float64), level, confidence=confidence).iloc[0]
        return cls(float(row["quantile"]), float(row["low"]), float(row["high"]))

    def __str__(self) -> str:
        return format(self, ".4g")

    def __format__(self, specification: str) -> str:
        value, low, high = (format(each, specification or ".4g") for each in self)
        return value if self.low == self.value == self.high else f"{value} ({low} to {high})"
