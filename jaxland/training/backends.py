"""The choice of backend, with its reason."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxland._names import lookup
from jaxland.training.ensemble import Ensemble
from jaxland.training.trainer import Trainer
from jaxland.training.xla import XlaTrainer

BACKENDS = {"xla": XlaTrainer}


class Choice(NamedTuple):
    """A backend made ready, and why it was chosen."""

    trainer: Trainer
    explanation: str


def choose_backend(ensemble: Ensemble, backend: str = "auto", settings: Mapping[str, Any] | None = None) -> Choice:
    """Makes a backend ready for the ensemble.

    Args:
        ensemble: what is to be trained.
        backend: a name from `BACKENDS`, or `"auto"`.
        settings: a trainer's `settings`, recorded when the first fits were trained; chosen anew by default.

    Raises:
        ValueError: unknown name.
    """
    if backend == "auto":
        reason = "xla: the step of one fit, vmapped; it takes any network and optimizer."
        return Choice(XlaTrainer(ensemble, settings), reason)
    trainer = lookup("backend", backend, BACKENDS)
    return Choice(trainer(ensemble, settings), f"{backend}: as asked.")
