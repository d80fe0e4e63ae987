"""Fused kernels in which every lane of a vector register trains one fit.

programs of `jaxland.training.program` -> emit, kernel -> machine, tuning -> trainer
loop nests of `jaxland.training.program` -> blocks, loops -> machine, tuning -> trainer
"""

from jaxland.training.lanes.gradient import LanesGradient
from jaxland.training.lanes.loop_text import describe_loops
from jaxland.training.lanes.text import describe
from jaxland.training.lanes.trainer import LARGEST_PROGRAM, LanesTrainer

__all__ = ["LARGEST_PROGRAM", "LanesGradient", "LanesTrainer", "describe", "describe_loops"]
