"""The charts of the losses, as numbers that the page draws."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxland.report.losses import EnsembleLosses, measured_columns
from jaxland.report.measures import BINS_PER_DECADE, LOSS, VALIDATION, Measure, columns_of
from jaxland.report.packed import numbers
from jaxland.statistics import Histogram

_MIDDLE_BINS, _MOST_BINS = 110, 1200
_EQUAL_BINS = 60  # of a metric, which often has few values
_LARGEST = 308.0  # decades above one
_AXES = [
    {"label": "loss before training", "column": "initial_loss", "scale": "log"},
    {"label": "step with the smallest loss", "column": "best_step", "scale": "linear"},
]
_JUDGED_AXES = [
    {"label": "loss after training", "column": LOSS, "scale": "log"},
    {"label": "step with the smallest validation loss", "column": "best_validation_step", "scale": "linear"},
]


def charts(ensembles: Mapping[str, EnsembleLosses]) -> dict[str, dict[str, Any]]:
    """The charts by name, as JSON-able values; none where no loss can be drawn.

    Args:
        ensembles: losses of each ensemble, by name.
    """
    if not any(each.log_loss.counts.any() for each in ensembles.values()):
        return {}
    return {"histogram": histogram(ensembles), "scatter": _scatter(ensembles)}


def histogram(ensembles: Mapping[str, EnsembleLosses]) -> dict[str, Any]:
    """What can be counted, each with bins (low, high, count) of each ensemble that has it, and where its middle lies.

    Args:
        ensembles: some with a loss above zero.
    """
    looks = {name: look for look, name in enumerate(ensembles)}
    measures = []
    for column in columns_of(each.measured for each in ensembles.values()):
        # An ensemble without a number to be drawn has no bars, and keeps its look for the other chart.
        drawn = {name: each.measured[column] for name, each in ensembles.items() if _is_drawn(each, column)}
        if drawn:
            measures.append(_bars(column, drawn, looks, {name: each.fits for name, each in ensembles.items()}))
    return {"measures": measures}


def _is_drawn(losses: EnsembleLosses, column: str) -> bool:
    measure = losses.measured.get(column)
    return measure is not None and bool(measure.log.counts.any() or (measure.is_metric and measure.count))


def _bars(column: str, drawn: dict[str, Measure], looks: dict[str, int], fits: dict[str, int]) -> dict[str, Any]:
    logarithmic = all(each.is_logarithmic for each in drawn.values())
    histograms = {name: each.log if logarithmic else each.equal for name, each in drawn.items()}
    low, high = _middle(histograms, logarithmic)
    if logarithmic:
        joined = _joined_bins(histograms, low, high)
        bins = {name: _filled_bins(each, joined) for name, each in histograms.items()}
        middle = numbers([10**low, 10**high])
    else:
        edges = _equal_edges(histograms, low, high)
        bins = {name: _counted_again(each, edges) for name, each in histograms.items()}
        middle = numbers([low, high])
    return {
        "column": column,
        "label": next(iter(drawn.values())).label,
        "scale": "log" if logarithmic else "linear",
        "middle": middle,
        "series": [{"name": name, "look": looks[name], "fits": fits[name], "bins": bins[name]} for name in drawn],
    }


def _middle(histograms: Mapping[str, Histogram], logarithmic: bool) -> tuple[float, float]:
    """Where the middle 99.9 % of the numbers of every ensemble lie, with room beside them."""
    low = min(each.quantile(0.0005) for each in histograms.values())
    high = max(each.quantile(0.9995) for each in histograms.values())
    room = max(0.04 * (high - low), 0.01 if logarithmic else 0.01 * (abs(low) + abs(high)), 1e-300)
    return (max(low - room, -_LARGEST), min(high + room, _LARGEST)) if logarithmic else (low - room, high + room)


def _joined_bins(histograms: Mapping[str, Histogram], low: float, high: float) -> int:
    """How many fine bins make one that is shown: enough detail in the middle, and a bounded number of bins in all."""
    smallest = min(each.smallest for each in histograms.values())
    largest = max(each.largest for each in histograms.values())
    decades = max((high - low) / _MIDDLE_BINS, (largest - smallest) / _MOST_BINS)
    return max(int(np.ceil(decades * BINS_PER_DECADE)), 1)


def _filled_bins(histogram: Histogram, joined: int) -> list[list[float | None]]:
    """Bounds, as losses, and count of the joined bins that hold something."""
    edges = histogram.edges
    coarse = histogram.coarsen(edges[0], edges[-1], len(histogram.counts) // joined)
    return _filled(10**coarse.edges, coarse.counts)


def _equal_edges(histograms: Mapping[str, Histogram], low: float, high: float) -> np.ndarray:
    """Bounds of equal bins of all ensembles, from the smallest number to the largest, a bounded number of them."""
    smallest = min(low, *(each.smallest for each in histograms.values()))
    largest = max(high, *(each.largest for each in histograms.values()))
    count = int(np.clip(np.ceil(_EQUAL_BINS * (largest - smallest) / (high - low)), 1, _MOST_BINS))
    return np.linspace(smallest, largest, count + 1)


def _counted_again(histogram: Histogram, edges: np.ndarray) -> list[list[float | None]]:
    """The same numbers in wider bins: a fine bin counts where its middle lies."""
    middles = np.clip((histogram.edges[:-1] + histogram.edges[1:]) / 2, histogram.smallest, histogram.largest)
    counts, _ = np.histogram(middles, edges, weights=histogram.counts)
    return _filled(edges, np.rint(counts).astype(np.int64))


def _filled(edges: np.ndarray, counts: np.ndarray) -> list[list[float | None]]:
    bounds = numbers(edges)
    return [[bounds[index], bounds[index + 1], count] for index, count in enumerate(counts.tolist()) if count > 0]


def _scatter(ensembles: Mapping[str, EnsembleLosses]) -> dict[str, Any]:
    """What is known of the fits of each sample: along the axes to choose from, each upright one with a row above all
    for the fits that diverged; a number that is not finite is None."""
    columns = columns_of(each.measured for each in ensembles.values())
    return {
        "axes": [*_AXES, *(_JUDGED_AXES if VALIDATION in columns else [])],
        "upright": [
            _upright(column, [e.measured[column] for e in ensembles.values() if column in e.measured])
            for column in columns
        ],
        "series": [
            {"name": name, "look": look, **rows_of(each.sample)} for look, (name, each) in enumerate(ensembles.items())
        ],
    }


def _upright(column: str, measures: list[Measure]) -> dict[str, Any]:
    counted = [each for each in measures if each.count]
    logarithmic = all(each.is_logarithmic for each in counted)
    row = _row_above([each.log for each in counted]) if logarithmic else _above([each.equal for each in counted])
    return {"label": measures[0].label, "column": column, "scale": "log" if logarithmic else "linear", "row": row}


def rows_of(fits: pd.DataFrame) -> dict[str, list[Any]]:
    """Numbers, status and losses of some fits, by column."""
    judged = measured_columns(fits)
    whole = ["fit", "status", "best_step", *(["best_validation_step", "stopped_step"] if judged else [])]
    return {name: fits[name].tolist() for name in whole} | {
        name: numbers(fits[name].to_numpy(np.float64)) for name in ("initial_loss", "loss", "best_loss", *judged)
    }


def _row_above(histograms: list[Histogram]) -> float:
    """A loss somewhat above all others on a logarithmic axis, if there is a number that large."""
    low, high = (
        min((each.smallest for each in histograms), default=0.0),
        max((each.largest for each in histograms), default=0.0),
    )
    return 10 ** min(high + max(0.07 * (high - low), 0.1), _LARGEST)


def _above(histograms: list[Histogram]) -> float:
    low, high = min(each.smallest for each in histograms), max(each.largest for each in histograms)
    return high + (0.07 * (high - low) or 0.1)
