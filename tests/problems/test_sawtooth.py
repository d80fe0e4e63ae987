import jax
import numpy as np
import pytest

from jaxland.networks import minimum_energy
from jaxland.problems import sawtooth

MAIN = {}
FIVE_PLUS_NONE = {"saw": 5, "spline": ()}
THREE_PLUS_TWO = {"saw": 3, "spline": ((-1.0, 0.0), (-1 / 3, 0.3))}


def _evaluate(problem, params, x):
    with jax.enable_x64(True):
        return np.asarray(problem.network.apply_flat(jax.numpy.asarray(params), jax.numpy.asarray(x)))


def test_main_example(sawtooth_problem):
    problem = sawtooth_problem
    assert problem.network.size == 136
    assert len(problem.target.knots) - 1 == 32
    assert problem.x.shape == (320, 1)
    assert problem.x[0, 0] == -1
    assert problem.x[-1, 0] < 1


@pytest.mark.parametrize(
    ("settings", "segments"), [(MAIN, 32), (FIVE_PLUS_NONE, 3125), (THREE_PLUS_TWO, 243)], ids=["2+3", "5+0", "3+2"]
)
def test_network_reproduces_the_target(settings, segments):
    problem = sawtooth(**settings)
    knots = problem.target.knots
    assert len(knots) - 1 == segments
    x = np.linspace(-1, 1, 4001)[:, None]
    for params in (problem.target.parameters(), problem.minimum):
        np.testing.assert_allclose(_evaluate(problem, params, x)[:, 0], problem.target(x[:, 0]), atol=1e-6)
        np.testing.assert_allclose(_evaluate(problem, params, problem.x), problem.y, atol=1e-6)


def test_every_knot_is_a_change_of_slope_and_there_are_no_others():
    target = sawtooth().target
    knots = target.knots
    middles = (knots[:-1] + knots[1:]) / 2
    slope = np.diff(target(knots)) / np.diff(knots)
    assert (np.abs(np.diff(slope)) > 1e-6).all()
    np.testing.assert_allclose(target(middles), (target(knots[:-1]) + target(knots[1:])) / 2, atol=1e-12)


def test_spline_knots_between_saw_knots_are_found():
    assert len(sawtooth(depth=1, saw=2, spline=((-1.0, 0.0), (0.3, 1.0))).target.knots) == 4


def test_wave_is_what_the_smooth_fit_misses():
    target = sawtooth().target
    x = np.linspace(-1, 1, 320_001)
    assert np.var(target.wave(x)) == pytest.approx(target.amplitude**2 / 3, rel=1e-4)
    np.testing.assert_allclose(target.wave(x[[0]]), -target.amplitude)
    knots = np.array([-3 / 8, 3 / 8, 1])
    np.testing.assert_allclose(target(knots) - target.wave(knots), [0.3, 0.2, 0], atol=1e-12)


def test_minimum_is_at_minimum_energy(sawtooth_problem):
    problem = sawtooth_problem
    symmetry = problem.network.spec.symmetry
    again = minimum_energy(symmetry, problem.minimum[None])
    assert again.imbalance[0] < 1e-12
    assert np.linalg.norm(problem.minimum) < np.linalg.norm(problem.target.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 0}, "at least 1"),
        ({"spline": ((0.0, 1.0),)}, "from -1"),
        ({"spline": ((-1.0, 0.0), (2.0, 1.0))}, "below 1"),
        ({"points_per_segment": 0}, "points_per_segment"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        sawtooth(**settings)
