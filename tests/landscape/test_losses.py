import numpy as np
import optax
import pytest
from reference import loss_and_gradient

import jaxland as jl
from jaxland.landscape import losses
from jaxland.problems import LOSSES

RANDOM = np.random.default_rng(0)
WIDTHS = [3, 5, 2]
NETWORK = jl.mlp(WIDTHS, init="pytorch_uniform")
PARAMS = RANDOM.normal(size=(7, NETWORK.size))
X, Y = RANDOM.normal(size=(7, 11, 3)), RANDOM.normal(size=(7, 11, 2))
MEAN_SQUARE = LOSSES["mean_squared_error"]


def _expected(params, x, y):
    return loss_and_gradient(params, WIDTHS, "relu", x, y)[0]


@pytest.mark.parametrize("own_x", [True, False])
@pytest.mark.parametrize("own_y", [True, False])
def test_agrees_with_numpy_for_shared_and_own_data(own_x, own_y):
    found = losses(NETWORK, MEAN_SQUARE, PARAMS, X if own_x else X[0], Y if own_y else Y[0])
    expected = [_expected(p, X[i if own_x else 0], Y[i if own_y else 0]) for i, p in enumerate(PARAMS)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_agrees_with_the_losses_of_training():
    problem = jl.Problem(X[0], Y[0], loss="sum_squared_error")
    fits = jl.fit(NETWORK, problem, optax.sgd(0.001), fits=5, steps=20)
    np.testing.assert_allclose(losses(NETWORK, problem.loss, fits.params, problem.x, problem.y), fits.loss, rtol=1e-5)


@pytest.mark.parametrize("points", [1, 4_000, 400_000])
def test_more_fits_than_a_block_holds(points):
    x, y = RANDOM.normal(size=(points, 3)), RANDOM.normal(size=(points, 2))
    params = np.resize(PARAMS, (600 if points < 1e5 else 9, NETWORK.size))
    found = losses(NETWORK, MEAN_SQUARE, params, x, y)
    np.testing.assert_allclose(found[-2:], [_expected(p, x, y) for p in params[-2:]], rtol=1e-11)
    np.testing.assert_array_equal(found[7:9], found[:2])


def test_no_fits_and_broken_fits():
    assert losses(NETWORK, MEAN_SQUARE, PARAMS[:0], X[0], Y[0]).shape == (0,)
    broken = PARAMS.copy()
    broken[3] = np.inf
    found = losses(NETWORK, MEAN_SQUARE, broken, X[0], Y[0])
    np.testing.assert_array_equal(np.isfinite(found), np.arange(7) != 3)


def test_bad_shapes():
    with pytest.raises(ValueError, match="11 inputs but 10 targets"):
        losses(NETWORK, MEAN_SQUARE, PARAMS, X[0], Y[0, :10])
    with pytest.raises(ValueError, match="y describes 6 fits, but there are 7"):
        losses(NETWORK, MEAN_SQUARE, PARAMS, X, Y[:6])
