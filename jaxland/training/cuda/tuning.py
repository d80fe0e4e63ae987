"""The variant of a program on a device, chosen by measurement and remembered, and its kernels."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jaxland._processors import available_threads
from jaxland.training.cuda.driver import Device
from jaxland.training.cuda.group import Built, advance, begin
from jaxland.training.cuda.source import Shared, Variant, shared_memory, write_source
from jaxland.training.ensemble import Ensemble
from jaxland.training.program import cache
from jaxland.training.program.expression import Unlowerable
from jaxland.training.program.layout import Layout
from jaxland.training.program.programs import layout_of, schedule_programs
from jaxland.training.program.trace import UpdateProgram

VERSION = 3
"""Goes up whenever the code generator may give a fit other bits."""

_THREADS, _TILES, _BLOCKS = (1, 2, 4, 8, 16, 32), (1, 2, 4), (1024, 512, 384, 256)
_REGISTERS = 65536
"""Of a multiprocessor, for all its threads."""
_WORKING = 40
"""Registers of a thread beside its gradients, without which much is spilled."""
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
    layout = layout_of(ensemble, update, width or group_width(device, variant))
    stride = _shared(ensemble, layout, variant, device).stride
    programs = schedule_programs(ensemble, update, variant.tile)
    source = write_source(ensemble, programs, layout, variant, device.shared_memory // variant.blocks)
    size = stride * variant.networks * ensemble.number_format.itemsize
    return Built(device, device.load(_compiled(source, device, not ensemble.subnormal), size), layout, variant)


def _compiled(source: str, device: Device, flush: bool) -> bytes:
    key = cache.key_of("cuda", source, device.architecture, device.compiler, str(VERSION), f"flush {flush}")
    code = cache.load(key)
    if code is None:
        code = device.compile(source, flush=flush)
        cache.store(key, code)
    return code


def candidates(ensemble: Ensemble, update: UpdateProgram, device: Device) -> list[Variant]:
    """Variants worth measuring: every thread of a network has a tile to work on, and gradients have registers.

    Raises:
        Unlowerable: no variant fits into the device's shared memory.
    """
    words = ensemble.network.size * ensemble.number_format.itemsize // 4
    blocks = [block for block in _BLOCKS[:-1] if words + _WORKING <= _REGISTERS // block] + [_BLOCKS[-1]]
    shapes = [(g, tile) for g in _THREADS for tile in _TILES if g * tile <= ensemble.x_shape[0]] or [(1, 1)]
    found, refused = {}, []
    for threads, tile in shapes:
        for block in blocks[:2]:
            try:
                found[fitting(ensemble, update, device, Variant(threads, tile, block))] = None
            except Unlowerable as reason:
                refused.append(reason)
    if not found:
        raise refused[0]
    return list(found)


def fitting(ensemble: Ensemble, update: UpdateProgram, device: Device, variant: Variant) -> Variant:
    """The variant with a block as small as its networks need to fit into shared memory, which changes no bits.

    Raises:
        Unlowerable: not even the networks of a warp fit.
        ValueError: threads and block are not those of whole warps.
    """
    if variant.block % 32 or 32 % variant.threads:
        raise ValueError(f"blocks are whole warps of 32 threads, and so are networks within them; got {variant}.")
    while True:
        try:
            _shared(ensemble, layout_of(ensemble, update, variant.networks), variant, device)
        except Unlowerable:
            if variant.block < 64:
                raise
            variant = variant._replace(block=variant.block // 64 * 32)
        else:
            return variant


def _shared(ensemble: Ensemble, layout: Layout, variant: Variant, device: Device) -> Shared:
    try:
        return shared_memory(layout, variant, ensemble.scalar_type, device.shared_memory // variant.blocks)
    except ValueError as reason:
        raise Unlowerable(str(reason)) from None


def choose_variant(ensemble: Ensemble, update: UpdateProgram, device: Device) -> Variant:
    """The fastest variant: measured the first time, then remembered for this program and device.

    Raises:
        Unlowerable: no variant fits into the device's shared memory.
    """
    one = Variant(1, 1, 32)
    layout = layout_of(ensemble, update, one.networks)
    # It names the program, and is not run: what has room is of no account.
    text = write_source(ensemble, schedule_programs(ensemble, update, 1), layout, one, most=2**40)
    key = cache.key_of("cuda variant", text, device.name, device.architecture, device.compiler, str(VERSION))
    known = cache.load_choice(key)
    if known is None:
        known = _measured(ensemble, update, device, candidates(ensemble, update, device))._asdict()
        cache.store_choice(key, known)
    return Variant(**known)


def _measured(ensemble, update, device, variants) -> Variant:
    # The compiler takes a second for each, and one variant a thread.
    with ThreadPoolExecutor(available_threads()) as pool:
        built = list(pool.map(lambda variant: build(ensemble, update, device, variant), variants))
    _seconds_per_net_step(built[0], ensemble)  # an idle GPU has slowed down its clock
    seconds = [_seconds_per_net_step(each, ensemble) for each in built]
    best = np.argsort(seconds)[:3]
    again = {index: min(seconds[index], _seconds_per_net_step(built[index], ensemble)) for index in best[::-1]}
    return built[min(again, key=lambda index: again[index])].variant


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
