"""The highlighted runs in numbers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxland.landscape import duplicate_units, first_rise
from jaxland.replications.two_layer.descent import Descent
from jaxland.replications.two_layer.source import Run, network


def table(found: Mapping[Run, Descent]) -> pd.DataFrame:
    """One row a run: errors on both sets, the first rise of the training error, overflow, distinct hidden units."""
    return pd.DataFrame([_row(run, descent) for run, descent in found.items()])


COURSES = "U00", "U01", "V0", "V[h-1]"
"""The weights of figure 5."""


class Extremes(NamedTuple):
    """Of each of the four weights of figure 5."""

    end: Float[np.ndarray, "4"]
    peak: Float[np.ndarray, "4"]
    """The largest magnitude on the way."""


def courses(descent: Descent) -> Float[np.ndarray, "4 S"]:
    """The weights of figure 5, epoch by epoch."""
    u, v = descent.weights
    return np.stack([u[:, 0, 0], u[:, 0, 1], v[:, 0], v[:, -1]])


def extremes(descent: Descent) -> Extremes:
    """Their last values and their largest magnitudes."""
    found = courses(descent)
    return Extremes(found[:, -1], np.abs(found).max(axis=1))


def weights_table(runs: Sequence[Descent]) -> pd.DataFrame:
    """One row for each weight of figure 5 and each run."""
    rows = [
        {"target": run.target, "hidden": run.hidden, "rate": run.rate, "weight": name, "end": end, "peak": peak}
        for run in runs
        for name, end, peak in zip(COURSES, *extremes(run), strict=True)
    ]
    return pd.DataFrame(rows)


def _row(run: Run, descent: Descent) -> dict:
    last = descent.last_finite
    return {
        "run": run.name,
        "target": run.target,
        "hidden": run.hidden,
        "rate": run.rate,
        "epochs": run.epochs,
        "figure": run.figure,
        "error": descent.error[-1],
        "train_error": descent.train_error[-1],
        "best_error": descent.error[descent.best],
        "best_epoch": descent.epochs[descent.best],
        "first_rise": rise_epoch(descent),
        "last_finite_epoch": descent.epochs[last],
        "distinct_units": distinct_units(run.hidden, descent.params[last : last + 1], mirrored=False),
        "distinct_units_mirrored": distinct_units(run.hidden, descent.params[last : last + 1], mirrored=True),
    }


def rise_epoch(descent: Descent) -> int:
    """The epoch at which the training error first rises by a hundredth above its smallest; -1 if it never does."""
    index = int(first_rise(descent.train_error[None])[0])
    return int(descent.epochs[index]) if index >= 0 else -1


def distinct_units(hidden: int, params: np.ndarray, *, mirrored: bool) -> int:
    """How many hidden units of one parameter vector (1, P) are no duplicates of an earlier one."""
    groups = duplicate_units(network(hidden), params, mirrored=mirrored)
    return int((groups == np.arange(hidden - 1)).sum())
