from datetime import datetime
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jaxland.problems import Problem, get_loss


def test_vectors_become_columns():
    problem = Problem(np.array([0.0, 1.0]), np.array([2.0, 3.0]))
    assert problem.x.shape == problem.y.shape == (2, 1)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([], [], "at least one point"),
        ([0.0, 1.0], [0.0], "2 points but y has 1"),
        ([0.0, np.nan], [0.0, 1.0], "x has NaN or infinite values in 1 of 2 points, first at 1"),
        ([0.0, 1.0], [np.inf, 1.0], "y has NaN or infinite"),
        (np.zeros((2, 1, 1)), [0.0, 1.0], "shape"),
    ],
)
def test_bad_data(x, y, message):
    with pytest.raises(ValueError, match=message):
        Problem(np.array(x), np.array(y))


def test_data_cannot_be_changed_behind_the_problem():
    given = np.zeros(3)
    problem = Problem(given, given)
    given[0] = 5
    assert problem.x[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        problem.x[0, 0] = 1


def test_a_minimum_must_fit_its_network():
    with pytest.raises(ValueError, match="known minimum"):
        Problem(np.zeros(1), np.zeros(1), minimum=np.zeros(3))


_PREDICTION = np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]])
_TARGET = np.array([[0.0, 2.0], [1.0, 1.0], [3.0, 0.0]])
_EXPECTED = {
    "mean_squared_error": (1 + 0 + 1 + 4 + 0 + 0.25) / 6,
    "half_mean_squared_error": (1 + 0 + 1 + 4 + 0 + 0.25) / 12,
    "sum_squared_error": 6.25,
    "mean_sum_squared_error": 6.25 / 3,
    "mean_absolute_error": (1 + 0 + 1 + 2 + 0 + 0.5) / 6,
}


@pytest.mark.parametrize("name", _EXPECTED)
def test_losses(name):
    assert float(get_loss(name)(_PREDICTION, _TARGET)) == pytest.approx(_EXPECTED[name], rel=1e-6)


def test_objective_of_flat_parameters(sawtooth_problem):
    """At W_f it is zero; elsewhere it is the mean squared error written out."""
    network, minimum = sawtooth_problem.network, sawtooth_problem.minimum
    objective = sawtooth_problem.objective(network)
    with jax.enable_x64(True):
        assert float(objective(jnp.asarray(minimum))) < 1e-26
        vector = jnp.asarray(minimum) + 0.01
        errors = np.asarray(network.apply_flat(vector, sawtooth_problem.x)) - sawtooth_problem.y
        np.testing.assert_allclose(float(objective(vector)), np.mean(errors**2), rtol=1e-12)
    assert objective(jnp.asarray(minimum, jnp.float32)).dtype == jnp.float32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ma.masked_equal([0.0, 1.0, -999.0], -999.0), "masked entries"),
        (np.array([0.0, None, 1.0]), "got None"),
        (np.asarray(pd.Series([1, 2, pd.NA], dtype=object)), "got <NA>"),
        (np.array(["1", "2", "3"]), "got text"),
        (np.array(["2020-01-01"] * 3, "datetime64[D]"), "got dates"),
        (np.array([0.0, "one", 1.0], object), "got 'one'"),
    ],
)
@pytest.mark.parametrize("name", ["x", "y"])
def test_what_is_missing_or_no_number_is_refused(name, values, message):
    with pytest.raises(ValueError, match=f"{name} .*{message}"):
        Problem(**{"x": np.arange(3.0), "y": np.arange(3.0), name: values})


def test_a_mask_that_hides_nothing_is_no_matter():
    assert Problem(np.ma.array([1.0, 2.0], mask=[False, False]), np.ones(2)).x.tolist() == [[1.0], [2.0]]


TABLES: list[Any] = [pd.DataFrame, pl.DataFrame, pa.table]


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_their_numbers(table):
    given = table({"a": [1.0, 2.0, 3.0], "b": [4, 5, 6], "c": [True, False, True]})
    np.testing.assert_array_equal(Problem(given, [0, 1, 2]).x, [[1, 4, 1], [2, 5, 0], [3, 6, 1]])


def test_series_and_integers_are_one_column():
    for y in (pd.Series([0, 1, 2]), pl.Series("label", [0, 1, 2]), [0, 1, 2], np.arange(3, dtype=np.uint8)):
        assert Problem(np.zeros(3), y).y.tolist() == [[0.0], [1.0], [2.0]]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["m", "f", "m"], r"\(column 'sex'\) must be real numbers; got .*one_hot"),
        ([1.0, None, np.inf], r"\(column 'sex'\) has NaN or infinite values in 2 of 3 points, first at 1"),
        ([datetime(2020, 1, 1)] * 3, r"\(column 'sex'\) must be real numbers; got dates"),
    ],
)
def test_the_column_that_is_no_number_is_named(table, values, message):
    with pytest.raises(ValueError, match=rf"^x {message}"):
        Problem(table({"a": [1.0, 2.0, 3.0], "sex": values}), np.zeros(3))


def test_a_series_that_is_no_number_is_named():
    for y in (pd.Series(["a", "b"], name="species"), pl.Series("species", ["a", "b"])):
        with pytest.raises(ValueError, match=r"y \(column 'species'\) must be real numbers"):
            Problem(np.zeros(2), y)


def test_rows_of_different_lengths():
    with pytest.raises(ValueError, match="x is no array of numbers; are its rows of one length"):
        Problem([[1, 2], [3]], [0, 1])
