"""What is measured of every fit of a placebo test, and the statistics made of it."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxland._short import in_short
from jaxland.landscape import losses
from jaxland.placebo.design import Design

MEASURED = ("initial_loss", "loss", "best_loss", "diverged_step")
"""What training gives of each fit, by the names of a study's shards."""
# Fits whose own points are held in memory at a time.
_BLOCK = 512


class Measures(NamedTuple):
    """Losses of every fit: of each problem, of its L labellings, the real one first, from each of R starts."""

    initial_loss: Float[np.ndarray, "*problems L R"]
    training_loss: Float[np.ndarray, "*problems L R"]
    best_training_loss: Float[np.ndarray, "*problems L R"]
    validation_loss: Float[np.ndarray, "*problems L R"]
    """On the points held out, with their real labels; NaN where there are none."""
    diverged: Bool[np.ndarray, "*problems L R"]

    __repr__ = in_short


class Statistic(NamedTuple):
    """A number for a fit that should differ between real labels and placebos.

    Attributes:
        name: by which it is asked for.
        label: for axes.
        alternative: `"less"` if small values speak for the labels, `"greater"` if large ones do.
        held_out: whether it needs points held out.
        of: from measures to values.
    """

    name: str
    label: str
    alternative: Literal["less", "greater"]
    held_out: bool
    of: Callable[[Measures], Float[np.ndarray, "..."]]

    __repr__ = in_short


STATISTICS: dict[str, Statistic] = {
    each.name: each
    for each in (
        Statistic("training_loss", "training loss", "less", False, lambda of: of.training_loss),
        Statistic("best_training_loss", "best training loss", "less", False, lambda of: of.best_training_loss),
        Statistic(
            "training_improvement", "fall of the training loss", "greater", False,
            lambda of: of.initial_loss - of.training_loss,
        ),
        Statistic("validation_loss", "loss on the points held out", "less", True, lambda of: of.validation_loss),
        Statistic(
            "validation_gap", "held-out loss less training loss", "less", True,
            lambda of: of.validation_loss - of.training_loss,
        ),
    )
}  # fmt: skip


def middle(statistic: Statistic, measures: Measures) -> Float[np.ndarray, "*problems L"]:
    """The statistic of each labelling: the median over its starts. A fit that diverged counts as the worst."""
    return np.median(by_start(statistic, measures), axis=-1)


def by_start(statistic: Statistic, measures: Measures) -> Float[np.ndarray, "*problems L R"]:
    """The statistic of each fit, in float64; one that diverged, or whose loss is not finite, counts as the worst."""
    with np.errstate(invalid="ignore"):
        values = np.asarray(statistic.of(measures), np.float64)
    worst = np.inf if statistic.alternative == "less" else -np.inf
    return np.where(measures.diverged | ~np.isfinite(values), worst, values)


def measured(design: Design, found: Mapping[str, np.ndarray]) -> Measures:
    """Measures of all fits of some labellings, by number: columns `MEASURED` and their `validation_loss`."""
    names = ("initial_loss", "loss", "best_loss", "validation_loss")
    values = (*(found[name] for name in names), found["diverged_step"] >= 0)
    return Measures(*(each.reshape(len(design.problems), -1, design.starts) for each in values))


def held_out_losses(
    design: Design, fits: Int[np.ndarray, "F"], params: Float[np.ndarray, "F P"]
) -> Float[np.ndarray, "F"]:
    """The loss of each fit on the points held out of its problem; NaN where there are none."""
    if not design.held_out:
        return np.full(len(params), np.nan, params.dtype)
    loss = design.problems[0].loss
    if len(design.held_out) == 1:
        return losses(design.network, loss, params, design.held_out[0].x, design.held_out[0].y)
    problems = design.places(fits)[0]
    blocks = []
    for first in range(0, len(fits), _BLOCK):
        rows = slice(first, first + _BLOCK)
        x, y = (np.stack([getattr(design.held_out[each], name) for each in problems[rows]]) for name in ("x", "y"))
        blocks.append(losses(design.network, loss, params[rows], x, y))
    return np.concatenate(blocks)
