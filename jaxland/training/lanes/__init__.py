"""Fused kernels in which every lane of a vector register trains one fit.

trace -> scalarize (expressions, approximations) -> schedule -> emit (kernel) -> machine (cache, tuning) -> trainer
"""

from jaxland.training.lanes.expression import Unlowerable
from jaxland.training.lanes.trainer import LanesTrainer

__all__ = ["LanesTrainer", "Unlowerable"]
