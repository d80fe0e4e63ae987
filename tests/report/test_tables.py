import numpy as np
import pandas as pd
import pytest

from jaxland.report.tables import FIRST_ROWS, LIMIT, WHOLE_ROWS, is_number, read_tables, shown


def _save(directory, name, rows):
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame({"x": np.arange(rows), "y": np.linspace(0, 1, rows)}).to_csv(path, index=False)


@pytest.mark.parametrize("rows", [0, 1, WHOLE_ROWS, WHOLE_ROWS + 1, 2000])
def test_small_tables_whole_and_the_beginning_of_long_ones(tmp_path, rows):
    _save(tmp_path, "analysis/t.csv", rows)
    (table,), broken, others = read_tables(tmp_path)
    assert (table.path, table.columns, table.total) == ("analysis/t.csv", ["x", "y"], rows)
    assert len(table.first) == (rows if rows <= WHOLE_ROWS else FIRST_ROWS)
    assert len(table.rows) == rows
    assert [row[0] for row in table.rows] == [str(row) for row in range(len(table.rows))]
    assert (broken, others) == ([], [])


def test_of_a_very_long_table_there_is_the_beginning(tmp_path):
    _save(tmp_path, "analysis/t.csv", 50_000)
    ((_, _, rows, total),), _, _ = read_tables(tmp_path)
    assert total == 50_000
    assert LIMIT < sum(len(",".join(row)) + 1 for row in rows) < 1.01 * LIMIT
    assert [row[0] for row in rows] == [str(row) for row in range(len(rows))]


def test_every_folder_of_analyses_and_every_file(tmp_path):
    _save(tmp_path, "analysis/b.csv", 1)
    _save(tmp_path, "analysis/a.csv", 1)
    _save(tmp_path, "analyses/c.csv", 1)
    (tmp_path / "analysis" / "d.npz").write_bytes(b"1")
    tables, _, others = read_tables(tmp_path)
    assert [table.path for table in tables] == ["analysis/a.csv", "analysis/b.csv", "analyses/c.csv"]
    assert others == ["analysis/d.npz"]


@pytest.mark.parametrize("content", [b"", b"a,b\n1\n", b"a,b\n\xff\xfe,1\n", b"a\n" + b"x" * 200_000])
def test_a_broken_table_is_named(tmp_path, content):
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "t.csv").write_bytes(content)
    assert read_tables(tmp_path) == ([], ["analysis/t.csv"], [])


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("0.00332522998", "0.0033252"),
        ("1e-08", "1e-8"),
        ("123456.78", "1.2346e+5"),
        ("-12.5", "-12.5"),
        ("123456789", "123456789"),
        ("0000123", "0000123"),
        ("6-8", "6-8"),
        ("", "—"),
        ("nan", "nan"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_cells(text, cell):
    assert shown(text) == cell


def test_numbers():
    assert all(map(is_number, ["", "1", "-1.5", "1e-8", "nan", "inf", "-inf", ".5", "2."]))
    assert not any(map(is_number, ["6-8", "a", "1 2", "0x10", "1,000"]))
