"""One NVIDIA GPU, by NVIDIA's driver: memory, code and launches. Nothing here knows what a kernel computes."""

import ctypes
import importlib
import threading
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from jaxland.training.cuda.compiler import CudaMissing, compile_source, compiler_version
from jaxland.training.devices import local_devices, local_platform

_DLPACK_CUDA = 2


class Memory(Protocol):
    """A piece of a device's memory, freed when nobody holds it.

    Attributes:
        address: of its first byte.
        dlpack_device: type and number of the device, as DLPack counts them.
    """

    address: int
    dlpack_device: tuple[int, int]

    def read(self, start: int, size: int) -> np.ndarray:
        """`size` bytes from `start` on."""
        ...


class Device(Protocol):
    """What the trainer asks of a device.

    Attributes:
        name: the maker's.
        architecture: such as `"sm_90"`.
        compiler: name and version.
        multiprocessors: how many there are.
        shared_memory: bytes a block may have.
    """

    name: str
    architecture: str
    compiler: str
    multiprocessors: int
    shared_memory: int

    def compile(self, source: str, *, flush: bool = False) -> bytes:
        """Machine code of CUDA C, which takes subnormal numbers of float32 for zero or not."""
        ...

    def load(self, code: bytes, shared: int) -> Any:
        """Kernels `train` and `start` made ready, for blocks with `shared` bytes."""
        ...

    def usage(self, kernels: Any) -> tuple[int, int]:
        """Registers of a thread of `train`, and the bytes of memory it needs besides, such as for what is spilled."""
        ...

    def upload(self, array: np.ndarray) -> Memory:
        """A copy on the device."""
        ...

    def launch(self, kernels: Any, name: str, blocks: int, threads: int, args: Sequence[Any]) -> None:
        """Runs a kernel to its end; arguments are memory, or numbers with a ctypes type."""
        ...


class NvidiaGpu:
    """A GPU of this machine; see `Device`. Its context is the one that JAX uses.

    Args:
        ordinal: which one, from 0.

    Raises:
        CudaMissing: there are no bindings, no driver or no such GPU.
    """

    def __init__(self, ordinal: int = 0):
        self._driver = _bindings()
        try:
            self._call("cuInit", 0)
        except RuntimeError as error:
            raise CudaMissing(f"the NVIDIA driver finds no GPU ({error}).") from None
        self.ordinal, self.count = ordinal, self._call("cuDeviceGetCount")
        if ordinal >= self.count:
            raise CudaMissing(f"there is no NVIDIA GPU {ordinal} on this machine.")
        self._device = self._call("cuDeviceGet", ordinal)
        self._context = self._call("cuDevicePrimaryCtxRetain", self._device)
        self._streams = threading.local()
        self.name = self._call("cuDeviceGetName", 128, self._device).split(b"\0")[0].decode()
        major, minor = (self._attribute(f"COMPUTE_CAPABILITY_{part}") for part in ("MAJOR", "MINOR"))
        self.architecture, self.compiler = f"sm_{major}{minor}", compiler_version()
        self.multiprocessors = self._attribute("MULTIPROCESSOR_COUNT")
        self.shared_memory = self._attribute("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN")

    def _attribute(self, name: str) -> int:
        attribute = getattr(self._driver.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return self._call("cuDeviceGetAttribute", attribute, self._device)

    def compile(self, source: str, *, flush: bool = False) -> bytes:
        return compile_source(source, self.architecture, flush=flush).code

    def load(self, code: bytes, shared: int) -> "_Kernels":
        self._enter()
        module = self._call("cuModuleLoadData", code)
        functions = {name: self._call("cuModuleGetFunction", module, name.encode()) for name in ("train", "start")}
        limit = self._driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        self._call("cuFuncSetAttribute", functions["train"], limit, shared)
        return _Kernels(self, module, functions, {"train": shared, "start": 0})

    def usage(self, kernels: "_Kernels") -> tuple[int, int]:
        attributes, train = self._driver.CUfunction_attribute, kernels.functions["train"]
        registers = self._call("cuFuncGetAttribute", attributes.CU_FUNC_ATTRIBUTE_NUM_REGS, train)
        return registers, self._call("cuFuncGetAttribute", attributes.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, train)

    def upload(self, array: np.ndarray) -> "_Memory":
        self._enter()
        array = np.ascontiguousarray(array)
        memory = _Memory(self, max(array.nbytes, 1))
        if array.nbytes:
            # On the stream of the kernels that follow: these do not wait for copies of the default stream.
            stream = self._stream()
            self._call("cuMemcpyHtoDAsync", memory.pointer, array.ctypes.data, array.nbytes, stream)
            self._call("cuStreamSynchronize", stream)
        return memory

    def launch(self, kernels: "_Kernels", name: str, blocks: int, threads: int, args: Sequence[Any]) -> None:
        self._enter()
        values = [int(arg.pointer) if isinstance(arg, _Memory) else arg.value for arg in args]
        types = [ctypes.c_void_p if isinstance(arg, _Memory) else type(arg) for arg in args]
        function, shared, stream = kernels.functions[name], kernels.shared[name], self._stream()
        packed = (tuple(values), tuple(types))
        self._call("cuLaunchKernel", function, blocks, 1, 1, threads, 1, 1, shared, stream, packed, 0)
        self._call("cuStreamSynchronize", stream)

    def _stream(self):
        """Each host thread has its own, so that their kernels run side by side."""
        if not hasattr(self._streams, "own"):
            self._streams.own = _Stream(self)
        return self._streams.own.stream

    def _enter(self):
        """The current context is a thread's own."""
        self._call("cuCtxSetCurrent", self._context)

    def _call(self, name: str, *args) -> Any:
        status, *values = getattr(self._driver, name)(*args)
        if int(status):
            raise RuntimeError(f"{name}: {status.name}")
        return values[0] if len(values) == 1 else values


class _Kernels:
    def __init__(self, gpu: NvidiaGpu, module, functions, shared):
        self._gpu, self._module, self.functions, self.shared = gpu, module, functions, shared

    def __del__(self):
        self._gpu._enter()
        self._gpu._driver.cuModuleUnload(self._module)


class _Stream:
    """Destroyed with the thread it belongs to."""

    def __init__(self, gpu: NvidiaGpu):
        self._gpu = gpu
        self.stream = gpu._call("cuStreamCreate", gpu._driver.CUstream_flags.CU_STREAM_NON_BLOCKING)

    def __del__(self):
        if hasattr(self, "stream"):
            self._gpu._enter()
            self._gpu._driver.cuStreamDestroy(self.stream)


class _Memory:
    def __init__(self, gpu: NvidiaGpu, size: int):
        self._gpu = gpu
        try:
            self.pointer = gpu._call("cuMemAlloc", size)
        except RuntimeError as error:
            raise RuntimeError(
                f"the GPU has no {size / 1e6:.0f} MB left ({error}). JAX takes three quarters of its memory when it "
                "starts: set XLA_PYTHON_CLIENT_PREALLOCATE=false, or trace fewer losses."
            ) from None
        self.address, self.dlpack_device = int(self.pointer), (_DLPACK_CUDA, gpu.ordinal)

    def read(self, start: int, size: int) -> np.ndarray:
        self._gpu._enter()
        result = np.empty(size, np.uint8)
        if size:
            stream = self._gpu._stream()
            self._gpu._call("cuMemcpyDtoHAsync", result.ctypes.data, int(self.pointer) + start, size, stream)
            self._gpu._call("cuStreamSynchronize", stream)
        return result

    def __del__(self):
        if hasattr(self, "pointer"):
            self._gpu._enter()
            self._gpu._driver.cuMemFree(self.pointer)


def local_gpus() -> list[NvidiaGpu]:
    """The GPUs on which this process trains: those of JAX, or all where JAX has none.

    Raises:
        CudaMissing: there are no bindings, no driver or no GPU.
    """
    first = NvidiaGpu()
    if local_platform() == "gpu":
        ordinals = [device.local_hardware_id for device in local_devices()]
    else:
        ordinals = range(first.count)
    return [first if ordinal == 0 else NvidiaGpu(ordinal) for ordinal in ordinals]


def _bindings():
    try:
        return importlib.import_module("cuda.bindings.driver")
    except ImportError:
        raise CudaMissing(
            "the bindings of CUDA are not installed; pip install 'jax[cuda12]' 'cuda-bindings<13' "
            "nvidia-cuda-nvrtc-cu12, or 'jax[cuda13]' cuda-bindings nvidia-cuda-nvrtc."
        ) from None
