"""The processor, and machine code for it."""

import ctypes
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import llvmlite
import llvmlite.binding as llvm

from jaxland.training import processor
from jaxland.training.lanes.emit import Target
from jaxland.training.program.memory import Group, Points

ADDRESS, INTEGER = ctypes.c_void_p, ctypes.c_int64
TRAINING = {"train": [ADDRESS] * 5 + [INTEGER] * 4, "start": [ADDRESS]}
EVALUATION = {"evaluate": [ADDRESS] * 4}


class Kernel(NamedTuple):
    """Machine code in memory. Calls release the GIL.

    Attributes:
        functions: `train` and `start` (see `kernel`), taking addresses and integers.
        code: keeps the machine code in memory.
    """

    functions: dict
    code: llvm.ResourceTracker


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
    features, available = llvm.get_host_cpu_features(), processor.instructions()
    level = instructions or os.environ.get("JAXLAND_INSTRUCTIONS") or (available or ["neon"])[0]
    if level == "neon":
        return Target(llvm.get_host_cpu_name(), features.flatten(), 16, True, arm=True)
    if level not in available:
        raise ValueError(f"instructions {level!r} are not among those of this processor: {available}.")
    if level == "avx512":
        return Target(llvm.get_host_cpu_name(), features.flatten(), 64, True)
    # Plain levels, so that every processor that has them runs the same code.
    return Target(*{"avx2": ("x86-64-v3", "", 32, True), "sse": ("x86-64-v2", "", 16, False)}[level])


def compile_object(assembly: str, target: Target) -> bytes:
    """Machine code, as an object file, of LLVM assembly."""
    with _lines_in_order():
        machine = _machine(target)
        return machine.emit_object(_in_registers(_module(assembly), machine))


def native_assembly(assembly: str, target: Target) -> str:
    """Machine code, as text, of LLVM assembly."""
    with _lines_in_order():
        machine = _machine(target)
        return machine.emit_assembly(_in_registers(_module(assembly), machine))


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


def load_object(code: bytes, signatures: dict[str, list] = TRAINING) -> Kernel:
    """Makes machine code callable.

    Args:
        code: an object file.
        signatures: argument types of each function in it; those of a training kernel by default.
    """
    # JITLink, which this engine uses, keeps code and constants in one piece of memory. MCJIT places them apart, and in
    # a process that holds much memory they can come to lie further apart than an instruction can reach.
    with _LINKING:
        name = f"kernel-{next(_LIBRARIES)}"
        library = llvm.JITLibraryBuilder().add_object_img(code)
        for function in signatures:
            library.export_symbol(function)
        tracker = library.link(_linker(), name)
    functions = {name: ctypes.CFUNCTYPE(None, *arguments)(tracker[name]) for name, arguments in signatures.items()}
    return Kernel(functions, tracker)


def run_kernel(kernel: Kernel, group: Group, steps: int, *, every: int = 0, closing: bool = False) -> None:
    """Trains a group for `steps` steps, keeping the loss of each `every`-th, or only takes note of its last loss."""
    arrays = (array.ctypes.data for array in (group.buffer, *group.points, group.trace))
    kernel.functions["train"](*arrays, group.step, steps, every, int(closing))
    group.step += 0 if closing else steps


def run_evaluation(kernel: Kernel, group: Group, points: Points) -> None:
    """Takes the losses of a group's members on some points; they are then in its memory, as `judged`."""
    kernel.functions["evaluate"](*(array.ctypes.data for array in (group.buffer, *points)))


_LINKING = threading.Lock()
_LIBRARIES = itertools.count()


@lru_cache(maxsize=1)
def _linker() -> llvm.LLJIT:
    _initialize()
    return llvm.create_lljit_compiler(_native_machine(), use_jit_link=True)


def compiler_version() -> str:
    """What besides the assembly decides the machine code."""
    return f"llvmlite {llvmlite.__version__} LLVM {'.'.join(map(str, llvm.llvm_version_info))}"


def _module(assembly):
    _initialize()
    module = llvm.parse_assembly(assembly)
    module.verify()
    return module


def _in_registers(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    """Makes registers of the variables of scalar code; kernels have none, and nothing else is changed."""
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(0)))
    return module


def _machine(target: Target):
    _initialize()
    triple = llvm.Target.from_triple(llvm.get_process_triple())
    return triple.create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", codemodel="default"
    )


def _native_machine():
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine()
