"""A table of a user's data as a problem: columns chosen, checked and standardised."""

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from jaxland._names import lookup
from jaxland._scaling import deviation
from jaxland._short import in_short
from jaxland.placebo.labels import split
from jaxland.placebo.separated import check_count, looks_like_a_number, read_separated
from jaxland.problems import LOSSES, Loss, Problem, class_numbers

# What pandas calls a column whose name is empty.
_UNNAMED = re.compile(r"Unnamed: \d+")


def _read_parquet(path: Path) -> pd.DataFrame:
    check_count(pq.read_metadata(path).num_columns)
    return pd.read_parquet(path)


FORMATS = {".csv": read_separated, ".parquet": _read_parquet}


class TableProblem(NamedTuple):
    """What a table gives to be trained on.

    Attributes:
        training: the points trained on, inputs and labels standardised.
        held_out: those held out, in the same units; None where there are none.
        groups: the group of each point trained on, None where there are no groups.
        inputs: names of the columns.
        dropped: rows left out because a value was missing.
        classes: of labels that are such, by their numbers; none of labels that are numbers.
    """

    training: Problem
    held_out: Problem | None
    groups: np.ndarray | None
    inputs: tuple[str, ...]
    dropped: int
    classes: tuple[str, ...] = ()

    __repr__ = in_short


def read_table(path: Path) -> pd.DataFrame:
    """Reads a .csv or .parquet file.

    Raises:
        ValueError: it is not there, has another ending or no rows, or cannot be read; see `read_separated`.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path}: a table ends in {' or '.join(FORMATS)}.")
    try:
        table = FORMATS[path.suffix.lower()](path)
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file.") from None
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise ValueError(f"{path} cannot be read as {path.suffix.lower()[1:]}: {error}") from error
    table.columns = [str(name) for name in table.columns]
    if not len(table):
        raise ValueError(f"{path} has no rows.")
    return table


def table_problem(
    table: pd.DataFrame,
    target: str,
    *,
    inputs: Sequence[str] = (),
    within: str | None = None,
    validation: float = 0.25,
    loss: str = "auto",
    drop_missing: bool = False,
    seed: int = 0,
    name: str = "table",
) -> TableProblem:
    """Columns of a table as a problem, with some rows held out.

    Inputs, and labels that are numbers, are brought to mean 0 and standard deviation 1 over the rows trained on, which
    no permutation of the labels changes. Labels that are texts are classes.

    Args:
        table: one row a point.
        target: the column of labels.
        inputs: columns of inputs; by default all others, but for `within`.
        within: a column of groups within which labels may be permuted.
        validation: share of rows held out; 0 for none.
        loss: name of an entry of `jaxland.problems.LOSSES`; "auto" is mean_squared_error of numbers, and
            softmax_cross_entropy of texts.
        drop_missing: leave out rows with a missing value instead of refusing.
        seed: which rows are held out.
        name: of the problem.

    Raises:
        ValueError: a column is unknown, has missing or infinite values or is constant; an input holds text, or the
            target where the loss is one of numbers; there are too few rows, or hardly two of a class; the share is not
            in [0, 1).
    """
    if not 0 <= validation < 1:
        raise ValueError(f"validation must be a share in [0, 1); got {validation}.")
    inputs = _input_names(table, target, inputs, within)
    columns = [*inputs, target]
    used = table.loc[:, [*columns, *([within] if within else [])]]
    used, dropped = _without_missing(used, drop_missing)
    if loss == "auto":
        loss = "softmax_cross_entropy" if _holds_classes(used, target) else "mean_squared_error"
    x = np.column_stack([_numbers(used, column) for column in inputs])
    y, classes = _labels(used, target, lookup("loss", loss, LOSSES))
    whole = Problem(x, y, loss, name)
    if len(whole.x) < 2:
        raise ValueError(f"a test needs at least two rows; the table has {len(whole.x)}.")
    if validation:
        parts = split(whole, validation, seed)
        training, held_out, rows = parts.training, parts.held_out, parts.training_points
    else:
        training, held_out, rows = whole, None, np.arange(len(whole.x))
    scaled, held_out = _standardised(training, held_out, inputs, target, bool(classes))
    groups = None if within is None else pd.factorize(used[within])[0][rows]
    return TableProblem(scaled, held_out, groups, inputs, dropped, classes)


def _holds_classes(table: pd.DataFrame, column: str) -> bool:
    """Whether labels are texts, and no numbers written in another way."""
    values = table[column].to_numpy(object)
    return len(values) > 0 and isinstance(values[0], str) and not looks_like_a_number(values[0])


def _labels(table: pd.DataFrame, target: str, loss: Loss) -> tuple[np.ndarray, tuple[str, ...]]:
    """What is to be learnt (N, 1), and the names of its classes, none of numbers."""
    if loss.components != "labels":
        return _numbers(table, target)[:, None], ()
    found = table[target].astype(str) if _holds_classes(table, target) else _numbers(table, target)
    classes = sorted(set(found))
    if len(classes) > len(found) / 2:
        raise ValueError(
            f"column {target!r} has {len(classes):,} classes in {len(found):,} rows, hardly two of each, of which "
            "nothing can be learnt. For numbers give a loss such as --loss mean_squared_error."
        )
    return class_numbers(list(found), classes), tuple(
        each if isinstance(each, str) else f"{each:g}" for each in classes
    )


def _input_names(table, target, inputs, within) -> tuple[str, ...]:
    known = dict.fromkeys(table.columns)
    for name in (target, *inputs, *([within] if within else [])):
        lookup("column", name, known)
    chosen = tuple(inputs) or tuple(name for name in table.columns if name not in (target, within))
    unnamed = None if inputs else next((name for name in chosen if _UNNAMED.fullmatch(name)), None)
    if unnamed is not None:
        raise ValueError(
            f"column {unnamed!r} had no name in the file, as the numbers of rows have none that pandas writes (leave "
            f"them out with to_csv(index=False)). Remove or name it, or name the columns to use with --inputs; "
            f"{unnamed!r} may be among them."
        )
    if target in chosen:
        raise ValueError(f"column {target!r} is the target and cannot be an input as well.")
    if within == target:
        raise ValueError(f"column {target!r} is the target and cannot name the groups.")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"inputs must be named once each; got {list(chosen)}.")
    if not chosen:
        raise ValueError("there is no column left for the inputs.")
    return chosen


def _without_missing(table: pd.DataFrame, drop: bool) -> tuple[pd.DataFrame, int]:
    missing = table.isna()
    bad = missing.any(axis=1)
    if bad.any() and not drop:
        counts = ", ".join(f"{name} ({count})" for name, count in missing.sum().items() if count)
        raise ValueError(
            f"values are missing in {int(bad.sum())} of {len(table)} rows: {counts}. Fill them in, or leave these rows "
            "out with --drop-missing."
        )
    return table.loc[~bad], int(bad.sum())


def _numbers(table: pd.DataFrame, column: str) -> Float[np.ndarray, "N"]:
    values = table[column]
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        first = values.iloc[0]
        remedy = "encode it as numbers, or name the columns to use with --inputs"
        if looks_like_a_number(first):
            remedy = "write numbers with decimal points, and without marks at thousands"
        raise ValueError(f"column {column!r} holds no numbers but {values.dtype}, such as {first!r}: {remedy}.")
    if pd.api.types.is_complex_dtype(values):
        raise ValueError(f"column {column!r} holds complex numbers.")
    numbers = values.to_numpy(np.float64)
    infinite = np.flatnonzero(~np.isfinite(numbers))
    if len(infinite):
        raise ValueError(f"column {column!r} has infinite values, first in row {infinite[0]}.")
    return numbers


def _standardised(
    training: Problem, held_out: Problem | None, inputs, target, classes: bool
) -> tuple[Problem, Problem | None]:
    scales = []
    for values, names in ((training.x, inputs), (training.y, (target,))):
        mean, spread = values.mean(axis=0), deviation(values)
        # Rounding leaves a trace of a deviation where all values are equal.
        constant = np.flatnonzero(values.min(axis=0) == values.max(axis=0))
        if len(constant):
            raise ValueError(f"column {names[constant[0]]!r} has the same value in all {len(values)} rows trained on.")
        scales.append((mean, spread))
    if classes:
        scales[1] = (np.zeros(1), np.ones(1))

    def scaled(problem: Problem) -> Problem:
        x, y = ((each - mean) / scale for each, (mean, scale) in zip((problem.x, problem.y), scales, strict=True))
        return replace(problem, x=x, y=y)

    return scaled(training), None if held_out is None else scaled(held_out)
