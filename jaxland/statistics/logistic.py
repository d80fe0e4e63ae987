"""The probability of an event as a function of one variable."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from scipy import stats
from scipy.special import expit

from jaxland._scaling import exponent, norm
from jaxland.statistics.outcomes import outcomes

_NAN_PAIR = (np.nan, np.nan)
_ITERATIONS = 50
# Logits at which a probability is 0 or 1 in float64.
_SATURATED = 40.0
# Largest relative change of a logit that counts as none; the step taken leaves the square of it.
_SETTLED = 1e-5


@dataclass(frozen=True)
class LogisticFit:
    """P(success | x) = 1 / (1 + exp(-(intercept + slope x))), or the reason why there is no such fit.

    Numbers that do not exist are NaN. Intervals are those of Wald; that of `half` is by the delta method, and worth
    nothing where the interval of the slope holds zero.

    Attributes:
        status: `"ok"`; or `"separable"`, if one value of x parts all successes from all failures, so that the slope
            has no largest likelihood; `"all zero"`; `"all one"`; `"constant x"`; `"no data"`; `"not converged"`.
        message: the result in words.
        count: values used.
        successes: how many of them are.
        dropped: values left out because x is not finite.
        intercept, intercept_error, intercept_interval: in logits, with standard error and confidence interval.
        slope, slope_error, slope_interval: in logits per unit of x.
        half, half_error, half_interval: the x where the probability is one half.
        gap: for `"separable"`, the two x between which the probability changes, the smaller first.
        limits: probabilities left and right of the gap, or anywhere for `"all zero"` and `"all one"`, or at `gap` for
            `"constant x"`.
    """

    status: str
    message: str
    count: int
    successes: int
    dropped: int
    intercept: float = np.nan
    intercept_error: float = np.nan
    intercept_interval: tuple[float, float] = _NAN_PAIR
    slope: float = np.nan
    slope_error: float = np.nan
    slope_interval: tuple[float, float] = _NAN_PAIR
    half: float = np.nan
    half_error: float = np.nan
    half_interval: tuple[float, float] = _NAN_PAIR
    gap: tuple[float, float] = _NAN_PAIR
    limits: tuple[float, float] = _NAN_PAIR

    def probability(self, x: Float[np.ndarray, "*points"]) -> Float[np.ndarray, "*points"]:
        """The fitted probability; NaN where the data say nothing, as inside the gap of separable ones."""
        x = np.asarray(x, np.float64)
        if self.status == "ok":
            # Through tanh: exp would overflow far from the middle.
            return 0.5 + 0.5 * np.tanh(0.5 * (self.intercept + self.slope * x))
        if self.status in ("all zero", "all one"):
            return np.where(np.isnan(x), np.nan, self.limits[0])
        if self.status == "constant x":
            return np.where(x == self.gap[0], self.limits[0], np.nan)
        low, high = self.gap
        left, right = (x <= low) & (x < high), (x >= high) & (x > low)
        return np.where(left, self.limits[0], np.where(right, self.limits[1], np.nan))


def logistic_fit(
    x: Float[np.ndarray, "F"], success: Shaped[np.ndarray, "F"], *, confidence: float = 0.95
) -> LogisticFit:
    """Fits a logistic curve to successes and failures by maximum likelihood.

    Whether a fit exists is decided beforehand: with one variable it does exactly if successes and failures overlap
    (Albert and Anderson 1984). The unit and the origin of x do not matter.

    Args:
        x: where; values that are not finite are left out.
        success: what happened there, truth values or the numbers 0 and 1.
        confidence: of the intervals.

    Raises:
        ValueError: x and success differ in length, or an outcome is neither 0 nor 1.
    """
    x, success = np.asarray(x, np.float64), outcomes("success", success)
    if x.shape != success.shape:
        raise ValueError(f"x and success must have one entry a value each; got {len(x)} and {len(success)}.")
    finite = np.isfinite(x)
    x, success = x[finite], success[finite]
    known = {"count": len(x), "successes": int(success.sum()), "dropped": int((~finite).sum())}
    return _without_curve(x, success, known) or _with_curve(x, success, known, confidence)


def _without_curve(x, success, known):
    count, successes = known["count"], known["successes"]
    if not count:
        return LogisticFit("no data", "there are no values", **known)
    if successes in (0, count):
        name, limit = ("all one", 1.0) if successes else ("all zero", 0.0)
        return LogisticFit(name, f"{successes} of {count} are successes", **known, limits=(limit, limit))
    if x.min() == x.max():
        share = successes / count
        only = float(x[0])
        message = f"all x are {only:.4g}, where {successes} of {count} are successes"
        return LogisticFit("constant x", message, **known, gap=(only, only), limits=(share, share))
    return _separable(x[success], x[~success], known)


def _separable(successes, failures, known):
    if successes.max() <= failures.min():
        gap, limits = (float(successes.max()), float(failures.min())), (1.0, 0.0)
        message = f"all successes have x <= {gap[0]:.4g}, all failures x >= {gap[1]:.4g}"
    elif failures.max() <= successes.min():
        gap, limits = (float(failures.max()), float(successes.min())), (0.0, 1.0)
        message = f"all failures have x <= {gap[0]:.4g}, all successes x >= {gap[1]:.4g}"
    else:
        return None
    return LogisticFit("separable", message, **known, gap=gap, limits=limits)


def _with_curve(x, success, known, confidence):
    # In units of a power of two, so that nothing overflows and every digit stays.
    shift = int(exponent(x)[0])
    curve = _maximum_likelihood(np.ldexp(x, -shift), success.astype(np.float64))
    if curve is None:
        message = "successes and failures overlap too little for Newton's method"
        return LogisticFit("not converged", message, **known)
    intercept, slope, half, errors = _coefficients(curve, shift)
    width = stats.norm.ppf((1 + confidence) / 2) * errors
    return LogisticFit(
        "ok",
        _describe(half, width[2], slope, width[1], confidence),
        **known,
        intercept=float(intercept),
        intercept_error=float(errors[0]),
        intercept_interval=_interval(intercept, width[0]),
        slope=float(slope),
        slope_error=float(errors[1]),
        slope_interval=_interval(slope, width[1]),
        half=float(half),
        half_error=float(errors[2]),
        half_interval=_interval(half, width[2]),
    )


class _Curve(NamedTuple):
    """Logits level + slope (x - centre). At the weighted mean of x the errors of level and slope are independent."""

    centre: float
    level: float
    slope: float
    level_error: float = np.nan
    slope_error: float = np.nan


def _coefficients(curve, shift):
    """Intercept, slope and half in units of x, and their standard errors; x was divided by 2 ** shift."""
    divisor = curve.slope or np.nan  # a level curve is nowhere one half
    with np.errstate(over="ignore", under="ignore"):
        offset = -curve.level / divisor
        half_error = np.hypot(curve.level_error, offset * curve.slope_error) / np.abs(divisor)
        intercept_error = np.hypot(curve.level_error, curve.centre * curve.slope_error)
        half, half_error = np.ldexp([curve.centre + offset, half_error], shift)
        slope, slope_error = np.ldexp([curve.slope, curve.slope_error], -shift)
    intercept = curve.level - curve.slope * curve.centre
    return intercept, slope, half, np.array([intercept_error, slope_error, half_error])


def _maximum_likelihood(x, success):
    """The curve of largest likelihood; None where neither start leads to it.

    Newton's method from a level curve ends too early where one x lies far from all others, or the overlap is narrow:
    its model of the likelihood knows nothing of the distance on which the rest changes. What it finds is therefore
    checked, and else it starts from the slope, by bisection.
    """
    order = np.argsort(x, kind="stable")
    x, success = x[order], success[order]
    level = _Curve(float(x.mean()), float(np.log(success.sum() / (1 - success).sum())), 0.0)
    curve = _newton(x, success, level)
    if curve is None or not _is_largest(x, success, curve):
        curve = _newton(x, success, _bracketed(x, success))
    return curve


def _is_largest(x, success, curve):
    """Whether the likelihood rises towards the slope from a thousandth of its error on either side."""
    beside = [curve.slope + share * curve.slope_error for share in (-1e-3, 1e-3)]
    low, high = (_rise(x, success, slope) for slope in beside)
    return low > 0 > high


def _rise(x, success, slope):
    """Derivative by the slope of the likelihood that is largest for it; it falls all along."""
    rest = _rest(success, _logits(x, _Curve(_best_centre(x, success, slope), 0.0, slope)))
    # The rest sums to zero, so x may be taken from anywhere; from its weighted median rounding does least.
    total = np.cumsum(np.abs(rest))
    return rest @ (x - x[np.searchsorted(total, total[-1] / 2)])


def _rest(success, logit):
    """Outcome less probability, to full relative precision."""
    return np.where(success > 0, expit(-logit), -expit(logit))


def _newton(x, success, curve):
    for _ in range(_ITERATIONS):
        moved, decrement = _step(x, success, curve)
        if moved is None:
            return None
        if decrement < 1e-8 and _alike(x, curve, moved):
            return moved
        curve = moved if decrement < 0.1 else _shortened(x, success, curve, moved)
    return None


def _alike(x, curve, moved):
    """Whether no logit moves: where one x is far from all others, a step of few standard errors may still do so."""
    before, after = _logits(x, curve), _logits(x, moved)
    return bool((np.abs(after - before) <= _SETTLED * (1 + np.abs(before))).all())


def _step(x, success, curve):
    """The next curve, and the length of the step in standard errors; None where the curvature vanishes."""
    logit = _logits(x, curve)
    rest, weight = _rest(success, logit), expit(logit) * expit(-logit)
    total = weight.sum()
    if not total > 0:
        return None, np.inf
    centre = float((weight * x).sum() / total)
    spread = norm(np.sqrt(weight) * (x - centre))
    if not spread > 0:
        return None, np.inf
    across = (rest * (x - centre)).sum() / spread
    along = rest.sum() / np.sqrt(total)
    level = curve.level + curve.slope * (centre - curve.centre) + along / np.sqrt(total)
    moved = _Curve(centre, level, curve.slope + across / spread, 1 / np.sqrt(total), 1 / float(spread))
    usable = np.isfinite(moved).all()
    return (moved, float(np.hypot(along, across))) if usable else (None, np.inf)


def _logits(x, curve):
    with np.errstate(over="ignore"):
        return curve.level + curve.slope * (x - curve.centre)


def _shortened(x, success, curve, moved):
    """Halves a step until the likelihood does not fall."""
    start = curve.level + curve.slope * (moved.centre - curve.centre)
    least = _log_likelihood(x, success, curve)
    for _ in range(_ITERATIONS):
        if _log_likelihood(x, success, moved) >= least:
            break
        moved = moved._replace(level=(moved.level + start) / 2, slope=(moved.slope + curve.slope) / 2)
    return moved


def _log_likelihood(x, success, curve):
    return -np.logaddexp(0.0, np.where(success > 0, -1, 1) * _logits(x, curve)).sum()


def _bracketed(x, success):
    """A curve near that of largest likelihood: its slope by bisection of the exponent, to a hundredth."""
    sign = float(np.sign((x - x.mean()) @ (success - success.mean()))) or 1.0
    low, high = (float(np.log2(bound)) for bound in (1e-3 / np.ptp(x), 4 * _SATURATED / np.diff(np.unique(x)).min()))
    while high - low > 0.01:
        middle = (low + high) / 2
        rises = sign * _rise(x, success, sign * 2.0**middle) > 0
        low, high = (middle, high) if rises else (low, middle)
    slope = sign * 2.0**low
    return _Curve(_best_centre(x, success, slope), 0.0, slope)


def _best_centre(x, success, slope):
    """Where the probability must be one half for the expected number of successes to be the one observed."""
    reach = (_SATURATED + np.log(len(x))) / abs(slope)
    low, high = x.min() - reach, x.max() + reach
    for _ in range(2000):
        middle = low + (high - low) / 2
        if not low < middle < high:
            break
        expected = expit(_logits(x, _Curve(middle, 0.0, slope))).sum()
        low, high = (middle, high) if (expected > success.sum()) == (slope > 0) else (low, middle)
    return float(low)


def _interval(value, width):
    return float(value - width), float(value + width)


def _describe(half, half_width, slope, slope_width, confidence):
    if abs(slope) < slope_width:
        return f"no trend: the {confidence:.0%} interval of the slope holds zero"
    return f"probability one half at x = {half:.4g} ± {half_width:.2g} ({confidence:.0%})"
