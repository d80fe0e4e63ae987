"""Losses that couple the outputs of a point: one number for all of them, on every backend."""

import numpy as np
import optax
import pytest
from training.cuda.emulation import Emulated, needs_compiler

import jaxland as jl
from jaxland.problems import Loss
from jaxland.training import Ensemble, choose_backend, gradients, solve, train
from jaxland.training.cuda import CudaTrainer
from jaxland.training.cuda.tuning import VERSION

pytestmark = pytest.mark.sampled

CROSS_ENTROPY = Loss("cross_entropy", pointwise=optax.softmax_cross_entropy)
NETWORK = jl.mlp([2, 3, 4], activation="tanh")
RATE, STEPS = 0.3, 4
_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(7, 2))
# Shares of four classes, most of them of one class alone.
Y = np.eye(4)[[0, 1, 2, 3, 1, 2, 0]]
Y[0] = [0.25, 0.25, 0.5, 0.0]
PROBLEM = jl.Problem(X, Y, CROSS_ENTROPY)
START = _RNG.normal(size=(5, NETWORK.size))


def _loss_and_gradient(vector, reduction):
    """Of the cross-entropy of softmax(W2 tanh(W1 x + b1) + b2), by hand."""
    (w1, b1), (w2, b2) = NETWORK.unflatten(vector)
    hidden = np.tanh(X @ np.transpose(w1) + b1)
    scores = hidden @ np.transpose(w2) + b2
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    weight = 1 / len(X) if reduction == "mean" else 1.0
    outer = weight * (shares - Y)
    inner = (outer @ w2) * (1 - hidden**2)
    parts = [inner.T @ X, inner.sum(axis=0), outer.T @ hidden, outer.sum(axis=0)]
    return -weight * (Y * np.log(shares)).sum(), np.concatenate([np.ravel(part) for part in parts])


def _descent(start, reduction):
    losses = []
    for _ in range(STEPS):
        loss, gradient = _loss_and_gradient(start, reduction)
        losses.append(loss)
        start = start - RATE * gradient
    return [*losses, _loss_and_gradient(start, reduction)[0]], start


def _ensemble(problem=PROBLEM, dtype="float64"):
    return Ensemble(NETWORK, problem, optax.sgd(RATE), steps=STEPS, dtype=dtype, start=START, trace_every=1)


def _agrees(result, reduction="mean", tolerance=1e-10):
    for fit, start in enumerate(START):
        losses, params = _descent(start, reduction)
        np.testing.assert_allclose(result.trace[fit], losses, rtol=tolerance)
        np.testing.assert_allclose(result.params[fit], params, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("backend", ["lanes", "xla"])
def test_cross_entropy_is_trained_as_a_numpy_loop_does(backend, reduction):
    loss = Loss("cross_entropy", pointwise=optax.softmax_cross_entropy, points=reduction)
    ensemble = _ensemble(jl.Problem(X, Y, loss))
    trainer, explanation = choose_backend(ensemble, backend)
    assert explanation.startswith(backend)
    _agrees(train(trainer, ensemble, 0, len(START))[0], reduction)


def test_auto_takes_lanes_for_it():
    assert choose_backend(_ensemble()).trainer.name == "lanes"


@pytest.mark.slow
def test_cross_entropy_on_a_tpu():
    ensemble = _ensemble(dtype="float32")
    trainer = choose_backend(ensemble, "tpu").trainer
    _agrees(train(trainer, ensemble, 0, len(START), threads=1)[0], tolerance=2e-5)


@needs_compiler
def test_cross_entropy_on_a_gpu(tmp_path):
    ensemble = _ensemble()
    settings = {"threads": 4, "tile": 2, "block": 32, "kernel": VERSION}
    trainer = CudaTrainer(ensemble, settings, devices=[Emulated(tmp_path)])
    _agrees(train(trainer, ensemble, 0, len(START), threads=1)[0])


def test_gradients_of_it():
    losses, found = gradients(NETWORK, PROBLEM)(START)
    for fit, start in enumerate(START):
        loss, gradient = _loss_and_gradient(start, "mean")
        np.testing.assert_allclose(losses[fit], loss, rtol=1e-12)
        np.testing.assert_allclose(found[fit], gradient, rtol=1e-10, atol=1e-14)


def test_losses_of_trained_fits():
    found = jl.landscape.losses(NETWORK, CROSS_ENTROPY, START, X, Y)
    np.testing.assert_allclose(found, [_loss_and_gradient(start, "mean")[0] for start in START], rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "remedy"),
    [
        (optax.softmax_cross_entropy, r"pointwise=function"),
        (Loss("squares", pointwise=optax.squared_error), r"must return \(points,\)"),
    ],
)
def test_losses_of_another_shape_are_refused_with_the_remedy(loss, remedy):
    with pytest.raises(ValueError, match=remedy):
        _ensemble(jl.Problem(X, Y, loss))


@pytest.mark.parametrize("given", [{}, {"elementwise": optax.squared_error, "pointwise": optax.softmax_cross_entropy}])
def test_a_loss_is_one_function(given):
    with pytest.raises(TypeError, match="either elementwise or pointwise"):
        Loss("either", **given)


@pytest.mark.slow
def test_levenberg_marquardt_takes_what_says_that_it_is_squares():
    given = {"start": START, "evaluations": 3}
    with pytest.raises(ValueError, match="squared errors only"):
        solve(NETWORK, PROBLEM, "levenberg_marquardt", **given)
    with pytest.raises(ValueError, match="squared errors only"):
        solve(NETWORK, jl.Problem(X, Y, optax.squared_error), "levenberg_marquardt", **given)
    own = Loss("own squares", optax.squared_error, least_squares=True)
    solved = solve(NETWORK, jl.Problem(X, Y, own), "levenberg_marquardt", **given)
    named = solve(NETWORK, jl.Problem(X, Y), "levenberg_marquardt", **given)
    np.testing.assert_array_equal(solved.params, named.params)
