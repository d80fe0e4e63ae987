"""The claims of a study directory."""

import csv
from pathlib import Path

from jaxland.store import StoreError
from jaxland.studies.claims import Claim
from jaxland.studies.criteria import VERDICTS


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
    except KeyError as error:
        raise StoreError("claims.csv was written by another version of jaxland; analyse the study again.") from error
    except (OSError, ValueError, csv.Error) as error:
        raise StoreError("claims.csv cannot be read.") from error


def _claim(row: dict) -> Claim:
    told = {name: row[name] for name in Claim._fields if name not in Claim._field_defaults}
    claim = Claim(**told, **{name: row.get(name) or "" for name in Claim._field_defaults})
    if None in claim or claim.verdict not in ("", *VERDICTS):
        raise ValueError("a claim is cut off, or its verdict is unknown")
    return claim
