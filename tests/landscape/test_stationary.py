import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxland.landscape import stationary_points


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
