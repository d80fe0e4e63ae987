import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
import scipy.optimize
import scipy.special

import jaxland as jl
from jaxland.landscape import hessian_of, hessians, leading_entries, outputs, spectra, zero_modes
from jaxland.networks import smoothed

pytestmark = pytest.mark.sampled

WIDTHS = [1, 4, 3, 1]
RNG = np.random.default_rng(0)
X, Y = RNG.uniform(-1, 1, (30, 1)), RNG.normal(size=(30, 1))
PROBLEM = jl.Problem(X, Y)
NETWORK = jl.mlp(WIDTHS)
PARAMS = RNG.normal(size=(70, NETWORK.size))
OBJECTIVE = PROBLEM.objective(NETWORK)


def _finite_differences(vector, activation):
    step, columns = 1e-5, []
    for direction in np.eye(len(vector)) * step:
        ends = (reference.loss_and_gradient(vector + sign * direction, WIDTHS, activation, X, Y) for sign in (1, -1))
        (_, forward), (_, backward) = ends
        columns.append((forward - backward) / (2 * step))
    return np.array(columns)


def _distance_to_kinks(vector):
    (first, bias), (second, offset), _ = reference.split(vector, WIDTHS)
    inner = X @ first.T + bias
    return min(np.abs(inner).min(), np.abs(np.maximum(inner, 0) @ second.T + offset).min())


@pytest.fixture(scope="module")
def away_from_kinks():
    chosen = np.array([vector for vector in PARAMS if _distance_to_kinks(vector) > 1e-3])[:3]
    assert len(chosen) == 3
    return chosen


@pytest.mark.parametrize("activation", ["relu", "tanh", "softplus"])
def test_spectra_equal_finite_differences(away_from_kinks, activation):
    objective = PROBLEM.objective(jl.mlp(WIDTHS, activation))
    found = spectra(objective, away_from_kinks, vectors=True)
    for fit, vector in enumerate(away_from_kinks):
        hessian = _finite_differences(vector, activation)
        size = np.abs(hessian).max()
        np.testing.assert_allclose(hessians(objective, vector[None])[0], hessian, atol=1e-8 * size)
        np.testing.assert_allclose(found.eigenvalues[fit], np.linalg.eigvalsh(hessian), atol=1e-7 * size)
        norm = np.linalg.norm(reference.loss_and_gradient(vector, WIDTHS, activation, X, Y)[1])
        np.testing.assert_allclose(found.gradient_norm[fit], norm, rtol=1e-9)
        product = hessian @ found.eigenvectors[fit]
        np.testing.assert_allclose(product, found.eigenvectors[fit] * found.eigenvalues[fit], atol=1e-7 * size)


def test_smoothed_network_equals_finite_differences(away_from_kinks, monkeypatch):
    sigmoid = scipy.special.expit
    smooth = (lambda z: np.log1p(np.exp(5 * z)) / 5, lambda z: sigmoid(5 * z))
    monkeypatch.setitem(reference.ACTIVATIONS, "smooth", smooth)
    exact = hessians(PROBLEM.objective(smoothed(NETWORK, 5.0)), away_from_kinks)
    for hessian, vector in zip(exact, away_from_kinks, strict=True):
        expected = _finite_differences(vector, "smooth")
        np.testing.assert_allclose(hessian, expected, atol=1e-8 * np.abs(expected).max())


@pytest.mark.slow
def test_away_from_a_critical_point_tangents_are_curved_by_the_gradient():
    # Differentiating "gradient . tangent = 0" gives H t = -gradient on incoming entries, + on outgoing ones.
    fits = PARAMS[:5]
    exact = hessians(OBJECTIVE, fits)
    with jax.enable_x64(True):
        gradients = np.asarray(jax.vmap(jax.grad(OBJECTIVE))(fits))
    tangents = NETWORK.spec.symmetry.scaling_directions(fits)
    units = [
        (layer.incoming[u], layer.outgoing[u])
        for layer in NETWORK.spec.symmetry.layers
        for u in range(len(layer.incoming))
    ]
    for index, (incoming, outgoing) in enumerate(units):
        expected = np.zeros_like(fits)
        expected[:, incoming], expected[:, outgoing] = -gradients[:, incoming], gradients[:, outgoing]
        np.testing.assert_allclose(np.einsum("fpq,fq->fp", exact, tangents[:, index]), expected, atol=1e-11)


def _active_teachers(count):
    # Every unit must be on for some points and off for others, or it would be linear or dead on the data.
    teachers = []
    rng = np.random.default_rng(1)
    while len(teachers) < count:
        vector = rng.normal(size=NETWORK.size)
        (first, bias), (second, offset), _ = reference.split(vector, WIDTHS)
        inner = X @ first.T + bias
        on = [inner > 0, np.maximum(inner, 0) @ second.T + offset > 0]
        if all((layer.mean(0) > 0.1).all() and (layer.mean(0) < 0.9).all() for layer in on):
            teachers.append(vector)
    return np.array(teachers)


@pytest.mark.slow
def test_a_teacher_has_a_zero_mode_for_every_unit():
    for teacher in _active_teachers(3)[:, None]:
        objective = jl.Problem(X, outputs(NETWORK, teacher, X)[0]).objective(NETWORK)
        found = spectra(objective, teacher, vectors=True)
        modes = zero_modes(found, NETWORK.spec.symmetry, teacher)
        assert found.gradient_norm[0] < 1e-14
        assert modes.zero[0] >= 7
        assert modes.negative[0] == 0
        assert modes.scaling[0] == 7
        assert modes.explained[0] == pytest.approx(7, abs=1e-9)
        assert modes.tangent_curvature[0] < 1e-13


def test_a_minimum_with_a_loss_has_them_too():
    network = jl.mlp([1, 2, 1])
    x = np.linspace(-1, 1, 23)
    problem = jl.Problem(x, np.abs(x - 0.31) + 0.1 * np.sin(9 * x))

    def residuals(vector):
        return (outputs(network, vector[None], problem.x)[0] - problem.y).ravel()

    start = np.array([1.0, -1.0, -0.3, 0.3, 1.0, 1.0, 0.0])
    fit = scipy.optimize.least_squares(residuals, start, xtol=1e-15, ftol=1e-15, gtol=1e-15).x[None]
    polished = _newton(problem.objective(network), fit)
    found = spectra(problem.objective(network), polished, vectors=True)
    assert found.gradient_norm[0] < 1e-13
    assert float(np.mean(residuals(polished[0]) ** 2)) > 1e-4
    modes = zero_modes(found, network.spec.symmetry, polished)
    assert (modes.zero[0], modes.negative[0], modes.scaling[0]) == (2, 0, 2)
    assert modes.explained[0] == pytest.approx(2, abs=1e-9)


def _newton(objective, params):
    with jax.enable_x64(True):
        for _ in range(3):
            gradient = np.asarray(jax.grad(objective)(jnp.asarray(params[0])))
            params = params - np.linalg.pinv(hessians(objective, params)[0], rcond=1e-7) @ gradient
    return params


def test_units_without_weights_give_no_tangent():
    params = PARAMS[:2].copy()
    first = NETWORK.spec.symmetry.layers[0]
    params[1, first.incoming[2]] = params[1, first.outgoing[2]] = 0
    modes = zero_modes(spectra(OBJECTIVE, params, vectors=True), NETWORK.spec.symmetry, params)
    assert modes.scaling.tolist() == [7, 6]


def test_explained_is_the_part_of_the_null_space_in_the_span_of_the_tangents():
    # Null space: one tangent, and one direction that makes an angle with the span of all.
    tangents = NETWORK.spec.symmetry.scaling_directions(PARAMS[0])
    span, _ = np.linalg.qr(tangents.T)
    outside = np.random.default_rng(3).normal(size=NETWORK.size)
    outside -= span @ (span.T @ outside)
    slanted = 0.6 * span[:, 1] + 0.8 * outside / np.linalg.norm(outside)
    null = np.stack([span[:, 0], slanted])
    complement = jnp.asarray(np.eye(NETWORK.size) - null.T @ null)

    def objective(vector):
        return 2 * vector @ complement.astype(vector.dtype) @ vector

    with jax.enable_x64(True):
        found = spectra(objective, PARAMS[:1], vectors=True)
    modes = zero_modes(found, NETWORK.spec.symmetry, PARAMS[:1], tolerance=1e-6)
    assert modes.zero[0] == 2
    assert modes.explained[0] == pytest.approx(1.36, abs=1e-5)
    assert modes.tangent_curvature[0] == pytest.approx(1, abs=1e-5)


def test_a_planted_saddle_is_found_and_named():
    size, names = NETWORK.size, NETWORK.entry_names
    descent = np.zeros(size)
    descent[names.index("1.weight[0,2]")], descent[names.index("2.bias[0]")] = 0.8, -0.6
    hessian = np.eye(size) - 3 * np.outer(descent, descent)
    found = spectra(lambda vector: vector @ hessian @ vector / 2, np.zeros((2, size)), vectors=True)
    modes = zero_modes(found, NETWORK.spec.symmetry, np.zeros((2, size)))
    assert modes.negative.tolist() == [1, 1]
    assert modes.scaling.tolist() == [0, 0]
    np.testing.assert_allclose(found.eigenvalues[0], [-2] + [1] * (size - 1), atol=1e-12)
    assert leading_entries(NETWORK, found.eigenvectors[:, :, 0], 2) == [("1.weight[0,2]", "2.bias[0]")] * 2


def test_exchanging_units_changes_no_spectrum():
    rng = np.random.default_rng(2)
    orders = [np.argsort(rng.random((70, len(layer.incoming))), axis=1) for layer in NETWORK.spec.symmetry.layers]
    moved = NETWORK.spec.symmetry.transform(PARAMS, orders)
    one, two = spectra(OBJECTIVE, PARAMS), spectra(OBJECTIVE, moved)
    np.testing.assert_allclose(two.eigenvalues, one.eigenvalues, atol=1e-12 * np.abs(one.eigenvalues).max())
    np.testing.assert_allclose(two.gradient_norm, one.gradient_norm, rtol=1e-11)


def test_a_fit_does_not_depend_on_its_companions():
    whole = spectra(OBJECTIVE, PARAMS, vectors=True)
    broken = PARAMS.copy()
    broken[5, 3], broken[40, 0], broken[41] = np.nan, np.inf, 1e300
    found = spectra(OBJECTIVE, broken, vectors=True)
    bad = np.isin(np.arange(70), [5, 40, 41])
    for mine, theirs in zip(found, whole, strict=True):
        assert np.isnan(mine[bad][:2]).all()
        np.testing.assert_array_equal(mine[~bad], theirs[~bad])
    assert np.isnan(found.eigenvalues[bad]).all()
    for mine, theirs in zip(spectra(OBJECTIVE, PARAMS[33:36], vectors=True), whole, strict=True):
        np.testing.assert_array_equal(mine, theirs[33:36])
    modes = zero_modes(found, NETWORK.spec.symmetry, broken)
    assert (modes.zero[bad] == -1).all()
    assert (modes.negative[bad] == -1).all()
    assert np.isnan(modes.explained[bad]).all()
    assert leading_entries(NETWORK, found.eigenvectors[4:6, :, 0])[1] == ()


def test_products_made_for_many_points_give_the_same_spectra():
    problem = jl.Problem(np.linspace(-1, 1, 15), np.linspace(-1, 1, 15) ** 2)
    network = jl.mlp([1, 4, 1], "tanh")
    objective, params = problem.objective(network), np.random.default_rng(6).normal(size=(37, network.size))
    params[20] = np.nan
    curvature = hessian_of(objective, jl.training.hessian_products(network, problem))
    plain, found = (spectra(each, params, vectors=True) for each in (objective, curvature))
    largest = np.nanmax(np.abs(plain.eigenvalues))
    np.testing.assert_allclose(found.eigenvalues, plain.eigenvalues, atol=1e-13 * largest)
    np.testing.assert_allclose(found.gradient_norm, plain.gradient_norm, rtol=1e-11)
    np.testing.assert_array_equal(np.isnan(found.eigenvectors), np.isnan(plain.eigenvectors))
    np.testing.assert_allclose(hessians(curvature, params), hessians(objective, params), atol=1e-13 * largest)
    for mine, theirs in zip(spectra(curvature, params[5:9], vectors=True), found, strict=True):
        np.testing.assert_array_equal(mine, theirs[5:9])


def test_hessians_wider_than_a_block_of_columns():
    matrix = np.random.default_rng(4).normal(size=(300, 300))
    found = hessians(lambda vector: vector @ matrix @ vector / 2, np.zeros((2, 300)))
    np.testing.assert_allclose(found[1], (matrix + matrix.T) / 2, atol=1e-12)


def test_one_program_serves_all_numbers_of_fits():
    traces = []

    def objective(vector):
        traces.append(vector)
        return (vector**4).sum()

    hessians(objective, np.ones((1, 3)))
    once = len(traces)
    for fits in (2, 31, 33, 64):
        found = hessians(objective, np.ones((fits, 3), np.float32))
        np.testing.assert_allclose(found, np.broadcast_to(12 * np.eye(3), (fits, 3, 3)))
    assert len(traces) == once
    assert hessians(objective, np.ones((0, 3))).shape == (0, 3, 3)
    assert spectra(objective, np.ones((0, 3))).eigenvalues.shape == (0, 3)


def test_zero_modes_need_eigenvectors():
    with pytest.raises(ValueError, match="vectors=True"):
        zero_modes(spectra(OBJECTIVE, PARAMS[:1]), NETWORK.spec.symmetry, PARAMS[:1])


def test_parameters_are_rows():
    for work in (hessians, spectra):
        with pytest.raises(ValueError, match=r"must have shape \(fits, P\); got \(2, 0\)"):
            work(OBJECTIVE, np.zeros((2, 0)))


@pytest.mark.slow
def test_flatness_of_tangents_of_a_smoothed_network_grows_with_its_sharpness(sawtooth_problem):
    network, minimum = sawtooth_problem.network, sawtooth_problem.minimum[None]
    curvature = []
    for sharpness in (5e3, 5e4):
        found = spectra(sawtooth_problem.objective(smoothed(network, sharpness)), minimum, vectors=True)
        modes = zero_modes(found, network.spec.symmetry, minimum)
        assert modes.scaling[0] == 25
        curvature.append(modes.tangent_curvature[0])
    assert curvature[0] / curvature[1] == pytest.approx(10, rel=0.01)
