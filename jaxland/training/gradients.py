"""Losses and gradients of many fits at once, by the backend that would train them."""

from contextlib import suppress
from pkgutil import resolve_name

import numpy as np
import optax

from jaxland.networks import Network
from jaxland.problems import Evaluate, Problem, gradients_of
from jaxland.training.backends import BACKENDS
from jaxland.training.devices import local_platform
from jaxland.training.ensemble import Ensemble
from jaxland.training.program.expression import Unlowerable


def gradients(network: Network, problem: Problem, *, dtype: str = "float64") -> Evaluate:
    """A function from M flat parameter vectors (M, P) to their losses (M,) and gradients (M, P).

    Lanes evaluates where it can, else XLA. The bits of a point do not depend on the others. The function may be called
    from several threads.
    """
    ensemble = Ensemble(network, problem, optax.sgd(0.0), steps=1, dtype=dtype, start=np.zeros((1, network.size)))
    for backend in BACKENDS.values():
        if backend.gradients is not None and backend.platform == local_platform():
            with suppress(Unlowerable):
                return resolve_name(backend.gradients)(ensemble)
    return gradients_of(problem.objective(network), dtype)
