import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxland as jl
from jaxland.landscape import hessians, jitter, saddle_points, stationary_points


def _grid(low, high, count=9):
    axis = np.linspace(low, high, count) + 0.013
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)


def _index_by_differences(objective, point, step=1e-3):
    """Negative eigenvalues of a Hessian by central differences of float64 values of the function."""
    eye = step * np.eye(len(point))
    with jax.enable_x64(True):
        value = lambda *shifts: float(objective(jnp.asarray(point + sum(shifts))))  # noqa: E731
        hessian = [
            [(value(a, b) - value(a, -b) - value(-a, b) + value(-a, -b)) / (4 * step**2) for b in eye] for a in eye
        ]
    return int((np.linalg.eigvalsh(np.array(hessian)) < 0).sum())


@pytest.mark.slow
def test_a_double_well():
    found = stationary_points(lambda v: (v[0] ** 2 - 1) ** 2 + v[1] ** 2, _grid(-2, 2))
    np.testing.assert_allclose(found.params[np.lexsort(found.params.T)], [[-1, 0], [0, 0], [1, 0]], atol=1e-9)
    np.testing.assert_array_equal(found.index, [0, 0, 1])
    np.testing.assert_allclose(found.loss, [0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(found.eigenvalues[2], [-4, 2], atol=1e-8)
    assert found.starts.sum() > 40
    assert found.newton_step.max() < 1e-9


def test_minima_saddles_and_maxima_have_the_index_of_finite_differences():
    def waves(v):
        return jnp.cos(v[0]) + jnp.cos(v[1]) + 0.1 * v[0] * v[1]

    found = stationary_points(waves, _grid(-3.5, 3.5, 12))
    assert set(found.index) == {0, 1, 2}
    np.testing.assert_array_equal(found.index, [_index_by_differences(waves, point) for point in found.params])
    # A gradient by differences vanishes at each.
    with jax.enable_x64(True):
        slopes = np.asarray(jax.vmap(jax.grad(waves))(jnp.asarray(found.params)))
    assert np.abs(slopes).max() < 1e-12
    assert (np.diff(found.loss) >= 0).all()


def test_the_tail_of_a_bell_is_no_stationary_point():
    found = stationary_points(lambda v: -jnp.exp(-jnp.sum(v**2)), np.array([[0.3, 0.1], [5.0, 5.0], [8.0, -8.0]]))
    np.testing.assert_allclose(found.params, [[0, 0]], atol=1e-9)
    assert found.starts[0] == 1


def test_where_there_is_none():
    found = stationary_points(lambda v: v[0] + jnp.exp(v[1]), _grid(-1, 1, 3))
    assert found.params.shape == (0, 2)
    assert found.loss.shape == found.index.shape == (0,)


def test_starts_that_are_not_finite_lead_nowhere():
    found = stationary_points(lambda v: jnp.sum(v**2), np.array([[np.nan, 0.0], [0.5, 0.5], [np.inf, 1.0]]))
    np.testing.assert_allclose(found.params, [[0, 0]], atol=1e-12)


def test_bad_starts_are_refused():
    with pytest.raises(ValueError, match=r"starts must have shape \(starts, P\); got \(2, 0\)"):
        stationary_points(lambda v: jnp.sum(v**2), np.zeros((2, 0)))


def _mueller_brown(point):
    """Mueller and Brown, Theoretica Chimica Acta 53, 75 (1979)."""
    heights, x, y = np.array([-200.0, -100, -170, 15]), np.array([1, 0, -0.5, -1]), np.array([0, 0.5, 1.5, 1])
    a, b, c = np.array([-1, -1, -6.5, 0.7]), np.array([0, 0, 11, 0.6]), np.array([-10, -10, -6.5, 0.7])
    return jnp.sum(
        heights * jnp.exp(a * (point[0] - x) ** 2 + b * (point[0] - x) * (point[1] - y) + c * (point[1] - y) ** 2)
    )


@pytest.mark.slow
def test_saddles_of_mueller_and_brown_from_its_minima():
    minima = stationary_points(_mueller_brown, np.random.default_rng(0).uniform([-1.5, -0.5], [1, 2], (60, 2)))
    minima = minima.params[minima.index == 0]
    assert len(minima) == 3
    pushed = np.concatenate([jitter(each, 10, radius=0.1, seed=1).params for each in minima])
    found = saddle_points(_mueller_brown, pushed, longest_step=0.02)
    np.testing.assert_allclose(found.loss[:2], [-72.24894, -40.66484], atol=1e-5)
    np.testing.assert_allclose(found.params[1], [-0.822002, 0.624313], atol=1e-6)
    assert (found.index == 1).all()
    assert (found.starts[:2] > 1).all()


@pytest.mark.parametrize("index", [0, 1, 2, 3])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_saddles_of_every_index_of_a_lattice(index, scale):
    """Sums of cosines are stationary where all are 1 or -1, with one negative direction for each that is 1."""
    starts = np.random.default_rng(2).uniform(-3, 3, (40, 3))
    found = saddle_points(lambda point: jnp.cos(point / scale).sum(), starts * scale, index)
    assert len(found.loss)
    np.testing.assert_allclose(found.loss, index - (3.0 - index), atol=1e-12)
    np.testing.assert_allclose(np.abs(np.cos(found.params / scale)), 1, atol=1e-12)
    assert found.starts.sum() > 20


@pytest.mark.slow
def test_saddles_between_fits_of_a_network():
    """Of two equal units: the fit that has them merged is a saddle between the two ways to part them."""
    net = jl.mlp([1, 2, 1], "tanh")
    x = np.linspace(-2, 2, 40)
    problem = jl.Problem(x, np.tanh(2 * x) - 0.5 * np.tanh(x + 1), penalty=jl.problems.l2(1e-3))
    objective = problem.objective(net)
    starts = np.random.default_rng(3).normal(size=(60, net.size))
    minima, saddles = (saddle_points(objective, starts, index, longest_step=0.05) for index in (0, 1))
    assert len(minima.loss)
    assert len(saddles.loss)
    for found, negative in ((minima, 0), (saddles, 1)):
        values = np.linalg.eigvalsh(hessians(objective, found.params))
        assert ((values < 0).sum(axis=1) == negative).all()
    assert saddles.loss.min() > minima.loss.min()


@pytest.mark.slow
def test_searches_that_lead_nowhere_and_bad_input():
    slope = saddle_points(lambda point: point.sum(), np.zeros((3, 2)))
    assert not len(slope.loss)
    assert not len(saddle_points(_mueller_brown, np.full((2, 2), np.nan)).loss)
    with pytest.raises(ValueError, match="between 0 and 2"):
        saddle_points(_mueller_brown, np.zeros((1, 2)), 3)


def test_a_valley_whose_floor_is_a_line_is_no_error():
    """Elimination meets an exact zero in this Hessian, of which the eigenvalues are 1e-16 and 10."""
    starts = np.random.default_rng(0).normal(size=(30, 2))
    for found in (
        saddle_points(lambda v: (3 * v[0] + v[1]) ** 2 / 2, starts, 0),
        stationary_points(lambda v: (3 * v[0] + v[1]) ** 2 / 2, starts),
    ):
        assert np.isfinite(found.params).all()
        assert (found.loss < 1e-20).all()


@pytest.mark.parametrize(
    ("objective", "starts", "lost"),
    [
        (lambda v: jnp.sum(v**2), [[np.nan, 0.0], [0.5, 0.5], [np.inf, 1.0]], [2, 0, 0, 0]),
        (lambda v: jnp.sum(jnp.where(v > 2, jnp.inf, v**2)), [[3.0, 3.0], [0.5, 0.5]], [1, 0, 0, 0]),
        (lambda v: v[0] + jnp.exp(v[1]), [[0.0, 0.0], [1.0, 1.0]], [0, 2, 0, 0]),
        (lambda v: -jnp.exp(-jnp.sum(v**2)), [[0.3, 0.1], [3.0, 3.0]], [0, 0, 1, 0]),
    ],
)
def test_why_starts_lead_nowhere(objective, starts, lost):
    found = stationary_points(objective, np.array(starts))
    assert found.lost.tolist() == lost
    assert found.starts.sum() + found.lost.sum() == len(starts)
    assert list(found.why_lost.values()) == [count for count in lost if count]


def test_saddles_of_another_index_are_counted_as_lost():
    # At a minimum there is no slope to follow.
    bowl = saddle_points(lambda v: jnp.sum(v**2), np.zeros((2, 2)), 1)
    assert bowl.lost.tolist() == [0, 0, 0, 2]
