"""The tpu backend: scalar programs, evaluated on tiles of 1,024 fits inside a Pallas kernel.

The kernel is tested in Pallas's interpret mode and compiled by the TPU compiler; it has not run on a TPU.
"""

from jaxland.training.tpu.trainer import LARGEST_PROGRAM, TpuTrainer

__all__ = ["LARGEST_PROGRAM", "TpuTrainer"]
