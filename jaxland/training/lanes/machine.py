"""The processor, and machine code for it."""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import llvmlite
import llvmlite.binding as llvm

from jaxland.training.lanes.emit import Target

_ARGUMENTS = {
    "train": [ctypes.c_void_p] * 4 + [ctypes.c_int64] * 4,
    "start": [ctypes.c_void_p],
}


class Kernel(NamedTuple):
    """Machine code in memory, which stays there as long as the process lives. Calls release the GIL.

    Attributes:
        functions: the functions of `kernel.FUNCTIONS`, by name, taking addresses and integers.
    """

    functions: dict


_LOADED: list = []
"""Engines and the object files they were given: LLVM is not asked to unload what a thread might still run."""


@lru_cache(maxsize=1)
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def host(instructions: str | None = None) -> Target:
    """The processor this runs on.

    Args:
        instructions: `"avx512"`, `"avx2"` or `"sse"` to use no more than that; by default what `JAXLAND_INSTRUCTIONS`
            says, else all the processor has.

    Raises:
        ValueError: the processor lacks what is asked for.
    """
    _initialize()
    features = llvm.get_host_cpu_features()
    level = instructions or os.environ.get("JAXLAND_INSTRUCTIONS") or _best(features)
    if level == "neon":
        return Target(llvm.get_host_cpu_name(), features.flatten(), 16, True)
    if level not in _LEVELS or not all(features.get(name) for name in _LEVELS[level]):
        raise ValueError(f"instructions {level!r} are not among those of this processor: {_available(features)}.")
    if level == "avx512":
        return Target(llvm.get_host_cpu_name(), features.flatten(), 64, True)
    # Plain levels, so that every processor that has them runs the same code.
    return Target(*{"avx2": ("x86-64-v3", "", 32, True), "sse": ("x86-64-v2", "", 16, False)}[level])


_LEVELS = {"avx512": ("avx512f", "avx512dq", "fma"), "avx2": ("avx2", "fma"), "sse": ("sse4.2",)}


def _available(features):
    return [level for level, names in _LEVELS.items() if all(features.get(name) for name in names)]


def _best(features):
    levels = _available(features)
    return levels[0] if levels else "neon"


def compile_object(assembly: str, target: Target) -> bytes:
    """Machine code, as an object file, of LLVM assembly."""
    with _lines_in_order():
        return _machine(target).emit_object(_module(assembly))


def native_assembly(assembly: str, target: Target) -> str:
    """Machine code, as text, of LLVM assembly."""
    with _lines_in_order():
        return _machine(target).emit_assembly(_module(assembly))


@contextmanager
def _lines_in_order() -> Iterator[None]:
    """Keeps LLVM from ordering instructions before it assigns registers: the schedule is better (by 5 % or more).

    The option is one of the process, so it is set back for others who compile with the same LLVM.
    """
    with _OPTION_LOCK:
        llvm.set_option("jaxland", "-enable-misched=false")
        try:
            yield
        finally:
            llvm.set_option("jaxland", "-enable-misched=true")


_OPTION_LOCK = threading.Lock()


def load_object(code: bytes) -> Kernel:
    """Makes machine code callable."""
    _initialize()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _native_machine())
    image = llvm.ObjectFileRef.from_data(code)
    _LOADED.append((engine, image, code))
    engine.add_object_file(image)
    engine.finalize_object()
    functions = {
        name: ctypes.CFUNCTYPE(None, *arguments)(engine.get_function_address(name))
        for name, arguments in _ARGUMENTS.items()
    }
    return Kernel(functions)


def compiler_version() -> str:
    """What besides the assembly decides the machine code."""
    return f"llvmlite {llvmlite.__version__} LLVM {'.'.join(map(str, llvm.llvm_version_info))}"


def _module(assembly):
    _initialize()
    module = llvm.parse_assembly(assembly)
    module.verify()
    return module


def _machine(target: Target):
    _initialize()
    triple = llvm.Target.from_triple(llvm.get_process_triple())
    return triple.create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", codemodel="default"
    )


def _native_machine():
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine()
