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
from jaxland.report.measures import Measure
from jaxland.report.packed import array, coarse, numbers, weight
from jaxland.store import DamagedShard, StudyStore
from jaxland.studies.described import described
from jaxland.training.judgements import METRIC, judgements

RANDOM = 200  # fits drawn at random, all ensembles together
SPECTRA = 60  # of them have a spectrum, all ensembles together: each takes a few hundredths of a second
LIMIT = 400_000  # characters of all that the page holds of these fits
_POINTS = 401  # of a function
_STEPS = 120  # of a loss on its way
_HEAVY = ("knots", "eigenvalues", "metrics", "judged", "losses", "outputs")  # in the order in which they are given up


def pick(
    store: StudyStore,
    ensembles: Mapping[str, EnsembleLosses],
    unreadable: Callable[[str], object] = lambda name: None,
) -> dict[str, Any]:
    """The best, the median and the worst fit of each ensemble and some at random; nothing where none is stored.

    What they compute is there for networks of one input and one output whose structure the directory tells
    (`networks.json`), knots where their units are ReLU, spectra of some where the loss is of squared errors, and losses
    and metrics on the way where the shards have them. Of fits that were judged it is what they compute at their
    smallest validation loss. What would make the page heavier than `LIMIT` is left out, and named in `left_out`.

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
    return {"ensembles": found, "left_out": _left_out(found)} if found else {}


def _left_out(found: list[dict[str, Any]]) -> list[str]:
    """What was taken out of the fits until they weigh no more than they may."""
    weights = {name: sum(weight(each[name]) for each in found if name in each) for name in _HEAVY}
    total, gone = weight([{k: v for k, v in each.items() if k not in _HEAVY} for each in found]), []
    total += sum(weights.values())
    for name in _HEAVY:
        if total > LIMIT and weights[name]:
            for each in found:
                each.pop(name, None)
            total -= weights[name]
            gone.append(name)
    return gone


def _picked(store: StudyStore, name: str, losses: EnsembleLosses, many: int, few: int, told: Any) -> dict[str, Any]:
    told = told if isinstance(told, dict) else {}
    by = [losses.ranked_by, *(each for each in losses.measured.values() if each is not losses.ranked_by)]
    ranks = [_rank(measure, losses.sample) for measure in by]
    named = [fit for rank in ranks for fit in (rank["least"], rank["median"], rank["largest"]) if fit >= 0]
    some = losses.sample["fit"].to_numpy()
    drawn = np.random.default_rng(0).permutation(some)[:many]
    rows, stored = _read(store, name, np.unique([*drawn, *named]))
    picked = {"name": name, "ranks": ranks, **rows_of(rows)}
    first = [ranks[0][which] for which in ("least", "median", "largest")]
    curved = np.flatnonzero(np.isin(rows["fit"], [*first, *drawn[:few]]))
    functions = _functions(told, stored.get("best_params", stored.get("params")), curved)
    return picked | functions | _traces(told, stored) | _judged(told, stored)


def _rank(measure: Measure, sample: pd.DataFrame) -> dict[str, Any]:
    """The fits of the least, the median and the largest number; -1 where there is none."""
    return {
        "column": measure.column,
        "label": measure.short,
        "metric": measure.is_metric,
        "least": measure.least_fit,
        "median": _median_fit(measure, sample),
        "largest": measure.largest_fit,
    }


def _median_fit(measure: Measure, sample: pd.DataFrame) -> int:
    """The fit of the sample whose number is nearest to the median, -1 where there is none."""
    values = sample[measure.column].to_numpy(np.float64)
    values = np.where(np.isfinite(values) & (sample["diverged_step"].to_numpy() < 0), values, np.nan)
    if np.isnan(values).all():
        return -1
    return int(sample["fit"].iloc[int(np.nanargmin(np.abs(values - np.nanmedian(values))))])


def _read(store: StudyStore, name: str, fits: Int[np.ndarray, "F"]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The rows of some fits that can be read, and whatever else is stored of them, a shard at a time."""
    rows, stored = [], []
    for shard in store.shards(name):
        inside = fits[(fits >= shard.start) & (fits < shard.stop)] - shard.start
        if len(inside):
            try:
                arrays = store.read(name, shard).arrays
            except DamagedShard:
                continue
            own = {column: values[inside] for column, values in arrays.items()}
            rows.append(pd.DataFrame({column: own[column] for column in COLUMNS} | judgements(own)))
            stored.append({column: values for column, values in own.items() if column not in COLUMNS})
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
        "apart": told.get("apart") is True,
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
        each.append([numbers(knots[1 : max(count - 1, 1)], 5), numbers(np.diff(slopes), 5)])
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
    return {} if found is None else {"curved": rows.tolist(), "eigenvalues": array(coarse(found), "<f4")}


def _traces(told: dict[str, Any], stored: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Losses (F, steps) on the way, of some of the steps where there are many."""
    trace = stored.get("trace")
    if trace is None or not trace.shape[1]:
        return {}
    kept = _some(trace.shape[1])
    return {"steps": (_whole(told, "trace_every", 1) * kept).tolist(), "losses": array(coarse(trace[:, kept]), "<f4")}


def _judged(told: dict[str, Any], stored: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What validation found (F, steps) on the way: losses, and metrics by name."""
    losses, every, steps = stored.get("validation"), _whole(told, "validate_every"), _whole(told, "steps")
    if losses is None or not every or not steps:
        return {}
    at = np.append(np.arange(0, steps, every), steps)
    if len(at) != losses.shape[1]:
        return {}  # what is told is of another training
    kept = _some(len(at))
    metrics = {name.removeprefix(METRIC): values for name, values in stored.items() if name.startswith(METRIC)}
    return {
        "judged_steps": at[kept].tolist(),
        "judged": array(coarse(losses[:, kept]), "<f4"),
        "metrics": {name: array(coarse(values[:, kept]), "<f4") for name, values in metrics.items()},
    }


def _some(count: int) -> Int[np.ndarray, "S"]:
    return np.unique(np.linspace(0, count - 1, min(_STEPS, count)).round().astype(int))


def _whole(told: dict[str, Any], name: str, otherwise: int = 0) -> int:
    value = told.get(name)
    return value if isinstance(value, int) and value > 0 else otherwise
