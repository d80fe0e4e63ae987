"""Piecewise-linear functions of one variable on an interval, by the thousand: values, distances, mean and deviation."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from jaxland._short import in_short

# Entries worked on at a time; bounds memory at about 30 MB.
_ENTRIES = 2**19


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """F continuous piecewise-linear functions on [low, high], each given by its values at its knots.

    Attributes:
        low, high: ends of the interval.
        knots: where the functions change slope, increasing, with both ends of the interval; padded with the right
            end. All NaN for a function that is not known.
        values: of the functions at their knots; padded with the value at the right end.
        counts: knots of each function, both ends included; -1 for a function that is not known.
    """

    low: float
    high: float
    knots: Float[np.ndarray, "F M"]
    values: Float[np.ndarray, "F M"]
    counts: Int[np.ndarray, "F"]

    __repr__ = in_short

    @property
    def interior_counts(self) -> Int[np.ndarray, "F"]:
        """Knots strictly inside the interval; -1 for a function that is not known."""
        return np.where(self.counts < 0, -1, self.counts - 2)

    @property
    def interior_knots(self) -> Float[np.ndarray, "knots"]:
        """Positions of all knots strictly inside the interval, of one function after the other."""
        place = np.arange(self.knots.shape[1])
        return self.knots[(place > 0) & (place < self.counts[:, None] - 1)]

    @property
    def slopes(self) -> Float[np.ndarray, "F pieces"]:
        """Slope right of each knot but the last, in units of output per unit of input; padded with zero."""
        run = np.diff(self.knots, axis=1)
        return np.divide(np.diff(self.values, axis=1), run, out=np.zeros_like(run), where=run != 0)

    def take(self, functions: Int[np.ndarray, "G"]) -> "PiecewiseLinear":
        """The functions with these indices."""
        chosen = (part[functions] for part in (self.knots, self.values, self.counts))
        return PiecewiseLinear(self.low, self.high, *chosen)

    def evaluate(self, x: Float[np.ndarray, "N"] | Float[np.ndarray, "F N"]) -> Float[np.ndarray, "F N"]:
        """Values of every function, exact but for rounding.

        Args:
            x: points of the interval, the same for all functions or a row for each.

        Raises:
            ValueError: a point outside the interval, or rows that are not one for each function.
        """
        x = np.asarray(x, np.float64)
        if x.ndim == 2 and len(x) != len(self.knots):
            raise ValueError(f"x has {len(x)} rows for {len(self.knots)} functions; give (N,) or a row for each.")
        outside = (x < self.low) | (x > self.high)
        if outside.any():
            raise ValueError(
                f"x has {outside.sum()} points outside [{self.low:g}, {self.high:g}], first {x[outside][0]:g}; "
                "find the knots on an interval that holds them."
            )
        x = np.broadcast_to(x, (len(self.knots), x.shape[-1]))
        result = np.empty(x.shape)
        for rows in _blocks(len(x), self.knots.shape[1] + x.shape[1]):
            result[rows] = _interpolate(self.knots[rows], self.values[rows], x[rows])
        return result


def function_distances(first: PiecewiseLinear, second: PiecewiseLinear) -> Float[np.ndarray, "F"]:
    """L2 distances, the root of the integral of (f - g)^2 over the interval, between the functions of each pair.

    On a piece of width h between knots of either function the integral is h (d0^2 + d0 d1 + d1^2) / 3, where d0 and
    d1 are the differences at its ends.

    Args:
        first: f of each pair.
        second: g of each pair, on the same interval.

    Returns:
        Distances, exact but for rounding; NaN where f or g is not known.

    Raises:
        ValueError: different intervals or numbers of functions.
    """
    _require_same_interval(first, second)
    if len(first.counts) != len(second.counts):
        raise ValueError(
            f"pairs need as many first as second functions; got {len(first.counts)}, {len(second.counts)}."
        )
    result = np.empty(len(first.counts))
    for rows in _blocks(len(result), 2 * (first.knots.shape[1] + second.knots.shape[1])):
        knots = np.sort(np.concatenate([first.knots[rows], second.knots[rows]], axis=1), axis=1)
        one, two = (_interpolate(each.knots[rows], each.values[rows], knots) for each in (first, second))
        left, right = (one - two)[:, :-1], (one - two)[:, 1:]
        result[rows] = np.sqrt((np.diff(knots, axis=1) * (left**2 + left * right + right**2) / 3).sum(axis=1))
    return result


@dataclass(frozen=True, eq=False)
class FunctionMoments:
    """Mean and standard deviation of an ensemble of piecewise-linear functions, at every point of the interval.

    Between two neighbouring knots of all functions together, the mean is linear and the second moment quadratic.
    The sums of their coefficients are kept, 48 bytes a knot, so that parts of an ensemble can be taken one by one and
    merged.

    Attributes:
        low, high: ends of the interval.
        count: functions taken; those that are not known are left out.
        knots: union of all functions' knots, with both ends.
        sums: on each piece, with a the slope of a function and b its line's value at the centre of the interval,
            the sums of a, b, a^2, a b and b^2 over the functions.
    """

    low: float
    high: float
    count: int
    knots: Float[np.ndarray, "pieces_plus_1"]
    sums: Float[np.ndarray, "5 pieces"]

    __repr__ = in_short

    def mean(self, x: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
        """Mean of the functions at points of the interval; NaN without functions."""
        return self._mean_and_variance(x, self._piece(x))[0]

    def deviation(self, x: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
        """Standard deviation with divisor count - 1; below about 1e-7 of the mean it is rounding.

        NaN for fewer than two functions.
        """
        return np.sqrt(np.maximum(self._mean_and_variance(x, self._piece(x))[1], 0))

    @property
    def integrated_variance(self) -> float:
        """Integral of the variance over the interval, by Simpson's rule, which is exact for a quadratic."""
        pieces, left, right = np.arange(len(self.knots) - 1), self.knots[:-1], self.knots[1:]
        at = [self._mean_and_variance(x, pieces)[1] for x in (left, (left + right) / 2, right)]
        return float(np.maximum(((right - left) * (at[0] + 4 * at[1] + at[2])).sum() / 6, 0))

    def merge(self, other: "FunctionMoments") -> "FunctionMoments":
        """The moments of both ensembles together.

        Raises:
            ValueError: they belong to different intervals.
        """
        _require_same_interval(self, other)
        knots = np.union1d(self.knots, other.knots)
        sums = self.sums[:, self._piece(knots[:-1])] + other.sums[:, other._piece(knots[:-1])]
        return FunctionMoments(self.low, self.high, self.count + other.count, knots, sums)

    def _piece(self, x):
        return np.clip(np.searchsorted(self.knots, x, side="right") - 1, 0, len(self.knots) - 2)

    def _mean_and_variance(self, x, piece):
        slope, height, *second = self.sums[:, piece]
        t = np.asarray(x, np.float64) - _centre(self)
        total, squares = slope * t + height, (second[0] * t + 2 * second[1]) * t + second[2]
        mean = total / self.count if self.count else np.full(t.shape, np.nan)
        return mean, (squares - total * mean) / (self.count - 1) if self.count > 1 else np.full(t.shape, np.nan)


def function_moments(functions: PiecewiseLinear) -> FunctionMoments:
    """Exact mean and standard-deviation tube of an ensemble of functions, from one sort of all their knots.

    Args:
        functions: an ensemble or a part of it; see `FunctionMoments.merge`. Those that are not known are left out.
    """
    knots, values, last = _end_to_end(functions)
    first = np.roll(last, 1)
    slope = (np.diff(values) / np.where(last[:-1], 1, np.diff(knots)))[~last[:-1]]
    knots, values, first = knots[~last], values[~last], first[~last]
    height = values + slope * (_centre(functions) - knots)
    coefficients = np.stack([slope, height, slope**2, slope * height, height**2])
    # What a function's coefficients change by at each of its interior knots is what the sums change by there.
    steps = np.diff(coefficients)[:, ~first[1:]]
    order = np.argsort(knots[~first], kind="stable")
    sums = np.cumsum(np.concatenate([coefficients[:, first].sum(1, keepdims=True), steps[:, order]], axis=1), axis=1)
    edges = np.concatenate([[functions.low], knots[~first][order], [functions.high]])
    wide = np.diff(edges) > 0
    count = int(first.sum())
    return FunctionMoments(functions.low, functions.high, count, np.append(edges[:-1][wide], edges[-1]), sums[:, wide])


def _end_to_end(functions):
    # Knots and values of all known functions without padding, and whether a knot is its function's last.
    place, counts = np.arange(functions.knots.shape[1]), functions.counts[:, None]
    held = place < counts
    return functions.knots[held], functions.values[held], (place == counts - 1)[held]


def _interpolate(knots, values, x):
    # A stable sort puts a point right of the knot it lies on; so every knot, the last one too, has its value exactly.
    order = np.argsort(np.concatenate([knots, x], axis=1), axis=1, kind="stable")
    below = np.empty(order.shape, np.intp)
    np.put_along_axis(below, order, np.cumsum(order < knots.shape[1], axis=1), axis=1)
    widest = np.maximum((knots < knots[:, -1:]).sum(axis=1, keepdims=True) - 1, 0)
    left = np.clip(below[:, knots.shape[1] :] - 1, 0, widest)
    x0, x1 = (np.take_along_axis(knots, left + side, axis=1) for side in (0, 1))
    y0, y1 = (np.take_along_axis(values, left + side, axis=1) for side in (0, 1))
    return np.where(x == x1, y1, y0 + (x - x0) / (x1 - x0) * (y1 - y0))


def _blocks(count: int, width: int) -> Iterator[slice]:
    rows = max(_ENTRIES // width, 1)
    return (slice(start, start + rows) for start in range(0, count, rows))


def _centre(on):
    return (on.low + on.high) / 2


def _require_same_interval(first, second):
    if (first.low, first.high) != (second.low, second.high):
        raise ValueError(
            f"both must belong to one interval; got [{first.low:g}, {first.high:g}] and "
            f"[{second.low:g}, {second.high:g}]."
        )
