"""Problems: data, loss and, where known, the global minimum."""

from jaxland.problems.losses import LOSSES, Loss, get_loss
from jaxland.problems.problem import Problem
from jaxland.problems.sawtooth import SawtoothProblem, SawtoothTarget, sawtooth

__all__ = ["LOSSES", "Loss", "Problem", "SawtoothProblem", "SawtoothTarget", "get_loss", "sawtooth"]
