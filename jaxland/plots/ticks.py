"""Ticks of logarithmic axes, chosen by what the axis spans and by the room that it has for labels."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import ceil, floor, log10
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import (
    Formatter,
    LogFormatterSciNotation,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    SymmetricalLogLocator,
)

_MULTIPLES = ((1, 2, 5), (1, 3), (1, 5), (2, 5), (3, 6), (1, 2, 3, 5), tuple(range(1, 10)))
"""What powers of ten are multiplied by, the sets that are liked best first."""
_LEAST, _MOST = 3, 7
"""Ticks of an axis that tell its scale, and as many as an eye takes in."""
_PLAIN = (1e-4, 1e5)
"""Bounds of the numbers that are written without a power of ten."""
_WIDE, _RAISED, _HIGH = 0.62, 0.45, 1.1
"""Width of a digit, of a raised one, and height of a label, in sizes of the text."""
_GAP, _LINE_GAP = 0.7, 0.25
"""Least gaps between labels side by side, and one above the other."""
_ROUNDING = 1e-9
_WORSE = 0.12
"""Share of an axis that the longest gap between ticks may be longer by than it need be."""


def log_ticks(ax: Axes) -> None:
    """Gives logarithmic axes ticks that suit whatever they span, a tenth of a decade or twelve, and do not crowd.

    Three powers of ten and more in sight are the ticks, as many of them as have room; of fewer, simple multiples; and
    over a small part of a decade equal steps. Axes whose ticks somebody chose are left alone, and other bases.

    Args:
        ax: axes of any scales; axes of `new_figure` have this done when they are drawn.
    """
    for axis in (ax.xaxis, ax.yaxis):
        found = axis.get_major_locator()
        if axis.get_scale() == "symlog" and type(found) is SymmetricalLogLocator:
            axis.set_major_locator(_SymmetricTicks(axis.get_transform()))
        if (
            axis.get_scale() != "log"
            or type(found) is not LogLocator
            or getattr(axis.get_transform(), "base", 10) != 10
        ):
            continue
        axis.set_major_locator(_Ticks())
        if isinstance(axis.get_major_formatter(), LogFormatterSciNotation):
            axis.set_major_formatter(_Labels())
        if type(axis.get_minor_locator()) is LogLocator:
            axis.set_minor_locator(_Between())
        if isinstance(axis.get_minor_formatter(), LogFormatterSciNotation):
            axis.set_minor_formatter(NullFormatter())


class _Ticks(LogLocator):
    def tick_values(self, vmin: float, vmax: float) -> np.ndarray:
        return np.array(chosen(vmin, vmax, _room(self.axis)))


class _SymmetricTicks(SymmetricalLogLocator):
    """Zero, and on both sides of it the powers beyond the linear part: every one, every second, or as room is left."""

    def tick_values(self, vmin: float, vmax: float) -> np.ndarray:
        low, high = sorted((vmin, vmax))
        if not isinstance(self.axis, Axis):
            return np.asarray(super().tick_values(low, high))
        scale, room = self.axis.get_transform(), _room(self.axis)
        begin, end = ceil(log10(getattr(scale, "linthresh", 1.0))), ceil(log10(max(-low, high, 1e-300)))
        first, last = scale.transform(np.array([low, high]))
        best = np.zeros(0)
        for step in range(1, max(end - begin, 0) + 2):
            # The smallest are nearest to zero, and are the first for which there is no room.
            for least in range(begin, end + 1):
                powers = [10.0**exponent for exponent in range(least, end + 1) if exponent % step == 0]
                values = np.array([*(-each for each in reversed(powers)), 0.0, *powers])
                values = values[(low <= values) & (values <= high)]
                places = (scale.transform(values) - first) / (last - first) * room.length
                if len(values) > len(best) and _stand_apart(places, [_power(each) for each in values], room):
                    best = values
        # Less than a power on either side of zero is hardly more than a linear axis.
        return best if len(best) > 1 else np.asarray(super().tick_values(low, high))


class _Between(LogLocator):
    """Marks without labels: multiples where powers are labelled, powers where only some of these are."""

    def tick_values(self, vmin: float, vmax: float) -> np.ndarray:
        low, high = sorted((vmin, vmax))
        major = chosen(low, high, _room(self.axis))
        if not all(map(_is_simple, major)):
            return np.zeros(0)
        skipping = len(major) > 1 and major[1] / major[0] > 10 * (1 + _ROUNDING)
        return _within(low, high, (1,) if skipping else range(1, 10))


class _Labels(Formatter):
    def format_ticks(self, values) -> list[str]:
        return labels(np.asarray(values, np.float64))

    def __call__(self, x: float, pos: int | None = None) -> str:
        return labels(np.array([x]))[0]


class Room(NamedTuple):
    """Of labels: the length of the axis and the size of the text in points, and whether they stand side by side."""

    length: float
    size: float
    across: bool


@lru_cache(256)
def chosen(low: float, high: float, room: Room) -> tuple[float, ...]:
    """The ticks between two positive values of an axis, ascending, whose labels stand clear of one another there."""
    low, high = sorted((low, high))
    if not (low > 0 and np.isfinite(high)) or low == high:
        return (low,)
    return tuple(_chosen(low, high, room).tolist())


def _chosen(low: float, high: float, room: Room) -> np.ndarray:
    powers = _within(low, high, (1,))
    if len(powers) >= _LEAST:
        # From a power whose exponent is a multiple of the step, so that ticks stay where they are when limits move.
        for step in range(1, len(powers)):
            some = powers[[round(log10(power)) % step == 0 for power in powers]]
            if len(some) <= _MOST and _fit(some, low, high, room):
                return some
        return powers[:1]
    found = [_within(low, high, multiples) for multiples in _MULTIPLES]
    for most in range(2 * _MOST, 0, -1):
        even = np.asarray(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
        found.append(even[(even >= low * (1 - _ROUNDING)) & (even <= high * (1 + _ROUNDING)) & (even > 0)])
    some = [each for each in found if 2 <= len(each) <= _MOST and _fit(each, low, high, room)]
    if not some:
        # Of long labels on a short axis those of the ends may stand apart, and of one there is no doubt.
        ends = [each[[0, -1]] for each in [powers, *found] if len(each) > 1]
        some = [each for each in ends if _fit(each, low, high, room)]
    if not some:
        return next((each[len(each) // 2 :][:1] for each in [powers, *found] if len(each)), np.array([low]))
    # The first of those that leave hardly more of the axis without a tick than any does.
    empty = [_longest_gap(each, low, high) for each in some]
    return next(each for each, gap in zip(some, empty, strict=True) if gap <= min(empty) + _WORSE)


def _longest_gap(values: np.ndarray, low: float, high: float) -> float:
    places = np.log(np.concatenate([[low], values, [high]]) / low) / np.log(high / low)
    return float(np.diff(places).max())


def labels(values: np.ndarray) -> list[str]:
    """What is written at ticks: powers where all are, plain numbers where they are short, else with a power of ten."""
    values = values.astype(np.float64)
    if len(values) >= _LEAST and all(_is_simple(each, (1,)) for each in values):
        return [_power(each) for each in values]
    if not len(values):
        return []
    if _PLAIN[0] <= values.min() and values.max() < _PLAIN[1]:
        return [f"{each:.10g}" for each in values]
    return [_scientific(each) for each in values]


def _power(value: float) -> str:
    return f"${'-' if value < 0 else ''}10^{{{round(log10(abs(value)))}}}$" if value else "0"


def _scientific(value: float) -> str:
    digits, exponent = f"{value:.9e}".split("e")
    digits = digits.rstrip("0").rstrip(".")
    power = f"10^{{{int(exponent)}}}"
    return f"${power}$" if digits == "1" else f"${digits}\\times{power}$"


def _within(low, high, multiples) -> np.ndarray:
    exponents = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    values = np.array([float(f"{multiple}e{exponent}") for exponent in exponents for multiple in multiples])
    return values[(values >= low * (1 - _ROUNDING)) & (values <= high * (1 + _ROUNDING))]


def _is_simple(value: float, multiples: Iterable[int] = range(1, 10)) -> bool:
    mantissa = value / 10.0 ** floor(log10(value) + _ROUNDING)
    return any(abs(mantissa - each) < 1e-6 for each in multiples)


def _room(axis: Any) -> Room:
    """Of an axis as long as it is now; a column's, where there is none yet."""
    if not isinstance(axis, Axis):
        return Room(180.0, 8.0, True)
    across = isinstance(axis, XAxis)
    usual = matplotlib.rcParams["xtick.labelsize" if across else "ytick.labelsize"]
    size, box = axis.get_tick_params("major").get("labelsize") or usual, axis.axes.bbox
    length = (box.width if across else box.height) * 72 / axis.axes.figure.dpi
    return Room(float(length), float(FontProperties(size=size).get_size_in_points()), across)


def _fit(values: np.ndarray, low: float, high: float, room: Room) -> bool:
    return _stand_apart(np.log(values / low) / np.log(high / low) * room.length, labels(values), room)


def _stand_apart(places: np.ndarray, written: Sequence[str], room: Room) -> bool:
    extents = np.array([_width(each) if room.across else _HIGH for each in written]) * room.size
    gap = (_GAP if room.across else _LINE_GAP) * room.size
    return bool((np.diff(places) >= (extents[1:] + extents[:-1]) / 2 + gap).all())


def _width(label: str) -> float:
    """In sizes of the text, about."""
    if "^" not in label:
        return _WIDE * len(label)
    before, raised = label.strip("$").replace("\\times", "x").split("^")
    return _WIDE * len(before) + _RAISED * len(raised.strip("{}"))
