"""The charts of the losses, as numbers that the page draws."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxland.report.losses import BINS_PER_DECADE, EnsembleLosses
from jaxland.report.packed import numbers
from jaxland.statistics import Histogram

_MIDDLE_BINS, _MOST_BINS = 110, 1200
_LARGEST = 308.0  # decades above one
_AXES = [
    {"label": "loss before training", "column": "initial_loss", "scale": "log"},
    {"label": "step with the smallest loss", "column": "best_step", "scale": "linear"},
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
    """Bins (low, high, count) of each ensemble that has a loss to be drawn, and where the middle of all lies.

    Args:
        ensembles: some with a loss above zero.
    """
    # An ensemble without a finite loss has no bars, and keeps its look for the other chart.
    drawn = {name: each for name, each in ensembles.items() if each.log_loss.counts.any()}
    low, high = _middle(drawn)
    joined = _joined_bins(drawn, low, high)
    looks = {name: look for look, name in enumerate(ensembles)}
    return {
        "middle": numbers([10**low, 10**high]),
        "series": [
            {"name": name, "look": looks[name], "fits": each.fits, "bins": _filled_bins(each.log_loss, joined)}
            for name, each in drawn.items()
        ],
    }


def _middle(ensembles: Mapping[str, EnsembleLosses]) -> tuple[float, float]:
    """Where the middle 99.9 % of the losses of every ensemble lie, base-10 logarithms, with room beside them."""
    low = min(each.log_loss.quantile(0.0005) for each in ensembles.values())
    high = max(each.log_loss.quantile(0.9995) for each in ensembles.values())
    room = max(0.04 * (high - low), 0.01)
    return max(low - room, -_LARGEST), min(high + room, _LARGEST)


def _joined_bins(ensembles: Mapping[str, EnsembleLosses], low: float, high: float) -> int:
    """How many fine bins make one that is shown: enough detail in the middle, and a bounded number of bins in all."""
    smallest = min(each.log_loss.smallest for each in ensembles.values())
    largest = max(each.log_loss.largest for each in ensembles.values())
    decades = max((high - low) / _MIDDLE_BINS, (largest - smallest) / _MOST_BINS)
    return max(int(np.ceil(decades * BINS_PER_DECADE)), 1)


def _filled_bins(histogram: Histogram, joined: int) -> list[list[float | None]]:
    """Bounds, as losses, and count of the joined bins that hold something."""
    edges = histogram.edges
    coarse = histogram.coarsen(edges[0], edges[-1], len(histogram.counts) // joined)
    bounds = numbers(10**coarse.edges)
    return [
        [bounds[index], bounds[index + 1], count] for index, count in enumerate(coarse.counts.tolist()) if count > 0
    ]


def _scatter(ensembles: Mapping[str, EnsembleLosses]) -> dict[str, Any]:
    """What is known of the fits of each sample; a loss that is not a number is None, and `row` is where to draw it."""
    return {
        "row": _row_above(ensembles),
        "axes": _AXES,
        "series": [
            {"name": name, "look": look, **rows_of(each.sample)} for look, (name, each) in enumerate(ensembles.items())
        ],
    }


def rows_of(fits: pd.DataFrame) -> dict[str, list[Any]]:
    """Numbers, status and losses of some fits, by column."""
    whole = {name: fits[name].tolist() for name in ("fit", "status", "best_step")}
    return whole | {name: numbers(fits[name].to_numpy(np.float64)) for name in ("initial_loss", "loss", "best_loss")}


def _row_above(ensembles: Mapping[str, EnsembleLosses]) -> float:
    """A loss somewhat above all others on a logarithmic axis, if there is a number that large."""
    low = min(each.log_loss.smallest for each in ensembles.values())
    high = max(each.log_loss.largest for each in ensembles.values())
    return 10 ** min(high + max(0.07 * (high - low), 0.1), _LARGEST)
