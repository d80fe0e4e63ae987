"""A device of one multiprocessor that is this machine: kernels are compiled by g++ and run by threads.

It shows that the text of a kernel means what it should, and that the trainer launches it as it should. It is no GPU: of
registers, speed and the driver it says nothing.
"""

import ctypes
import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from jaxland.training.cuda.source import read_function

HEADER = Path(__file__).parent / "emulated.hpp"
_OPTIONS = "-std=c++20 -O1 -mfma -ffp-contract=off -fno-strict-aliasing -Wno-unknown-pragmas -fPIC -shared -pthread"
_ENTRIES = """
extern "C" void run_start(int blocks, int threads, char *s) { launch(blocks, threads, [=] { start(s); }); }
extern "C" void run_train(int blocks, int threads, char *s, REAL *x, REAL *y, REAL *trace, long long first,
                          long long count, long long every, int closing) {
  launch(blocks, threads, [=] { train(s, x, y, trace, first, count, every, closing); });
}
"""

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ to emulate a GPU with")


class Emulated:
    """See `jaxland.training.cuda.driver.Device`."""

    name, architecture, compiler = "emulated", "host", "g++"
    multiprocessors, shared_memory = 2, 200_000

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self._folder, self._numbers = folder, itertools.count()
        self.compiled, self.launches = 0, []

    def compile(self, source: str, *, flush: bool = False) -> bytes:
        """Flushing, or not, is that of this machine's threads: the text does not say it."""
        del flush
        self.compiled += 1
        real = "double" if "double *__restrict__ x" in source else "float"
        declared = f"extern __shared__ __align__(16) {real} shared[];"
        read = "\n".join(read_function(real)) + "\n"
        assert declared in source
        stem = self._folder / f"kernel{next(self._numbers)}"
        Path(f"{stem}.cpp").write_text(
            f'#include "{HEADER}"\nalignas(16) static char memory[{self.shared_memory}];\n'
            + source.replace(declared, f"{real} *const shared = ({real} *)memory;").replace(read, "")
            + _ENTRIES.replace("REAL", real)
        )
        subprocess.run(["g++", *_OPTIONS.split(), f"{stem}.cpp", "-o", f"{stem}.so"], check=True)
        return Path(f"{stem}.so").read_bytes()

    def load(self, code: bytes, shared: int):
        assert shared <= self.shared_memory
        path = self._folder / f"loaded{next(self._numbers)}.so"
        path.write_bytes(code)
        return ctypes.CDLL(str(path))

    def usage(self, kernels):
        return 0, 0

    def upload(self, array: np.ndarray):
        return _HostMemory(array)

    def launch(self, kernels, name, blocks, threads, args):
        self.launches.append(name)
        values = [ctypes.c_void_p(arg.array.ctypes.data) if isinstance(arg, _HostMemory) else arg for arg in args]
        getattr(kernels, f"run_{name}")(blocks, threads, *values)


class _HostMemory:
    def __init__(self, array):
        # A multiple of 64 bytes from an aligned start, as a GPU's allocator gives it.
        memory = np.zeros(array.nbytes + 128, np.uint8)
        start = -memory.ctypes.data % 64
        self.array = memory[start : start + array.nbytes]
        self.array[:] = np.ascontiguousarray(array).view(np.uint8).ravel()
        self.address, self.dlpack_device = self.array.ctypes.data, (1, 0)

    def read(self, start: int, size: int) -> np.ndarray:
        return self.array[start : start + size].copy()
