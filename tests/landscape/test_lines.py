"""Barriers on straight lines are those of the definitions, in closed form and by a plain loop."""

import numpy as np
import pytest

import jaxland as jl
from jaxland import landscape
from jaxland.landscape import lines


def _quartic(points):
    """Wells at 1 and -1 along the first entry, tilted: (a^2 - 1)^2 + a / 2."""
    first = points[:, 0]
    return (first**2 - 1) ** 2 + first / 2, np.zeros(points.shape)


def test_barriers_are_those_of_the_closed_form():
    left, right = np.array([[-1.0, 0.0]]), np.array([[1.0, 3.0]])
    # Less the straight line from -1/2 to 1/2 the loss is (a^2 - 1)^2: 1 at the middle.
    assert landscape.linear_barriers(_quartic, left, right, 5) == pytest.approx(1)
    grid = np.linspace(-1, 1, 401)
    top = ((grid**2 - 1) ** 2 + grid / 2).max()
    assert landscape.linear_barriers(_quartic, left, right, 401, above="mean") == pytest.approx(top)
    assert landscape.linear_barriers(_quartic, left, right, 401, above="higher") == pytest.approx(top - 0.5)


def test_lines_and_chains_agree_with_a_plain_loop(monkeypatch):
    network, x = jl.mlp([1, 4, 1]), np.linspace(-1, 1, 9)
    problem = jl.Problem(x, np.sin(3 * x))
    evaluate = jl.problems.gradients_of(problem.objective(network))
    params = np.random.default_rng(0).normal(size=(3, 5, network.size))

    def loss(vector):
        return float(((landscape.outputs(network, vector[None], x)[0, :, 0] - np.sin(3 * x)) ** 2).mean() * scale)

    scale = evaluate(params[0])[0][0] / (
        np.mean((landscape.outputs(network, params[0], x)[0, :, 0] - np.sin(3 * x)) ** 2)
    )
    for bands in (params, params[:, :2]):
        expected = []
        for band in bands:
            lengths = np.linalg.norm(np.diff(band, axis=0), axis=1)
            best, gone = -np.inf, 0.0
            for start, stop, length in zip(band[:-1], band[1:], lengths, strict=True):
                for share in np.arange(7) / 6:
                    along = (gone + share * length) / lengths.sum()
                    between = (1 - along) * loss(band[0]) + along * loss(band[-1])
                    best = max(best, loss(start + share * (stop - start)) - between)
                gone += length
            expected.append(best)
        np.testing.assert_allclose(landscape.path_barriers(evaluate, bands, 7), expected, rtol=1e-9, atol=1e-12)
    straight = landscape.linear_barriers(evaluate, params[:, 0], params[:, 1], 7)
    np.testing.assert_allclose(straight, expected, rtol=1e-9, atol=1e-12)
    monkeypatch.setattr(lines, "_AT_ONCE", 1)
    np.testing.assert_allclose(landscape.linear_barriers(evaluate, params[:, 0], params[:, 1], 7), straight)


def test_one_point_joins_many_and_a_network_is_level_with_itself():
    points = np.random.default_rng(0).normal(size=(4, 2))
    to_all = landscape.linear_barriers(_quartic, points[0], points, 9)
    np.testing.assert_allclose(to_all[1:], landscape.linear_barriers(_quartic, points[[0] * 3], points[1:], 9))
    assert to_all[0] == 0
    assert (to_all >= 0).all()
    assert landscape.linear_barriers(_quartic, points[:0], points[:0]).shape == (0,)


def test_what_has_no_barrier_is_refused():
    points = np.ones((2, 3))
    with pytest.raises(ValueError, match="at least three points"):
        landscape.linear_barriers(_quartic, points, points, 2)
    with pytest.raises(ValueError, match="unknown base of a barrier 'highest'"):
        landscape.linear_barriers(_quartic, points, points, above="highest")
    with pytest.raises(ValueError, match="two images at least"):
        landscape.path_barriers(_quartic, points[:, None])
