"""Shares of successes in bins of another variable."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from jaxland._short import in_short
from jaxland.statistics.intervals import wilson_interval
from jaxland.statistics.outcomes import outcomes


class BinnedShares(NamedTuple):
    """Successes bin by bin; share and interval of an empty bin are NaN."""

    edges: Float[np.ndarray, "bins_plus_1"]
    counts: Int[np.ndarray, "bins"]
    successes: Int[np.ndarray, "bins"]
    share: Float[np.ndarray, "bins"]
    low: Float[np.ndarray, "bins"]
    high: Float[np.ndarray, "bins"]
    """Bounds of Wilson's interval."""
    outside: int
    """Values in no bin, NaN among them."""

    __repr__ = in_short


def binned_shares(
    x: Float[np.ndarray, "F"],
    success: Shaped[np.ndarray, "F"],
    edges: Float[np.ndarray, "bins_plus_1"],
    *,
    confidence: float = 0.95,
) -> BinnedShares:
    """Counts successes in bins of x, with intervals for their probability.

    Args:
        x: where.
        success: what happened there, truth values or the numbers 0 and 1.
        edges: bounds of the bins, increasing; a bin holds its left bound, the last one both.
        confidence: of the intervals.

    Raises:
        ValueError: x and success differ in length, an outcome is neither 0 nor 1, or the edges do not increase.
    """
    x, success, edges = np.asarray(x, np.float64), outcomes("success", success), np.asarray(edges, np.float64)
    if x.shape != success.shape:
        raise ValueError(f"x and success must have one entry a value each; got {len(x)} and {len(success)}.")
    if len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"edges must be at least two increasing numbers; got {edges}.")
    counts = np.histogram(x[~np.isnan(x)], edges)[0]
    successes = np.histogram(x[~np.isnan(x) & success], edges)[0]
    bounds = [
        wilson_interval(int(hits), int(trials), confidence) if trials else (np.nan, np.nan)
        for hits, trials in zip(successes, counts, strict=True)
    ]
    low, high = np.transpose(bounds)
    share = np.where(counts > 0, successes / np.maximum(counts, 1), np.nan)
    return BinnedShares(edges, counts, successes, share, low, high, len(x) - int(counts.sum()))
