"""A placebo test of a table, from names and numbers: what `jaxland placebo` trains, and what it says of it."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxland.networks import mlp
from jaxland.placebo.config import TableSettings, TableTest
from jaxland.placebo.design import Design
from jaxland.placebo.findings import findings, stored_results
from jaxland.placebo.result import choose_statistic
from jaxland.placebo.run import check_folder
from jaxland.placebo.tabular import TableProblem, read_table, table_problem
from jaxland.store import StoreError, StudyStore
from jaxland.studies import Analysis, Context, Findings
from jaxland.training import get_optimizer, make_optimizer


class TableDesign(NamedTuple):
    """A test that is ready to be made.

    Attributes:
        design: what is trained, with a single placebo: how many there are is said by the fits.
        statistic: name of the one that is compared.
        heading: what is tested, in a few lines.
    """

    design: Design
    statistic: str
    heading: str


def table_test(file: Path, settings: TableSettings) -> TableTest:
    """The test of a .csv or .parquet file as it is now.

    Raises:
        ValueError: the file cannot be read.
    """
    return TableTest(**vars(settings), file=str(file.absolute()), sha256=_sha256(file))


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise ValueError(f"{file}: there is no such file.") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}.") from error


def _require_unchanged(file: Path, sha256: str) -> None:
    found = _sha256(file)
    if found != sha256:
        raise ValueError(
            f"{file} was changed since the test began: its SHA-256 was {sha256[:16]}..., and is {found[:16]}... now. "
            "Put the old table back, or give another --out for a test of the new one."
        )


def check_out(out: Path, test: TableTest, fits: int) -> None:
    """Raises StoreError or ValueError where a folder holds fits that this many of this test cannot be added to."""
    check_folder(out, fits)
    try:
        recorded = StudyStore.open(out).manifest.config
    except StoreError:
        return
    if recorded.get("file") == test.file:
        _require_unchanged(Path(test.file), recorded.get("sha256", test.sha256))


def table_design(test: TableTest) -> TableDesign:
    """Reads the table of a test: a multilayer perceptron with these hidden layers on standardised columns.

    Raises:
        ValueError: a setting is out of range, or the table is not what it should be, or what it was.
    """
    _require_unchanged(Path(test.file), test.sha256)
    return _table_design(test)


# Programs are kept by the network they are compiled for.
@lru_cache(maxsize=4)
def _table_design(test: TableTest) -> TableDesign:
    statistic = choose_statistic(test.statistic, test.validation > 0).name
    optimizer = make_optimizer(get_optimizer(test.optimizer)(learning_rate=test.learning_rate))
    file = Path(test.file)
    data = table_problem(
        read_table(file),
        test.target,
        inputs=test.inputs,
        within=test.within,
        validation=test.validation,
        loss=test.loss,
        drop_missing=test.drop_missing,
        seed=test.seed,
        name=file.stem,
    )
    design = Design(
        network=mlp([len(data.inputs), *test.hidden, max(len(data.classes), 1)], test.activation),
        problems=(data.training,),
        held_out=() if data.held_out is None else (data.held_out,),
        optimizer=optimizer,
        steps=test.steps,
        permutations=1,
        starts=test.starts,
        groups=data.groups,
        seed=test.seed,
        batch_size=test.batch_size,
    )
    return TableDesign(design, statistic, _heading(test, data, design))


def _heading(test: TableTest, data: TableProblem, design: Design) -> str:
    held = "none held out" if data.held_out is None else f"{len(data.held_out.x):,} more held out"
    dropped = f", {data.dropped:,} left out for missing values" if data.dropped else ""
    names = ", ".join(data.inputs[:6]) + (", ..." if len(data.inputs) > 6 else "")
    rows = f"{test.target} from {len(data.inputs)} inputs ({names}); {len(data.training.x):,} rows, {held}{dropped}"
    batches = "" if test.batch_size is None else f", {test.batch_size} rows a step"
    loss = data.training.loss.name
    training = f"{test.optimizer} with rate {test.learning_rate:g}{batches}, {loss}, seed {test.seed}"
    lines = [
        f"{Path(test.file).name}: {rows}" + ("" if test.within is None else f"; labels permuted within {test.within}"),
        f"{design.network.spec.name}, {design.network.size:,} parameters; {training}",
        _plain_loss(data),
    ]
    return "\n".join(lines)


def _plain_loss(data: TableProblem) -> str:
    """What is to be had without looking at the inputs."""
    if not data.classes:
        return "inputs and labels are standardised: to predict the mean of the labels gives a squared error of about 1"
    shares = np.bincount(data.training.y[:, 0].astype(np.int64)) / len(data.training.y)
    shares = shares[shares > 0]
    names = ", ".join(data.classes[:6]) + (", ..." if len(data.classes) > 6 else "")
    return (
        f"{len(data.classes)} classes ({names}), inputs standardised: to predict how frequent each is gives a loss of "
        f"{-(shares * np.log(shares)).sum():.3g}"
    )


def find(context: Context) -> Findings:
    """The test, with as many placebos as there are."""
    design, statistic, heading = table_design(context.config)
    return findings(stored_results(design, statistic, context), heading)


ANALYSIS = Analysis(find)
