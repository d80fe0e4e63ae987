"""Fits that are trained on from where they ended."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from jaxland.training.backends import Choice, choose_backend
from jaxland.training.calls import one_call
from jaxland.training.checkpoint import Checkpoint
from jaxland.training.ensemble import Ensemble, positive
from jaxland.training.group import Trained
from jaxland.training.loop import train_fits
from jaxland.training.progress import progress_bar


class Continued(NamedTuple):
    """Fits after more steps, and what trained them."""

    choice: Choice
    ensemble: Ensemble
    trained: Trained


def train_on(
    ensemble: Ensemble,
    fits: Int[np.ndarray, "F"],
    checkpoint: Checkpoint | None,
    backend: Mapping[str, Any],
    steps: int,
    *,
    snapshots: Sequence[int] = (),
    threads: int | None = None,
    progress: bool = False,
) -> Continued:
    """Trains fits on.

    Args:
        ensemble: what was trained.
        fits: their numbers.
        checkpoint: of them.
        backend: the name and the settings of what trained them.
        steps, snapshots, threads, progress: of `Fits.continue_`, as is what is raised.
    """
    positive("steps", steps)
    if threads is not None:
        positive("threads", threads)
    if checkpoint is None:
        raise ValueError(
            "these fits were trained without keeping the state of their optimizers; give jaxland.fit keep_state=True."
        )
    if not len(fits) or len(np.unique(fits)) < len(fits):
        raise ValueError(f"each fit is trained on once, and there must be one; got {len(fits):,} with repetitions.")
    early = [step for step in snapshots if step <= ensemble.steps]
    if early:
        raise ValueError(f"snapshots must be steps after {ensemble.steps}, where the fits are; got {early}.")
    longer = _longer(ensemble, steps, snapshots)
    settings = dict(backend)
    name = settings.pop("name")
    with one_call():
        choice = choose_backend(longer, name, settings)._replace(explanation=f"{name}: as when the fits began.")
    left = longer.steps - checkpoint.step
    with progress_bar(len(fits) * left, longer.problem.name, show=progress) as on_progress:
        trained = train_fits(
            choice.trainer,
            longer,
            fits,
            checkpoint=checkpoint,
            keep_state=True,
            threads=threads,
            on_progress=on_progress,
        )
    return Continued(choice, longer, trained)


def _longer(ensemble: Ensemble, steps: int, snapshots: Sequence[int]) -> Ensemble:
    """The ensemble with more steps, judged as before."""
    validation = ensemble.validation
    if validation is not None:
        validation = replace(validation, every=ensemble.validation_every)
    kept = (*ensemble.snapshots, *snapshots)
    return replace(ensemble, steps=ensemble.steps + int(steps), snapshots=kept, validation=validation)
