"""Levels of a factor compared with each other, where each value has its partner: the same seed, the same data."""

import itertools
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from jaxland._scaling import deviation
from jaxland.statistics.checks import columns, probability
from jaxland.statistics.quantiles import quantile_intervals


def paired_tests(
    table: pd.DataFrame,
    *,
    value: str,
    factor: str,
    pairing: str | Sequence[str],
    baseline: Hashable = None,
    correction: str = "holm",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Wilcoxon's signed-rank test and the paired t-test between all levels of a factor, or of each with a baseline.

        paired_tests(fits, value="loss", factor="optimizer", pairing="seed")

    Two values are a pair if all their columns of `pairing` are equal. What has no partner, or is not finite, takes its
    pair out of the tests that it would be in and is counted there. Where that happens, more often at one level than at
    the other, the tests compare what is left, not the levels.

    Args:
        table: one row a value.
        value, factor: names of columns: the numbers, and what they are compared by.
        pairing: name or names of the columns that partners have in common.
        baseline: the level to compare all others with; by default each is compared with each.
        correction: of the p-values for how many they are, as `statsmodels.stats.multitest.multipletests` names it:
            `"holm"`, `"bonferroni"`, `"fdr_bh"` and others.
        confidence: of the intervals.

    Returns:
        One row for each two levels, and all differences are `level` less `against`:

        - `level`, `against`: of the factor.
        - `pairs`: how many were compared. `left_out`: how many more there would be if all partners were there and
          finite; `not_finite` of these have both partners.
        - `mean_difference`, `median_difference`; `low` and `high`, the interval of the latter, from order statistics
          as in `quantile_intervals`.
        - `rank_biserial`: matched-pairs rank-biserial correlation, the sum of the ranks of positive differences less
          that of negative ones, as a share of both; 1 if all are positive.
        - `cohens_d`: d_z, the mean difference over the standard deviation of the differences.
        - `wilcoxon_statistic`, `wilcoxon_p`, `wilcoxon_p_adjusted`: two-sided; differences of zero are dropped, as
          Wilcoxon did, and p is 1 where there are no others.
        - `t_statistic`, `t_p`, `t_p_adjusted`: two-sided; NaN where the differences are all equal or fewer than two.

        Adjusted p-values are those of all rows together whose p-value is a number, of each test by itself.

    Raises:
        ValueError: a column is missing or empty in places, two values have the same level and pairing, there are fewer
            than two levels, the baseline is none of them, or the correction is unknown.

    References:
        Wilcoxon, Individual comparisons by ranking methods (1945). Holm, A simple sequentially rejective multiple test
        procedure (1979). Kerby, The simple difference formula (2014), on the rank-biserial correlation.
    """
    names = [pairing] if isinstance(pairing, str) else list(pairing)
    columns(table, [value, factor, *names])
    probability("confidence", confidence)
    wide = _wide(table, value, factor, names)
    rows = [
        {"level": one, "against": other, **_compared(wide[one], wide[other], confidence)}
        for one, other in _level_pairs(wide.columns.tolist(), baseline, factor)
    ]
    found = pd.DataFrame(rows)
    for test in ("wilcoxon", "t"):
        place = found.columns.get_loc(f"{test}_p")
        assert isinstance(place, int)
        found.insert(place + 1, f"{test}_p_adjusted", _adjusted(found[f"{test}_p"].to_numpy(), correction))
    return found


def _wide(table, value, factor, names):
    """A row for each pairing, a column for each level; NaN where there is no value, infinite where it is not finite."""
    keys = [factor, *names]
    if not names:
        raise ValueError("pairing must name at least one column.")
    for name in keys:
        if table[name].isna().any():
            raise ValueError(f"column {name!r} is empty in {table[name].isna().sum()} of {len(table)} rows.")
    twice = table.duplicated(keys)
    if twice.any():
        first = ", ".join(f"{name}={table.loc[twice, name].tolist()[0]!r}" for name in keys)
        raise ValueError(
            f"there are several values for {first}. Name all columns that tell pairs apart in pairing, or take a mean "
            "first."
        )
    numbers = table[value].to_numpy(np.float64)
    numbers = np.where(np.isfinite(numbers), numbers, np.inf)
    # Levels in the order of their categories, where they have one.
    levels = pd.factorize(table[factor], sort=True)[1]
    return pd.Series(numbers, index=pd.MultiIndex.from_frame(table[keys])).unstack(level=0)[list(levels)]


def _level_pairs(levels, baseline, factor):
    if len(levels) < 2:
        raise ValueError(f"column {factor!r} has fewer than two levels: {levels}.")
    if baseline is None:
        return list(itertools.combinations(levels, 2))
    if baseline not in levels:
        raise ValueError(f"baseline must be a level of {factor!r}, one of {levels}; got {baseline!r}.")
    return [(level, baseline) for level in levels if level != baseline]


def _compared(one, other, confidence):
    both = np.stack([one.to_numpy(), other.to_numpy()])
    there = ~np.isnan(both)
    used = np.isfinite(both).all(axis=0)
    pairs, complete = int(used.sum()), int(there.all(axis=0).sum())
    counts = {
        "pairs": pairs,
        "left_out": int(there.any(axis=0).sum()) - pairs,
        "not_finite": complete - pairs,
    }
    return {**counts, **_effects(both[0, used] - both[1, used], confidence)}


def _effects(differences: Float[np.ndarray, "pairs"], confidence: float) -> dict[str, float]:
    pairs = len(differences)
    nothing = float("nan")
    mean = float(differences.mean()) if pairs else nothing
    spread = float(deviation(differences, ddof=1)) if pairs > 1 else nothing
    median = quantile_intervals(differences, 0.5, confidence=confidence).iloc[0] if pairs else {}
    wilcoxon, student = _tests(differences, spread)
    return {
        "mean_difference": mean,
        "median_difference": median.get("quantile", nothing),
        "low": median.get("low", nothing),
        "high": median.get("high", nothing),
        "rank_biserial": _rank_biserial(differences),
        "cohens_d": mean / spread if spread > 0 else nothing,
        "wilcoxon_statistic": wilcoxon[0],
        "wilcoxon_p": wilcoxon[1],
        "t_statistic": student[0],
        "t_p": student[1],
    }


def _tests(differences, spread):
    nothing = float("nan"), float("nan")
    if not len(differences):
        return nothing, nothing
    student = nothing
    if spread > 0:
        student = _numbers(stats.ttest_1samp(differences, 0.0))
    if not differences.any():
        return (0.0, 1.0), student
    return _numbers(stats.wilcoxon(differences)), student


def _numbers(result) -> tuple[float, float]:
    statistic, p_value = result
    return float(statistic), float(p_value)


def _rank_biserial(differences):
    moved = differences[differences != 0]
    if not len(moved):
        return 0.0 if len(differences) else float("nan")
    ranks = stats.rankdata(np.abs(moved))
    return float((ranks * np.sign(moved)).sum() / ranks.sum())


def _adjusted(p_values, correction):
    from statsmodels.stats.multitest import multipletests

    known = ~np.isnan(p_values)
    adjusted = np.full(len(p_values), np.nan)
    try:
        if known.any():
            adjusted[known] = multipletests(p_values[known], method=correction)[1]
    except ValueError as error:
        raise ValueError(
            f"correction must be one that statsmodels' multipletests knows; got {correction!r}."
        ) from error
    return adjusted
