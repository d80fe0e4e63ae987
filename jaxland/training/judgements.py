"""What validation found of each fit, in one number each. It loads no JAX: whoever reads stored fits has none."""

from collections.abc import Mapping

import numpy as np

NUMBERS = ("best_validation", "best_validation_step", "stopped_step")
"""Columns with a number for each fit."""
LOSS, VALIDATION = "loss", NUMBERS[0]
"""What fits are ranked by: the second where it is there."""
METRIC = "metric."
"""Before the names of metrics, where they stand beside other columns."""
COLUMNS = (*NUMBERS, "validation", f"{METRIC}*")
"""Patterns of the columns that `judgements` takes."""


def judgements(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The least validation loss of each fit, its step, where the fit stopped (-1: it did not), and its metrics then.

    Args:
        columns: as fits that were judged are stored: numbers (F,), losses and metrics (F, T) in training.

    Returns:
        Columns (F,), those of metrics as `best_NAME`; none where the fits were not judged.
    """
    if "validation" not in columns:
        return {}
    losses = columns["validation"]
    rows, best = np.arange(len(losses)), np.argmin(np.where(np.isfinite(losses), losses, np.inf), axis=1)
    metrics = {name.removeprefix(METRIC): values for name, values in columns.items() if name.startswith(METRIC)}
    own = {name: columns[name] for name in NUMBERS}
    return own | {f"best_{name}": values[rows, best] for name, values in metrics.items()}
