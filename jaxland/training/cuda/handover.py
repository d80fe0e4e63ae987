"""Memory of a device as an array of JAX, by DLPack: the array is the memory, and nothing is copied."""

import ctypes
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxland.training.cuda.driver import Memory

ALIGNMENT = 64
"""Bytes, of the start of an array; JAX copies what is aligned less on a CPU, and misreads it on a GPU."""

_FLOAT, _INT = 2, 0
_CAPSULE = b"dltensor"


class _DLDevice(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class _DLType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", _DLDevice),
        ("ndim", ctypes.c_int32),
        ("dtype", _DLType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _DLManagedTensor(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(_DLManagedTensor))
_DLManagedTensor._fields_ = [("tensor", _DLTensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]

# What a consumer still reads, by the address of its description: the description, and the memory it describes.
_LENT: dict[int, tuple[Any, ...]] = {}


@_Deleter
def _give_back(managed):
    _LENT.pop(ctypes.addressof(managed.contents), None)


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _unused(capsule):
    """A capsule that nobody took: one that was taken has another name."""
    if _is_valid(capsule, _CAPSULE):
        _LENT.pop(_pointer_of(capsule, _CAPSULE), None)


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype, _is_valid.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]


class _Lent:
    """A piece of memory as DLPack's protocol wants it."""

    def __init__(self, memory: Memory, start: int, shape: Sequence[int], dtype: np.dtype):
        self._memory, self._start, self._shape, self._dtype = memory, start, shape, dtype

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._memory.dlpack_device

    def __dlpack__(self, **options) -> Any:
        # Launches end before their results are asked for: there is no stream to wait for.
        del options
        shape = (ctypes.c_int64 * len(self._shape))(*self._shape)
        code = _FLOAT if self._dtype.kind == "f" else _INT
        tensor = _DLTensor(
            self._memory.address + self._start,
            _DLDevice(*self._memory.dlpack_device),
            len(self._shape),
            _DLType(code, 8 * self._dtype.itemsize, 1),
            shape,
            None,
            0,
        )
        managed = _DLManagedTensor(tensor, None, _give_back)
        address = ctypes.addressof(managed)
        _LENT[address] = (managed, shape, self._memory)
        return _new_capsule(address, _CAPSULE, ctypes.cast(_unused, ctypes.c_void_p))


def as_jax(memory: Memory, start: int, shape: Sequence[int], dtype: np.dtype) -> jax.Array:
    """An array of JAX that lies in this memory, which lives as long as the array; it must not be changed meanwhile.

    Args:
        memory: of a device.
        start: bytes from its beginning, a multiple of `ALIGNMENT`.
        shape: of the array, whose entries lie one after the other.
        dtype: float32, float64 or int32.
    """
    with jax.enable_x64(np.dtype(dtype).itemsize == 8):
        return jax.dlpack.from_dlpack(_Lent(memory, start, shape, np.dtype(dtype)))
