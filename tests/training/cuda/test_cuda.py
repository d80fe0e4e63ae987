"""The cuda backend without a GPU: its kernels run by g++, its machine code made and looked at by NVRTC."""

import ctypes
import gc
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training.cuda.emulation import Emulated, needs_compiler

import jaxland as jl
from jaxland.training import Unlowerable
from jaxland.training.cuda import CudaMissing, CudaTrainer, NvidiaGpu, Variant, compile_source, handover, write_source
from jaxland.training.cuda import driver as driver_module
from jaxland.training.cuda.source import shared_memory
from jaxland.training.cuda.tuning import VERSION, candidates, choose_variant, fitting
from jaxland.training.ensemble import Ensemble
from jaxland.training.loop import train
from jaxland.training.program.programs import layout_of, schedule_programs
from jaxland.training.program.trace import trace_update

pytestmark = pytest.mark.sampled

NETWORK = jl.mlp([1, 4, 3, 1])
X = np.linspace(-1, 1, 23)
PROBLEM = jl.Problem(X, np.sin(3 * X))
OPTIMIZERS = {
    "momentum": optax.sgd(0.05, momentum=0.9),
    "adadelta": optax.adadelta(1.0),
    "adam": optax.adam(0.01),
    "clipped": optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.1)),
}


@pytest.fixture
def device(tmp_path):
    return Emulated(tmp_path)


def _settings(threads, tile, block=32):
    return {"threads": threads, "tile": tile, "block": block, "kernel": VERSION}


def _trained(ensemble, device, settings, count=4, first=0):
    return train(CudaTrainer(ensemble, settings, devices=[device]), ensemble, first, count, threads=1)


@needs_compiler
@pytest.mark.parametrize(
    ("optimizer", "threads", "tile"),
    [
        ("adadelta", 8, 2),
        pytest.param("momentum", 32, 1, marks=pytest.mark.slow),
        *(pytest.param(name, 8, 2, marks=pytest.mark.slow) for name in ("momentum", "adam", "clipped")),
        *(pytest.param("momentum", threads, tile, marks=pytest.mark.slow) for threads, tile in ((1, 3), (4, 5))),
    ],
)
def test_kernels_compute_what_xla_does(device, optimizer, threads, tile):
    transformation = OPTIMIZERS[optimizer]
    ensemble = Ensemble(NETWORK, PROBLEM, transformation, steps=5, trace_every=2, dtype="float64", snapshots=(3,))
    result, snapshots = _trained(ensemble, device, _settings(threads, tile))
    fits = jl.fit(
        NETWORK, PROBLEM, transformation, fits=4, steps=5, backend="xla", trace_every=2, dtype="float64", snapshots=[3]
    )
    np.testing.assert_allclose(result.params, fits.params, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(result.loss, fits.loss, rtol=1e-10)
    np.testing.assert_allclose(result.trace, fits.trace, rtol=1e-10)
    np.testing.assert_allclose(snapshots, fits.snapshots, rtol=1e-9, atol=1e-11)
    for name in ("initial_loss", "best_loss", "best_step"):
        np.testing.assert_allclose(getattr(result, name), fits.table[name], rtol=1e-10)
    assert (result.diverged_step == -1).all()


@pytest.mark.slow
@needs_compiler
def test_each_fit_has_its_own_numbers_and_data_and_may_diverge(device):
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(2, 6, 11, 1))
    rates = np.array([0.01, 0.1, 1e30, 0.2, 0.05, 0.3])
    given = {"inputs": inputs, "targets": targets, "hyperparameters": {"learning_rate": rates}}
    ensemble = Ensemble(NETWORK, PROBLEM, optax.adam, steps=4, dtype="float32", **given)
    result, _ = _trained(ensemble, device, _settings(4, 2), count=6)
    fits = jl.fit(NETWORK, PROBLEM, optax.adam, fits=6, steps=4, backend="xla", **given)
    sane = np.arange(6) != 2
    np.testing.assert_allclose(result.params[sane], fits.params[sane], rtol=1e-4, atol=1e-5)
    assert result.diverged_step.tolist() == fits.table["diverged_step"].tolist()
    assert result.diverged_step[2] >= 0


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_integers_wrap_and_casts_saturate(device, dtype):
    def apply(w, x):
        i = (1e4 * x * w).astype(int)
        mixed = (i * 1103515245 + 12345) ^ (i << 13)
        part = jnp.where(i == 0, 7, jax.lax.div(jnp.full_like(i, 100), i)) + (1e30 * x).astype(int) // 2**28
        return w * ((mixed % 8) + part % 5 - (-i) % 3) + x * jnp.isfinite(1 / w)

    network = jl.Network(lambda key: jnp.ones((1, 1)), apply)
    arguments = {"steps": 3, "dtype": dtype, "start": np.array([[0.5], [-0.25]])}
    problem = jl.Problem(np.arange(-3.0, 4) / 8, np.arange(7) % 2)
    result, _ = _trained(Ensemble(network, problem, optax.sgd(1e-4), **arguments), device, _settings(1, 2), count=2)
    fits = jl.fit(network, problem, optax.sgd(1e-4), fits=2, backend="xla", **arguments)
    np.testing.assert_allclose(result.params, fits.params, rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.slow
@needs_compiler
def test_bits_do_not_depend_on_place_block_or_how_steps_are_cut(device):
    ensemble = Ensemble(NETWORK, PROBLEM, OPTIMIZERS["momentum"], steps=6)
    all_fits, _ = _trained(ensemble, device, _settings(8, 2), count=9)
    alone, _ = _trained(ensemble, device, _settings(8, 2), first=7, count=1)
    wider, _ = _trained(ensemble, device, _settings(8, 2, block=64), count=9)
    np.testing.assert_array_equal(all_fits.params[7], alone.params[0])
    np.testing.assert_array_equal(all_fits.params, wider.params)
    trainer = CudaTrainer(ensemble, _settings(8, 2), devices=[device])
    group = trainer.begin(ensemble.members(np.arange(trainer.width)))
    for steps in (1, 3, 2):
        trainer.advance(group, steps)
    np.testing.assert_array_equal(trainer.finish(group).params, all_fits.params[:8])


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_results_are_handed_over_without_a_copy(device, dtype):
    """Arrays of JAX are made from the group's memory where it lies, and keep it alive as long as they need it."""
    ensemble = Ensemble(NETWORK, PROBLEM, OPTIMIZERS["momentum"], steps=5, trace_every=2, dtype=dtype)
    trainer = CudaTrainer(ensemble, _settings(4, 2), devices=[device])
    group = trainer.advance(trainer.begin(ensemble.members(np.arange(trainer.width))), 5)
    lent = trainer._entries(group, "loss", on_device=True)
    start = trainer._layout.offset(("loss", 0))
    assert lent.unsafe_buffer_pointer() == group.state.address + start
    assert len(handover._LENT) == 1
    there, here = (trainer.finish(group, on_device=on_device) for on_device in (True, False))
    values = np.array(lent)
    del group, trainer
    gc.collect()
    np.testing.assert_array_equal(lent, values)
    del lent
    gc.collect()
    assert not handover._LENT
    for name, expected in here._asdict().items():
        assert isinstance(getattr(there, name), jax.Array)
        assert getattr(there, name).dtype == expected.dtype
        assert expected.flags.c_contiguous
        np.testing.assert_array_equal(getattr(there, name), expected)


@pytest.mark.slow
@needs_compiler
def test_groups_are_spread_over_devices(tmp_path):
    devices = [Emulated(tmp_path / name) for name in ("first", "second")]
    ensemble = Ensemble(NETWORK, PROBLEM, OPTIMIZERS["momentum"], steps=6)
    trainer = CudaTrainer(ensemble, _settings(8, 2), devices=devices)
    assert (trainer.devices, trainer.workers, trainer.width) == (2, 2, 8)
    result, _ = train(trainer, ensemble, 0, 40)
    assert all("train" in device.launches for device in devices)
    one, _ = _trained(ensemble, devices[0], _settings(8, 2), count=40)
    np.testing.assert_array_equal(result.params, one.params)


@pytest.mark.slow
@needs_compiler
def test_variants_are_measured_once_and_remembered(device, monkeypatch, tmp_path):
    monkeypatch.setenv("JAXLAND_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("jaxland.training.cuda.tuning._THREADS", (1, 4))
    monkeypatch.setattr("jaxland.training.cuda.tuning._TILES", (2,))
    monkeypatch.setattr("jaxland.training.cuda.tuning._BLOCKS", (32,))
    monkeypatch.setattr("jaxland.training.cuda.tuning._MEASURED_SECONDS", 0.0)
    ensemble = Ensemble(NETWORK, PROBLEM, OPTIMIZERS["momentum"], steps=6)
    first = CudaTrainer(ensemble, devices=[device])
    launches = len(device.launches)
    assert device.compiled == 2
    assert launches > 2
    second = CudaTrainer(ensemble, devices=[device])
    assert second.settings == first.settings
    assert (device.compiled, len(device.launches)) == (2, launches)


def test_what_cannot_be_trained_is_refused(device):
    with pytest.raises(Unlowerable, match="parameters; cuda is made for"):
        CudaTrainer(Ensemble(jl.mlp([1, 30, 30, 1]), PROBLEM, OPTIMIZERS["adam"], steps=1), devices=[device])
    ensemble = Ensemble(NETWORK, PROBLEM, OPTIMIZERS["adam"], steps=1)
    with pytest.raises(ValueError, match="kernel version"):
        CudaTrainer(ensemble, _settings(1, 1) | {"kernel": 0}, devices=[device])
    device.shared_memory = 1000
    with pytest.raises(Unlowerable, match="more than 1000 bytes"):
        CudaTrainer(ensemble, _settings(1, 1), devices=[device])


def test_candidates_give_every_thread_of_a_network_work_and_registers(device):
    def variants(network, points, dtype="float32"):
        x = np.linspace(-1, 1, points)
        problem = jl.Problem(x, np.abs(x))
        ensemble = Ensemble(network, problem, OPTIMIZERS["momentum"], steps=1, dtype=dtype)
        return candidates(ensemble, trace_update(ensemble), device)

    small, main = jl.mlp([1, 7, 1]), jl.problems.sawtooth().network
    assert max(variant.threads * variant.tile for variant in variants(small, 320)) == 128
    assert {variant.threads * variant.tile <= 9 for variant in variants(small, 9)} == {True}
    assert {variant.block for variant in variants(small, 320)} == {1024, 512}
    assert {variant.block for variant in variants(small, 320, "float64")} == {512, 384}
    # Its gradients need the registers of 256 threads, and as many networks of a thread each would need 280 kB.
    assert {variant.block for variant in variants(main, 320)} == {256, 128}
    assert {variant.block for variant in variants(main, 320) if variant.threads == 1} == {128}


def _sigmoid(units, dtype="float32"):
    ensemble = Ensemble(jl.mlp([1, units, 1], "sigmoid"), PROBLEM, OPTIMIZERS["momentum"], steps=1, dtype=dtype)
    return ensemble, trace_update(ensemble)


def test_blocks_shrink_to_whole_warps_that_have_room(device):
    ensemble, update = _sigmoid(40)
    # 121 parameters and their gradients: 1,008 bytes a network; momenta only where they have room.
    for room, block in ((200_000, 192), (190_000, 96), (60_000, 32)):
        device.shared_memory = room
        assert fitting(ensemble, update, device, Variant(1, 1, 384)).block == block
    device.shared_memory = 20_000
    with pytest.raises(Unlowerable, match="32 networks of 121 parameters need more than 20000 bytes"):
        fitting(ensemble, update, device, Variant(1, 1, 384))
    with pytest.raises(ValueError, match="whole warps"):
        fitting(ensemble, update, device, Variant(8, 1, 48))


@pytest.mark.slow
@needs_compiler
def test_a_variant_is_found_where_a_thread_a_network_has_no_room(device, monkeypatch, tmp_path):
    monkeypatch.setenv("JAXLAND_CACHE_DIR", str(tmp_path / "cache"))
    for name, values in {"_THREADS": (1, 8), "_TILES": (1,), "_BLOCKS": (32,), "_MEASURED_SECONDS": 0.0}.items():
        monkeypatch.setattr(f"jaxland.training.cuda.tuning.{name}", values)
    device.shared_memory = 20_000
    assert choose_variant(*_sigmoid(40), device) == Variant(8, 1, 32)


def _main(variant, optimizer=OPTIMIZERS["momentum"]):
    problem = jl.problems.sawtooth()
    ensemble = Ensemble(problem.network, problem, optimizer, steps=1)
    update = trace_update(ensemble)
    layout = layout_of(ensemble, update, 132 * variant.networks)
    return write_source(ensemble, schedule_programs(ensemble, update, variant.tile), layout, variant, 200_000), layout


def test_networks_of_a_warp_read_from_different_banks():
    _, layout = _main(Variant(8, 1, 256))
    shared = shared_memory(layout, Variant(8, 1, 256), "f32", 200_000)
    first_banks = {network * shared.stride % 32 for network in range(4)}
    assert shared.stride % 4 == 0
    assert len({bank // 4 for bank in first_banks}) == 4
    assert shared.state == 2 * 136


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("optimizer", ["momentum", "adadelta", "adam"])
def test_the_main_network_keeps_its_gradients_in_registers(architecture, optimizer):
    pytest.importorskip("cuda.bindings")
    source, _ = _main(Variant(8, 1, 256), OPTIMIZERS[optimizer])
    compiled = compile_source(source, architecture)
    assert compiled.code[:4] == b"\x7fELF"
    assert 150 < compiled.registers <= 255
    # None in the loop over points; before and after it, some counters and addresses.
    assert compiled.spilled <= 80


def test_the_compiler_says_what_it_refuses():
    pytest.importorskip("cuda.bindings")
    with pytest.raises(RuntimeError, match="NVRTC refuses the program for sm_90"):
        compile_source("this is no program", "sm_90")


_NUMBERS = {"major": 9, "minor": 0, "count": 132, "shared": 232_448, "registers": 255, "local": 380}
_ANSWERS = {
    "cuDeviceGetCount": 1,
    "cuDeviceGet": "device",
    "cuDevicePrimaryCtxRetain": "context",
    "cuDeviceGetName": b"Stub\0\0",
    "cuModuleLoadData": "module",
    "cuMemAlloc": 4096,
    "cuStreamCreate": "stream",
}


class _Stub:
    """A driver that knows one GPU and writes down what is asked of it; anything else is an error."""

    CUdevice_attribute = SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR="major",
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR="minor",
        CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT="count",
        CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN="shared",
    )
    CUfunction_attribute = SimpleNamespace(
        CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES="dynamic",
        CU_FUNC_ATTRIBUTE_NUM_REGS="registers",
        CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES="local",
    )
    CUstream_flags = SimpleNamespace(CU_STREAM_NON_BLOCKING="non-blocking")

    def __init__(self, status=0):
        self.calls, self.status = [], status

    def __getattr__(self, name):
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*args):
            self.calls.append((name, *args))
            status = _Status(self.status)
            if name in ("cuDeviceGetAttribute", "cuFuncGetAttribute"):
                return status, _NUMBERS[args[0]]
            if name == "cuModuleGetFunction":
                return status, args[1].decode()
            return (status, _ANSWERS[name]) if name in _ANSWERS else (status,)

        return call


class _Status(int):
    name = "CUDA_ERROR_NO_DEVICE"


def test_the_driver_is_asked_for_the_right_things(monkeypatch):
    stub = _Stub()
    monkeypatch.setattr(driver_module, "_bindings", lambda: stub)
    monkeypatch.setattr(driver_module, "compiler_version", lambda: "nvrtc 0")
    gpu = NvidiaGpu()
    assert (gpu.name, gpu.architecture, gpu.multiprocessors, gpu.shared_memory) == ("Stub", "sm_90", 132, 232_448)
    kernels = gpu.load(b"cubin", 50_000)
    assert gpu.usage(kernels) == (255, 380)
    assert stub.calls[-1] == ("cuFuncGetAttribute", "local", "train")
    memory = gpu.upload(np.arange(4.0))
    gpu.launch(kernels, "train", 132, 256, [memory, ctypes.c_longlong(7), ctypes.c_int(1)])
    launch = next(call for call in stub.calls if call[0] == "cuLaunchKernel")
    assert launch[1:9] == ("train", 132, 1, 1, 256, 1, 1, 50_000)
    assert launch[10] == ((4096, 7, 1), (ctypes.c_void_p, ctypes.c_longlong, ctypes.c_int))
    assert ("cuFuncSetAttribute", "train", "dynamic", 50_000) in stub.calls
    assert stub.calls[-1] == ("cuStreamSynchronize", "stream")
    memory.read(8, 16)
    assert stub.calls[-2][0] == "cuMemcpyDtoHAsync"
    assert stub.calls[-2][2:] == (4104, 16, "stream")
    assert stub.calls[-1] == ("cuStreamSynchronize", "stream")
    del memory
    assert stub.calls[-1] == ("cuMemFree", 4096)
    del kernels
    assert stub.calls[-1] == ("cuModuleUnload", "module")


def test_memory_that_is_not_there_is_named(monkeypatch):
    stub = _Stub()
    monkeypatch.setattr(driver_module, "_bindings", lambda: stub)
    monkeypatch.setattr(driver_module, "compiler_version", lambda: "nvrtc 0")
    gpu = NvidiaGpu()
    stub.status = 2
    with pytest.raises(RuntimeError, match=r"the GPU has no 8 MB left .*XLA_PYTHON_CLIENT_PREALLOCATE=false"):
        driver_module._Memory(gpu, 8_000_000)


def test_without_a_gpu_the_message_says_so(monkeypatch):
    monkeypatch.setattr(driver_module, "_bindings", lambda: _Stub(status=100))
    with pytest.raises(CudaMissing, match="no GPU"):
        NvidiaGpu()
