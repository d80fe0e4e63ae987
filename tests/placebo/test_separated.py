"""Files of separated values are read rightly, or refused in words; never as something else."""

import numpy as np
import pandas as pd
import pytest

from jaxland.placebo import read_table, table_problem

VALUES = pd.DataFrame({"a": [1.5, -2.25, 3e5], "b": [0.125, 1000.0, 7.0], "n": [1, 2, 3], "site": ["x", "y", "z"]})


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_what_others_write_is_read_back(tmp_path, separator, decimal, encoding):
    path = tmp_path / "t.csv"
    VALUES.to_csv(path, sep=separator, decimal=decimal, index=False, encoding=encoding)
    pd.testing.assert_frame_equal(read_table(path), VALUES)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("Length, cm;Width, cm\n1,5;2\n3,25;4\n", {"Length, cm": [1.5, 3.25], "Width, cm": [2, 4]}),
        ('"a;b",c\n1,2\n3,4\n', {"a;b": [1, 3], "c": [2, 4]}),
        ("a|b,c\n1,2\n3,4\n", {"a|b": [1, 3], "c": [2, 4]}),
        ("a;b\n1,5;\n;2\n", {"a": [1.5, np.nan], "b": [np.nan, 2]}),
        ("a;b\n1,234;0,5\n2,345;1\n", {"a": [1.234, 2.345], "b": [0.5, 1]}),
        ("a\n1\n2\n", {"a": [1, 2]}),
        ("\n\na;b\n1;2\n", {"a": [1], "b": [2]}),
    ],
)
def test_files_that_could_be_misread(tmp_path, text, columns):
    (tmp_path / "t.csv").write_text(text)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), pd.DataFrame(columns), check_dtype=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b,c\n1;2,5\n2;3,5\n", "first line has commas and semicolons, and either may separate values"),
        ("a,b\n1,5,2,5\n3,5,4,5\n", r"rows have 4 values separated by commas.*2 names; .*by semicolons where"),
        ("y\n1,5\n2,5\n", "rows have 2 values separated by commas, but the first line has 1 names"),
        ("a;b\n1,5;2.5\n2,5;3.5\n", "decimal commas in column 'a', such as '1,5', but decimal points in column 'b'"),
        ("a,a,y\n1,2,3\n4,5,6\n", "first line names 'a' more than once"),
        ("a,y\n  \n1,2,3\n4,5,6\n", "rows have more values than the first line has names"),
        ("a,y\n  \n0,2,3\n1,5,6\n", "rows have more values than the first line has names"),
        (",".join(map(str, range(100_000))) + "\n", "it has 100,000 columns, and a test takes 10,000; leave out"),
        ("a;b\n1;2;3\n4;5;6\n", "rows have 3 values separated by semicolons, but the first line has 2 names"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"t\.csv cannot be read as csv: .*{message}"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("text", ["a;y\n1,234;1\n2,345;2\n", "a;y\n1.234,5;1\n2.345,6;2\n", "a;y\n1 234;1\n2 345;2\n"])
def test_marks_at_thousands_are_refused_where_they_are_used(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=r"column 'a' holds no numbers .* without marks at thousands"):
        table_problem(read_table(tmp_path / "t.csv"), "y")


def test_numbers_of_rows_are_no_input_unless_they_are_named(tmp_path):
    VALUES.to_csv(tmp_path / "t.csv")
    table, first = read_table(tmp_path / "t.csv"), str(VALUES.columns[0])
    with pytest.raises(ValueError, match=r"'Unnamed: 0' had no name in the file.*to_csv\(index=False\).*--inputs"):
        table_problem(table, first)
    assert table_problem(table, first, inputs=("Unnamed: 0",), validation=0).inputs == ("Unnamed: 0",)
