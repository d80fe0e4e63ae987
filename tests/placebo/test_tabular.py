from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jaxland.placebo import read_table, table_problem

RANDOM = np.random.default_rng(0)


@pytest.fixture
def table():
    columns = {name: RANDOM.normal(size=40) for name in "abc"}
    return pd.DataFrame({**columns, "site": ["x", "y"] * 20, "y": 3 + 5 * RANDOM.normal(size=40)})


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".CSV"])
def test_tables_are_read_back(tmp_path, table, ending):
    path = tmp_path / f"t{ending}"
    table.to_parquet(path) if ending == ".parquet" else table.to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_table(path), table)


def test_columns_become_a_standardised_problem(table):
    data = table_problem(table, "y", inputs=("c", "a"), validation=0.25, seed=1, name="mine")
    assert (len(data.training.x), len(data.held_out.x)) == (30, 10)
    assert data.inputs == ("c", "a")
    assert data.training.name == "mine"
    np.testing.assert_allclose(data.training.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.training.y.std(axis=0), 1, rtol=1e-12)
    # Every row comes back: the same points in units of those trained on.
    joined = np.vstack([np.column_stack([each.x, each.y]) for each in (data.training, data.held_out)])
    whole = table[["c", "a", "y"]].to_numpy()
    shift, scale = whole.mean(axis=0), whole.std(axis=0)
    again = (joined - joined.mean(axis=0)) / joined.std(axis=0)
    np.testing.assert_allclose(np.sort(again, axis=0), np.sort((whole - shift) / scale, axis=0), rtol=1e-9, atol=1e-12)


def test_inputs_are_all_other_columns_by_default_and_groups_follow_their_rows(table):
    table["y"] = np.where(table["site"] == "x", 10.0, 0.0) + 0.001 * np.arange(40)
    data = table_problem(table, "y", within="site", seed=2)
    assert data.inputs == ("a", "b", "c")
    labels = data.training.y[:, 0]
    assert len(set(data.groups)) == 2
    for group in (0, 1):
        assert np.ptp(labels[data.groups == group]) < 0.1


def test_nothing_held_out(table):
    data = table_problem(table.drop(columns="site"), "y", validation=0)
    assert data.held_out is None
    assert len(data.training.x) == 40


def test_rows_with_missing_values_are_left_out_when_asked(table):
    table.loc[[3, 7], "a"] = np.nan
    table.loc[7, "site"] = None
    with pytest.raises(ValueError, match=r"2 of 40 rows: a \(2\), site \(1\)\. .*--drop-missing"):
        table_problem(table, "y", within="site")
    data = table_problem(table, "y", within="site", drop_missing=True, validation=0)
    assert data.dropped == 2
    assert len(data.training.x) == len(data.groups) == 38


def test_a_missing_value_in_a_column_that_is_not_used_does_not_matter(table):
    table.loc[3, "b"] = np.nan
    assert table_problem(table, "y", inputs=("a", "c")).dropped == 0


def test_truth_values_are_numbers(table):
    table["y"] = table["a"] > 0
    assert len(np.unique(table_problem(table, "y", inputs=("b",)).training.y)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "z"}, "unknown column 'z'"),
        ({"target": "y", "inputs": ("a", "sight")}, "unknown column 'sight'. Did you mean 'site'"),
        ({"target": "y", "within": "sit"}, "Did you mean 'site'"),
        ({"target": "y"}, r"column 'site' holds no numbers but .*, such as 'x'.*--inputs"),
        ({"target": "site", "inputs": ("a",), "loss": "huber"}, "column 'site' holds no numbers"),
        ({"target": "site", "inputs": ("a", "site")}, "cannot be an input"),
        ({"target": "y", "inputs": ("a",), "loss": "softmax_cross_entropy"}, "40 classes in 40 rows"),
        ({"target": "y", "inputs": ("a", "y")}, "is the target and cannot be an input"),
        ({"target": "y", "within": "y"}, "cannot name the groups"),
        ({"target": "y", "inputs": ("a", "a")}, "once each"),
        ({"target": "y", "inputs": ("a",), "validation": 1.0}, "validation must be a share"),
        ({"target": "y", "inputs": ("a",), "validation": -0.1}, "validation must be a share"),
        ({"target": "y", "inputs": ("a",), "loss": "mean_sqared_error"}, "Did you mean 'mean_squared_error'"),
    ],
)
def test_bad_columns(table, arguments, message):
    with pytest.raises(ValueError, match=message):
        table_problem(table, **arguments)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full(40, 7.1), "column 'a' has the same value in all 30 rows"),
        (np.r_[np.inf, np.arange(39.0)], "column 'a' has infinite values, first in row 0"),
        (1j * np.arange(40), "column 'a' holds complex numbers"),
        (pd.date_range("2020-01-01", periods=40), "column 'a' holds no numbers but datetime"),
    ],
)
def test_bad_values(table, values, message):
    table["a"] = values
    with pytest.raises(ValueError, match=message):
        table_problem(table, "y", inputs=("a",))


def test_one_row_and_no_inputs(table):
    with pytest.raises(ValueError, match="at least two rows"):
        table_problem(table.iloc[:1], "y", inputs=("a",))
    with pytest.raises(ValueError, match="no column left"):
        table_problem(table[["y"]], "y")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "there is no such file"),
        ("t.xlsx", b"1", "a table ends in .csv or .parquet"),
        ("t.csv", b"", "cannot be read as csv: No columns"),
        ("t.csv", b"a,b\n", "has no rows"),
        ("t.csv", b"a,b\n1,2\n3,4,5,6\n", "cannot be read as csv"),
        ("t.csv", b"\xff\xfe\x00\x01", "cannot be read as csv"),
        ("t.parquet", b"not parquet", "cannot be read as parquet"),
    ],
)
def test_bad_files(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / name)


def test_two_columns_of_one_name(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table([[1, 2], [3, 4]], names=["a", "a"]), path)
    with pytest.raises(ValueError, match="cannot be read as parquet: Multiple matches"):
        read_table(path)


def test_a_file_of_too_many_columns_is_not_read(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({str(number): [1, 2] for number in range(10_001)}), path)
    with pytest.raises(ValueError, match="10,001 columns"):
        read_table(path)


def test_texts_are_classes_of_which_each_row_keeps_its_own(table):
    table["kind"] = np.where(table["a"] > 0.3, "high", np.where(table["a"] < -0.3, "low", "mid"))
    data = table_problem(table, "kind", inputs=("a", "b"), seed=3)
    assert data.classes == ("high", "low", "mid")
    assert data.training.loss.name == "softmax_cross_entropy"
    assert data.held_out.y.shape == (10, 1)
    for part in (data.training, data.held_out):
        # Inputs are in other units, which keep their order: the classes still are where these say.
        heights = [part.x[part.y[:, 0] == number, 0] for number in (1, 2, 0)]
        assert all(low.max() < high.min() for low, high in pairwise(heights) if len(low) * len(high))


def test_numbers_are_classes_where_the_loss_says_so(table):
    table["kind"] = np.where(table["a"] > 0, 7, 3)
    data = table_problem(table, "kind", inputs=("a",), loss="softmax_cross_entropy", validation=0)
    assert data.classes == ("3", "7")
    np.testing.assert_array_equal(data.training.y[:, 0], table["a"] > 0)
    assert table_problem(table, "kind", inputs=("a",)).classes == ()
