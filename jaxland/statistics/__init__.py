"""Reductions of tables and arrays: moments, histograms, intervals, curves through scatters, permutation tests."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.statistics.components import Estimate, TwoWayComponents, two_way_components
    from jaxland.statistics.histogram import Histogram
    from jaxland.statistics.intervals import distribution_band, mean_interval, sample_interval, wilson_interval
    from jaxland.statistics.logistic import LogisticFit, logistic_fit
    from jaxland.statistics.lowess import Lowess, lowess
    from jaxland.statistics.moments import Moments
    from jaxland.statistics.permutation import (
        PermutationPValue,
        permutation_p_value,
        permutations_to_decide,
        permutations_to_measure,
        permutations_to_resolve,
    )
    from jaxland.statistics.shares import BinnedShares, binned_shares

__all__ = [
    "BinnedShares",
    "Estimate",
    "Histogram",
    "LogisticFit",
    "Lowess",
    "Moments",
    "PermutationPValue",
    "TwoWayComponents",
    "binned_shares",
    "distribution_band",
    "logistic_fit",
    "lowess",
    "mean_interval",
    "permutation_p_value",
    "permutations_to_decide",
    "permutations_to_measure",
    "permutations_to_resolve",
    "sample_interval",
    "two_way_components",
    "wilson_interval",
]

__getattr__, __dir__ = attach(__name__, __file__)
