"""The cuda backend: a few threads of a GPU for each fit."""

from jaxland.training.cuda.compiler import Compiled, CudaMissing, compile_source, compiler_version
from jaxland.training.cuda.driver import Device, NvidiaGpu
from jaxland.training.cuda.source import Variant, write_source
from jaxland.training.cuda.trainer import IN_REGISTERS, LARGEST, CudaTrainer

__all__ = [
    "IN_REGISTERS",
    "LARGEST",
    "Compiled",
    "CudaMissing",
    "CudaTrainer",
    "Device",
    "NvidiaGpu",
    "Variant",
    "compile_source",
    "compiler_version",
    "write_source",
]
