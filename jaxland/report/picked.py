"""Some fits of each ensemble, with what they compute and how their losses fell, for the page to show one by one."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from jaxland.report.charts import rows_of
from jaxland.report.computed import bends, evaluate, spectra
from jaxland.report.losses import COLUMNS, EnsembleLosses
from jaxland.report.packed import array, numbers
from jaxland.store import DamagedShard, StudyStore
from jaxland.studies.described import described

RANDOM = 200  # fits drawn at random, all ensembles together
SPECTRA = 60  # of them have a spectrum, all ensembles together: each takes a few hundredths of a second
_POINTS = 401  # of a function
_STEPS = 120  # of a loss on its way


def pick(
    store: StudyStore,
    ensembles: Mapping[str, EnsembleLosses],
    unreadable: Callable[[str], object] = lambda name: None,
) -> dict[str, Any]:
    """The best, the median and the worst fit of each ensemble and some at random; nothing where none is stored.

    What they compute is there for networks of one input and one output whose structure the directory tells
    (`networks.json`), knots where their units are ReLU, spectra of some where the loss is of squared errors, and losses
    on the way where the shards have them.

    Args:
        store: of the study.
        ensembles: losses of each, by name.
        unreadable: told the name of a file that is there and cannot be read.
    """
    told = described(store.path, unreadable)
    some, curved = (max(number // max(len(ensembles), 1), 1) for number in (RANDOM, SPECTRA))
    picked = [
        _picked(store, name, each, some, curved, told.get(name)) for name, each in ensembles.items() if len(each.sample)
    ]
    found = [each for each in picked if each["fit"]]
    return {"ensembles": found} if found else {}


def _picked(store: StudyStore, name: str, losses: EnsembleLosses, many: int, few: int, told: Any) -> dict[str, Any]:
    told = told if isinstance(told, dict) else {}
    middle = _median_fit(losses)
    named = {"best": losses.best_fit, "median": middle, "worst": losses.worst_fit}
    some = losses.sample["fit"].to_numpy()
    drawn = np.random.default_rng(0).permutation(some)[:many]
    rows, stored = _read(store, name, np.unique([*drawn, *(fit for fit in named.values() if fit >= 0)]))
    picked = {"name": name, "named": named, **rows_of(rows)}
    curved = np.flatnonzero(np.isin(rows["fit"], [*named.values(), *drawn[:few]]))
    functions = _functions(told, stored.get("params"), curved)
    return picked | functions | _traces(told, stored.get("trace"))


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


def _functions(
    told: dict[str, Any], params: Float[np.ndarray, "F P"] | None, curved: Int[np.ndarray, "S"]
) -> dict[str, Any]:
    """Outputs (F, points) over x: each fit's between its bounds, in two bytes a point, as second differences; knots;
    and spectra of the fits in some rows."""
    try:
        if params is None:
            return {}
        low, high = map(float, told["range"])
        if not (math.isfinite(high - low) and low < high):
            return {}
        x, params = np.linspace(low, high, _POINTS), params.astype(np.float64)
        outputs = evaluate(told, params, x)
        data = [[float(value) for value in told.get(axis, [])] for axis in ("x", "y")]
        if len(data[0]) != len(data[1]):
            return {}
        curvature = _knots(told, params, low, high) | _spectra(told, params, curved, *map(np.array, data))
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
        **curvature,
    }


def _knots(told: dict[str, Any], params: Float[np.ndarray, "F P"], low: float, high: float) -> dict[str, Any]:
    """Where the function of each fit bends between the ends, and by how much its slope changes there."""
    found = bends(told, params, low, high)
    if found is None:
        return {}
    each = []
    for count, knots, values in zip(np.maximum(found.counts, 0), found.knots, found.values, strict=True):
        slopes = np.diff(values[:count]) / np.diff(knots[:count])
        each.append([numbers(knots[1 : max(count - 1, 1)]), numbers(np.diff(slopes))])
    return {"knots": each}


def _spectra(
    told: dict[str, Any],
    params: Float[np.ndarray, "F P"],
    rows: Int[np.ndarray, "S"],
    x: Float[np.ndarray, "N"],
    y: Float[np.ndarray, "N"],
) -> dict[str, Any]:
    """Eigenvalues (S, P) of the Hessian of the loss, the least first, and the rows they are of."""
    found = spectra(told, params[rows], x, y)
    return {} if found is None else {"curved": rows.tolist(), "eigenvalues": array(found, "<f4")}


def _traces(told: dict[str, Any], trace: Float[np.ndarray, "F T"] | None) -> dict[str, Any]:
    """Losses (F, steps) on the way, of some of the steps where there are many."""
    if trace is None or not trace.shape[1]:
        return {}
    every = told.get("trace_every")
    every = every if isinstance(every, int) and every > 0 else 1
    kept = np.unique(np.linspace(0, trace.shape[1] - 1, min(_STEPS, trace.shape[1])).round().astype(int))
    return {"steps": (every * kept).tolist(), "losses": array(trace[:, kept], "<f4")}
