"""What is measured of every fit of a placebo test, and the statistics made of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxland.landscape import losses
from jaxland.placebo.design import Design
from jaxland.placebo.identity import identity
from jaxland.problems import Loss
from jaxland.store import Parts
from jaxland.training import choose_backend, train

# Fits of a part: seconds of work for the networks lanes is made for, and a few megabytes of labels.
_PART = 512


class Measures(NamedTuple):
    """Losses of every fit: of each problem, of its L labellings, the real one first, from each of R starts."""

    initial_loss: Float[np.ndarray, "*problems L R"]
    training_loss: Float[np.ndarray, "*problems L R"]
    best_training_loss: Float[np.ndarray, "*problems L R"]
    validation_loss: Float[np.ndarray, "*problems L R"]
    """On the points held out, with their real labels; NaN where there are none."""
    diverged: Bool[np.ndarray, "*problems L R"]


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


def measure(
    design: Design,
    *,
    backend: str = "auto",
    threads: int | None = None,
    folder: Path | None = None,
    on_progress: Callable[[int], object] = lambda net_steps: None,
) -> tuple[Measures, str]:
    """Trains every fit of a design, a part at a time, and measures it.

    Args:
        design: what is trained.
        backend: `"auto"`, or a name from `jaxland.training.BACKENDS`.
        threads: how many groups of fits are trained at a time; all processors by default.
        folder: keeps finished parts, so that an interrupted test, asked for again, goes on.
        on_progress: called with the net-steps done since its last call.

    Returns:
        The measures, with one axis for the problems, and which backend was chosen and why.

    Raises:
        StoreError: a part cannot be written.
    """
    choice = choose_backend(design.ensemble(0, 1), backend)
    trainer = choice.trainer
    parts = None if folder is None else Parts(folder / identity(design, trainer))
    # Groups of fits stand at multiples of the width; a part that is none would train some of them twice, and one of
    # fewer groups than devices would leave some of these idle.
    together = trainer.width * trainer.devices
    size = -(-_PART // together) * together

    def part(first: int) -> dict[str, np.ndarray]:
        count = min(size, design.fits - first)
        done = 0

        def progress(net_steps):
            nonlocal done
            done += net_steps
            on_progress(net_steps)

        def compute():
            return _measured(design, trainer, first, count, threads, progress)

        found = compute() if parts is None else parts.get(f"fits-{first}-{count}", compute)
        if done < count * design.steps:  # it was there already
            on_progress(count * design.steps - done)
        return found

    found = [part(first) for first in range(0, design.fits, size)]
    shape = (len(design.problems), design.labellings, design.starts)
    joined = {name: np.concatenate([each[name] for each in found]).reshape(shape) for name in Measures._fields}
    return Measures(**joined), choice.explanation


def _measured(design, trainer, first, count, threads, on_progress) -> dict[str, np.ndarray]:
    ensemble = design.ensemble(first, count)
    result, _ = train(trainer, ensemble, first, count, threads=threads, on_progress=on_progress)
    return {
        "initial_loss": result.initial_loss,
        "training_loss": result.loss,
        "best_training_loss": result.best_loss,
        "validation_loss": _held_out_losses(design, first, result.params),
        "diverged": result.diverged_step >= 0,
    }


def _held_out_losses(design: Design, first: int, params: Float[np.ndarray, "F P"]) -> Float[np.ndarray, "F"]:
    if not design.held_out:
        return np.full(len(params), np.nan, params.dtype)
    loss = design.problems[0].loss
    assert isinstance(loss, Loss)
    problems, _, _ = design.places(np.arange(first, first + len(params)))
    if len(design.held_out) == 1:
        return losses(design.network, loss, params, design.held_out[0].x, design.held_out[0].y)
    x, y = (np.stack([getattr(design.held_out[each], name) for each in problems]) for name in ("x", "y"))
    return losses(design.network, loss, params, x, y)
