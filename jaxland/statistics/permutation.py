"""Permutation tests: p-values, how exactly they are known, and how many permutations that takes."""

import math
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxland.statistics.checks import probability

Alternative = Literal["less", "greater"]


class PermutationPValue(NamedTuple):
    """The p-value of a permutation or Monte-Carlo test.

    Attributes:
        value: (exceedances + 1) / (permutations + 1), never zero.
        exceedances: placebos at least as extreme as what was observed, ties among them.
        ties: placebos equal to what was observed, but for rounding.
        permutations: how many placebos there are.
        low, high: interval for the p-value that all possible permutations would give.
    """

    value: float
    exceedances: int
    ties: int
    permutations: int
    low: float
    high: float

    def randomised(self, uniform: float) -> float:
        """The p-value with ties broken by `uniform`, drawn from [0, 1).

        Where nothing is to be found it is exactly uniform on [0, 1); `value` is so on 1/(m+1), 2/(m+1), ..., 1, and
        only where there are no ties.
        """
        return (self.exceedances - self.ties + uniform * (self.ties + 1)) / (self.permutations + 1)


def permutation_p_value(
    observed: float,
    null: Float[np.ndarray, "M"],
    *,
    alternative: Alternative = "less",
    confidence: float = 0.95,
) -> PermutationPValue:
    """The p-value of an observed statistic among those of M placebos.

    The real labelling is one of the labellings that could have been, so it counts among them: both numerator and
    denominator are one larger than the plain share. Without that the p-value could be zero and the test would reject
    too often (Davison and Hinkley 1997, chapter 4; Phipson and Smyth 2010). A tie counts as extreme, and so does what
    differs by rounding alone, as sums of the same numbers in another order do: by 64 epsilons of the dtype of `null`,
    as a share of what was observed.

    Args:
        observed: the statistic of the real labelling.
        null: the statistics of the placebos, infinite ones included.
        alternative: `"less"` if small values speak against the null hypothesis, `"greater"` if large ones do.
        confidence: of the interval, Clopper and Pearson's for a share of M.

    Raises:
        ValueError: there are no placebos, a statistic is NaN, or the alternative is unknown.
    """
    if alternative not in ("less", "greater"):
        raise ValueError(f"alternative must be 'less' or 'greater'; got {alternative!r}.")
    rounding = _rounding(null)
    null = np.asarray(null, np.float64)
    if not len(null):
        raise ValueError("a p-value needs at least one placebo.")
    if np.isnan(null).any() or np.isnan(observed):
        raise ValueError("a statistic is NaN; let what failed count as infinite, in the direction that is no evidence.")
    ties = np.isclose(null, observed, rtol=rounding, atol=0.0)
    extreme = ties | (null < observed if alternative == "less" else null > observed)
    exceedances, permutations = int(extreme.sum()), len(null)
    low, high = _share_interval(exceedances, permutations, confidence)
    return PermutationPValue(
        value=(exceedances + 1) / (permutations + 1),
        exceedances=exceedances,
        ties=int(ties.sum()),
        permutations=permutations,
        low=low,
        high=high,
    )


def _rounding(values) -> float:
    """How much equal statistics may differ, as a share."""
    dtype = np.asarray(values).dtype
    return 64 * float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)


def _whole(count: float) -> int:
    """The count rounded up, unless what it is above a whole number is rounding."""
    return math.ceil(count * (1 - 16 * float(np.finfo(np.float64).eps)))


def _share_interval(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Interval for a probability, by Clopper and Pearson (1934): never too short."""
    tail = (1 - confidence) / 2
    low = stats.beta.ppf(tail, successes, trials - successes + 1) if successes else 0.0
    high = stats.beta.ppf(1 - tail, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


def permutations_to_resolve(level: float) -> int:
    """Fewest permutations M whose smallest possible p-value, 1 / (M + 1), is `level` or below.

    A test at level a is exact, and not merely conservative, where a (M + 1) is whole.

    Raises:
        ValueError: the level is not between 0 and 1.
    """
    probability("level", level)
    return max(_whole(1 / level) - 1, 1)


def permutations_to_measure(p_value: float, relative_error: float = 0.1) -> int:
    """Permutations after which a p-value is known with this relative standard error: (1 - p) / (p e^2).

    References:
        Efron and Tibshirani (1993), chapter 15: the coefficient of variation of an achieved significance level.

    Raises:
        ValueError: the p-value is not between 0 and 1, or the error is not positive.
    """
    probability("p_value", p_value)
    if not relative_error > 0:
        raise ValueError(f"relative_error must be positive; got {relative_error}.")
    return _whole((1 - p_value) / (p_value * relative_error**2))


def permutations_to_decide(p_value: float, level: float, confidence: float = 0.95) -> int | None:
    """Permutations after which the interval of a p-value leaves a level out.

    Args:
        p_value: what the p-value is; 0 where no placebo has been as extreme so far.
        level: such as 0.05.
        confidence: of the interval.

    Returns:
        About z^2 p (1 - p) / (p - level)^2, by the normal approximation, and no fewer than resolve the level. For p = 0
        the least M whose interval (0, 1 - (alpha / 2)^(1/M)) ends below the level. None where p equals the level, which
        no number of permutations would tell from it.

    Raises:
        ValueError: a probability is not between 0 and 1.
    """
    probability("level", level)
    probability("confidence", confidence)
    if p_value == 0:
        return math.ceil(math.log((1 - confidence) / 2) / math.log1p(-level))
    if not 0 < p_value <= 1:
        raise ValueError(f"p_value must lie between 0 and 1; got {p_value}.")
    if p_value == level:
        return None
    quantile = float(stats.norm.ppf((1 + confidence) / 2))
    needed = quantile**2 * p_value * (1 - p_value) / (p_value - level) ** 2
    return max(math.ceil(needed), permutations_to_resolve(level))
