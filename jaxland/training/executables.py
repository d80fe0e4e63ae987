"""What XLA compiled, kept by what decides it: in this process, and in the cache of kernels for others.

A program is found by the text of a trace (see `wording`) that was made in the same call, so nothing is served that the
user's functions do not say now. What lies on disk is XLA's own form of the machine code, read under the rules of
`program.cache`; nothing is unpickled. Where this version of JAX cannot write or read it, programs are compiled.
"""

import hashlib
import json
import os
import platform
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxland.training.devices import Device
from jaxland.training.program import cache

Executable = Callable[..., list[Any]]
"""From arrays to the list of results, all on one device."""

# Programs kept in a process, the last ones used; one holds its machine code, of some hundred kilobytes.
_MOST = 128
# What is larger holds the user's data, and is not written to disk.
_LARGEST = 64 * 2**20

_KEPT: OrderedDict[str, Future[Executable | None]] = OrderedDict()
_LOADER = ThreadPoolExecutor(1, "jaxland-load")
_LOCK = threading.Lock()


def key_on(device: Device, *texts: str) -> str:
    """Names a program on a device by texts that decide it, as settings of JAX, its version and the machine do."""
    versions = (version(name) for name in ("jax", "jaxlib"))
    flags = (os.environ.get(name, "") for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS"))
    where = device.platform, device.client.platform_version, device.device_kind, str(device.id), _machine()
    return cache.key_of("xla", *texts, *versions, *flags, *where, _settings())


def find(key: str, device: Device) -> Future[Executable | None] | None:
    """A program that was kept, or None.

    It is read in another thread, beside what the caller has to do; the future has None where it cannot be read.
    """
    with _LOCK:
        known = _KEPT.get(key)
        if known is not None:
            _KEPT.move_to_end(key)
            return known
    code = cache.load(key) if _on_disk() else None
    return None if code is None else _remember(key, _LOADER.submit(_loaded, code, device))


def keep(key: str, program: jax.stages.Compiled, device: Device, shapes: Sequence[jax.ShapeDtypeStruct]) -> None:
    """Keeps a program.

    It is written to disk where what is read back computes the same bits: what XLA itself had from a cache, the user's
    own for instance, it writes without its code.

    Args:
        key: names it.
        program: of flat arguments.
        device: where it runs.
        shapes: of the arguments.
    """
    known: Future[Executable | None] = Future()
    known.set_result(program)
    _remember(key, known)
    if not _on_disk():
        return
    with suppress(Exception):  # of any kind: not every backend of XLA can write programs, and none need
        made: Any = program
        # Arguments that decide nothing are no arguments of the machine code.
        used = json.dumps(sorted(made._executable._kept_var_idx)).encode()
        code = used + b"\n" + made.runtime_executable().serialize()
        again = _loaded(code, device) if len(code) <= _LARGEST else None
        if again is None:
            return
        ones = jax.device_put([np.ones(shape.shape, shape.dtype) for shape in shapes], device)
        before, after = ([np.asarray(result).tobytes() for result in run(*ones)] for run in (program, again))
        if before == after:
            cache.store(key, code)


def _remember(key: str, program: Future[Executable | None]) -> Future[Executable | None]:
    with _LOCK:
        _KEPT[key] = program
        while len(_KEPT) > _MOST:
            _KEPT.popitem(last=False)
    return program


def _loaded(contents: bytes, device: Device) -> Executable | None:
    try:
        used, _, code = contents.partition(b"\n")
        places = json.loads(used)
        with _quiet():
            executable = device.client.deserialize_executable(code, _list_of(device))
            run = executable.execute_sharded
    except Exception:  # of any kind: it is then compiled, as it was the first time
        return None

    def call(*arrays: Any) -> list[Any]:
        results = run(jax.device_put([arrays[place] for place in places], device))
        return [shards[0] for shards in results.disassemble_into_single_device_arrays()]

    return call


def _list_of(device: Device) -> Any:
    return jax.sharding.SingleDeviceSharding(device)._internal_device_list


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps XLA from an error of two lines a program that is none, which it reports before version 0.12 of JAX.

    It takes hints to its own compiler for instructions that the processor lacks. That the processor is the same, its
    name and features in the key see to.
    """
    asked: Any = jax.config.jax_logging_level  # pyright: ignore[reportAttributeAccessIssue]
    usual = {"DEBUG": 0, "INFO": 0, "WARNING": 1, "ERROR": 2, "CRITICAL": 3}
    _log_from(3)
    try:
        yield
    finally:
        _log_from(usual.get(asked, int(os.environ.get("TF_CPP_MIN_LOG_LEVEL", 1))))


def _log_from(level: int) -> None:
    with suppress(Exception):  # of any kind: it is no part of JAX that others may use
        from jax._src.lib import utils  # pyright: ignore[reportPrivateImportUsage]

        utils.absl_set_min_log_level(level)


def _on_disk() -> bool:
    """Not where JAX is to look for numbers that are none after each program, which is no part of the program."""
    config: Any = jax.config
    return not (config.jax_debug_nans or config.jax_debug_infs)


# What is kept where and said about what, and what only decides whether a function can be traced.
_IRRELEVANT = ("cache", "log", "dump", "explain", "traceback", "check_tracer", "promotion")


def _settings() -> str:
    """All others of JAX's, as this thread has them."""
    values: dict[str, Any] = jax.config.values  # pyright: ignore[reportAttributeAccessIssue]
    return repr(sorted((name, str(v)) for name, v in values.items() if not any(word in name for word in _IRRELEVANT)))


@lru_cache(maxsize=1)
def _machine() -> str:
    """The processor and what it can do: code for one may not run on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return repr(platform.uname()[2:])
    said = {line for line in lines if line.startswith(("model", "vendor", "flags", "Features", "CPU "))}
    return hashlib.sha256("\n".join(sorted(said)).encode()).hexdigest()
