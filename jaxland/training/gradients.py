"""Losses and gradients of many fits at once, by the backend that would train them."""

import numpy as np
import optax

from jaxland.networks import Network
from jaxland.problems import Evaluate, Problem, gradients_of
from jaxland.training.devices import local_platform
from jaxland.training.ensemble import Ensemble
from jaxland.training.program.expression import Unlowerable


def gradients(network: Network, problem: Problem, *, dtype: str = "float64") -> Evaluate:
    """A function from M flat parameter vectors (M, P) to their losses (M,) and gradients (M, P).

    Lanes evaluates where it can, else XLA. The bits of a point do not depend on the others. The function may be called
    from several threads.
    """
    if local_platform() == "cpu":
        from jaxland.training.lanes import LARGEST_PROGRAM, LanesGradient

        ensemble = Ensemble(network, problem, optax.sgd(0.0), steps=1, dtype=dtype, start=np.zeros((1, network.size)))
        try:
            return LanesGradient(ensemble, largest=LARGEST_PROGRAM)
        except Unlowerable:
            pass
    return gradients_of(problem.objective(network), dtype)
