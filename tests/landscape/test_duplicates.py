import itertools

import numpy as np
import pytest

import jaxland as jl
from jaxland.landscape import duplicate_units

NETWORK = jl.mlp([2, 4, 1], activation="sigmoid")


def _params(incoming):
    """Flat parameters of networks whose units have these weights on two inputs and on the bias."""
    incoming = np.asarray(incoming, np.float64)
    rest = np.ones((len(incoming), NETWORK.size - 12))
    return np.concatenate([incoming[..., :2].reshape(len(incoming), -1), incoming[..., 2], rest], axis=1)


A, B = [3.0, 4.0, 0.0], [0.0, 0.0, 2.0]
NEAR = [3.0, 4.0, 0.2]  # 4 % away from A


@pytest.mark.parametrize(
    ("units", "options", "groups"),
    [
        ([A, B, A, B], {}, [0, 1, 0, 1]),
        ([A, NEAR, B, B], {}, [0, 0, 2, 2]),
        ([A, NEAR, B, B], {"tolerance": 0.03}, [0, 1, 2, 2]),
        ([A, [-3, -4, 0], B, [0, 0, -2]], {}, [0, 1, 2, 3]),
        ([A, [-3, -4, 0], B, [0, 0, -2]], {"mirrored": True}, [0, 0, 2, 2]),
        # A chain: each is a duplicate of the next, and so all are one group.
        ([[1, 0, 0], [1, 0.04, 0], [1, 0.08, 0], [1, 0.12, 0]], {}, [0, 0, 0, 0]),
        ([[0, 0, 0], [0, 0, 0], A, B], {}, [0, 0, 2, 3]),
        ([[np.nan, 0, 0], A, A, A], {}, [-1, -1, -1, -1]),
    ],
)
def test_planted_groups(units, options, groups):
    np.testing.assert_array_equal(duplicate_units(NETWORK, _params([units]), **options), [groups])


def test_duplicates_can_be_joined_without_changing_the_function():
    """What the groups mean: the outgoing weights of duplicates can be added up."""
    params = _params([[A, B, A, B]])
    groups = duplicate_units(NETWORK, params)[0]
    x = np.random.default_rng(0).normal(size=(20, 2))
    joined = params.copy()
    outgoing = NETWORK.spec.symmetry.layers[0].outgoing[:, 0]
    joined[0, outgoing] = [params[0, outgoing][groups == unit].sum() for unit in range(4)]
    np.testing.assert_allclose(
        jl.landscape.outputs(NETWORK, joined, x), jl.landscape.outputs(NETWORK, params, x), rtol=1e-12
    )


def test_many_fits_against_a_search_over_all_pairs():
    random = np.random.default_rng(0)
    incoming = random.integers(-1, 2, size=(50, 4, 3)) + 0.01 * random.normal(size=(50, 4, 3))
    found = duplicate_units(NETWORK, _params(incoming), tolerance=0.1)
    for units, groups in zip(incoming, found, strict=True):
        for i, j in itertools.combinations(range(4), 2):
            close = np.linalg.norm(units[i] - units[j]) <= 0.1 * max(np.linalg.norm(units[i]), np.linalg.norm(units[j]))
            assert close == (groups[i] == groups[j])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"layer": 1}, "declares 1 hidden layers; there is no 1"), ({"tolerance": -1.0}, "must not be negative")],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        duplicate_units(NETWORK, np.zeros((1, NETWORK.size)), **options)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_scale_does_not_matter(scale):
    """Weights of a fit on its way to overflow: their squares are no numbers any more."""
    params = scale * _params([[A, B, NEAR, B]])
    np.testing.assert_array_equal(duplicate_units(NETWORK, params), [[0, 1, 0, 1]])
