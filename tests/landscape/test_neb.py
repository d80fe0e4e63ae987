"""Bands on surfaces whose saddles are known, and the geometry of bands against loops."""

import itertools
import threading
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import solve_ivp

import jaxland as jl
from jaxland import mlp
from jaxland.landscape.neb import (
    NebSettings,
    arc_lengths,
    energies_of,
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

pytestmark = pytest.mark.sampled

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


def camelback(point):
    """The six-hump camelback of Dixon and Szego, Towards Global Optimisation 2 (1978)."""
    x, y = point
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + 4 * (y**2 - 1) * y**2


def leps(point):
    """LEPS I of Jonsson, Mills and Jacobsen (1998), appendix: three atoms on a line, by the distances AB and BC."""
    distances, depths, sato = (point[0], point[1], point[0] + point[1]), (4.746, 4.746, 3.445), (0.05, 0.30, 0.05)
    falls = [jnp.exp(-1.942 * (r - 0.742)) for r in distances]
    coulomb = [d / 2 * (1.5 * e**2 - e) / (1 + s) for d, e, s in zip(depths, falls, sato, strict=True)]
    exchange = [d / 4 * (e**2 - 6 * e) / (1 + s) for d, e, s in zip(depths, falls, sato, strict=True)]
    squares = sum((exchange[i] - exchange[i - 1]) ** 2 for i in range(3)) / 2
    return sum(coulomb) - jnp.sqrt(squares)


def coupled_wells(point):
    return (point[0] ** 2 - 1) ** 2 + 2 * (point[1] - point[0]) ** 2


# Springs of 0.1 on straight bands to random parameters of the sawtooth network, in its units.
ROUGH = NebSettings(tolerance=3e-3, spring_constant=4.0, bend=0.0)

# Where bands begin and end, and the highest saddle on the way with its height.
HUMPS = np.array([[-0.08984201, 0.7126564], [-1.70360671, 0.79608357], [-1.60710475, -0.56865145]])
KNOWN = {
    "mueller_brown, both saddles": (mueller_brown, [-0.558, 1.442], [0.623, 0.028], SADDLES[0], -40.66484351),
    "mueller_brown, upper": (mueller_brown, MINIMA[0], MINIMA[1], SADDLES[0], -40.66484351),
    "mueller_brown, lower": (mueller_brown, MINIMA[1], MINIMA[2], SADDLES[1], -72.24894011),
    "leps": (leps, [0.742, 3.5], [3.5, 0.742], [1.149378, 0.862469], -3.17691309),
    "camelback, 0 to 2": (camelback, HUMPS[0], HUMPS[1], [-1.10920535, 0.7682681], 0.5437186),
    "camelback, 2 to 4": (camelback, HUMPS[1], HUMPS[2], [-1.638068, -0.228674], 2.2293572),
    "camelback, 0 to 1": (camelback, HUMPS[0], -HUMPS[0], [0, 0], 0.0),
    "coupled wells": (coupled_wells, [-1.0, -1], [1.0, 1], [0, 0], 1.0),
}


def certified(objective, point):
    """The stationary point that Newton's method on the gradient comes to, seen to be a saddle of index 1."""
    with jax.enable_x64(True):
        slope, hessian = jax.jit(jax.grad(objective)), jax.jit(jax.hessian(objective))
        found = jnp.asarray(point, jnp.float64)
        for _ in range(20):
            found = found - jnp.linalg.solve(hessian(found), slope(found))
        curvatures = np.linalg.eigvalsh(np.asarray(hessian(found)))
        assert np.linalg.norm(slope(found)) < 1e-10 * np.abs(curvatures).max()
    assert (curvatures < 0).sum() == 1
    assert np.abs(curvatures).min() > 1e-6 * np.abs(curvatures).max()
    return np.asarray(found)


@pytest.mark.parametrize("images", [15, 7, 31, 101])
@pytest.mark.parametrize("case", KNOWN)
def test_known_saddles_with_the_defaults(case, images):
    objective, start, stop, place, height = KNOWN[case]
    found = relax(gradients_of(objective), straight_bands(np.array([start]), np.array([stop]), images))
    assert found.reason[0] == "converged"
    assert found.steps[0] < 1_000
    top = found.images[0, found.energies[0].argmax()]
    newton = certified(objective, top)
    np.testing.assert_allclose(newton, place, atol=2e-6)
    # The residual is the whole gradient at the top, so Newton's step from there says how far it is.
    with jax.enable_x64(True):
        reach = found.residual[0] / np.abs(np.linalg.eigvalsh(jax.hessian(objective)(jnp.asarray(newton)))).min()
    assert np.linalg.norm(top - newton) <= 2 * reach
    size = np.ptp(found.energies[0])
    np.testing.assert_allclose(found.energies.max(), height, atol=1e-4 * size)


@pytest.fixture(scope="module")
def on_mueller_brown():
    starts, stops = MINIMA[[0, 1, 0]], MINIMA[[1, 2, 2]]
    return relax(gradients_of(mueller_brown), straight_bands(starts, stops, 15))


def test_several_bands_at_once(on_mueller_brown):
    assert list(on_mueller_brown.reason) == ["converged"] * 3
    highest = on_mueller_brown.energies.argmax(axis=1)
    tops = on_mueller_brown.images[np.arange(3), highest]
    np.testing.assert_allclose(tops, SADDLES[[0, 1, 0]], atol=1e-3)
    np.testing.assert_allclose(on_mueller_brown.energies.max(axis=1), [-40.66484, -72.24894, -40.66484], atol=1e-3)
    apart = np.linalg.norm(np.diff(on_mueller_brown.images, axis=1), axis=2)
    assert (apart.max(axis=1) < 3 * apart.min(axis=1)).all()


def test_the_path_across_two_saddles_passes_the_minimum_between(on_mueller_brown):
    nearest = np.linalg.norm(on_mueller_brown.images[2] - MINIMA[1], axis=1).min()
    assert nearest < 0.2


@pytest.mark.slow
def test_a_band_at_rest_stays_there(on_mueller_brown):
    """The units of a band are those of its ends: relaxed or refined, it is judged and moved by the same ones."""
    evaluate, bands = gradients_of(mueller_brown), on_mueller_brown.images[:2]
    again = relax(evaluate, bands, NebSettings(climb_after=None))
    assert list(again.reason) == ["converged"] * 2
    assert again.steps.max() < 20
    np.testing.assert_allclose(again.images, bands, atol=0.05)
    finer = relax(evaluate, refine(evaluate, bands, 6))
    assert list(finer.reason) == ["converged"] * 2
    np.testing.assert_allclose(finer.energies.max(axis=1), [-40.66484, -72.24894], atol=1e-3)
    np.testing.assert_allclose(arc_lengths(finer.images)[:, -1], arc_lengths(bands)[:, -1], rtol=0.05)


@pytest.mark.slow
def test_double_well_in_six_dimensions():
    """The path follows the gradient flow from the saddle at the origin, here integrated on its own."""
    ends = np.zeros((2, 6))
    ends[:, :2] = [[-1, 1], [1, 1]]
    evaluate = gradients_of(double_well)
    result = relax(evaluate, straight_bands(ends[:1], ends[1:], 41))
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
    np.testing.assert_allclose(result.images, bands, atol=1e-15)
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


@pytest.mark.slow
def test_a_band_does_not_depend_on_those_beside_it():
    rng = np.random.default_rng(0)
    starts = MINIMA[[0]] + 0.05 * rng.normal(size=(11, 2))
    bands = straight_bands(starts, np.repeat(MINIMA[[2]], 11, axis=0), 9)
    settings = NebSettings(steps=60, patience=20)
    evaluate = gradients_of(mueller_brown)
    together = relax(evaluate, bands, settings, threads=2)
    for chosen in ([3], [10, 3, 5], list(range(10, -1, -1))):
        alone = relax(evaluate, bands[chosen], settings)
        for name in ("images", "energies", "residual", "steps", "reason", "bounce"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(together, name)[chosen])


@pytest.mark.slow
def test_a_band_that_meets_nan_diverges_alone():
    bands = straight_bands(MINIMA[[0, 0, 0]], MINIMA[[2, 2, 2]], 9)
    broken = bands.copy()
    broken[1, 4] = np.nan
    settings = NebSettings(steps=40, climb_after=20)
    evaluate = gradients_of(mueller_brown)
    whole, hurt = relax(evaluate, bands, settings), relax(evaluate, broken, settings)
    assert list(hurt.reason) == [whole.reason[0], "diverged", whole.reason[2]]
    np.testing.assert_array_equal(hurt.images[[0, 2]], whole.images[[0, 2]])


@pytest.mark.slow
def test_springs_keep_a_band_short(sawtooth_problem):
    """On the rough surface of a ReLU network: shorter where they pull at every bend, and never folding without end."""
    network = sawtooth_problem.network
    starts = np.repeat(sawtooth_problem.minimum[None], 2, axis=0)
    stops = np.random.default_rng(0).normal(size=starts.shape) / 2
    bands = straight_bands(starts, stops, 30)
    lengths = {}
    for bend in (0.0, 89.9):
        settings = replace(ROUGH, steps=1000, climb_after=None, bend=bend)
        relaxed = relax(gradients(network, sawtooth_problem), bands, settings)
        lengths[bend] = arc_lengths(relaxed.images)[:, -1] / arc_lengths(bands)[:, -1]
    assert (lengths[0.0] < 0.9 * lengths[89.9]).all()
    assert (lengths[89.9] < 3).all()


@pytest.mark.slow
def test_stop_event_and_reasons():
    stop = threading.Event()
    stop.set()
    bands = straight_bands(MINIMA[[0]], MINIMA[[2]], 9)
    result = relax(gradients_of(mueller_brown), bands, stop=stop)
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
    settings = NebSettings(tolerance=1e-5)
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
    with pytest.raises((ValueError, TypeError), match="climb_after"):
        NebSettings(climb_after="soon")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("loss_unit", [1.0, 2.0**-20, 1e-6, 1e6, 2.0**40])
@pytest.mark.parametrize("unit", [1.0, 2.0**-30, 1e-6, 1e6])
def test_the_units_of_loss_and_parameters_do_not_matter(loss_unit, unit):
    """A bent valley v = 1.5 (1 - u^2) whose barrier is one unit of loss, begun on a straight line far beside it."""

    def bent(point):
        u, v = point[0] / unit, point[1] / unit
        return loss_unit * ((u**2 - 1) ** 2 + (v - 1.5 * (1 - u**2)) ** 2)

    bands = straight_bands(unit * np.array([[-1.0, 0]]), unit * np.array([[1.0, 0]]), 9)
    result, plain = relax(gradients_of(bent), bands), _bent_in_units_of_one()
    assert result.reason[0] == plain.reason[0] == "converged"
    assert result.energies.max() / loss_unit == pytest.approx(1, abs=1e-4)
    assert result.steps[0] == plain.steps[0]
    np.testing.assert_allclose(result.images / unit, plain.images, atol=1e-6)
    np.testing.assert_allclose(result.energies / loss_unit, plain.energies, atol=1e-6)


@cache
def _bent_in_units_of_one():
    def bent(point):
        return (point[0] ** 2 - 1) ** 2 + (point[1] - 1.5 * (1 - point[0] ** 2)) ** 2

    return relax(gradients_of(bent), straight_bands(np.array([[-1.0, 0]]), np.array([[1.0, 0]]), 9))


@pytest.mark.slow
def test_a_band_that_leaves_the_domain_goes_back_and_comes_to_the_saddle():
    """A logarithm beside the valley: a step too far meets NaN, and is taken again, shorter."""
    met = []

    def fenced(point):
        return (point[0] ** 2 - 1) ** 2 + 40 * (point[1] + 0.3) ** 2 - 0.02 * jnp.log(point[1] + 0.22)

    def watched(points):
        losses, slopes = gradients_of(fenced)(points)
        met.append(~np.isfinite(losses).all())
        return losses, slopes

    valley = (np.sqrt(0.08**2 + 4 * 0.02 / 80) - 0.08) / 2 - 0.22
    bands = straight_bands(np.array([[-1.0, valley]]), np.array([[1.0, valley]]), 11)
    bands[:, 1:-1, 1] += 0.4
    found = relax(watched, bands, NebSettings(longest_move=0.5))
    assert any(met)
    assert found.reason[0] == "converged"
    top = certified(fenced, found.images[0, found.energies[0].argmax()])
    np.testing.assert_allclose(found.energies.max(), gradients_of(fenced)(top[None])[0][0], atol=1e-4)


@pytest.mark.slow
def test_a_band_that_diverges_is_given_as_it_was_before():
    """Where no step, however short, stays finite: a wall of NaN that the first step runs into."""
    start = straight_bands(np.array([[-1.0, 1]]), np.array([[1.0, 1]]), 7)

    def edge(points):
        losses, slopes = gradients_of(lambda point: (point[0] ** 2 - 1) ** 2 + 5 * point[1])(points)
        return np.where(points[:, 1] < 1, np.nan, losses), slopes

    found = relax(edge, start)
    assert found.reason[0] == "diverged"
    np.testing.assert_array_equal(found.images, start)
    np.testing.assert_allclose(found.energies[0], (start[0, :, 0] ** 2 - 1) ** 2 + 5)
    assert np.isfinite(found.residual[0])


def kinked_valley(point):
    """A bent valley whose floor is a kink: no force on an image is smaller than a third of the slope of the walls."""
    beside = point[1] - 1.5 * (1 - point[0] ** 2)
    return (point[0] ** 2 - 1) ** 2 + jnp.maximum(2 * beside, -beside)


def test_a_band_on_a_kinked_floor_says_so():
    bands = straight_bands(np.array([[-1.0, 0]]), np.array([[1.0, 0]]), 15)
    found = relax(gradients_of(kinked_valley), bands)
    assert found.reason[0] == "kinked"
    assert found.bounce[0] >= 0.5
    assert found.residual[0] > 0.3
    beside = found.images[0, :, 1] - 1.5 * (1 - found.images[0, :, 0] ** 2)
    assert np.abs(beside).max() < 0.02
    assert found.energies.max() == pytest.approx(1, abs=0.02)


@pytest.mark.slow
def test_a_smooth_band_that_stalls_is_not_kinked():
    """With progress that nothing makes and a tolerance that nothing meets, half way down a smooth wall."""
    bands = straight_bands(MINIMA[[0]], MINIMA[[2]], 9)
    settings = NebSettings(tolerance=1e-300, patience=3, progress=1e6, climb_after=None, longest_move=1e-6)
    found = relax(gradients_of(mueller_brown), bands, settings)
    assert found.reason[0] == "stalled"
    assert found.bounce[0] == 0


def test_no_image_goes_farther_in_a_step_than_the_share_of_a_gap():
    """Whatever the forces are."""
    seen = []

    def watched(points):
        seen.append(points.copy())
        return gradients_of(lambda point: 1e6 * jnp.sum(jnp.abs(point[1:])) + point[0])(points)

    start = straight_bands(np.zeros((1, 3)), np.array([[3.0, 0.0, 0.0]]), 21)
    start[:, 1:-1, 1] = 0.7
    relax(watched, start, NebSettings(steps=20, longest_move=0.3, climb_after=None))
    bands = [each for each in seen if len(each) == 19][1:]
    moves = [np.linalg.norm(later - earlier, axis=1).max() for earlier, later in itertools.pairwise(bands)]
    assert 0 < max(moves) <= 0.3 * 3.0 / 20 * (1 + 1e-9)


@pytest.mark.slow
def test_short_moves_lead_to_lower_paths_on_the_surface_of_a_relu_network():
    """From W_f to fits of the sawtooth: images that go as far as half a gap and more end up higher, for good."""
    problem = jl.problems.sawtooth()
    network = jl.mlp([1, 5, 5, 5, 5, 5, 1], activation="relu")
    fits = jl.fit(network, problem, optax.sgd(0.01, momentum=0.9), fits=4, steps=5_000)
    canonical = jl.symmetrise(network, fits.params.astype(float), x=problem.x).params
    minimum = jl.symmetrise(network, problem.minimum[None], x=problem.x).params[0]
    evaluate, start = jl.training.gradients(network, problem), straight_bands(minimum, canonical, 30)
    means, heights = {}, {}
    for share in (0.2, 2.0):
        found = relax(evaluate, start, NebSettings(spring_constant=1.6, bend=0.0, longest_move=share), threads=2)
        means[share] = found.energies.mean(axis=1)
        heights[share] = energies_of(evaluate, interpolate(found.images, 9)).max(axis=1)
    assert (means[0.2] < means[2.0]).sum() >= 3
    assert np.median(heights[0.2]) < np.median(heights[2.0])
