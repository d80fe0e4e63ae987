"""A placebo test of a table, from names and numbers: what `jaxland placebo` does before it trains."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxland.networks import mlp
from jaxland.placebo.design import Design
from jaxland.placebo.result import choose_statistic
from jaxland.placebo.tabular import TableProblem, read_table, table_problem
from jaxland.training import get_optimizer, make_optimizer


class TableTest(NamedTuple):
    """A test that is ready to be made.

    Attributes:
        design: what is trained.
        statistic: name of the one that is compared.
        heading: what is tested, in a few lines.
    """

    design: Design
    statistic: str
    heading: str


def table_test(
    file: Path,
    *,
    target: str,
    inputs: Sequence[str] = (),
    within: str | None = None,
    hidden: Sequence[int] = (20,),
    activation: str = "relu",
    optimizer: str = "adam",
    learning_rate: float = 0.01,
    steps: int = 1000,
    permutations: int = 999,
    starts: int = 4,
    validation: float = 0.25,
    statistic: str | None = None,
    loss: str = "mean_squared_error",
    drop_missing: bool = False,
    seed: int = 0,
) -> TableTest:
    """Reads a table and makes a test of it: a multilayer perceptron with these hidden layers on standardised columns.

    Args:
        file: a .csv or .parquet file, one row a point.
        target, inputs, within, validation, loss, drop_missing: as in `table_problem`.
        hidden: units of each hidden layer; none for a linear model.
        activation: of the hidden layers.
        optimizer: name of an entry of `jaxland.training.OPTIMIZERS`.
        learning_rate: its rate.
        steps, permutations, starts, statistic, seed: as in `placebo_test`.

    Raises:
        ValueError: an argument is out of range, or the table is not what it should be.
    """
    chosen = choose_statistic(statistic, validation > 0)
    config = get_optimizer(optimizer)
    data = table_problem(
        read_table(file),
        target,
        inputs=inputs,
        within=within,
        validation=validation,
        loss=loss,
        drop_missing=drop_missing,
        seed=seed,
        name=file.stem,
    )
    design = Design(
        network=mlp([len(data.inputs), *hidden, 1], activation),
        problems=(data.training,),
        held_out=() if data.held_out is None else (data.held_out,),
        optimizer=make_optimizer(config(learning_rate=learning_rate)),
        steps=steps,
        permutations=permutations,
        starts=starts,
        groups=data.groups,
        seed=seed,
    )
    training = f"{optimizer} with rate {learning_rate:g}, {loss}, seed {seed}"
    return TableTest(design, chosen.name, _heading(file, target, within, data, design, training))


def _heading(file: Path, target: str, within: str | None, data: TableProblem, design: Design, training: str) -> str:
    held = "none held out" if data.held_out is None else f"{len(data.held_out.x):,} more held out"
    dropped = f", {data.dropped:,} left out for missing values" if data.dropped else ""
    names = ", ".join(data.inputs[:6]) + (", ..." if len(data.inputs) > 6 else "")
    rows = f"{target} from {len(data.inputs)} inputs ({names}); {len(data.training.x):,} rows, {held}{dropped}"
    lines = [
        f"{file.name}: {rows}" + ("" if within is None else f"; labels permuted within {within}"),
        f"{design.network.spec.name}, {design.network.size:,} parameters; {training}",
        "inputs and labels are standardised: to predict the mean of the labels gives a squared error of about 1",
    ]
    return "\n".join(lines)
