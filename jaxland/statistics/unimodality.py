"""Whether values come from a distribution with one mode."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import isotonic_regression

from jaxland._scaling import exponent
from jaxland._short import in_short
from jaxland.statistics.checks import finite
from jaxland.statistics.permutation import PermutationPValue, permutation_p_value

# Up to here samples of the null distribution have the size of the sample.
_LARGEST = 10_000
# As a share of the range: closer values are one, for a slope between them could overflow.
_CLOSEST = 1e-250


class DipTest(NamedTuple):
    """Hartigan's dip of a sample, and how often that of a uniform sample is as large."""

    dip: float
    """Largest distance between the empirical distribution function and the closest unimodal one."""
    p_value: PermutationPValue
    """Of the hypothesis of one mode, with the interval for what endless simulation would give."""
    low: float
    high: float
    """Ends of the modal interval, where the closest unimodal distribution is steepest."""
    null: Float[np.ndarray, "simulations"]
    """Dips of the uniform samples."""
    count: int

    __repr__ = in_short


def dip_test(values: Float[np.ndarray, "F"], *, seed: int | np.random.Generator, simulations: int = 2000) -> DipTest:
    """Hartigan's test of unimodality: a small p-value speaks for two modes or more.

    The p-value is that among uniform samples, of all unimodal distributions the one whose samples dip most in the limit
    of large ones, so that it is conservative for others. Of more than 10,000 values the null distribution is that of
    10,000: dips fall as the square root of the number, to within a per cent by then. A value that occurs several times
    is a jump, and a mode if it is large enough: losses that were rounded have many. Two thousand simulations for
    ten thousand values or more take seconds.

    Args:
        values: finite, in any order.
        seed: of the simulated samples, or a generator to draw them with.
        simulations: uniform samples; the smallest p-value possible is 1 / (simulations + 1).

    Raises:
        ValueError: there are fewer than four values, whose dip is always the same, one is not finite, or there are no
            simulations.

    References:
        Hartigan and Hartigan, The dip test of unimodality (1985).
        Hartigan, Computation of the dip statistic to test for unimodality (1985), algorithm AS 217.
    """
    values = finite("values", values)
    if values.ndim != 1 or len(values) < 4:
        raise ValueError(f"a dip test needs at least four values in one axis; got shape {values.shape}.")
    if simulations < 1:
        raise ValueError(f"simulations must be at least 1; got {simulations}.")
    distinct, counts = np.unique(values, return_counts=True)
    dip, first, last = _dip(_spacing(distinct), counts)
    generator, size = np.random.default_rng(seed), min(len(values), _LARGEST)
    single = np.ones(size, np.int64)
    # Spacings of uniform values are exponential ones, but for a factor that the dip does not depend on.
    dips = np.array([_dip(generator.exponential(size=size - 1), single)[0] for _ in range(simulations)])
    null = dips * np.sqrt(size / len(values))
    p_value = permutation_p_value(dip, null, alternative="greater")
    return DipTest(dip, p_value, float(distinct[first]), float(distinct[last]), null, len(values))


def _spacing(distinct):
    """Between neighbours, in a unit of the range."""
    shift = exponent(distinct)[0]
    places = np.ldexp(distinct, -shift - 1)  # halved: the range of finite numbers may be none
    return np.maximum(np.diff(places / np.ptp(places)), _CLOSEST) if len(places) > 1 else np.zeros(0)


def _dip(spacing: Float[np.ndarray, "distinct_minus_1"], counts: Int[np.ndarray, "distinct"]) -> tuple[float, int, int]:
    """The dip of distinct values, and the places of the ends of their modal interval.

    Up to its mode the closest unimodal distribution function follows the greatest convex minorant of the steps' feet,
    from there the least concave majorant of their heads, each shifted towards the other by the dip. The mode is sought
    where the two are furthest apart, in ever shorter intervals, until nothing in them is as far apart as what was left
    outside.
    """
    heads = np.cumsum(counts)
    feet, places = heads - counts, np.concatenate([[0.0], np.cumsum(spacing)])
    first, last, dip = 0, len(counts) - 1, 1.0
    while first < last:
        inside = slice(first, last + 1)
        minorant, convex = _hull(places[inside], spacing[first:last], feet[inside], increasing=True)
        majorant, concave = _hull(places[inside], spacing[first:last], heads[inside], increasing=False)
        apart = majorant - minorant
        # At a corner: elsewhere the two may be as far apart, but for rounding.
        corners = np.union1d(convex, concave)
        widest = int(corners[apart[corners].argmax()])
        if apart[widest] <= dip:
            break
        left = int(convex[np.searchsorted(convex, widest, side="right") - 1])
        right = int(concave[np.searchsorted(concave, widest)])
        above = (heads[inside] - minorant)[:left].max(initial=dip)
        dip = (majorant - feet[inside])[right + 1 :].max(initial=above)
        if right - left == last - first:
            break
        first, last = first + left, first + right
    return float(dip) / (2 * int(heads[-1])), first, last


def _hull(places, spacing, heights, *, increasing):
    """The convex minorant, or concave majorant, at all places, and which of these are its corners.

    Its slopes are the isotonic regression of the slopes between neighbours, weighed with their spacing.
    """
    blocks = isotonic_regression(np.diff(heights) / spacing, weights=spacing, increasing=increasing).blocks
    corners = np.asarray(blocks)
    return np.interp(places, places[corners], heights[corners]), corners
