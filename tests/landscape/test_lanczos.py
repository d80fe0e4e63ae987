from typing import Any

import numpy as np
import pytest

import jaxland as jl
from jaxland.landscape import (
    extreme_eigenvalues,
    hessian_of,
    hessian_trace,
    hessians,
    largest_eigenvalues,
    spectra,
    spectral_density,
)

pytestmark = pytest.mark.sampled

NETWORK = jl.mlp([2, 8, 6, 1], "tanh")
RNG = np.random.default_rng(0)
OBJECTIVE = jl.Problem(RNG.normal(size=(40, 2)), RNG.normal(size=40)).objective(NETWORK)
PARAMS = RNG.normal(size=NETWORK.size)


@pytest.fixture(scope="module")
def exact():
    return spectra(OBJECTIVE, PARAMS[None]).eigenvalues[0]


@pytest.fixture(scope="module")
def hessian():
    return hessians(OBJECTIVE, PARAMS[None])[0]


def _quadratic(eigenvalues):
    def objective(vector):
        return (eigenvalues.astype(vector.dtype) * vector**2).sum() / 2

    return objective


def test_both_ends_equal_the_dense_decomposition(exact, hessian):
    found = extreme_eigenvalues(OBJECTIVE, PARAMS, 6)
    np.testing.assert_allclose(found.largest.values, exact[::-1][:6], atol=1e-10 * exact[-1])
    np.testing.assert_allclose(found.smallest.values, exact[:6], atol=1e-10 * exact[-1])
    assert found.largest.converged.all()
    assert found.smallest.converged.all()
    for end in (found.largest, found.smallest):
        np.testing.assert_allclose(np.linalg.norm(end.vectors, axis=1), 1, rtol=1e-12)
        residual = np.linalg.norm(end.vectors @ hessian - end.values[:, None] * end.vectors, axis=1)
        np.testing.assert_allclose(end.residuals, residual, atol=1e-12 * exact[-1])


def test_all_eigenvalues_of_a_quadratic_with_repeated_ones():
    eigenvalues = np.repeat([-2.0, 0.0, 0.5, 3.0], [2, 5, 1, 4])
    found = extreme_eigenvalues(_quadratic(eigenvalues), np.zeros(12), 12)
    np.testing.assert_allclose(found.smallest.values, eigenvalues, atol=1e-12)
    np.testing.assert_allclose(found.largest.values, eigenvalues[::-1], atol=1e-12)
    assert found.steps == 12
    assert found.smallest.converged.all()


@pytest.mark.slow
def test_stops_when_converged_and_says_when_not():
    eigenvalues = np.concatenate([[-5.0], np.linspace(0, 1, 2000), [10.0]])
    found = extreme_eigenvalues(_quadratic(eigenvalues), np.zeros(2002), 1)
    assert found.steps < 100
    assert found.largest.values[0] == pytest.approx(10, abs=1e-12)
    assert found.smallest.values[0] == pytest.approx(-5, abs=1e-12)
    hard = extreme_eigenvalues(_quadratic(eigenvalues), np.zeros(2002), 8, max_steps=30)
    assert hard.steps == 30
    assert hard.largest.converged[0]
    assert hard.smallest.converged[0]
    assert not hard.largest.converged[-1]
    # Converged or not, an eigenvalue lies within the residual.
    gaps = np.abs(hard.largest.values[:, None] - eigenvalues).min(axis=1)
    assert (gaps <= hard.largest.residuals + 1e-12).all()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_work_is_done_in_the_dtype_of_the_parameters(dtype, exact):
    params = PARAMS.astype(dtype)
    found = extreme_eigenvalues(OBJECTIVE, params, 2)
    assert found.largest.vectors.dtype == dtype
    assert found.largest.converged.all()
    np.testing.assert_allclose(found.largest.values, exact[::-1][:2], rtol=100 * np.finfo(dtype).eps)


def test_trace_of_a_diagonal_is_exact():
    eigenvalues = np.linspace(-1, 3, 50)
    found = hessian_trace(_quadratic(eigenvalues), np.zeros(50), 3)
    assert found.trace == pytest.approx(50, rel=1e-12)
    assert found.standard_error == pytest.approx(0, abs=1e-12)


def test_trace_interval_covers_as_often_as_it_says(exact, hessian):
    estimates = [hessian_trace(OBJECTIVE, PARAMS, 20, seed=seed) for seed in range(200)]
    covered = np.mean([found.low <= exact.sum() <= found.high for found in estimates])
    assert 0.89 < covered < 0.99
    spread = np.std([found.trace for found in estimates])
    assert np.mean([found.standard_error for found in estimates]) == pytest.approx(spread, rel=0.15)
    # The variance of z^T H z over signs is twice the sum of squares off the diagonal (Hutchinson 1990).
    variance = 2 * ((hessian**2).sum() - (np.diag(hessian) ** 2).sum())
    assert spread == pytest.approx(np.sqrt(variance / 20), rel=0.15)


@pytest.mark.parametrize("of", [OBJECTIVE, hessian_of(OBJECTIVE, jl.problems.products_of(OBJECTIVE))])
def test_largest_eigenvalues_of_many_points_are_those_of_the_dense_decomposition(of):
    points = np.concatenate([PARAMS + 0.1 * RNG.normal(size=(70, NETWORK.size)), np.full((1, NETWORK.size), np.nan)])
    found = largest_eigenvalues(of, points, 3, steps=60)
    dense = spectra(OBJECTIVE, points[:3]).eigenvalues
    assert found.converged[:-1].all()
    np.testing.assert_allclose(found.values[:3], dense[:, ::-1][:, :3], rtol=1e-10)
    matrices = hessians(OBJECTIVE, points[:3])
    left = np.einsum("fpq,feq->fep", matrices, found.vectors[:3]) - found.values[:3, :, None] * found.vectors[:3]
    assert np.abs(left).max() < 1e-6 * dense.max()
    assert np.isnan(found.values[-1]).all()
    assert not found.converged[-1].any()
    np.testing.assert_array_equal(largest_eigenvalues(of, points[5:6], 3, steps=60).values, found.values[5:6])


@pytest.mark.slow
def test_few_steps_are_enough_from_the_vectors_of_a_point_nearby_and_too_few_are_told():
    first = largest_eigenvalues(OBJECTIVE, PARAMS[None], steps=60)
    near = PARAMS[None] + 1e-3
    exact = spectra(OBJECTIVE, near).eigenvalues[:, -1:]
    warm = largest_eigenvalues(OBJECTIVE, near, steps=5, start=first.vectors[:, 0])
    np.testing.assert_allclose(warm.values, exact, rtol=1e-6)
    cold = largest_eigenvalues(OBJECTIVE, near, steps=5)
    assert not cold.converged.any()
    assert cold.values < exact
    assert np.abs(cold.values - exact) <= cold.residuals + 1e-9
    single = largest_eigenvalues(OBJECTIVE, near.astype(np.float32), steps=40)
    assert single.vectors.dtype == np.float32
    np.testing.assert_allclose(single.values, exact, rtol=1e-5)


@pytest.mark.parametrize("many", [False, True])
def test_largest_eigenvalues_from_an_eigenvector_and_of_equal_ones(many):
    eigenvalues = np.array([1.0, 5, 5, 2, 0, 0])
    objective = _quadratic(eigenvalues)
    of = hessian_of(objective, jl.problems.products_of(objective)) if many else objective
    found = largest_eigenvalues(of, np.zeros((2, 6)), 3, start=np.eye(6)[[0, 4]])
    np.testing.assert_allclose(found.values, [[5, 5, 2]] * 2, atol=1e-12)
    with pytest.raises(ValueError, match="not zero"):
        largest_eigenvalues(OBJECTIVE, PARAMS[None], start=np.zeros((1, NETWORK.size)))
    with pytest.raises(ValueError, match="count must be between 1 and 4"):
        largest_eigenvalues(OBJECTIVE, PARAMS[None], 5, steps=4)


METHODS = {"hutch++": 6, "xtrace": 4}


@pytest.mark.parametrize("method", METHODS)
def test_traces_of_few_eigenvalues_are_exact_with_as_few_products(method):
    """Nine eigenvalues that are not zero lie in the space of ten vectors."""
    eigenvalues = np.concatenate([np.zeros(300), [-4.0, 1e-3, 1, 2, 3, 5, 8, 13, 1e3]])
    found = hessian_trace(_quadratic(eigenvalues), np.zeros(309), 30, method=method)
    assert found.trace == pytest.approx(eigenvalues.sum(), rel=1e-12)
    assert found.standard_error == pytest.approx(0, abs=1e-9)
    assert found.low <= found.trace <= found.high


@pytest.mark.parametrize("method", METHODS)
def test_traces_are_exact_with_as_many_products_as_parameters(method, exact):
    found = hessian_trace(OBJECTIVE, PARAMS, NETWORK.size, method=method)
    assert found.trace == pytest.approx(exact.sum(), rel=1e-12)
    assert found.standard_error == 0


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_better_estimates_of_the_trace_are_unbiased_better_and_know_their_error(method, exact):
    estimates, plain = (
        [hessian_trace(OBJECTIVE, PARAMS, 60, method=name, seed=seed) for seed in range(60)]
        for name in (method, "hutchinson")
    )
    errors = np.array([found.trace for found in estimates]) - exact.sum()
    assert abs(errors.mean()) < 3 * errors.std() / np.sqrt(60)
    # With the space of twenty or thirty of its 97 directions most of this Hessian is known.
    assert errors.std() < np.std([found.trace for found in plain]) / 4
    assert np.mean([found.standard_error for found in estimates]) == pytest.approx(errors.std(), rel=0.35)
    covered = np.mean([found.low <= exact.sum() <= found.high for found in estimates])
    assert 0.75 < covered <= 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_traces_do_not_depend_on_units(method, scale):
    eigenvalues = scale * np.random.default_rng(0).normal(size=50)
    found, plain = (
        hessian_trace(_quadratic(values), np.zeros(50), 20, method=method)
        for values in (eigenvalues, eigenvalues / scale)
    )
    np.testing.assert_allclose(np.array(found) / scale, plain, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_traces_of_what_is_not_finite_are_nan_and_too_few_products_refused(method):
    assert np.isnan(hessian_trace(OBJECTIVE, np.full(NETWORK.size, np.nan), 12, method=method).trace)
    with pytest.raises(ValueError, match=f"at least {METHODS[method]} probes"):
        hessian_trace(OBJECTIVE, PARAMS, METHODS[method] - 1, method=method)
    unchecked: Any = getattr(hessian_trace, "__wrapped__", hessian_trace)
    with pytest.raises(ValueError, match="method"):
        unchecked(OBJECTIVE, PARAMS, 12, method="xtracer")


def test_density_of_a_quadratic_with_few_eigenvalues_is_exact():
    eigenvalues = np.repeat([-2.0, 0.0, 3.0], [1, 6, 3])
    found = spectral_density(_quadratic(eigenvalues), np.zeros(10), probes=4, steps=10)
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    x = np.array([-2.1, -1.9, -0.1, 0.1, 2.9, 3.1])
    np.testing.assert_allclose(found.cumulative(x), [0, 0.1, 0.1, 0.7, 0.7, 1], atol=1e-12)
    for order in range(8):
        assert found.moment(order) == pytest.approx(np.mean(eigenvalues**order), abs=1e-9)


@pytest.mark.slow
def test_moments_of_each_probe_are_exact_up_to_twice_its_steps(exact, hessian):
    found = spectral_density(OBJECTIVE, PARAMS, probes=300, steps=3)
    means = [np.mean(exact**order) for order in range(6)]
    for order in range(1, 6):
        power = np.linalg.matrix_power(hessian, order)
        deviation = np.sqrt(2 * ((power**2).sum() - (np.diag(power) ** 2).sum()) / 300) / NETWORK.size
        assert found.moment(order) == pytest.approx(means[order], abs=4 * deviation)
    # The same probes give the same moments whatever the steps, up to the order that is exact.
    more = spectral_density(OBJECTIVE, PARAMS, probes=300, steps=20)
    for order in range(6):
        assert more.moment(order) == pytest.approx(found.moment(order), rel=1e-9)


@pytest.mark.slow
def test_distribution_equals_that_of_the_dense_eigenvalues(exact):
    found = spectral_density(OBJECTIVE, PARAMS, probes=400, steps=60)
    x = (exact[1:] + exact[:-1])[np.diff(exact) > 1e-3 * exact[-1]] / 2
    expected = (x[:, None] > exact).mean(axis=1)
    np.testing.assert_allclose(found.cumulative(x), expected, atol=0.03)
    grid = np.linspace(exact[0] - 3, exact[-1] + 3, 4001)
    smooth = found.smoothed(grid, 0.5)
    assert np.trapezoid(smooth, grid) == pytest.approx(1, rel=1e-6)
    kernel = np.exp(-0.5 * ((grid[:, None] - exact) / 0.5) ** 2) / (0.5 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(smooth, kernel.mean(axis=1), atol=0.03 * smooth.max())


@pytest.mark.slow
def test_a_probe_does_not_depend_on_how_many_there_are():
    few, many = (spectral_density(OBJECTIVE, PARAMS, probes=probes, steps=5) for probes in (2, 7))
    np.testing.assert_allclose(few.nodes, many.nodes[:2], rtol=1e-9)


def test_steps_end_with_the_space():
    found = spectral_density(_quadratic(np.arange(3.0)), np.zeros(3), probes=2, steps=100)
    np.testing.assert_allclose(found.nodes, [[0, 1, 2]] * 2, atol=1e-12)


@pytest.mark.slow
def test_broken_parameters_give_nan():
    params = PARAMS.copy()
    params[3] = np.nan
    found = extreme_eigenvalues(OBJECTIVE, params, 2)
    assert np.isnan(found.largest.values).all()
    assert not found.smallest.converged.any()
    assert np.isnan(hessian_trace(OBJECTIVE, params, 3).trace)
    assert np.isnan(spectral_density(OBJECTIVE, params, 2, 5).nodes).all()


def test_bad_input():
    with pytest.raises(ValueError, match="count must be between 1 and 9"):
        extreme_eigenvalues(OBJECTIVE, PARAMS, 10, max_steps=9)
    with pytest.raises(ValueError, match="at least 2 probes by hutchinson"):
        hessian_trace(OBJECTIVE, PARAMS, 1)
    with pytest.raises(ValueError, match="at least 1; got 0 and 5"):
        spectral_density(OBJECTIVE, PARAMS, 0, 5)
    with pytest.raises(ValueError, match="one flat vector"):
        extreme_eigenvalues(OBJECTIVE, np.zeros(0))
