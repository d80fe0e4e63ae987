"""Fused kernels in which every lane of a vector register trains one fit.

trace -> scalarize (expressions, approximations) -> schedule -> emit, roll, kernel -> machine, cache, tuning -> trainer
"""

from jaxland.training.lanes.expression import Unlowerable
from jaxland.training.lanes.gradient import LanesGradient
from jaxland.training.lanes.text import describe
from jaxland.training.lanes.trainer import LARGEST_PROGRAM, LanesTrainer

__all__ = ["LARGEST_PROGRAM", "LanesGradient", "LanesTrainer", "Unlowerable", "describe"]
