"""What the comparison of arithmetics found, as tables."""

import numpy as np
import pandas as pd

from jaxland.replications.two_layer.rounding.cases import CASES, Measured
from jaxland.replications.two_layer.rounding.executions import Executions


def tables(found: list[Measured], executions: Executions) -> dict[str, pd.DataFrame]:
    """By file name."""
    return {
        "rounding.csv": pd.concat([_summary(each) for each in found], ignore_index=True),
        "rounding-orders.csv": pd.concat([_orders(each) for each in found], ignore_index=True),
        "sharpness.csv": pd.concat([_sharpness(each) for each in found], ignore_index=True),
        "rounding-executions.csv": pd.DataFrame(
            {
                "execution": np.arange(len(executions.crossing)),
                "crossing": executions.crossing,
                **{f"rise_{dtype}": epochs for dtype, epochs in executions.rise.items()},
            }
        ),
    }


def _summary(each: Measured) -> pd.DataFrame:
    rows = []
    for rises in each.rises:
        label, epochs = rises.arithmetic.label, rises.epoch[rises.epoch >= 0]
        rows.append(
            {
                "run": each.case.run.name,
                "arithmetic": label,
                "roundoff": rises.arithmetic.roundoff,
                "orders": len(rises.epoch),
                "crossing": each.crossings.get(label, -1),
                "rise": rises.epoch[0],
                "earliest_rise": epochs.min(initial=10**6) if len(epochs) else -1,
                "latest_rise": epochs.max(initial=-1),
                "predicted_rise": rises.predicted,
                "smallest_best_error": rises.best_error.min(),
                "largest_best_error": rises.best_error.max(),
            }
        )
    exact = {
        "run": each.case.run.name,
        "arithmetic": "exact",
        "roundoff": 0.0,
        "orders": 0,
        "predicted_rise": each.exact,
    }
    return pd.DataFrame([*rows, exact])


def _orders(each: Measured) -> pd.DataFrame:
    frames = [
        pd.DataFrame(
            {
                "run": each.case.run.name,
                "arithmetic": rises.arithmetic.label,
                "order": np.arange(len(rises.epoch)),
                "rise": rises.epoch,
                "best_error": rises.best_error,
            }
        )
        for rises in each.rises
    ]
    return pd.concat(frames, ignore_index=True)


def _sharpness(each: Measured) -> pd.DataFrame:
    columns = {"run": each.case.run.name, "epoch": each.epochs, "two_over_rate": each.bound}
    return pd.DataFrame({**columns, **each.sharpness})


def captions(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    """A sentence for each figure, from the tables."""
    told, rows = {}, tables["rounding.csv"].to_dict("records")
    for run in (case.run for case in CASES):
        known = [row for row in rows if row["run"] == run.name and row["arithmetic"] != "exact"]
        rises = ", ".join(f"{row['rise']:.0f} in {row['arithmetic']}" for row in known if row["rise"] >= 0)
        told[f"sharpness-{run.name}"] = (
            f"({run.target}, {run.hidden}, {run.rate:g}, {run.epochs}): the sharpness exceeds 2 / rate at epoch "
            f"{known[0]['crossing']:.0f}, and the loss first rises at {rises}."
        )
    executions = tables["rounding-executions.csv"]
    crossing, delays = np.asarray(executions["crossing"]), []
    for column in (str(each) for each in executions if str(each).startswith("rise_")):
        rise = np.asarray(executions[column])
        both = (crossing >= 0) & (rise >= 0)
        delay = np.median((rise - crossing)[both]) if both.any() else np.nan
        delays.append(f"{delay:.0f} in {column.removeprefix('rise_')}")
    told["rounding-executions"] = (
        f"When the loss rises and when the sharpness exceeds 2 / rate, in {len(executions):,} executions: epochs "
        f"between them in the median {', '.join(delays)}."
    )
    return told
