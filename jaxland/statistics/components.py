"""Random effects: how much of a variance is due to rows and columns, or to any factors, and to several together."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import linalg, optimize, sparse, stats
from threadpoolctl import threadpool_limits

from jaxland._scaling import exponent
from jaxland._short import in_short
from jaxland.statistics.checks import columns, finite
from jaxland.statistics.estimates import Estimate


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

    __repr__ = in_short

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
        without = [np.asarray(quantity(*each.T), np.float64) for each in (self.without_row, self.without_column)]
        half = float(_jackknife_half_width(without, confidence))
        return Estimate(value, value - half, value + half)


def _jackknife_half_width(
    without: Sequence[Float[np.ndarray, "_ ..."]], confidence: float
) -> Float[np.ndarray, "..."] | float:
    """Half an interval for an estimate, from what it is without each level of each of several factors."""
    variance = sum((len(values) - 1) * np.var(values, axis=0) for values in without)
    return stats.t.ppf((1 + confidence) / 2, min(map(len, without)) - 1) * np.sqrt(variance)


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
    return np.array(list(_by_mean_squares(values[..., None], [(0,), (1,)]).values()))


def variance_components(
    table: pd.DataFrame,
    *,
    value: str,
    factors: Sequence[str],
    interactions: bool = True,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """How much of the variance of a number belongs to each factor, to factors together, and to the rest.

        variance_components(fits, value="loss", factors=["learning_rate", "width"])     # the rest is that of seeds
        variance_components(fits, value="loss", factors=["width", "initialisation", "batches"])

    The value is a mean plus one random effect for each level of each factor, one for each combination of levels that is
    an interaction, and the rest, of each row by itself: the seeds, where these are in no factor. The levels are taken
    as a sample of all there could be; for levels that were chosen, such as learning rates, the component is the
    variance among them.

    A balanced table, every combination of levels equally often, has the estimates of the analysis of variance, without
    bias, so that a component that is zero may come out negative; with two factors and one value each they are those of
    `two_way_components`. Any other has those of restricted maximum likelihood, which are never negative; that
    takes effects and rest to be normal, and time with the cube of the number of levels and combinations.

    Args:
        table: one row a value.
        value: name of the column of numbers.
        factors: names of the columns of levels. A seed is a factor where the same seed means the same thing at all
            levels of the others.
        interactions: whether combinations of factors have components of their own; otherwise these are in the rest. The
            combination of all factors is in the rest anyway unless some of its cells hold two values or more.
        confidence: of the intervals.

    Returns:
        One row a component: `component`, the name of a factor, names joined by `:` for an interaction, `"residual"` for
        the rest; `variance`; `low` and `high`, its interval by the jackknife over the levels of all factors as in
        `TwoWayComponents.estimate`, NaN where a factor has fewer than three, or the table is not balanced; `share` of
        the sum of all components; `share_low` and `share_high`; `levels`, how many of the factor or the combination,
        or for the rest how many values; `method`, `"mean squares"` or `"REML"`.

    Raises:
        ValueError: a column is missing, a value is not finite or a level missing, all values are equal, a factor has a
            single level, or there is no more than one value for each of the effects, so that nothing is left for the
            rest.

    References:
        Searle, Casella and McCulloch, Variance Components (1992), chapters 4 and 6.
        Arvesen, Jackknifing U-statistics (1969).
        Bates, Mächler, Bolker and Walker, Fitting linear mixed-effects models using lme4 (2015), eq. 41.
    """
    factors = list(factors)
    if not factors:
        raise ValueError("factors must name at least one column.")
    columns(table, [value, *factors])
    numbers = finite(f"values of column {value!r}", table[value].to_numpy(np.float64))
    if np.ptp(numbers) == 0:
        raise ValueError(f"all values of column {value!r} are equal: there is no variance to be told apart.")
    levels = [_codes(table, factor) for factor in factors]
    shape = [int(codes.max()) + 1 for codes in levels]
    cell = np.ravel_multi_index(levels, shape)
    counts = np.bincount(cell, minlength=math.prod(shape))
    subsets = _subsets(len(factors), interactions, replicated=bool((counts > 1).any()))
    shift = int(exponent(numbers - numbers.mean())[0])
    scaled = np.ldexp(numbers - numbers.mean(), -shift)
    if (counts == counts[0]).all():
        cells = scaled[np.argsort(cell, kind="stable")].reshape(*shape, counts[0])
        found = _jackknifed(cells, subsets, confidence)
    else:
        found = _by_likelihood(scaled, levels, subsets)
    names = [":".join(factors[axis] for axis in subset) for subset in subsets] + ["residual"]
    found[["variance", "low", "high"]] = np.ldexp(found[["variance", "low", "high"]].to_numpy(), 2 * shift)
    sizes = [math.prod(shape[axis] for axis in subset) for subset in subsets] + [len(numbers)]
    found.insert(0, "component", names)
    found.insert(found.shape[1] - 1, "levels", sizes)
    return found


def _codes(table, factor):
    codes, levels = pd.factorize(table[factor], sort=True)
    if (codes < 0).any():
        raise ValueError(f"column {factor!r} is empty in {(codes < 0).sum()} of {len(table)} rows.")
    if len(levels) < 2:
        raise ValueError(f"factor {factor!r} has a single level, {levels.tolist()[0]!r}; leave it out.")
    return codes


def _subsets(count, interactions, *, replicated):
    """Axes of the factors of each component but the rest, factors first."""
    largest = 1 if not interactions else count if replicated else count - 1
    subsets = [each for size in range(1, largest + 1) for each in itertools.combinations(range(count), size)]
    if not subsets or (count == 1 and not replicated):
        raise ValueError("there is one value for each level: nothing tells the factor from the rest.")
    return subsets


def _by_mean_squares(cells: Float[np.ndarray, "*levels replicates"], subsets) -> dict[tuple[int, ...], float]:
    """The components of all subsets of factors and, as that of (), of the rest, from a balanced table.

    The mean square of factors S has expectation rest + sum over T containing S of (values per combination of T) times
    the component of T, so that the components follow one after the other from the largest combinations down.
    """
    axes = range(cells.ndim)
    rest, degrees = cells - cells.mean(), cells.size - 1
    mean_squares = {}
    for subset in subsets:
        effect = cells.mean(axis=tuple(axis for axis in axes if axis not in subset), keepdims=True)
        for axis in subset:
            effect = effect - effect.mean(axis=axis, keepdims=True)
        freedom = math.prod(cells.shape[axis] - 1 for axis in subset)
        mean_squares[subset] = (effect**2).sum() * (cells.size / effect.size) / freedom
        rest, degrees = rest - effect, degrees - freedom
    residual = (rest**2).sum() / degrees
    components = {}
    for subset in reversed(subsets):
        above = sum(
            component * _per_combination(cells.shape, other)
            for other, component in components.items()
            if set(other) > set(subset)
        )
        components[subset] = (mean_squares[subset] - residual - above) / _per_combination(cells.shape, subset)
    return {**{subset: components[subset] for subset in subsets}, (): residual}


def _per_combination(shape, subset):
    return math.prod(size for axis, size in enumerate(shape) if axis not in subset)


def _jackknifed(cells, subsets, confidence):
    """Components and shares with intervals, from what they are without each level of each factor."""

    def estimates(cells):
        components = np.array(list(_by_mean_squares(cells, subsets).values()))
        with np.errstate(invalid="ignore"):  # without the only level at which values differ there are no shares
            return np.concatenate([components, components / components.sum()])

    value, count = estimates(cells), len(subsets) + 1
    half = np.full(len(value), np.nan)
    if min(cells.shape[:-1]) > 2:
        without = [
            np.array([estimates(np.delete(cells, level, axis)) for level in range(size)])
            for axis, size in enumerate(cells.shape[:-1])
        ]
        half = _jackknife_half_width(without, confidence)
    parts = np.stack([value, value - half, value + half])
    found = np.concatenate([parts[:, :count], parts[:, count:]])
    names = ["variance", "low", "high", "share", "share_low", "share_high"]
    return pd.DataFrame(found.T, columns=names).assign(method="mean squares")


def _by_likelihood(values, levels, subsets):
    """By largest restricted likelihood, in ratios to the residual variance.

    All of the table that enters are cross products with the indicators of levels, so that many rows take no longer than
    few. `MixedLM` of statsmodels, which has the rows in every step, takes minutes for ten thousand, and stops short of
    components that are zero.
    """
    designs = [_indicators([levels[axis] for axis in subset]) for subset in subsets]
    widths = np.array([design.sum(axis=0).size for design in designs])
    if widths.max() == len(values):
        raise ValueError("no combination of levels holds two values: nothing tells the factors from the rest.")
    design, columns_of_both = sparse.hstack(designs), np.stack([np.ones(len(values)), values], axis=1)
    products = (design.T @ design).toarray(), design.T @ columns_of_both, columns_of_both.T @ columns_of_both

    def ratios(shares):
        return shares / (1 - shares)

    # Matrices of a few hundred rows are sooner solved than shared out among threads.
    with threadpool_limits(1):
        found = optimize.minimize(
            lambda shares: _restricted(np.repeat(np.sqrt(ratios(shares)), widths), *products)[0],
            np.full(len(subsets), 0.5),
            method="L-BFGS-B",
            # Shares of component and residual: of all positive ratios, and with a slope at zero, which roots have not.
            bounds=[(0, 1 - 1e-9)] * len(subsets),
            options={"ftol": 1e-13, "gtol": 1e-7},
        )
    residual = _restricted(np.repeat(np.sqrt(ratios(found.x)), widths), *products)[1]
    variance = np.append(ratios(found.x) * residual, residual)
    table = {"variance": variance, "low": np.nan, "high": np.nan, "share": variance / variance.sum()}
    return pd.DataFrame({**table, "share_low": np.nan, "share_high": np.nan}).assign(method="REML")


def _restricted(scale, within, across, totals):
    """Twice the negative restricted log-likelihood, but for a constant, and the residual variance that makes it least.

    Args:
        scale: square root of the ratio of its component to the residual variance, for each column of the design.
        within, across, totals: products of the columns of the design, of them with a column of ones and the values, and
            of these two.
    """
    factor = linalg.cholesky(np.eye(len(scale)) + scale[:, None] * within * scale, lower=True)
    solved = linalg.solve_triangular(factor, scale[:, None] * across, lower=True)
    ones, both, values = (totals - solved.T @ solved)[[0, 0, 1], [0, 1, 1]]
    degrees = totals[0, 0] - 1
    residual = max(values - both**2 / ones, np.finfo(float).tiny) / degrees
    return 2 * np.log(np.diag(factor)).sum() + np.log(ones) + degrees * np.log(residual), residual


def _indicators(codes):
    _, combination = np.unique(np.stack(codes), axis=1, return_inverse=True)
    combination, rows = combination.ravel(), np.arange(combination.size)
    return sparse.csr_array((np.ones(len(rows)), (rows, combination)))
