"""Bands on surfaces whose saddles are known, and the geometry of bands against loops."""

import threading
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxland import mlp
from jaxland.landscape.neb import (
    NebSettings,
    arc_lengths,
    gaps,
    interpolate,
    refine,
    relax,
    straight_bands,
    tangents,
    turning_angles,
)
from jaxland.problems import Problem, gradients_of
from jaxland.training import gradients

pytestmark = pytest.mark.sampled(3)

# Mueller and Brown, Theor. Chim. Acta 53, 75 (1979): parameters of the surface, and its stationary points.
HEIGHT, A, B, C = (-200, -100, -170, 15), (-1, -1, -6.5, 0.7), (0, 0, 11, 0.6), (-10, -10, -6.5, 0.7)
X, Y = (1, 0, -0.5, -1), (0, 0.5, 1.5, 1)
MINIMA = np.array([[-0.558224, 1.441726], [-0.050011, 0.466694], [0.623499, 0.028038]])
SADDLES = np.array([[-0.822002, 0.624313], [0.212487, 0.292988]])


def mueller_brown(point):
    height, a, b, c, x0, y0 = (jnp.array(values, point.dtype) for values in (HEIGHT, A, B, C, X, Y))
    x, y = point[0] - x0, point[1] - y0
    return jnp.sum(height * jnp.exp(a * x * x + b * x * y + c * y * y))


def double_well(point):
    return (point[0] ** 2 - 1) ** 2 + 2 * (point[1] - point[0] ** 2) ** 2 + jnp.sum(point[2:] ** 2)


# Springs of about 0.1 and steps of 0.01 to 0.1 in units of the loss and the parameters.
# On straight bands to random parameters of the sawtooth network: springs of 0.1 and steps of 0.01 to 0.1 in its units.
ROUGH = NebSettings(tolerance=3e-3, spring_constant=4.0, first_step=0.0016, longest_step=0.016)
STIFF = NebSettings(longest_step=0.1, climb_after=300, bend=60)


@pytest.fixture(scope="module")
def on_mueller_brown():
    starts, stops = MINIMA[[0, 1, 0]], MINIMA[[1, 2, 2]]
    return relax(gradients_of(mueller_brown), straight_bands(starts, stops, 15), STIFF)


def test_saddles_of_mueller_brown(on_mueller_brown):
    assert list(on_mueller_brown.reason) == ["converged"] * 3
    highest = on_mueller_brown.energies.argmax(axis=1)
    tops = on_mueller_brown.images[np.arange(3), highest]
    np.testing.assert_allclose(tops, SADDLES[[0, 1, 0]], atol=1e-3)
    np.testing.assert_allclose(on_mueller_brown.energies.max(axis=1), [-40.66484, -72.24894, -40.66484], atol=1e-3)


def test_the_path_across_two_saddles_passes_the_minimum_between(on_mueller_brown):
    nearest = np.linalg.norm(on_mueller_brown.images[2] - MINIMA[1], axis=1).min()
    assert nearest < 0.2


def test_a_band_at_rest_stays_there(on_mueller_brown):
    """The units of a band are those of its ends: relaxed or refined, it is judged and moved by the same ones."""
    evaluate, bands = gradients_of(mueller_brown), on_mueller_brown.images[:2]
    again = relax(evaluate, bands, replace(STIFF, climb_after=None))
    assert list(again.reason) == ["converged"] * 2
    assert again.steps.max() < 10
    np.testing.assert_allclose(again.images, bands, atol=0.02)
    finer = relax(evaluate, refine(evaluate, bands, 6), STIFF)
    assert list(finer.reason) == ["converged"] * 2
    np.testing.assert_allclose(finer.energies.max(axis=1), [-40.66484, -72.24894], atol=1e-3)
    np.testing.assert_allclose(arc_lengths(finer.images)[:, -1], arc_lengths(bands)[:, -1], rtol=0.05)


@pytest.mark.slow
def test_double_well_in_six_dimensions():
    """The path follows the gradient flow from the saddle at the origin, here integrated on its own."""
    ends = np.zeros((2, 6))
    ends[:, :2] = [[-1, 1], [1, 1]]
    settings = NebSettings(longest_step=0.2, climb_after=200, bend=60)
    evaluate = gradients_of(double_well)
    result = relax(evaluate, straight_bands(ends[:1], ends[1:], 41), settings)
    assert result.reason[0] == "converged"
    np.testing.assert_allclose(result.images[0, result.energies[0].argmax()], np.zeros(6), atol=1e-3)
    np.testing.assert_allclose(result.energies[0].max(), 1.0, atol=1e-3)
    flow = solve_ivp(
        lambda _, point: -evaluate(point[None])[1][0], (0, 20), [1e-3, *np.zeros(5)], rtol=1e-9, atol=1e-12
    )
    right = result.images[0, result.images[0, :, 0] > 0.05]
    on_the_flow = np.interp(right[:, 0], flow.y[0], flow.y[1])
    np.testing.assert_allclose(right[:, 1], on_the_flow, atol=0.02)


@pytest.mark.slow
def test_flat_triples_leave_a_band_where_it_is():
    """Equal energies make both weights of the tangent zero; a straight, even band must then not move, nor turn NaN."""
    bands = straight_bands(np.zeros((1, 3)), np.ones((1, 3)), 7)
    result = relax(gradients_of(lambda point: 0 * jnp.sum(point)), bands, NebSettings(climb_after=5))
    np.testing.assert_array_equal(result.images, bands)
    assert result.reason[0] == "converged"
    assert result.residual[0] == 0


@pytest.mark.slow
def test_a_plateau_with_a_step():
    """Flat triples beside a wall: exactly equal energies on the plateau, a ridge in the middle."""

    def terrace(point):
        return jnp.where(jnp.abs(point[0]) < 0.5, 1 - 4 * point[0] ** 2, 0.0) + 0 * point[1]

    result = relax(gradients_of(terrace), straight_bands(np.array([[-1.0, 0]]), np.array([[1.0, 0]]), 21))
    assert np.isfinite(result.images).all()
    np.testing.assert_allclose(result.energies[0].max(), 1.0, atol=1e-6)


@pytest.mark.parametrize("image", [1, 2, 3])
def test_tangents_against_a_loop(image):
    rng = np.random.default_rng(image)
    for energies in (rng.normal(size=5), np.sort(rng.normal(size=5)), np.array([0.0, 1, 0, 1, 0]), np.zeros(5)):
        images = rng.normal(size=(5, 4))
        with jax.enable_x64(True):
            found = np.asarray(tangents(images, energies))[image - 1]
        np.testing.assert_allclose(found, _tangent(images, energies, image), rtol=1e-12)


def _tangent(images, energies, i):
    """Henkelman and Jonsson, equations 8 to 11, written out."""
    ahead, behind = images[i + 1] - images[i], images[i] - images[i - 1]
    low, here, high = energies[i - 1], energies[i], energies[i + 1]
    largest, least = sorted([abs(high - here), abs(low - here)], reverse=True)
    if high > here > low:
        tangent = ahead
    elif high < here < low:
        tangent = behind
    elif high > low:
        tangent = ahead * largest + behind * least
    else:
        tangent = ahead * least + behind * largest
    if not tangent.any():
        tangent = ahead + behind
    return tangent / np.linalg.norm(tangent)


def test_a_band_does_not_depend_on_those_beside_it():
    rng = np.random.default_rng(0)
    starts = MINIMA[[0]] + 0.05 * rng.normal(size=(11, 2))
    bands = straight_bands(starts, np.repeat(MINIMA[[2]], 11, axis=0), 9)
    settings = NebSettings(steps=60, climb_after=20)
    evaluate = gradients_of(mueller_brown)
    together = relax(evaluate, bands, settings, threads=2)
    for chosen in ([3], [10, 3, 5], list(range(10, -1, -1))):
        alone = relax(evaluate, bands[chosen], settings)
        for name in ("images", "energies", "residual", "steps"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(together, name)[chosen])


def test_a_band_that_meets_nan_diverges_alone():
    bands = straight_bands(MINIMA[[0, 0, 0]], MINIMA[[2, 2, 2]], 9)
    broken = bands.copy()
    broken[1, 4] = np.nan
    settings = NebSettings(steps=40, climb_after=20)
    evaluate = gradients_of(mueller_brown)
    whole, hurt = relax(evaluate, bands, settings), relax(evaluate, broken, settings)
    assert list(hurt.reason) == ["steps", "diverged", "steps"]
    np.testing.assert_array_equal(hurt.images[[0, 2]], whole.images[[0, 2]])


@pytest.mark.slow
def test_springs_keep_a_band_from_folding(sawtooth_problem):
    """Without the springs across, a band on the rough surface of a ReLU network folds and grows without end."""
    network = sawtooth_problem.network
    starts = np.repeat(sawtooth_problem.minimum[None], 2, axis=0)
    stops = np.random.default_rng(0).normal(size=starts.shape) / 2
    bands = straight_bands(starts, stops, 30)
    lengths = {}
    for bend in (0.0, 89.9):
        settings = replace(ROUGH, steps=2000, climb_after=None, bend=bend)
        relaxed = relax(gradients(network, sawtooth_problem), bands, settings)
        lengths[bend] = arc_lengths(relaxed.images)[:, -1]
    assert (lengths[0.0] < 2 * arc_lengths(bands)[:, -1]).all()
    assert (lengths[0.0] < 0.8 * lengths[89.9]).all()


def test_stop_event_and_reasons():
    stop = threading.Event()
    stop.set()
    bands = straight_bands(MINIMA[[0]], MINIMA[[2]], 9)
    result = relax(gradients_of(mueller_brown), bands, STIFF, stop=stop)
    assert result.reason[0] == "steps"
    assert result.steps[0] == 1 or result.steps[0] == 0
    stalled = relax(gradients_of(mueller_brown), bands, NebSettings(tolerance=1e-300, patience=50, climb_after=None))
    assert stalled.reason[0] == "stalled"


@pytest.mark.slow
def test_two_equivalent_minima_of_a_small_network_and_the_saddle_between():
    """1-2-1, sigmoid: the minimum with its units exchanged is as good; at the saddle between both units are alike."""
    network = mlp([1, 2, 1], "sigmoid")
    x = np.linspace(-2, 2, 21)
    problem = Problem(x, 1 / (1 + np.exp(-3 * x - 2)) + 1 / (1 + np.exp(-3 * x + 2)))
    exact = np.array([3.0, 3, 2, -2, 1, 1, 0])  # weights, biases, output weights, output bias
    evaluate = gradients_of(problem.objective(network))
    exchanged = network.spec.symmetry.transform(exact, permutations=[np.array([1, 0])])
    assert evaluate(np.stack([exact, exchanged]))[0].max() < 1e-28
    settings = NebSettings(longest_step=0.1, tolerance=1e-5, bend=60)
    result = relax(evaluate, straight_bands(exact[None], exchanged[None], 15), settings)
    assert result.reason[0] == "converged"
    top = result.images[0, result.energies[0].argmax()]
    mirrored = network.spec.symmetry.transform(top, permutations=[np.array([1, 0])])
    np.testing.assert_allclose(mirrored, top, atol=1e-6)
    with jax.enable_x64(True):
        curvature = np.linalg.eigvalsh(np.asarray(jax.hessian(problem.objective(network))(jnp.asarray(top))))
    assert (curvature < -1e-5).sum() == 1
    assert np.linalg.norm(evaluate(top[None])[1]) < 1e-6


def test_geometry_of_a_polygon():
    square = np.array([[[0.0, 0], [2, 0], [2, 1], [2, 2], [1, 1]]])
    np.testing.assert_allclose(gaps(square), [[2, 1, 1, np.sqrt(2)]])
    np.testing.assert_allclose(arc_lengths(square), [[0, 2, 3, 4, 4 + np.sqrt(2)]])
    np.testing.assert_allclose(turning_angles(square), [[np.pi / 2, 0, 3 * np.pi / 4]], atol=1e-7)
    assert np.isnan(turning_angles(square[:, [0, 0, 1]])).all()
    between = interpolate(square, 1)
    np.testing.assert_allclose(between[0, 1::2], (square[0, 1:] + square[0, :-1]) / 2)
    np.testing.assert_allclose(between[0, ::2], square[0])


def test_small_angles_keep_their_digits():
    angle = 1e-7
    band = np.array([[[0.0, 0], [1, 0], [1 + np.cos(angle), np.sin(angle)]]])
    np.testing.assert_allclose(turning_angles(band), [[angle]], rtol=1e-6)


def test_refinement_goes_where_the_energy_changes():
    def cliff(point):
        return jnp.where(point[0] > 0.5, 1.0, 0.0) + 0 * point[1]

    evaluate = gradients_of(cliff)
    bands = straight_bands(np.zeros((1, 2)), np.array([[1.0, 0]]), 4)
    refined = refine(evaluate, bands, 5)
    assert refined.shape == (1, 9, 2)
    new = np.setdiff1d(refined[0, :, 0], bands[0, :, 0])
    assert (np.abs(new - 0.5) < 0.1).sum() == 3
    even = refine(gradients_of(lambda point: 0 * jnp.sum(point)), np.array([[[0.0], [1], [5]]]), 1)
    np.testing.assert_allclose(even[0, :, 0], [0, 1, 3, 5])


def test_one_start_for_all_bands():
    many = straight_bands(np.repeat(MINIMA[[0]], 2, axis=0), MINIMA[1:], 5)
    np.testing.assert_array_equal(straight_bands(MINIMA[0], MINIMA[1:], 5), many)
    np.testing.assert_array_equal(straight_bands(MINIMA[1:], MINIMA[0], 5), many[:, ::-1])
    with pytest.raises(ValueError, match=r"one of them \(parameters,\); got \(2,\) and \(2,\)\. A single band"):
        straight_bands(MINIMA[0], MINIMA[1], 5)


def test_no_bands():
    none = relax(gradients_of(mueller_brown), np.zeros((0, 5, 2)))
    assert (none.images.shape, none.energies.shape, none.reason.shape) == ((0, 5, 2), (0, 5), (0,))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="three images"):
        straight_bands(np.zeros((1, 2)), np.ones((1, 2)), 2)
    with pytest.raises(ValueError, match="bend must be an angle"):
        NebSettings(bend=90)
    with pytest.raises(ValueError, match="bands must have shape"):
        relax(gradients_of(mueller_brown), np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="tolerance must be positive"):
        NebSettings(tolerance=0)


@pytest.mark.parametrize("loss_unit", [1.0, 2.0**-20, 1e-4, 2.0**40])
@pytest.mark.parametrize("unit", [1.0, 2.0**-30, 1e3])
def test_the_units_of_loss_and_parameters_do_not_matter(loss_unit, unit):
    """A bent valley v = 1.5 (1 - u^2) whose barrier is one unit of loss, begun on a straight line far beside it."""

    def bent(point):
        u, v = point[0] / unit, point[1] / unit
        return loss_unit * ((u**2 - 1) ** 2 + (v - 1.5 * (1 - u**2)) ** 2)

    bands = straight_bands(unit * np.array([[-1.0, 0]]), unit * np.array([[1.0, 0]]), 9)
    result = relax(gradients_of(bent), bands, NebSettings(steps=1500, climb_after=300, bend=60))
    assert result.reason[0] == "converged"
    assert result.energies.max() / loss_unit == pytest.approx(1, abs=1e-4)
