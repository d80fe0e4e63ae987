"""Arrays that a network or a loss captures, used in one dtype after the other, with analyses in between.

JAX gives such an array one dtype for as long as a trace of the function lives, so no trace may be left.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxland as jl

pytestmark = pytest.mark.sampled

X = np.linspace(-1, 1, 9)
WAVES, PHASES, SCALE = np.array([[1.0, 2.0, 3.0]]), np.array([0.1, 0.4, 0.7]), np.array([1.0, 3.0])
Y = np.stack([np.sin(X), np.cos(X)], axis=1)


def _problem(of):
    """Fresh arrays, so that no test knows of the others."""
    waves, phases, scale = of(WAVES), of(PHASES), of(SCALE)
    network = jl.Network(
        init=lambda key: {"w": jax.random.normal(key, (3, 2)) + phases[:, None] * 0},
        apply=lambda params, x: jnp.sin(x @ waves.astype(x.dtype) + phases) @ params["w"],
    )
    return network, jl.Problem(X, Y, loss=lambda prediction, target: scale * (prediction - target) ** 2)


def _loss(params):
    error = np.sin(X[:, None] @ WAVES + PHASES) @ np.asarray(params, np.float64).reshape(3, 2) - Y
    return np.mean(SCALE * error**2)


@pytest.mark.parametrize("of", [np.copy, jnp.asarray], ids=["numpy", "jax"])
@pytest.mark.parametrize("dtypes", [("float32", "float64", "float32"), ("float64", "float32", "float64")], ids="-".join)
def test_what_is_captured_serves_every_dtype(of, dtypes):
    network, problem = _problem(of)
    with jax.numpy_rank_promotion("allow"):
        for dtype in dtypes:
            for backend in ("auto", "xla"):
                fits = jl.fit(
                    network, problem, optax.sgd(0.1), fits=2, steps=3, dtype=dtype, backend=backend, snapshots=[0]
                )
                expected = [_loss(start) for start in fits.snapshots[:, 0]]
                exact = dtype == "float64" and of is np.copy
                np.testing.assert_allclose(fits.initial_loss, expected, rtol=1e-12 if exact else 3e-6)
            jl.landscape.outputs(network, fits.params, problem.x)
            jl.landscape.spectra(problem.objective(network), fits.params)
