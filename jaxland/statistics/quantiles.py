"""Quantiles, and the whole distribution function, with intervals that assume nothing of the distribution."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from jaxland.statistics.checks import ordered, probability
from jaxland.statistics.intervals import distribution_band


def quantile_intervals(
    values: Float[np.ndarray, "F"],
    levels: float | Sequence[float] | Float[np.ndarray, "L"] = (0.25, 0.5, 0.75),
    *,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Quantiles of the distribution that independent values come from, with intervals between two of the values.

    How many of F values lie below the quantile of level p is binomial, B(F, p), whatever the distribution: the
    interval from the l-th smallest value to the u-th holds it with probability P(l <= B < u), or more where values
    can be equal. Each side is left out with a probability of (1 - confidence) / 2 at most, so that the coverage is
    never below the confidence. Where even the extreme value is not far enough out, the bound is infinite.

    Args:
        values: in any order; infinite ones count, as losses of fits that diverged may.
        levels: of the quantiles, between 0 and 1.
        confidence: of each interval.

    Returns:
        One row a level: `level`; `quantile`, as `numpy.quantile` has it; `low` and `high`, bounds of the interval;
        `low_rank` and `high_rank`, which of the ordered values they are, counted from 1, and 0 or F + 1 for infinite
        bounds; `coverage`, the probability to hold the quantile of a continuous distribution; `count`, F.

    Raises:
        ValueError: there are no values, one is NaN, or a level or the confidence is not between 0 and 1.

    References:
        David and Nagaraja, Order Statistics (2003), section 7.1.
    """
    values, levels = np.sort(ordered("values", values)), np.atleast_1d(np.asarray(levels, np.float64))
    for level in levels:
        probability("levels", level)
    probability("confidence", confidence)
    count, tail = len(values), (1 - confidence) / 2
    below = stats.binom(count, levels)
    low_rank, high_rank = below.ppf(tail).astype(int), below.isf(tail).astype(int) + 1
    padded = np.concatenate([[-np.inf], values, [np.inf]])
    return pd.DataFrame(
        {
            "level": levels,
            "quantile": _quantiles(values, levels),
            "low": padded[low_rank],
            "high": padded[high_rank],
            "low_rank": low_rank,
            "high_rank": high_rank,
            "coverage": below.cdf(high_rank - 1) - below.cdf(low_rank - 1),
            "count": count,
        }
    )


def _quantiles(values, levels):
    with np.errstate(invalid="ignore"):
        between = np.quantile(values, levels)
    # There is no number between two infinite values, or between one and a finite one.
    return np.where(np.isnan(between), np.quantile(values, levels, method="higher"), between)


def ecdf(
    values: Float[np.ndarray, "F"],
    *,
    confidence: float = 0.95,
    band: Literal["simultaneous", "pointwise"] = "simultaneous",
) -> pd.DataFrame:
    """The empirical distribution function of independent values, with a band for the true one.

    Args:
        values: in any order; infinite ones count.
        confidence: that the band holds the whole distribution function, or each point of it.
        band: `"simultaneous"` is that of Dvoretzky, Kiefer and Wolfowitz with Massart's constant, see
            `distribution_band`; `"pointwise"` has Clopper and Pearson's interval at each value, narrower, but somewhere
            the true function leaves it more often than not.

    Returns:
        One row for each distinct value, in order: `value`; `share` of values up to it; `low` and `high`, bounds of the
        band from this value to the next; `count`, F.

    Raises:
        ValueError: there are no values, one is NaN, the confidence is not between 0 and 1, or the band is unknown.

    References:
        Massart, The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality (1990).
    """
    probability("confidence", confidence)
    if band not in ("simultaneous", "pointwise"):
        raise ValueError(f"band must be 'simultaneous' or 'pointwise'; got {band!r}.")
    distinct, counts = np.unique(ordered("values", values), return_counts=True)
    below, count = np.cumsum(counts), int(counts.sum())
    share = below / count
    if band == "simultaneous":
        half = distribution_band(count, confidence)
        low, high = np.clip(share - half, 0, 1), np.clip(share + half, 0, 1)
    else:
        low, high = _pointwise(below, count, confidence)
    return pd.DataFrame({"value": distinct, "share": share, "low": low, "high": high, "count": count})


def _pointwise(below, count, confidence):
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(below, count, alpha=1 - confidence, method="beta")
    return np.asarray(low), np.asarray(high)
