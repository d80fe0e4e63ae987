"""Compiles CUDA C with NVRTC, which needs no GPU, no driver and no nvcc."""

import importlib
import re
from typing import Any, NamedTuple

_OPTIONS = ("--std=c++17", "--fmad=false", "--ptxas-options=-v")


class CudaMissing(ImportError):
    """A part of CUDA is not installed; the message says how to get it."""


class Compiled(NamedTuple):
    """Machine code of a GPU, and what the compiler says of it.

    Attributes:
        code: a cubin.
        registers: of a thread of the kernel `train`.
        spilled: bytes a thread of `train` writes to memory because registers are full.
    """

    code: bytes
    registers: int
    spilled: int


def compiler_version() -> str:
    """NVRTC's version.

    Raises:
        CudaMissing: it is not installed.
    """
    return "nvrtc {}.{}".format(*_call("nvrtcVersion"))


def compile_source(source: str, architecture: str, *, flush: bool = False) -> Compiled:
    """Compiles kernels.

    Contraction is off, and division and square roots are those of IEEE 754, so that the code computes what the source
    says.

    Args:
        source: CUDA C.
        architecture: such as `"sm_90"`.
        flush: take subnormal numbers of float32 for zero; a GPU has no way to do so in float64.

    Raises:
        CudaMissing: NVRTC is not installed.
        RuntimeError: the compiler refuses the source or the architecture; the message is its log.
    """
    program = _call("nvrtcCreateProgram", source.encode(), b"jaxland.cu", 0, [], [])
    chosen = f"--gpu-architecture={architecture}", f"--ftz={str(flush).lower()}"
    options = [option.encode() for option in (*_OPTIONS, *chosen)]
    try:
        (status,) = _nvrtc().nvrtcCompileProgram(program, len(options), options)
        log = _text(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog").decode(errors="replace")
        if int(status):
            raise RuntimeError(f"NVRTC refuses the program for {architecture}:\n{log}")
        code = _text(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
    finally:
        _call("nvrtcDestroyProgram", program)
    train = log.partition("entry function 'train'")[2]
    return Compiled(code, _number(r"Used (\d+) registers", train), _number(r"(\d+) bytes spill stores", train))


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def _text(program, size: str, get: str) -> bytes:
    buffer = bytes(_call(size, program))
    _call(get, program, buffer)
    return buffer


def _nvrtc():
    try:
        nvrtc = importlib.import_module("cuda.bindings.nvrtc")
        nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError) as error:
        raise CudaMissing(
            f"NVRTC is not installed ({error}); pip install nvidia-cuda-nvrtc-cu12 (CUDA 12) or nvidia-cuda-nvrtc "
            "(CUDA 13)."
        ) from None
    return nvrtc


def _call(name: str, *args) -> Any:
    """The result of a function of NVRTC: nothing, one value or several."""
    status, *values = getattr(_nvrtc(), name)(*args)
    if int(status):
        raise RuntimeError(f"{name}: {status.name}")
    return values[0] if len(values) == 1 else values
