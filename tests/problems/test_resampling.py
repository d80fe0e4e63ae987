import numpy as np
import optax
import pytest
from sklearn.model_selection import KFold

import jaxland as jl
from jaxland.problems import bootstrap, k_fold

_RNG = np.random.default_rng(0)
X, Y = _RNG.normal(size=(23, 2)), _RNG.normal(size=(23, 1))
PROBLEM = jl.Problem(X, Y, weights=_RNG.uniform(0.5, 1, 23))
FITS = np.arange(400)


def test_points_of_a_bootstrap_are_drawn_evenly_and_by_the_fit():
    drawn = bootstrap(PROBLEM, seed=3)
    rows = drawn.rows(FITS)
    assert rows.shape == (400, 23)
    np.testing.assert_array_equal(drawn.rows(np.array([7, 9])), rows[[7, 9]])
    assert not np.array_equal(bootstrap(PROBLEM, seed=4).rows(FITS), rows)
    # A point is left out with probability (1 - 1/N)^N.
    assert drawn.unseen(FITS).mean() == pytest.approx((1 - 1 / 23) ** 23, abs=0.01)
    counts = np.bincount(rows.ravel(), minlength=23)
    assert ((counts - 400) ** 2 / 400).sum() < 60  # chi-square with 22 degrees of freedom
    for name, values in {"inputs": X, "targets": Y, "weights": PROBLEM.weights}.items():
        np.testing.assert_array_equal(drawn[name](FITS[:2]), values[rows[:2]])


def test_each_point_is_judged_by_the_fits_that_have_not_seen_it():
    folds = k_fold(PROBLEM, 5)
    held_out = folds.held_out(np.arange(5))
    assert len(np.unique(held_out)) == 20  # five folds of four; three points are in none
    for fit in range(5):
        assert set(folds.rows(np.array([fit]))[0]) == set(range(23)) - set(held_out[fit])
        np.testing.assert_array_equal(np.flatnonzero(folds.unseen(np.array([fit + 5]))[0]), held_out[fit])


def test_cross_validation_is_that_of_scikit_learn():
    """A line, whose least squares are known: the loss on each fold after training on the others."""
    from sklearn.linear_model import LinearRegression

    x, y = X[:20], Y[:20]
    problem = jl.Problem(x, y)
    folds = k_fold(problem, 4)
    fits = jl.fit(
        jl.mlp([2, 1]), problem, optax.sgd(0.2), fits=8, steps=600, dtype="float64", validate_every=600, **folds
    )
    for fit in range(8):
        train, test = folds.rows(np.array([fit]))[0], folds.held_out(np.array([fit]))[0]
        line = LinearRegression().fit(x[train], y[train])
        assert fits.validation[fit, -1] == pytest.approx(np.mean((line.predict(x[test]) - y[test]) ** 2), rel=1e-6)
    sizes = {len(test) for _, test in KFold(4).split(x)}
    assert sizes == {folds.held_out(np.array([0])).shape[1]}


@pytest.mark.parametrize("folds", [1, 24])
def test_folds_that_are_empty_or_all(folds):
    with pytest.raises(ValueError, match="folds must be an integer between 2 and 23"):
        k_fold(PROBLEM, folds)
