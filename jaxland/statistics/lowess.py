"""A smooth curve through a scatter of points."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# The curve is fitted this many times and interpolated between; more could not be told apart in a figure.
_GRID_POINTS = 201


class Lowess(NamedTuple):
    """A LOWESS curve."""

    x: Float[np.ndarray, "points"]
    """Evenly spaced over the range of the values, increasing; empty where there are none."""
    y: Float[np.ndarray, "points"]
    dropped: int
    """Points left out because x or y is not finite."""


def lowess(x: Float[np.ndarray, "F"], y: Float[np.ndarray, "F"], *, fraction: float = 2 / 3) -> Lowess:
    """Locally weighted, robust linear regression of y on x: where most of the values lie.

    Cleveland (1979) with tricube weights and three reweightings, by statsmodels. The reweightings make values that
    are far from the rest count for nothing; of two clusters the curve follows the larger.

    Args:
        x: where.
        y: values.
        fraction: share of all points that each local regression uses.

    Returns:
        The curve; NaN next to an x that a share `fraction` of all points have in common.

    Raises:
        ValueError: a fraction outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1; got {fraction}.")
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    finite = np.isfinite(x) & np.isfinite(y)
    dropped = int((~finite).sum())
    x, y = x[finite], y[finite]
    if not len(x):
        return Lowess(x, y, dropped)
    if np.ptp(x) == 0:
        return Lowess(x[:1], np.array([np.median(y)]), dropped)
    at, smooth = _smooth(x, y, max(fraction, 2 / len(x)))
    grid = np.linspace(x.min(), x.max(), _GRID_POINTS)
    return Lowess(grid, np.interp(grid, at, smooth), dropped)


def _smooth(x, y, fraction):
    from statsmodels.nonparametric.smoothers_lowess import lowess as fit

    # Values are brought to order one: losses of 1e-12 would be lost in the routine's own tolerances.
    centre, scale = np.median(y), np.abs(y - np.median(y)).max() or 1.0
    step = np.ptp(x) / (_GRID_POINTS - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        at, smooth = fit((y - centre) / scale, x, frac=fraction, delta=step).T
    return at, centre + scale * smooth
