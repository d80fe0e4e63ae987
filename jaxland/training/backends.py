"""The choice of backend, with its reason."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from jaxland._names import lookup
from jaxland.training.ensemble import Ensemble
from jaxland.training.trainer import Trainer
from jaxland.training.xla import XlaTrainer


class Choice(NamedTuple):
    """A backend made ready, and why it was chosen."""

    trainer: Trainer
    explanation: str


def _lanes(ensemble: Ensemble, settings: Mapping[str, Any] | None) -> Trainer:
    # Imported when used: nothing else in jaxland needs a compiler.
    from jaxland.training.lanes import LanesTrainer

    return LanesTrainer(ensemble, settings)


BACKENDS = {"lanes": _lanes, "xla": XlaTrainer}


def choose_backend(ensemble: Ensemble, backend: str = "auto", settings: Mapping[str, Any] | None = None) -> Choice:
    """Makes a backend ready for the ensemble.

    Args:
        ensemble: what is to be trained.
        backend: a name from `BACKENDS`, or `"auto"`: lanes on a CPU, unless the program has no scalar form or is
            so large that xla is faster.
        settings: a trainer's `settings`, recorded when the first fits were trained, to be given with that trainer's
            `name`; chosen anew by default.

    Raises:
        ValueError: unknown name, or settings that cannot be met here.
        Unlowerable: lanes was asked for and cannot train this ensemble; the message says why.
    """
    if backend != "auto":
        trainer = lookup("backend", backend, {**BACKENDS, "auto": XlaTrainer})
        return Choice(trainer(ensemble, settings), f"{backend}: as asked.")
    if jax.default_backend() != "cpu":
        reason = f"lanes makes kernels for CPUs, and this process computes on {jax.default_backend()}."
        return Choice(XlaTrainer(ensemble, settings), f"xla: {reason}")
    from jaxland.training.lanes import LARGEST_PROGRAM, LanesTrainer, Unlowerable

    try:
        trainer = LanesTrainer(ensemble, settings, largest=LARGEST_PROGRAM)
    except Unlowerable as reason:
        return Choice(XlaTrainer(ensemble, settings), f"xla: {reason}")
    return Choice(trainer, f"lanes: one fit in each of {trainer.width} lanes, the whole training loop in one kernel.")
