"""What two runs of the sawtooth study measured of the same statements, side by side.

Usage: python experiments/sawtooth/moments.py DIRECTORY DIRECTORY (by default the two here, at 20,000 and 50,000 steps)

Each directory has a claims.csv, or a measured.csv with the same columns but those of verdicts: there is one verdict
of a statement, that of the main run.
"""

import sys
from pathlib import Path

import pandas as pd

_HERE = Path(__file__).parent
_BOTH = _HERE / "at-20000-steps", _HERE


def _measured(directory: Path) -> pd.DataFrame:
    path = directory / "measured.csv"
    return pd.read_csv(path if path.exists() else directory / "claims.csv", keep_default_na=False)


def side_by_side(one: Path, other: Path) -> pd.DataFrame:
    """What each measured of every statement that both looked at."""
    tables = [_measured(path) for path in (one, other)]
    for table in tables:
        table.index = pd.Index((table["of"] + ": " + table["statement"]).str.removeprefix(": "))
    shared = [statement for statement in tables[0].index if statement in tables[1].index]
    columns = {"where": tables[0].loc[shared, "where"], "source": tables[0].loc[shared, "source"]}
    columns |= {f"measured {number}": table.loc[shared, "measured"] for number, table in enumerate(tables, 1)}
    return pd.DataFrame(columns)


if __name__ == "__main__":
    directories = [Path(argument) for argument in sys.argv[1:]] or list(_BOTH)
    found = side_by_side(*directories)
    print("| statement | the source says | first run | second run |")
    print("|---|---|---|---|")
    for statement, row in found.iterrows():
        cells = [statement, *row.iloc[1:]]
        print("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
