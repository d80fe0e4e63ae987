import inspect
from itertools import pairwise

import numpy as np
import pytest

from jaxland.statistics import binned_shares, wilson_interval

EDGES = np.array([0.0, 0.5, 1.0, 3.0, 4.0])


def test_shares_equal_a_loop():
    rng = np.random.default_rng(0)
    x = np.concatenate([3 * rng.random(200) - 0.5, [0.5, 4.0, 4.1, np.nan]])
    x = x[~((x > 1) & (x < 3))]  # an empty bin
    success = rng.random(len(x)) < 0.4
    found = binned_shares(x, success, EDGES, confidence=0.8)
    for k, (low, high) in enumerate(pairwise(EDGES)):
        inside = [bool(s) for v, s in zip(x, success, strict=True) if low <= v < high or v == high == EDGES[-1]]
        assert (found.counts[k], found.successes[k]) == (len(inside), sum(inside))
        if inside:
            assert found.share[k] == sum(inside) / len(inside)
            assert (found.low[k], found.high[k]) == wilson_interval(sum(inside), len(inside), 0.8)
        else:
            assert np.isnan([found.share[k], found.low[k], found.high[k]]).all()
    assert found.counts[2] == 0
    assert found.outside == np.sum(~((x >= 0) & (x <= 4)))


def test_nothing_to_count():
    found = binned_shares(np.zeros(0), np.zeros(0, bool), EDGES)
    assert not found.counts.any()
    assert np.isnan(found.share).all()


def test_bad_input():
    with pytest.raises(ValueError, match="edges must be at least two increasing"):
        binned_shares(np.zeros(2), np.zeros(2, bool), np.array([1.0, 1.0]))
    with pytest.raises(ValueError, match="got 2 and 3"):
        inspect.unwrap(binned_shares)(np.zeros(2), np.zeros(3, bool), EDGES)
