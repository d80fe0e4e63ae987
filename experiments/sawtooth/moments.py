"""The statements that two runs of the sawtooth study have in common, side by side.

Usage: python experiments/sawtooth/moments.py DIRECTORY DIRECTORY (each with a claims.csv; by default the two here)
"""

import sys
from pathlib import Path

import pandas as pd

_HERE = Path(__file__).parent
_BOTH = _HERE / "at-20000-steps", _HERE / "at-50000-steps"


def side_by_side(one: Path, other: Path) -> pd.DataFrame:
    """What each measured of every statement that both judged, and the verdicts."""
    tables = [pd.read_csv(path / "claims.csv", keep_default_na=False) for path in (one, other)]
    for table in tables:
        table.index = pd.Index((table["of"] + ": " + table["statement"]).str.removeprefix(": "))
    shared = [statement for statement in tables[0].index if statement in tables[1].index]
    columns = {"where": tables[0].loc[shared, "where"], "source": tables[0].loc[shared, "source"]}
    for number, table in enumerate(tables, 1):
        columns |= {f"{name} {number}": table.loc[shared, name] for name in ("measured", "verdict")}
    return pd.DataFrame(columns)


if __name__ == "__main__":
    directories = [Path(argument) for argument in sys.argv[1:]] or list(_BOTH)
    found = side_by_side(*directories)
    print("| statement | the source says | first run | | second run | |")
    print("|---|---|---|---|---|---|")
    for statement, row in found.iterrows():
        cells = [statement, *row.iloc[1:]]
        print("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    for number in (1, 2):
        counts = found[f"verdict {number}"].value_counts()
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        print(f"\nRun {number}, {directories[number - 1]}: {verdicts}.")
