"""The cuda backend without a GPU: its kernels run by g++, its machine code made and looked at by NVRTC."""

import numpy as np
import optax
import pytest
from training.cuda.emulation import Emulated, needs_compiler

import jaxland as jl
from jaxland.training.cuda import CudaTrainer
from jaxland.training.cuda.tuning import VERSION
from jaxland.training.ensemble import Ensemble
from jaxland.training.trainer import train

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


def _trained(ensemble, device, settings, count=8, first=0):
    return train(CudaTrainer(ensemble, settings, device=device), ensemble, first, count, threads=1)


@needs_compiler
@pytest.mark.parametrize(("threads", "tile"), [(8, 2), (4, 1), (1, 3), (32, 1)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_kernels_compute_what_xla_does(device, optimizer, threads, tile):
    transformation = OPTIMIZERS[optimizer]
    ensemble = Ensemble(NETWORK, PROBLEM, transformation, steps=7, trace_every=3, dtype="float64", snapshots=(4,))
    result, snapshots = _trained(ensemble, device, _settings(threads, tile), count=5)
    fits = jl.fit(
        NETWORK, PROBLEM, transformation, fits=5, steps=7, backend="xla", trace_every=3, dtype="float64", snapshots=[4]
    )
    np.testing.assert_allclose(result.params, fits.params, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(result.loss, fits.loss, rtol=1e-10)
    np.testing.assert_allclose(result.trace, fits.trace, rtol=1e-10)
    np.testing.assert_allclose(snapshots, fits.snapshots, rtol=1e-9, atol=1e-11)
    for name in ("initial_loss", "best_loss", "best_step"):
        np.testing.assert_allclose(getattr(result, name), fits.table[name], rtol=1e-10)
