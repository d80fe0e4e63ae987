"""The variant of a program on a device, chosen by measurement and remembered, and its kernels."""

import time

import numpy as np

from jaxland.training.cuda.driver import Device
from jaxland.training.cuda.group import Built, advance, begin
from jaxland.training.cuda.source import Variant, shared_memory, write_source
from jaxland.training.ensemble import Ensemble
from jaxland.training.lanes import cache
from jaxland.training.lanes.expression import Unlowerable
from jaxland.training.lanes.kernel import layout_of, schedule_programs
from jaxland.training.lanes.scalarize import type_name
from jaxland.training.lanes.trace import UpdateProgram
from jaxland.training.precision import get_dtype

VERSION = 1
"""Goes up whenever the code generator may give a fit other bits."""

_THREADS, _TILES, _BLOCKS = (4, 8, 16, 32), (1, 2, 4), (256, 384)
_MEASUREMENTS = 3
_MEASURED_SECONDS = 0.02


def group_width(device: Device, variant: Variant) -> int:
    """Fits of a group: as many as run on the device at a time."""
    return device.multiprocessors * variant.blocks * variant.networks


def build(
    ensemble: Ensemble, update: UpdateProgram, device: Device, variant: Variant, width: int | None = None
) -> Built:
    """The kernels of a variant on a device, from the cache or compiled, for groups as wide as suits it by default.

    Raises:
        Unlowerable: the networks of a block do not fit into its shared memory.
    """
    dtype = get_dtype(ensemble.dtype)
    layout = layout_of(ensemble, update, width or group_width(device, variant))
    most = device.shared_memory // variant.blocks
    try:
        stride = shared_memory(layout, variant, type_name(dtype), most).stride
    except ValueError as reason:
        raise Unlowerable(str(reason)) from None
    programs = schedule_programs(ensemble, update, variant.tile)
    code = _compiled(write_source(ensemble, programs, layout, variant, most), device)
    return Built(device, device.load(code, stride * variant.networks * dtype.itemsize), layout, variant)


def _compiled(source: str, device: Device) -> bytes:
    key = cache.key_of("cuda", source, device.architecture, device.compiler, str(VERSION))
    code = cache.load(key)
    if code is None:
        code = device.compile(source)
        cache.store(key, code)
    return code


def candidates(points: int) -> list[Variant]:
    """Variants worth measuring: every thread of a network has a tile to work on."""
    return [
        Variant(threads, tile, block)
        for threads in _THREADS
        for tile in _TILES
        for block in _BLOCKS
        if threads * tile <= points
    ] or [Variant(1, 1, _BLOCKS[0])]


def choose_variant(ensemble: Ensemble, update: UpdateProgram, device: Device) -> Variant:
    """The fastest variant: measured the first time, then remembered for this program and device.

    Raises:
        Unlowerable: no variant fits into the device's shared memory.
    """
    one = Variant(1, 1, 32)
    layout = layout_of(ensemble, update, one.networks)
    text = write_source(ensemble, schedule_programs(ensemble, update, 1), layout, one, device.shared_memory)
    key = cache.key_of("cuda variant", text, device.name, device.architecture, device.compiler, str(VERSION))
    known = cache.load_choice(key)
    if known is None:
        known = _measured(ensemble, update, device, candidates(ensemble.x_shape[0]))._asdict()
        cache.store_choice(key, known)
    return Variant(**known)


def _measured(ensemble, update, device, variants) -> Variant:
    seconds, reason = {}, None
    for variant in variants:
        try:
            built = build(ensemble, update, device, variant)
        except Unlowerable as refusal:
            reason = refusal
            continue
        seconds[variant] = _seconds_per_net_step(built, ensemble)
    if not seconds:
        raise reason or Unlowerable("no variant fits this device.")
    return min(seconds, key=lambda variant: seconds[variant])


def _seconds_per_net_step(built: Built, ensemble: Ensemble) -> float:
    """The smallest of several measurements of a whole group."""
    # Bits and NaN do not change the time, and every variant trains the same fits.
    group = begin(built, ensemble, ensemble.members(np.arange(built.layout.lanes) % 32 + ensemble.first))
    steps, elapsed = 1, 0.0
    while elapsed < _MEASURED_SECONDS:
        steps *= 4
        elapsed = _seconds(group, steps)
    return min(_seconds(group, steps) for _ in range(_MEASUREMENTS)) / (steps * built.layout.lanes)


def _seconds(group, steps) -> float:
    began = time.perf_counter()
    advance(group, steps)
    return time.perf_counter() - began
