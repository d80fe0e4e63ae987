"""A smooth curve through a scatter of points."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxland._scaling import norm
from jaxland._short import in_short

# Points of the curve; more could not be told apart in a figure.
_GRID_POINTS = 201
_REWEIGHTINGS = 3
# A local slope is used no further than this many times the spread of the x it comes from.
_REACH = 1000.0
# Residuals below this share of the largest y are rounding.
_ROUNDING = 64 * float(np.finfo(np.float64).eps)


class Lowess(NamedTuple):
    """A LOWESS curve."""

    x: Float[np.ndarray, "points"]
    """Evenly spaced over the range of the values, increasing; empty where there are none."""
    y: Float[np.ndarray, "points"]
    dropped: int
    """Points left out because x or y is not finite."""

    __repr__ = in_short


def lowess(x: Float[np.ndarray, "F"], y: Float[np.ndarray, "F"], *, fraction: float = 2 / 3) -> Lowess:
    """Locally weighted, robust linear regression of y on x: where most of the values lie.

    Cleveland (1979) with tricube weights and three reweightings, which make values that are far from the rest count
    for nothing; of two clusters the curve follows the larger. Units of x and y do not matter. Local regressions stand
    at up to 603 of the x, evenly spaced both in x and in rank, with straight lines between them, so that crowded
    stretches are resolved too; but the curve is given on an even grid: for a logarithmic axis pass log x.

    Where the x of a neighbourhood are as good as equal, seen from its centre, there is no slope to be told, and their
    mean stands for the line.

    Args:
        x: where.
        y: values.
        fraction: share of all points that each local regression uses.

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
    order = np.argsort(x, kind="stable")
    grid = np.linspace(x.min(), x.max(), _GRID_POINTS)
    at, smooth = _smooth(x[order], y[order], max(int(fraction * len(x) + 1e-10), 2))
    return Lowess(grid, np.interp(grid, at, smooth), dropped)


def _smooth(x, y, count):
    """The curve at some of the x; x is in order, and each local regression uses `count` points."""
    at = _places(np.unique(x))
    windows = [_window(x, place, count) for place in at]
    robust = np.ones(len(x))
    for round_ in range(_REWEIGHTINGS + 1):
        smooth = np.array([_local(x, y, robust, *each) for each in zip(at, windows, strict=True)])
        # A place all of whose neighbours count for nothing has no value of its own.
        known = ~np.isnan(smooth)
        if round_ < _REWEIGHTINGS:
            robust = _bisquare(y - np.interp(x, at[known], smooth[known]), np.abs(y).max())
    return at[known], smooth[known]


def _places(distinct):
    """All distinct x where they are few, else some evenly spaced in rank and those beside each point of the grid."""
    last = len(distinct) - 1
    ranks = np.round(np.linspace(0, last, _GRID_POINTS)).astype(int)
    beside = np.searchsorted(distinct, np.linspace(distinct[0], distinct[-1], _GRID_POINTS))
    chosen = np.clip(np.concatenate([ranks, beside - 1, beside]), 0, last)
    return distinct if last < len(chosen) else distinct[np.unique(chosen)]


def _window(x, place, count):
    """First and last place of the neighbours, and the distance of the one that is `count`-th nearest."""
    radius = np.partition(np.abs(x - place), count - 1)[count - 1]
    first, last = np.searchsorted(x, place - radius), np.searchsorted(x, place + radius, side="right")
    return slice(first, last), radius


def _local(x, y, robust, place, window):
    """The value at its place of the line through the neighbours; NaN where none of them counts."""
    where, radius = window
    distance = (x[where] - place) / (radius or 1.0)
    weight = robust[where] * np.clip(1 - np.abs(distance) ** 3, 0, None) ** 3
    if not weight.sum() > 0:
        return np.nan
    weight = weight / weight.sum()
    mean = weight @ distance
    spread = norm(np.sqrt(weight) * (distance - mean))
    if abs(mean) > _REACH * spread or spread == 0:
        return weight @ y[where]
    slope = (weight * (distance - mean) / spread) @ y[where] / spread
    return weight @ y[where] - mean * slope


def _bisquare(residual, largest):
    scale = max(6 * np.median(np.abs(residual)), _ROUNDING * largest)
    share = residual / scale if scale > 0 else np.zeros(len(residual))
    return np.clip(1 - np.clip(share, -1, 1) ** 2, 0, None) ** 2
