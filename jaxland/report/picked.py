"""Some fits of each ensemble, with what they compute and how their losses fell, for the page to show one by one."""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from jaxland.report.charts import rows_of
from jaxland.report.losses import COLUMNS, EnsembleLosses
from jaxland.report.packed import array, numbers
from jaxland.store import DamagedShard, StudyStore
from jaxland.studies.described import described

RANDOM = 200  # fits drawn at random, all ensembles together
_POINTS = 401  # of a function
_STEPS = 120  # of a loss on its way
_WIDEST = 100_000
_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda z: np.maximum(z, 0.0),
    "identity": lambda z: z,
    "tanh": np.tanh,
    "sin": np.sin,
    "sigmoid": lambda z: 0.5 * (1 + np.tanh(0.5 * z)),
    "softplus": lambda z: np.logaddexp(z, 0.0),
}


def pick(
    store: StudyStore,
    ensembles: Mapping[str, EnsembleLosses],
    unreadable: Callable[[str], object] = lambda name: None,
) -> dict[str, Any]:
    """The best, the median and the worst fit of each ensemble and some at random; nothing where none is stored.

    What they compute is there for networks of one input and one output whose structure the directory tells
    (`networks.json`), losses on the way where the shards have them.

    Args:
        store: of the study.
        ensembles: losses of each, by name.
        unreadable: told the name of a file that is there and cannot be read.
    """
    told = described(store.path, unreadable)
    many = max(RANDOM // max(len(ensembles), 1), 1)
    picked = [_picked(store, name, each, many, told.get(name)) for name, each in ensembles.items() if len(each.sample)]
    found = [each for each in picked if each["fit"]]
    return {"ensembles": found} if found else {}


def _picked(store: StudyStore, name: str, losses: EnsembleLosses, many: int, told: Any) -> dict[str, Any]:
    told = told if isinstance(told, dict) else {}
    middle = _median_fit(losses)
    named = {"best": losses.best_fit, "median": middle, "worst": losses.worst_fit}
    some = losses.sample["fit"].to_numpy()
    drawn = np.random.default_rng(0).permutation(some)[:many]
    rows, stored = _read(store, name, np.unique([*drawn, *(fit for fit in named.values() if fit >= 0)]))
    picked = {"name": name, "named": named, **rows_of(rows)}
    return picked | _functions(told, stored.get("params")) | _traces(told, stored.get("trace"))


def _median_fit(losses: EnsembleLosses) -> int:
    """The fit of the sample whose loss is nearest to the median, -1 where there is none."""
    loss = losses.sample["loss"].to_numpy(np.float64)
    if not np.isfinite(loss).any():
        return -1
    nearest = np.nanargmin(np.abs(loss - np.median(loss[np.isfinite(loss)])))
    return int(losses.sample["fit"].iloc[int(nearest)])


def _read(store: StudyStore, name: str, fits: Int[np.ndarray, "F"]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The rows of some fits that can be read, and their parameters and traces, a shard at a time."""
    rows, stored = [], []
    for shard in store.shards(name):
        inside = fits[(fits >= shard.start) & (fits < shard.stop)] - shard.start
        if len(inside):
            try:
                arrays = store.read(name, shard).arrays
            except DamagedShard:
                continue
            rows.append(pd.DataFrame({column: arrays[column][inside] for column in COLUMNS}))
            stored.append({column: arrays[column][inside] for column in ("params", "trace") if column in arrays})
    joined = {column: np.concatenate([each[column] for each in stored]) for column in (stored[0] if stored else ())}
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=COLUMNS), joined


def _functions(told: dict[str, Any], params: Float[np.ndarray, "F P"] | None) -> dict[str, Any]:
    """Outputs (F, points) over x: each fit's between its bounds, in two bytes a point, as second differences."""
    try:
        if params is None:
            return {}
        low, high = map(float, told["range"])
        if not (math.isfinite(high - low) and low < high):
            return {}
        x = np.linspace(low, high, _POINTS)
        outputs = evaluate(told, params.astype(np.float64), x)
        data = [[float(value) for value in told.get(axis, [])] for axis in ("x", "y")]
        if len(data[0]) != len(data[1]):
            return {}
    except (KeyError, TypeError, ValueError, OverflowError):
        return {}  # nothing is told of this network, or it is another one
    with np.errstate(all="ignore"):
        good = np.isfinite(np.ptp(outputs, axis=1))
    outputs = np.where(good[:, None], outputs, 0.0)
    bottom, top = outputs.min(axis=1), outputs.max(axis=1)
    share = (outputs - bottom[:, None]) / np.where(top > bottom, top - bottom, 1.0)[:, None]
    # Most second differences are near zero, so that they take little room when compressed.
    changes = np.diff(np.rint(65535 * share).astype(np.int64), n=2, prepend=np.zeros((len(share), 2), np.int64))
    return {
        "x": numbers(x),
        "data": {"x": numbers(data[0]), "y": numbers(data[1])},
        "low": numbers(np.where(good, bottom, np.nan)),
        "high": numbers(np.where(good, top, np.nan)),
        "outputs": array(changes & 65535, "<u2"),
    }


def evaluate(
    told: Mapping[str, Any], params: Float[np.ndarray, "F P"], x: Float[np.ndarray, "N"]
) -> Float[np.ndarray, "F N"]:
    """What networks of one structure compute, as `mlp` does, without JAX, whose import takes seconds.

    Args:
        told: widths, activations and whether there are biases, as `networks.json` has them.
        params: flat vectors.
        x: points of one component.

    Raises:
        KeyError, TypeError: something is not told.
        ValueError: the parameters are not those of such a network.
    """
    widths = [int(width) for width in told["widths"]]
    hidden, last = _FUNCTIONS[told["activation"]], _FUNCTIONS[told["output_activation"]]
    size = sum(outputs * (inputs + bool(told["bias"])) for inputs, outputs in pairwise(widths))
    if min(widths) < 1 or max(widths) > _WIDEST or (widths[0], widths[-1], size) != (1, 1, params.shape[1]):
        raise ValueError(f"{params.shape[1]} parameters are not those of widths {widths}.")
    computed = np.empty((len(params), len(x)))
    with np.errstate(all="ignore"):
        for row, vector in enumerate(params):
            h, start = x[None, :], 0
            for layer, (inputs, outputs) in enumerate(pairwise(widths)):
                h = vector[start : start + inputs * outputs].reshape(outputs, inputs) @ h
                start += inputs * outputs
                if told["bias"]:
                    h = h + vector[start : start + outputs, None]
                    start += outputs
                h = (hidden if layer < len(widths) - 2 else last)(h)
            computed[row] = h[0]
    return computed


def _traces(told: dict[str, Any], trace: Float[np.ndarray, "F T"] | None) -> dict[str, Any]:
    """Losses (F, steps) on the way, of some of the steps where there are many."""
    if trace is None or not trace.shape[1]:
        return {}
    every = told.get("trace_every")
    every = every if isinstance(every, int) and every > 0 else 1
    kept = np.unique(np.linspace(0, trace.shape[1] - 1, min(_STEPS, trace.shape[1])).round().astype(int))
    return {"steps": (every * kept).tolist(), "losses": array(trace[:, kept], "<f4")}
