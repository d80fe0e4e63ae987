"""Intervals for any statistic, by drawing samples from the sample."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxland._scaling import exponent
from jaxland._short import in_short
from jaxland.statistics.checks import finite, probability

# Numbers of resampled values held at a time.
_HELD = 2**22


class BootstrapInterval(NamedTuple):
    """A statistic with its interval, and the distribution that the interval comes from."""

    value: float
    low: float
    high: float
    standard_error: float
    """Standard deviation of the distribution."""
    distribution: Float[np.ndarray, "resamples"]
    """The statistic of each resample, in the order drawn."""
    confidence: float
    method: str
    count: int
    """Rows of the sample."""

    __repr__ = in_short


def bootstrap_interval(
    values: Float[np.ndarray, "F *rest"],
    statistic: Callable[..., Any],
    *,
    seed: int | np.random.Generator,
    method: Literal["bca", "percentile"] = "bca",
    confidence: float = 0.95,
    resamples: int = 9999,
) -> BootstrapInterval:
    """The interval of a statistic of F independent rows, by the bootstrap of `scipy.stats.bootstrap`.

        bootstrap_interval(losses, np.median, seed=0)
        bootstrap_interval(np.stack([losses, norms], axis=1), lambda rows: np.corrcoef(rows.T)[0, 1], seed=0)

    BCa, bias-corrected and accelerated, is more exact than plain percentiles by an order of the sample size, but calls
    the statistic F more times, each time without one row. Neither is of use for an extreme, which no resample exceeds.

    Args:
        values: one row a fit, a number or several.
        statistic: of a sample, to one number. Of plain numbers it may have an argument `axis`, as NumPy's have, and is
            then called for many samples at once, which is faster by far.
        seed: of the resamples, or a generator to draw them with.
        method: `"bca"` or `"percentile"`.
        confidence: of the interval.
        resamples: how many.

    Raises:
        ValueError: fewer than two rows, a value or the statistic that is not finite, an unknown method, a confidence
            not between 0 and 1, or a statistic for which BCa does not exist.

    References:
        Efron, Better bootstrap confidence intervals (1987).
        Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 14.
    """
    values = finite("values", values)
    probability("confidence", confidence)
    if method not in ("bca", "percentile"):
        raise ValueError(f"method must be 'bca' or 'percentile'; got {method!r}.")
    if not values.ndim or len(values) < 2:
        raise ValueError(f"a bootstrap needs at least two rows; got shape {values.shape}.")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1; got {resamples}.")
    value = float(statistic(values))
    if not np.isfinite(value):
        raise ValueError(f"the statistic of the values is {value}; it must be finite.")
    shift = int(exponent(np.array([value]))[0])
    found = _bootstrap(values, statistic, shift, method, confidence, resamples, np.random.default_rng(seed))
    low, high, error = (
        float(np.ldexp(each, shift)) for each in (*found.confidence_interval, np.asarray(found.standard_error))
    )
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(
            "there is no BCa interval: the statistic is the same without any one row, or all resamples lie on one side "
            "of it. Take method='percentile'."
        )
    distribution = np.ldexp(np.asarray(found.bootstrap_distribution), shift)
    return BootstrapInterval(value, low, high, error, distribution, confidence, method, len(values))


def _bootstrap(values, statistic, shift, method, confidence, resamples, generator):
    """In units of a power of two: acceleration is made of cubes, which overflow."""
    at_once = values.ndim == 1 and _takes_axis(statistic)

    def of_many(samples, axis):
        return np.ldexp(np.asarray(statistic(samples, axis=axis), np.float64), -shift)

    def of_one(rows):
        return np.ldexp(float(statistic(values[rows])), -shift)

    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # told by the bounds, which are NaN
        return stats.bootstrap(
            (values if at_once else np.arange(len(values)),),
            of_many if at_once else of_one,
            n_resamples=resamples,
            batch=max(_HELD // len(values), 1),
            vectorized=at_once,
            confidence_level=confidence,
            method={"bca": "BCa", "percentile": "percentile"}[method],
            rng=generator,
        )


def _takes_axis(statistic):
    try:
        return "axis" in inspect.signature(statistic).parameters
    except (TypeError, ValueError):  # some functions written in C tell nothing of their arguments
        return False
