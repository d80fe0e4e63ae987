"""The choice of backend, with its reason."""

from typing import NamedTuple

from jaxland._names import lookup
from jaxland.training.ensemble import Ensemble
from jaxland.training.trainer import Trainer
from jaxland.training.xla import XlaTrainer

BACKENDS = {"xla": XlaTrainer}


class Choice(NamedTuple):
    """A backend made ready, and why it was chosen."""

    trainer: Trainer
    explanation: str


def choose_backend(ensemble: Ensemble, backend: str = "auto") -> Choice:
    """Makes a backend ready for the ensemble.

    Args:
        ensemble: what is to be trained.
        backend: a name from `BACKENDS`, or `"auto"`.

    Raises:
        ValueError: unknown name.
    """
    if backend == "auto":
        return Choice(XlaTrainer(ensemble), "xla: the step of one fit, vmapped; it takes any network and optimizer.")
    trainer = lookup("backend", backend, {**BACKENDS, "auto": XlaTrainer})
    return Choice(trainer(ensemble), f"{backend}: as asked.")
