from itertools import product

import numpy as np
import optax
import pandas as pd
import pytest
from scipy import stats

import jaxland as jl


def test_a_grid_has_every_combination_the_last_factor_fastest():
    levels = {
        "width": [4, 8],
        "optimizer": [optax.sgd, optax.adam],
        "rate": np.array([0.1, 0.2, 0.3]),
        "seed": range(2),
    }
    found = jl.grid(**levels)
    expected = list(product(*levels.values()))
    assert list(found.itertuples(index=False, name=None)) == expected
    assert list(found.columns) == list(levels)
    assert found.dtypes[["width", "rate", "seed"]].tolist() == [np.int64, np.float64, np.int64]


def test_levels_of_other_kinds():
    found = jl.grid(widths=[[1, 4, 1], [1, 8, 8, 1]], name="one", bias=[True, False], rate=0.5, none=[None, 1])
    assert found["widths"].unique().tolist() == [(1, 4, 1), (1, 8, 8, 1)]
    assert found["name"].unique().tolist() == ["one"]
    assert found["bias"].tolist()[:4] == [True, True, False, False]
    assert found["none"].tolist()[:2] == [None, 1]
    assert found["rate"].unique().tolist() == [0.5]


@pytest.mark.parametrize(("factors", "message"), [({}, "needs factors"), ({"rate": []}, "'rate' has no levels")])
def test_grids_without_rows_are_refused(factors, message):
    with pytest.raises(ValueError, match=message):
        jl.grid(**factors)


FACTORS = {
    "uniform": (-1.0, 3.0),
    "rate": (1e-4, 1.0, "log"),
    "scale": stats.norm(1.0, 2.0),
    "width": stats.randint(1, 11),
    "optimizer": [optax.sgd, optax.adam],
}
SHARES = {
    "uniform": lambda v: (v + 1) / 4,
    "rate": lambda v: 1 + np.log10(v) / 4,
    "scale": stats.norm(1.0, 2.0).cdf,
}


def test_every_part_of_a_distribution_has_one_row():
    found = jl.latin_hypercube(50, **FACTORS, rng=1)
    for name, share in SHARES.items():
        assert sorted(np.floor(50 * share(found[name].to_numpy()))) == list(range(50))
    # Every level as often as the others, and whole numbers where the distribution has them.
    assert found["width"].dtype == np.int64
    assert found["width"].value_counts().to_dict() == dict.fromkeys(range(1, 11), 5)
    assert found["optimizer"].tolist().count(optax.sgd) == 25
    # Factors are in no order of each other.
    assert np.abs(np.corrcoef(found["uniform"], np.log(found["rate"]))[0, 1]) < 0.5


def test_a_design_is_that_of_its_seed():
    one, again, other = (jl.latin_hypercube(8, **FACTORS, rng=rng) for rng in (3, np.random.default_rng(3), 4))
    pd.testing.assert_frame_equal(one, again)
    assert not set(one["rate"]) & set(other["rate"])


@pytest.mark.parametrize("given", [(1.0,), (2, 1), (0, 1, "log"), (1, 2, "linear"), ("a", "b"), (1, 2, 3, 4)])
def test_ranges_that_are_none_are_refused(given):
    with pytest.raises(ValueError, match=r"factor 'rate' must be a distribution, .*\(low, high\)"):
        jl.latin_hypercube(4, rate=given)


def test_a_design_needs_rows():
    with pytest.raises(ValueError, match="n=0"):
        jl.latin_hypercube(0, rate=(0, 1))
