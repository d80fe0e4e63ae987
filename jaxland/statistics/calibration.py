"""Whether an ensemble is as sure as it is right, of classes by their probabilities and of numbers by its spread."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from jaxland.statistics.checks import probability
from jaxland.statistics.intervals import sample_interval, wilson_interval
from jaxland.statistics.scores import in_parts, members_and_targets
from jaxland.statistics.shares import binned_shares

# How far the probabilities of a point may sum to something else than one: float16 is no closer.
_ROUNDING = 1e-2


class ClassificationScores(NamedTuple):
    """How good the class probabilities of N points are, each as a mean over the points."""

    nll: float
    """Negative log-likelihood in nats; infinite where a label had probability zero."""
    brier: float
    """Squared distance of the probabilities to those of the label, summed over classes as by Brier: from 0 to 2."""
    calibration_error: float
    """Expected calibration error: distance of accuracy to confidence, a mean over bins by their points."""
    accuracy: float
    confidence: float
    """Largest probability of a point."""
    points: int
    intervals: Mapping[str, tuple[float, float]] = {}
    """For nll, brier, confidence (Student's t) and accuracy (Wilson) of points drawn alike, which are independent. Two
    predictors of the same points differ by less than these tell: compare them point by point."""


def classification_scores(
    probabilities: Float[np.ndarray, "*M N C"],
    labels: Shaped[np.ndarray, "N"] | Shaped[np.ndarray, "N 1"],
    *,
    bins: int = 15,
    strategy: Literal["uniform", "quantile"] = "uniform",
    level: float = 0.95,
) -> ClassificationScores:
    """Scores of the probabilities of an ensemble, or of one member.

    The calibration error depends on the bins and is never zero for a finite number of points; compare it only for equal
    ones.

    Args:
        probabilities: of C classes at N points; those of M members, (M, N, C), are replaced with their mean.
        labels: which class each point has, from 0 to C - 1; a column, as of `class_numbers`, will do.
        bins, strategy: of the calibration error, as in `reliability`. It has no interval: it is biased upwards by an
            amount that depends on bins and points.
        level: of the intervals.

    Raises:
        ValueError: as `reliability`, or the level is not between 0 and 1.

    References:
        Brier, Verification of forecasts expressed in terms of probability (1950).
        Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks (2017), eq. 3.
    """
    probability("level", level)
    mean, labels = _means_and_labels(probabilities, labels)
    table = reliability(mean, labels, bins=bins, strategy=strategy)
    given = mean[np.arange(len(labels)), labels]
    with np.errstate(divide="ignore"):
        nll = -np.log(given)
    # |p - e|^2 = |p|^2 - 2 p_label + 1 would cancel where predictions are good.
    brier = ((mean - np.eye(mean.shape[1])[labels]) ** 2).sum(axis=1)
    right, sure = mean.argmax(axis=1) == labels, mean.max(axis=1)
    intervals = {name: sample_interval(each, level) for name, each in (("brier", brier), ("confidence", sure))}
    # Of a label that had probability zero nothing is known but that the mean is infinite.
    intervals["nll"] = sample_interval(nll, level) if np.isfinite(nll).all() else (np.nan, np.inf)
    intervals["accuracy"] = wilson_interval(int(right.sum()), len(right), level)
    return ClassificationScores(
        nll=float(nll.mean()),
        brier=float(brier.mean()),
        calibration_error=calibration_error(table),
        accuracy=float(right.mean()),
        confidence=float(sure.mean()),
        points=len(labels),
        intervals=intervals,
    )


def calibration_error(table: pd.DataFrame) -> float:
    """The expected calibration error of a table that `reliability` made: Guo and others (2017), eq. 3."""
    filled = table[table["count"] > 0]
    return float(np.average(np.abs(filled["accuracy"] - filled["confidence"]), weights=filled["count"]))


def reliability(
    probabilities: Float[np.ndarray, "*M N C"],
    labels: Shaped[np.ndarray, "N"] | Shaped[np.ndarray, "N 1"],
    *,
    bins: int = 15,
    strategy: Literal["uniform", "quantile"] = "uniform",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """How often the most probable class is right, by how probable it was: the numbers of a reliability diagram.

    Args:
        probabilities: of C classes at N points; those of M members, (M, N, C), are replaced with their mean. A single
            probability p of one of two classes is the pair (1 - p, p).
        labels: which class each point has, from 0 to C - 1; a column, as of `class_numbers`, will do.
        bins: how many.
        strategy: `"uniform"` for bins of equal width from 0 to 1, `"quantile"` for about as many points in each, from
            the least sure to the most, and fewer bins where many are equally sure. A bin holds its lower bound, the
            last one both.
        confidence: of the intervals.

    Returns:
        One row a bin: `bin_low`, `bin_high`; `count` of points; `confidence`, the mean of their largest probabilities;
        `accuracy`, the share of them that are right; `low` and `high`, its interval by Wilson. NaN for empty bins.

    Raises:
        ValueError: shapes do not go together, probabilities are negative or do not sum to one, labels are none of the
            classes, or there are no bins.
    """
    mean, labels = _means_and_labels(probabilities, labels)
    if bins < 1:
        raise ValueError(f"bins must be at least 1; got {bins}.")
    if strategy not in ("uniform", "quantile"):
        raise ValueError(f"strategy must be 'uniform' or 'quantile'; got {strategy!r}.")
    sure = np.minimum(mean.max(axis=1), 1.0)
    edges = np.linspace(0, 1, bins + 1)
    if strategy == "quantile":
        quantiles = np.unique(np.quantile(sure, edges))
        edges = quantiles if len(quantiles) > 1 else edges[[0, -1]]
    shares = binned_shares(sure, mean.argmax(axis=1) == labels, edges, confidence=confidence)
    total = np.histogram(sure, edges, weights=sure)[0]
    return pd.DataFrame(
        {
            "bin_low": edges[:-1],
            "bin_high": edges[1:],
            "count": shares.counts,
            "confidence": np.where(shares.counts > 0, total / np.maximum(shares.counts, 1), np.nan),
            "accuracy": shares.share,
            "low": shares.low,
            "high": shares.high,
        }
    )


def _means_and_labels(probabilities, labels) -> tuple[Float[np.ndarray, "N C"], Int[np.ndarray, "N"]]:
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:  # a column, as `class_numbers` makes and problems have
        labels = labels[:, 0]
    if probabilities.ndim not in (2, 3) or labels.shape != probabilities.shape[-2:-1]:
        raise ValueError(
            "probabilities must have shape (members, points, classes) or (points, classes) and labels (points,); got "
            f"{probabilities.shape} and {labels.shape}. Stack a single probability p as (1 - p, p)."
        )
    if not len(labels) or not len(probabilities):
        raise ValueError(f"there are no points or no members: probabilities have shape {probabilities.shape}.")
    # Member by member: a copy of all of them in float64 may not fit.
    members = probabilities[None] if probabilities.ndim == 2 else probabilities
    lowest = min(float(member.min()) for member in members)
    furthest = max(float(np.abs(member.sum(axis=-1, dtype=np.float64) - 1).max()) for member in members)
    if not (lowest >= 0 and furthest <= _ROUNDING):
        raise ValueError(
            "the probabilities of a point must not be negative and must sum to one; the smallest is "
            f"{lowest:g}, a sum is {furthest:g} off. Take the softmax of logits."
        )
    classes = members.shape[-1]
    if not np.isin(labels, np.arange(classes)).all():
        raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}; got {np.unique(labels)[:10]}.")
    return members.mean(axis=0, dtype=np.float64), labels.astype(int)


def interval_coverage(
    predictions: Float[np.ndarray, "M N"],
    targets: Float[np.ndarray, "N"],
    levels: Sequence[float] | Float[np.ndarray, "L"] = (0.5, 0.8, 0.9, 0.95),
    *,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """How many targets lie in the central intervals of an ensemble's predictions, which should be their level.

    The bounds are quantiles with plotting positions i / (M + 1): a target drawn as the members were lies between them
    with a probability of the level exactly, for few members too.

    Args:
        predictions: of M members at N points.
        targets: at the points.
        levels: of the central intervals, between 0 and 1; at most (M - 1) / (M + 1), the level of the whole range.
        confidence: of the intervals for the coverage.

    Returns:
        One row a level: `level`; `coverage`, the share of targets inside, bounds included; `low` and `high`, its
        interval by Wilson, for independent points; `width`, the mean length of the central intervals; `count`, N.

    Raises:
        ValueError: shapes do not go together, a number is not finite, or a level is beyond what M members can have.

    References:
        Hyndman and Fan, Sample quantiles in statistical packages (1996), definition 6.
        Gneiting, Balabdaoui and Raftery, Probabilistic forecasts, calibration and sharpness (2007).
    """
    predictions, targets = members_and_targets(predictions, targets)
    levels = np.asarray(levels, np.float64)
    largest = (len(predictions) - 1) / (len(predictions) + 1)
    for level in levels:
        probability("levels", level)
        if level > largest * (1 + 1e-12):
            raise ValueError(
                f"{len(predictions)} members have central intervals of level {largest:.3g} at most; got {level}."
            )
    inside, width = np.zeros(len(levels), int), np.zeros(len(levels))
    tails = np.concatenate([(1 - levels) / 2, (1 + levels) / 2])
    for members, wanted in in_parts(predictions, targets):
        low, high = np.split(np.quantile(members, tails, axis=0, method="weibull"), 2)
        inside += ((low <= wanted) & (wanted <= high)).sum(axis=1)
        width += (high - low).sum(axis=1)
    count = len(targets)
    bounds = np.array([wilson_interval(int(hits), count, confidence) for hits in inside]).reshape(-1, 2)
    return pd.DataFrame(
        {
            "level": levels,
            "coverage": inside / count,
            "low": bounds[:, 0],
            "high": bounds[:, 1],
            "width": width / count,
            "count": count,
        }
    )
