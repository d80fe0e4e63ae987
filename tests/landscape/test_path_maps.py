import numpy as np
import pytest

from jaxland.landscape import directedness, principal_map, random_walks_like, tsne_map

RANDOM = np.random.default_rng(0)


def test_principal_map_is_that_of_the_singular_vectors():
    paths = RANDOM.normal(size=(3, 40, 7)) * np.arange(1, 8)
    found = principal_map(paths)
    flat = paths.reshape(-1, 7) - paths.reshape(-1, 7).mean(axis=0)
    left, values, _ = np.linalg.svd(flat, full_matrices=False)
    expected = (left * values)[:, :2].reshape(3, 40, 2)
    signs = np.sign((expected * found.points).sum(axis=(0, 1)))
    np.testing.assert_allclose(found.points, signs * expected, atol=1e-9)
    np.testing.assert_allclose(found.explained, values[:2] ** 2 / (values**2).sum(), rtol=1e-9)


def test_principal_map_of_more_dimensions_than_places():
    plane = RANDOM.normal(size=(2, 500))
    found = principal_map(RANDOM.normal(size=(2, 6, 2)) @ plane)
    assert found.explained.sum() == pytest.approx(1)


def test_components_of_a_random_walk_explain_what_theory_says():
    # The law holds where there are many more dimensions than steps.
    walk = random_walks_like(np.linspace(0, 1, 201)[None, :, None] * np.ones(10_000))
    np.testing.assert_allclose(principal_map(walk).explained, 6 / np.pi**2 / np.array([1, 4]), rtol=0.03)


def test_random_walks_keep_start_and_step_lengths_and_no_direction():
    paths = np.cumsum(RANDOM.normal(size=(5, 300, 40)) + 0.5, axis=1)
    walks = random_walks_like(paths, seed=1)
    np.testing.assert_array_equal(walks[:, 0], paths[:, 0])
    lengths = [np.linalg.norm(np.diff(each, axis=1), axis=2) for each in (paths, walks)]
    np.testing.assert_allclose(*lengths, rtol=1e-9)
    assert directedness(paths).min() > 30
    assert abs(directedness(random_walks_like(np.repeat(paths, 40, axis=0))).mean() - 1) < 0.1


def test_directedness_of_a_straight_line_and_of_no_path():
    line = np.linspace(0, 1, 11)[None, :, None] * np.ones(3)
    np.testing.assert_allclose(directedness(np.concatenate([line, 0 * line])), [10, np.nan])


def test_tsne_keeps_clusters_together_and_repeats():
    centres = 20 * RANDOM.normal(size=(3, 1, 12))
    paths = centres + RANDOM.normal(size=(3, 25, 12))
    points = tsne_map(paths, perplexity=10)
    np.testing.assert_array_equal(points, tsne_map(paths, perplexity=10))
    middles = points.mean(axis=1)
    nearest = np.linalg.norm(points[:, :, None] - middles, axis=3).argmin(axis=2)
    np.testing.assert_array_equal(nearest, np.arange(3)[:, None] * np.ones(25, int))


@pytest.mark.parametrize("maps", [principal_map, tsne_map])
def test_bad_paths(maps):
    with pytest.raises(ValueError, match="at least two places in two dimensions"):
        maps(np.zeros((1, 9, 1)))
    with pytest.raises(ValueError, match="not finite"):
        maps(np.full((1, 90, 2), np.nan))


def test_perplexity_out_of_range():
    with pytest.raises(ValueError, match="less than the 20 places; got 30"):
        tsne_map(RANDOM.normal(size=(2, 10, 3)))
