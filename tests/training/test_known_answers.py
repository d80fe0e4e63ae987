"""Training against float64 NumPy loops."""

import numpy as np
import optax
import pytest
import reference

import jaxland as jl

pytestmark = pytest.mark.sampled

WIDTHS = [1, 5, 5, 5, 5, 5, 1]
NETWORK = jl.mlp(WIDTHS)
STEPS = 50
OPTIMIZERS = {
    "sgd": optax.sgd(0.05),
    "momentum": optax.sgd(0.02, momentum=0.9),
    "adadelta of the sawtooth study": optax.adadelta(1.0, 0.95, 1e-8),
    "adam": optax.adam(0.01),
}
# float32 rounds every sum over 320 points, and adam turns the rounding of a vanishing gradient into a step of its own.
TOLERANCE = {"float64": 1e-12, "float32": 3e-4}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_training_equals_a_numpy_loop(name, dtype, sawtooth_problem):
    problem = sawtooth_problem
    fits = jl.fit(
        NETWORK,
        problem,
        OPTIMIZERS[name],
        fits=3,
        steps=STEPS,
        dtype=dtype,
        snapshots=(0,),
        trace_every=1,
        backend="xla",
    )
    assert fits.params.dtype == np.dtype(dtype)
    for row, start in enumerate(fits.snapshots[:, 0]):
        losses, params = reference.train(start, WIDTHS, "relu", name, problem.x, problem.y, STEPS)
        np.testing.assert_allclose(fits.params[row], params, atol=TOLERANCE[dtype])
        np.testing.assert_allclose(fits.trace[row], losses, rtol=3 * TOLERANCE[dtype])
        assert fits.initial_loss[row] == fits.trace[row, 0]
        assert fits.loss[row] == fits.trace[row, -1]
        assert fits.best_loss[row] == fits.trace[row].min()
        assert fits.best_step[row] == fits.trace[row].argmin()


def test_reference_gradient_equals_finite_differences(sawtooth_problem):
    problem = sawtooth_problem
    vector = np.random.default_rng(0).normal(size=136)
    _, gradient = reference.loss_and_gradient(vector, WIDTHS, "relu", problem.x, problem.y)
    for entry in range(0, 136, 7):
        step = np.zeros(136)
        step[entry] = 1e-6
        ahead, behind = (
            reference.loss_and_gradient(vector + sign * step, WIDTHS, "relu", problem.x, problem.y)[0]
            for sign in (1, -1)
        )
        assert gradient[entry] == pytest.approx((ahead - behind) / 2e-6, rel=1e-4, abs=1e-7)


@pytest.mark.slow
def test_gradient_flow_conserves_the_balance_of_every_unit(sawtooth_problem):
    """|incoming|^2 - |outgoing|^2 of a ReLU unit is constant under gradient flow; small steps come near it."""
    fits = jl.fit(NETWORK, sawtooth_problem, optax.sgd(1e-3), fits=2, steps=2000, dtype="float64", snapshots=(0,))
    for layer in NETWORK.spec.symmetry.layers:
        before, after = (
            (params[:, layer.incoming] ** 2).sum(-1) - (params[:, layer.outgoing] ** 2).sum(-1)
            for params in (fits.snapshots[:, 0], fits.params)
        )
        np.testing.assert_allclose(after, before, atol=2e-3)
    assert np.abs(fits.params - fits.snapshots[:, 0]).max() > 0.05


@pytest.mark.parametrize("backend", ["lanes", "xla"])
def test_numbers_below_the_smallest_normal_one_are_not_taken_for_zero(backend):
    """Data on such a scale: a unit whose ReLU were shut by it would learn nothing. NumPy says what is learnt."""
    x, y, start = np.array([2.0, 5.0]) * 1e-41, np.array([0.5, 1.5]), np.array([1.0, 0.0, 1.0, 0.25])
    w, b, v, c = start
    for _ in range(4):
        z = w * x + b
        e = (v * np.maximum(z, 0) + c - y) * 2 / 2
        slopes = (e * v * (z > 0) * x).sum(), (e * v * (z > 0)).sum(), (e * np.maximum(z, 0)).sum(), e.sum()
        w, b, v, c = (value - 0.2 * slope for value, slope in zip((w, b, v, c), slopes, strict=True))
    fits = jl.fit(
        jl.mlp([1, 1, 1]), jl.Problem(x, y), optax.sgd(0.2), fits=1, steps=4, start=start[None], backend=backend
    )
    assert fits.params.dtype == np.float32
    np.testing.assert_allclose(fits.params[0], [w, b, v, c], rtol=1e-6)


def test_numbers_that_no_format_of_xla_can_hold_are_refused():
    problem = jl.Problem(np.array([2e-310, 1.0]), np.ones(2))
    with pytest.raises(ValueError, match="x: XLA takes numbers below"):
        jl.fit(jl.mlp([1, 1]), problem, optax.sgd(0.2), fits=1, steps=1, dtype="float64", backend="xla")
