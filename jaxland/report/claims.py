"""The claims of a study directory."""

import csv
from pathlib import Path
from typing import get_args

from jaxland.store import StoreError
from jaxland.studies.claims import Claim, Verdict

VERDICTS: tuple[str, ...] = get_args(Verdict)


def read_claims(directory: Path) -> list[Claim]:
    """The claims with their verdicts, as the analysis left them.

    Raises:
        StoreError: there are none, or the file is damaged.
    """
    path = directory / "claims.csv"
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [_claim(row) for row in csv.DictReader(file)]
    except FileNotFoundError as error:
        raise StoreError("There is no claims.csv.") from error
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise StoreError("claims.csv cannot be read.") from error


def _claim(row: dict) -> Claim:
    claim = Claim(**{name: row[name] for name in Claim._fields})
    if None in claim or claim.verdict not in VERDICTS:
        raise ValueError("a claim is cut off, or its verdict is unknown")
    return claim
