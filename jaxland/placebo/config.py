"""What decides a placebo test of a table. Nothing that computes is imported."""

from dataclasses import dataclass
from typing import Literal

NAME = "placebo_test"
"""Of this study, and of one whose design is given as a value."""
TITLE = "where the real labels stand among the placebos"
"""Of the only analysis."""
Statistics = Literal["training_loss", "best_training_loss", "training_improvement", "validation_loss", "validation_gap"]
"""Names of what labellings can be compared by, the entries of `jaxland.placebo.STATISTICS`."""


@dataclass(frozen=True)
class TableSettings:
    """What is tested, and how it is trained."""

    target: str
    """Column of the labels."""
    inputs: tuple[str, ...] = ()
    """Columns of the inputs, with spaces or commas between them; all others by default."""
    within: str | None = None
    """Column of groups, such as sites or subjects, within which labels are permuted; anywhere by default."""
    hidden: tuple[int, ...] = (20,)
    """Units of each hidden layer."""
    activation: str = "relu"
    """Of the hidden layers."""
    optimizer: str = "adam"
    """sgd, momentum, adadelta or adam."""
    learning_rate: float = 0.01
    """Learning rate."""
    steps: int = 1000
    """Optimizer steps of each fit."""
    batch_size: int | None = None
    """Rows of a step; all by default."""
    starts: int = 4
    """Fits of each labelling, from initial parameters of their own; their median counts."""
    validation: float = 0.25
    """Share of the rows that are held out; 0 for none."""
    statistic: Statistics | None = None
    """What is compared: validation_loss (the default where rows are held out), training_loss (else),
    best_training_loss, training_improvement or validation_gap. Choose it beforehand."""
    loss: str = "auto"
    """auto: mean_squared_error of numbers, softmax_cross_entropy of texts, which are classes. Or a name from
    `jaxland.problems.LOSSES`, such as mean_absolute_error; softmax_cross_entropy takes numbers for classes, too."""
    drop_missing: bool = False
    """Leave out rows with missing values instead of refusing them."""
    seed: int = 0
    """Of initial parameters, labels and rows held out."""


@dataclass(frozen=True, kw_only=True)
class TableTest(TableSettings):
    """A test of one table: with it, all that decides a fit but the number of permutations."""

    file: str
    """Absolute path of the table."""
    sha256: str
    """Of its content, 64 hexadecimal digits."""
