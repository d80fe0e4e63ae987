"""Scores of an ensemble of predictions of numbers: how far the targets are from the distribution of the members."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from jaxland._scaling import deviation
from jaxland.statistics.checks import finite

# Numbers looked at together: bounds memory where there are many members.
_HELD = 2**22


def crps(
    predictions: Float[np.ndarray, "M N"], targets: Float[np.ndarray, "N"], *, fair: bool = False
) -> Float[np.ndarray, "N"]:
    """Continuous ranked probability score of the members' predictions at each point, in the unit of the targets.

    Mean |x_i - y| less half the mean |x_i - x_j|: the integral of the squared distance between the members'
    distribution function and the step at the target. For one member it is the absolute error. Members are sorted, so
    that a point takes O(M log M).

    Args:
        predictions: of M members at N points.
        targets: at the points.
        fair: whether the mean of |x_i - x_j| is over different members only, without bias for the score that endless
            members would have. It may be negative, and compares ensembles of different sizes.

    Raises:
        ValueError: shapes do not go together, a number is not finite, or a fair score has fewer than two members.

    References:
        Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation (2007), eq. 20.
        Ferro, Fair scores for ensemble forecasts (2014).
    """
    predictions, targets = members_and_targets(predictions, targets)
    members = len(predictions)
    if fair and members < 2:
        raise ValueError("a fair score needs at least two members; got 1.")
    # The sum of |x_i - x_j| over all pairs: the i-th smallest, from 0, is i times the larger and M - 1 - i the smaller.
    weights = (2 * np.arange(members) - members + 1.0) / (members * (members - 1 if fair else members))
    scores = []
    for part, wanted in in_parts(predictions, targets):
        away = part - wanted  # sums of members far from zero would cancel
        away.sort(axis=0)
        scores.append(np.abs(away).mean(axis=0) - weights @ away)
    return np.concatenate(scores)


def gaussian_nll(predictions: Float[np.ndarray, "M N"], targets: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
    """Negative log-density, in nats, of each target under the normal distribution of the members' mean and spread.

    log(2 pi s^2) / 2 + (y - m)^2 / (2 s^2), with s^2 the variance of the members with divisor M - 1. Infinite where all
    members agree on something else than the target, and minus infinite where they agree on it.

    Args:
        predictions: of M members at N points.
        targets: at the points.

    Raises:
        ValueError: shapes do not go together, a number is not finite, or there are fewer than two members.

    References:
        Lakshminarayanan, Pritzel and Blundell, Simple and scalable predictive uncertainty estimation using deep
        ensembles (2017), eq. 1.
    """
    predictions, targets = members_and_targets(predictions, targets)
    if len(predictions) < 2:
        raise ValueError("a spread needs at least two members; got 1.")
    scores = []
    for part, wanted in in_parts(predictions, targets):
        spread = deviation(part, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            away = (wanted - part.mean(axis=0)) / spread
            score = np.log(2 * np.pi) / 2 + np.log(spread) + away**2 / 2
        # Of members that agree rounding would make a spread, or none.
        agreed = (part == part[0]).all(axis=0)
        scores.append(np.where(agreed, np.where(part[0] == wanted, -np.inf, np.inf), score))
    return np.concatenate(scores)


def members_and_targets(predictions, targets) -> tuple[Float[np.ndarray, "M N"], Float[np.ndarray, "N"]]:
    """Predictions, in their own dtype, and targets of as many points.

    Raises:
        ValueError: shapes do not go together, or a number is not finite.
    """
    predictions, targets = np.asarray(predictions), finite("targets", targets)
    if predictions.ndim != 2 or not len(predictions) or predictions.shape[1:] != targets.shape:
        raise ValueError(
            f"predictions must have shape (members, points) and targets (points,); got {predictions.shape} and "
            f"{targets.shape}. Ravel points that have several outputs."
        )
    broken = np.zeros(len(predictions), bool)
    for part, _ in in_parts(predictions, targets):
        broken |= ~np.isfinite(part).all(axis=1)
    if broken.any():
        raise ValueError(
            f"{broken.sum()} of {len(broken)} members predict what is not finite. Leave out fits that diverged, and "
            "say how many they are."
        )
    return predictions, targets


def in_parts(
    predictions: Float[np.ndarray, "M N"], targets: Float[np.ndarray, "N"]
) -> Iterator[tuple[Float[np.ndarray, "M n"], Float[np.ndarray, "n"]]]:
    """All members at some of the points after others, in float64, so that only these need memory."""
    width = max(_HELD // len(predictions), 1)
    for start in range(0, len(targets), width):
        points = slice(start, start + width)
        yield predictions[:, points].astype(np.float64), targets[points]
