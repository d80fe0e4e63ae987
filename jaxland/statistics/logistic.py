"""The probability of an event as a function of one variable."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

_NAN_PAIR = (np.nan, np.nan)


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


def logistic_fit(x: Float[np.ndarray, "F"], success: Bool[np.ndarray, "F"], *, confidence: float = 0.95) -> LogisticFit:
    """Fits a logistic curve to successes and failures by maximum likelihood.

    Whether a fit exists is decided beforehand: with one variable it does exactly if successes and failures overlap
    (Albert and Anderson 1984).

    Args:
        x: where; values that are not finite are left out.
        success: what happened there.
        confidence: of the intervals.

    Raises:
        ValueError: x and success differ in length.
    """
    x, success = np.asarray(x, np.float64), np.asarray(success, bool)
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
    # Newton's method on x of mean zero and deviation one; the coefficients are carried back.
    centre, scale = x.mean(), x.std()
    estimate, covariance = _maximum_likelihood((x - centre) / scale, success)
    if estimate is None:
        message = "successes and failures overlap too little for Newton's method"
        return LogisticFit("not converged", message, **known)
    back = np.array([[1.0, -centre / scale], [0.0, 1 / scale]])
    (intercept, slope), covariance = back @ estimate, back @ covariance @ back.T
    divisor = slope or np.nan  # a level curve is nowhere one half
    half = -intercept / divisor
    gradient = np.array([-1.0, -half]) / divisor
    errors = np.sqrt([covariance[0, 0], covariance[1, 1], gradient @ covariance @ gradient])
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


def _maximum_likelihood(x, success):
    from statsmodels.discrete.discrete_model import Logit

    model = Logit(success.astype(np.float64), np.stack([np.ones_like(x), x], axis=1))
    with warnings.catch_warnings():
        # What they would say is in the status.
        warnings.simplefilter("ignore")
        try:
            result = model.fit(method="newton", maxiter=100, tol=1e-12, disp=False)
        except np.linalg.LinAlgError:
            return None, None
    covariance = np.asarray(result.cov_params())
    if not result.mle_retvals["converged"] or not np.isfinite([*result.params, *covariance.ravel()]).all():
        return None, None
    return np.asarray(result.params), covariance


def _interval(value, width):
    return float(value - width), float(value + width)


def _describe(half, half_width, slope, slope_width, confidence):
    if abs(slope) < slope_width:
        return f"no trend: the {confidence:.0%} interval of the slope holds zero"
    return f"probability one half at x = {half:.4g} ± {half_width:.2g} ({confidence:.0%})"
