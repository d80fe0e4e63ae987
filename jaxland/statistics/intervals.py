"""Confidence intervals."""

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxland._scaling import deviation as deviation_of


def wilson_interval(
    successes: int | np.integer, trials: int | np.integer, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval for a probability, by Wilson (1927); [0, 1] without trials.

    Raises:
        ValueError: the successes are not a whole number from 0 to that of the trials.
    """
    if not (0 <= successes <= trials and successes % 1 == 0):
        raise ValueError(f"successes must be a whole number from 0 to {trials}, the trials; got {successes}.")
    if trials == 0:
        return 0.0, 1.0
    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(
    mean: Float[np.ndarray, "..."], deviation: Float[np.ndarray, "..."], count: int, confidence: float = 0.95
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Interval for a mean, from Student's t; NaN for fewer than two values."""
    if count < 2:
        return mean * np.nan, mean * np.nan
    half = stats.t.ppf((1 + confidence) / 2, count - 1) * deviation / np.sqrt(count)
    return mean - half, mean + half


def sample_interval(values: Float[np.ndarray, "F"], confidence: float = 0.95) -> tuple[float, float]:
    """Interval for the mean of the distribution the values come from, as `mean_interval` has it."""
    deviation = deviation_of(np.asarray(values)[:, None], ddof=1) if len(values) > 1 else np.full(1, np.nan)
    low, high = mean_interval(np.mean(values, keepdims=True), deviation, len(values), confidence)
    return float(low[0]), float(high[0])


def distribution_band(count: int, confidence: float = 0.95) -> float:
    """Half-width of a band that holds the whole distribution function of `count` independent values.

    Dvoretzky, Kiefer and Wolfowitz (1956) with the constant of Massart (1990): sqrt(log(2 / alpha) / (2 n)).
    """
    return float(np.sqrt(np.log(2 / (1 - confidence)) / (2 * count)))
