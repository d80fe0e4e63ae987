import jax.numpy as jnp
import numpy as np
import pytest

from jaxland import mlp
from jaxland.landscape import (
    direction_cosines,
    distances_to,
    output_distances,
    outputs,
    pair_distances,
    random_pairs,
)


def test_pairs_are_different_and_uniform():
    pairs = random_pairs(5, 100_000)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    counts = np.zeros((5, 5))
    np.add.at(counts, tuple(pairs.T), 1)
    assert counts[~np.eye(5, dtype=bool)].min() > 0.95 * 100_000 / 20
    np.testing.assert_array_equal(pairs, random_pairs(5, 100_000))
    with pytest.raises(ValueError, match="at least two"):
        random_pairs(1, 10)


def test_distances_equal_a_loop():
    rng = np.random.default_rng(0)
    params = rng.normal(size=(40, 6)).astype(np.float32)
    pairs = random_pairs(40, 20_000)
    expected = [float(np.sqrt(((params[i].astype(float) - params[j]) ** 2).sum())) for i, j in pairs]
    np.testing.assert_allclose(pair_distances(params, pairs), expected, rtol=1e-12)
    np.testing.assert_allclose(
        distances_to(params, params[3].astype(float))[:5], pair_distances(params, np.array([[k, 3] for k in range(5)]))
    )
    assert pair_distances(params, pairs[:0]).shape == (0,)


@pytest.mark.parametrize("pair", [(0, -1), (3, 0)])
def test_pairs_of_fits_that_are_not_there(pair):
    with pytest.raises(ValueError, match="pairs must name fits 0 to 2"):
        pair_distances(np.zeros((3, 2)), np.array([pair]))


def test_arrays_of_jax_will_do():
    params = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    pairs = random_pairs(5, 20)
    cases = ((pair_distances, params, pairs), (distances_to, params, params[0]))
    for function, *arrays in cases:
        found = function.__wrapped__(*map(jnp.asarray, arrays))  # whose annotations name NumPy's
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, function(*arrays))


def test_output_distances_equal_a_loop():
    network = mlp([1, 3, 1])
    params, x = np.random.default_rng(0).normal(size=(5, network.size)), np.linspace(-1, 1, 9)
    found = output_distances(network, params, params[2], x)
    curves = outputs(network, params, x)[..., 0]
    np.testing.assert_allclose(found, [np.sqrt(((curve - curves[2]) ** 2).mean()) for curve in curves])
    assert found[2] == 0


def test_one_reference_for_all():
    with pytest.raises(ValueError, match=r"reference \(P,\), one point for all; got \(5, 6\) and \(4,\)"):
        distances_to.__wrapped__(np.zeros((5, 6)), np.zeros(4))


def test_cosines_equal_dot_products():
    rng = np.random.default_rng(1)
    point, params = rng.normal(size=6), rng.normal(size=(30, 6))
    pairs = random_pairs(30, 200)
    units = (params - point) / np.linalg.norm(params - point, axis=1, keepdims=True)
    radius = distances_to(params, point)
    found = direction_cosines(pair_distances(params, pairs), radius[pairs[:, 0]], radius[pairs[:, 1]])
    np.testing.assert_allclose(found, (units[pairs[:, 0]] * units[pairs[:, 1]]).sum(1), atol=1e-12)
