"""Writes the table of all statements of a source into the README of its experiment, from the run's statements.csv.

Usage: python experiments/statements.py [NAME ...] (by default every experiment that has a statements.csv)
"""

import sys
from pathlib import Path

import pandas as pd

from jaxland.studies.summary import markdown_table

HERE = Path(__file__).parent
BEGIN, END = "<!-- statements -->", "<!-- end of statements -->"
_VERBS = {"agrees": "agree", "differs": "differ"}
_COLUMNS = ["where", "statement", "source", "measured", "verdict", "judged by"]


def block(experiment: Path) -> str:
    """The table in Markdown, after a line with the verdicts counted."""
    table = pd.read_csv(experiment / "statements.csv", dtype=str, keep_default_na=False)
    counts = table["verdict"].where(~table["verdict"].str.contains(";"), "split").value_counts()
    told = ", ".join(f"{count} {_VERBS.get(str(verdict), verdict)}" for verdict, count in counts.items())
    judged = table[table["verdict"] != "not tested"]
    agree = int((judged["verdict"] == "agrees").sum())
    left = "Theorems, definitions, what another statement says already and what no number decides are not tested; "
    left += f"of the other {len(judged)} {agree} agree."
    lines = [f"{len(table)} statements: {told}.", left, "", markdown_table(table.filter(_COLUMNS))]
    return "\n".join([BEGIN, *lines, END])


def renewed(text: str, experiment: Path) -> str:
    """The README's text with the table as it should be.

    Raises:
        ValueError: there is no place for it.
    """
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise ValueError(f"{experiment / 'README.md'} needs the lines {BEGIN} and {END}, where the table goes.")
    return text[:begin] + block(experiment) + text[end + len(END) :]


if __name__ == "__main__":
    experiments = [HERE / name for name in sys.argv[1:]] or [
        path.parent for path in sorted(HERE.glob("*/statements.csv"))
    ]
    for experiment in experiments:
        readme = experiment / "README.md"
        readme.write_text(renewed(readme.read_text(), experiment))
        print(f"{readme}: {block(experiment).splitlines()[1]}")
