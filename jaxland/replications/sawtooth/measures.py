"""What several analyses measure of the functions that fits compute."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxland.statistics import Estimate


def wave_shares(
    x: Float[np.ndarray, "N"], wave: Float[np.ndarray, "N"], curves: Float[np.ndarray, "F N"]
) -> Float[np.ndarray, "F"]:
    """How much of the wave each curve holds, 1 for all: regression of the curve on the wave and a cubic in x.

    Args:
        x: points, dense enough to see every tooth.
        wave: the high-frequency part of the target there.
        curves: outputs there, finite.
    """
    design = np.column_stack([wave, x**3, x**2, x, np.ones_like(x)])
    return np.linalg.lstsq(design, curves.T, rcond=None)[0][0]


def turning_points(curves: Float[np.ndarray, "F N"]) -> Float[np.ndarray, "F"]:
    """How often each sampled curve changes between rising and falling; steps within rounding are level."""
    steps = np.diff(np.asarray(curves, np.float64), axis=1)
    level = 1e-6 * np.ptp(curves, axis=1, keepdims=True) + 1e-12
    sign = np.where(np.abs(steps) > level, np.sign(steps), 0).astype(np.int8)
    # Carry the last direction over level stretches, so that a plateau is not a turn.
    index = np.where(sign != 0, np.arange(sign.shape[1]), 0)
    carried = np.take_along_axis(sign, np.maximum.accumulate(index, axis=1), axis=1)
    return ((carried[:, 1:] * carried[:, :-1]) < 0).sum(axis=1).astype(np.float64)


def column(table: pd.DataFrame, name: str) -> Float[np.ndarray, "F"]:
    """A column of numbers."""
    return np.asarray(table[name], np.float64)


def rows_where(table: pd.DataFrame, chosen: ArrayLike) -> pd.DataFrame:
    """The rows of a table for which this is true."""
    return table.iloc[np.flatnonzero(chosen)]


def groups(table: pd.DataFrame, name: str) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each value of a column, in the order of the table; none of a table without rows."""
    return [(str(key), rows) for key, rows in table.groupby(name, sort=False)] if len(table) else []


def percent(estimate: Estimate) -> str:
    """An estimate of a share with its interval, in words."""
    value, low, high = (f"{100 * each:.3g}" for each in estimate)
    return f"{value} %" if low == value == high else f"{value} % ({low} to {high} %)"
